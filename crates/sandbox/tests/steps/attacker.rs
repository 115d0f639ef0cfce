//! A program that runs in a step and tries system calls that no shell makes; and the tests that run it there.
#![expect(unsafe_code, reason = "what is tried are raw system calls")]
#![expect(clippy::disallowed_methods, reason = "an attacker starts what it likes")]

use std::fs;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::ptr::null;
use std::sync::atomic::{AtomicU64, Ordering};

use libc::c_long;
use sandbox::RunSpec;

use crate::Test;
use crate::setting::{Setting, Who, run, success};

/// Is this program, with what it is to try.
pub(crate) const ATTACK: &str = "--attack";

pub(crate) const TESTS: &[Test] = &[
    ("no_system_call_reaches_the_builder", Who::ALL, no_call_reaches_the_builder),
    ("no_system_call_reaches_who_keeps_the_step", Who::SUPERVISED, no_call_reaches_the_keeper),
    ("calls_of_other_architectures_are_refused", Who::SUPERVISED, other_architectures_are_refused),
    ("threads_that_execute_programs_at_once_end", &[Who::Traced, Who::Root], threads_that_execute_end),
    ("no_socket_outside_is_reached_by_exchanging_paths", &[Who::Traced], exchanged_paths_reach_nobody),
    ("arguments_that_were_checked_stay", &[Who::Traced], arguments_stay),
    ("signals_interrupt_the_wait_for_a_pipe", &[Who::Traced, Who::Root], signals_interrupt),
    ("pipes_that_nobody_opens_keep_nobody_else_waiting", Who::SUPERVISED, pipes_keep_nobody_waiting),
];

/// A step that runs this program in place of a shell.
fn attack(setting: &Setting, what: &[&str]) -> RunSpec {
    let program = setting.root().join("bin/attacker");
    fs::copy("/proc/self/exe", program).unwrap();
    let argv = ["/bin/attacker", ATTACK].iter().chain(what).map(Into::into).collect();
    RunSpec { argv, ..setting.script("") }
}

fn no_call_reaches_the_builder(setting: &Setting) {
    let builder = std::process::id().to_string();
    assert_eq!(success(&attack(setting, &["reach", &builder])), "");
}

fn no_call_reaches_the_keeper(setting: &Setting) {
    assert_eq!(success(&attack(setting, &["reach", "parent"])), "");
}

fn other_architectures_are_refused(setting: &Setting) {
    assert_eq!(success(&attack(setting, &["x32"])), "");
    let outcome = run(&attack(setting, &["int80"])).unwrap();
    assert_eq!(outcome.exit.status(), 128 + libc::SIGSYS, "{outcome:?}");
}

fn threads_that_execute_end(setting: &Setting) {
    assert_eq!(success(&attack(setting, &["storm"])), "over\n");
}

/// Sockets outside that the step's user may write to, one of a stream and one of datagrams.
fn exchanged_paths_reach_nobody(setting: &Setting) {
    let [streams, datagrams] = ["streams", "datagrams"].map(|name| setting.path(name));
    let listener = UnixListener::bind(&streams).unwrap();
    let receiver = UnixDatagram::bind(&datagrams).unwrap();
    listener.set_nonblocking(true).unwrap();
    receiver.set_nonblocking(true).unwrap();
    for (kind, path) in [("streams", &streams), ("datagrams", &datagrams)] {
        assert_eq!(success(&attack(setting, &["race", kind, path.to_str().unwrap()])), "over\n");
    }
    let would_block = Some(std::io::ErrorKind::WouldBlock);
    assert_eq!(listener.accept().err().map(|error| error.kind()), would_block);
    assert_eq!(receiver.recv(&mut [0]).err().map(|error| error.kind()), would_block);
    // They could be reached.
    UnixStream::connect(streams).unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"", datagrams).unwrap();
}

fn signals_interrupt(setting: &Setting) {
    assert_eq!(success(&attack(setting, &["alarm"])), "Interrupted\nwaited\nopened\n");
}

fn arguments_stay(setting: &Setting) {
    assert_eq!(success(&attack(setting, &["board"])), "");
}

fn pipes_keep_nobody_waiting(setting: &Setting) {
    let script = "busybox mkfifo /tmp/pipe; n=0
        while [ $n -lt 700 ]; do (: </tmp/pipe) 2>/dev/null & n=$((n+1)); done
        echo alive; cat /etc/passwd >/dev/null && echo well; kill -9 $(jobs -p); exit 0";
    assert_eq!(setting.output_of(script), "alive\nwell\n");
}

/// What the attacker does.
pub(crate) fn main(what: &[String]) {
    let what: Vec<&str> = what.iter().map(String::as_str).collect();
    match what[..] {
        ["reach", "parent"] => reach(real_parent()),
        ["reach", pid] => reach(pid.parse().unwrap()),
        ["x32"] => try_call("x32 getpid", 0x4000_0000 | libc::SYS_getpid, [0; 5]),
        ["int80"] => call_as_32_bits(),
        ["race", "streams", path] => {
            let _listener = UnixListener::bind("/tmp/streams").unwrap();
            race("/tmp/streams", path.to_owned(), libc::SOCK_STREAM);
        }
        ["race", "datagrams", path] => {
            let _receiver = UnixDatagram::bind("/tmp/datagrams").unwrap();
            race("/tmp/datagrams", path.to_owned(), libc::SOCK_DGRAM);
        }
        ["alarm"] => wait_for_a_pipe(),
        ["board"] => take_the_board_away(),
        ["storm"] => {
            for _ in 0..40 {
                Command::new("/bin/attacker").args([ATTACK, "threads"]).status().unwrap();
            }
            println!("over");
        }
        ["threads"] => execute_in_threads(),
        _ => panic!("{what:?}"),
    }
}

/// As the kernel knows it, which getppid(2) does not tell.
fn real_parent() -> c_long {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Prints what succeeds.
fn try_call(name: &str, number: c_long, args: [c_long; 5]) {
    // SAFETY: pointers among the arguments are of values that outlive the call, or null.
    if unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4]) } >= 0 {
        println!("{name} succeeded");
    }
}

fn reach(pid: c_long) {
    let mut room = [0_u64; 16];
    let at = room.as_mut_ptr() as c_long;
    let (kill, is_process) = (c_long::from(libc::SIGKILL), 0);
    let own = c_long::from(std::process::id());
    let calls = [
        ("kill", libc::SYS_kill, [pid, kill, 0, 0, 0]),
        ("kill of the group", libc::SYS_kill, [-pid, kill, 0, 0, 0]),
        ("tkill", libc::SYS_tkill, [pid, kill, 0, 0, 0]),
        ("tgkill", libc::SYS_tgkill, [pid, pid, kill, 0, 0]),
        ("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo, [pid, kill, at, 0, 0]),
        ("pidfd_open", libc::SYS_pidfd_open, [pid, 0, 0, 0, 0]),
        ("attach", libc::SYS_ptrace, [libc::PTRACE_ATTACH.into(), pid, 0, 0, 0]),
        ("seize", libc::SYS_ptrace, [libc::PTRACE_SEIZE.into(), pid, 0, 0, 0]),
        ("process_vm_readv", libc::SYS_process_vm_readv, [pid, at, 0, at, 0]),
        ("process_vm_writev", libc::SYS_process_vm_writev, [pid, at, 0, at, 0]),
        ("kcmp", libc::SYS_kcmp, [own, pid, 0, 0, 0]),
        ("get_robust_list", libc::SYS_get_robust_list, [pid, at, at, 0, 0]),
        ("setpriority", libc::SYS_setpriority, [is_process, pid, 19, 0, 0]),
        ("ioprio_set", libc::SYS_ioprio_set, [1, pid, 3 << 13, 0, 0]),
        ("sched_setscheduler", libc::SYS_sched_setscheduler, [pid, libc::SCHED_IDLE.into(), at, 0, 0]),
        ("sched_setparam", libc::SYS_sched_setparam, [pid, at, 0, 0, 0]),
        ("sched_setaffinity", libc::SYS_sched_setaffinity, [pid, 8, at, 0, 0]),
        ("prlimit64", libc::SYS_prlimit64, [pid, libc::RLIMIT_NOFILE.into(), 0, at, 0]),
        ("migrate_pages", libc::SYS_migrate_pages, [pid, 1, at, at, 0]),
        ("setpgid", libc::SYS_setpgid, [0, pid, 0, 0, 0]),
    ];
    for (name, number, args) in calls {
        try_call(name, number, args);
    }
    own_a_file(pid);
    for name in ["environ", "maps", "auxv", "root/etc/passwd", "cwd/etc/passwd", "fd/0", "exe"] {
        if fs::read(format!("/proc/{pid}/{name}")).is_ok_and(|content| !content.is_empty()) {
            println!("{name} was read");
        }
    }
}

/// fcntl(2): whoever owns a file is sent a signal, even SIGKILL, when it can be read.
fn own_a_file(pid: c_long) {
    const F_SETOWN: c_long = 8;
    const F_SETOWN_EX: c_long = 15;
    const FIOSETOWN: c_long = 0x8901;
    let owner = [1_i32, i32::try_from(pid).unwrap()];
    let at = owner.as_ptr() as c_long;
    for to in [pid, -pid] {
        try_call("F_SETOWN", libc::SYS_fcntl, [1, F_SETOWN, to, 0, 0]);
    }
    try_call("F_SETOWN_EX", libc::SYS_fcntl, [1, F_SETOWN_EX, at, 0, 0]);
    try_call("FIOSETOWN", libc::SYS_ioctl, [1, FIOSETOWN, at + 4, 0, 0]);
}

fn call_as_32_bits() {
    // SAFETY: getpid(2) takes no arguments; what the kernel clobbers is named.
    unsafe {
        std::arch::asm!("int 0x80", inout("eax") 20 => _, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    };
    println!("a call of 32 bits succeeded");
}

/// Threads execute programs, in vain and with success, while the first one is at stops of its own.
fn execute_in_threads() {
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    for _ in 0..4 {
        std::thread::spawn(|| {
            let long = [vec![b'x'; 200 << 10], vec![0]].concat();
            let (name, end) = (c"/bin/true".as_ptr(), null());
            loop {
                let is_too_long = ROUNDS.fetch_add(1, Ordering::Relaxed) < 8;
                let argv = [if is_too_long { long.as_ptr().cast() } else { name }, end];
                // SAFETY: all pointers are of strings and arrays that end in zero and outlive the call.
                unsafe { libc::execve(name, argv.as_ptr(), [end].as_ptr()) };
            }
        });
    }
    loop {
        drop(std::os::unix::net::UnixStream::connect(Path::new("/tmp/nobody")));
        drop(std::os::unix::net::UnixDatagram::unbound().map(|socket| socket.send_to(b"", "/etc/passwd")));
    }
}

/// The address of a local socket.
fn address_of(path: &str) -> libc::sockaddr_un {
    // SAFETY: the structure is plain integers, for which zero is valid.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX.cast_unsigned().try_into().unwrap();
    for (to, from) in address.sun_path.iter_mut().zip(path.bytes()) {
        *to = from.cast_signed();
    }
    address
}

/// One thread makes calls with a path, another exchanges the path, and a third one what lies at it.
fn race(inside: &'static str, outside: String, kind: libc::c_int) {
    const ROUNDS: usize = 1500;
    let length = size_of::<libc::sockaddr_un>();
    fs::create_dir_all("/tmp/dir").unwrap();
    let shared = Box::into_raw(Box::new(address_of(inside))) as usize;
    let target = outside.clone();
    std::thread::spawn(move || {
        loop {
            for path in [&outside, inside] {
                // SAFETY: the address is never freed; that others read it meanwhile is the point.
                unsafe { std::ptr::write_volatile(shared as *mut libc::sockaddr_un, address_of(path)) };
            }
        }
    });
    std::thread::spawn(move || {
        loop {
            drop(std::os::unix::fs::symlink(&target, "/tmp/link"));
            drop(fs::hard_link(inside, "/tmp/other"));
            drop(fs::rename("/tmp/other", "/tmp/dir/socket"));
            drop(fs::rename("/tmp/link", "/tmp/dir/socket"));
        }
    });
    let moving = address_of("/tmp/dir/socket");
    for _ in 0..ROUNDS {
        for at in [shared, &raw const moving as usize] {
            send_to(at, length, kind);
        }
    }
    println!("over");
}

/// connect(2), sendto(2) and sendmsg(2) with the address at `at`.
fn send_to(at: usize, length: usize, kind: libc::c_int) {
    let mut part = libc::iovec { iov_base: (&raw const at).cast_mut().cast(), iov_len: 1 };
    // SAFETY: all pointers are of values that outlive the calls.
    unsafe {
        let socket = libc::socket(libc::AF_UNIX, kind | libc::SOCK_NONBLOCK, 0);
        let mut message: libc::msghdr = std::mem::zeroed();
        (message.msg_name, message.msg_namelen) = (at as *mut libc::c_void, length.try_into().unwrap());
        (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
        libc::sendmsg(socket, &raw const message, 0);
        libc::sendto(socket, part.iov_base, 1, 0, at as *const libc::sockaddr, message.msg_namelen);
        libc::connect(socket, at as *const libc::sockaddr, message.msg_namelen);
        libc::close(socket);
    }
}

/// What is mapped where calls find what was checked, tried to be replaced, removed, or made writable.
fn take_the_board_away() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.contains("memfd:board")).expect("it is mapped");
    let (begin, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
    let [begin, end] = [begin, end].map(|address| c_long::from_str_radix(address, 16).unwrap());
    let (length, both) = (end - begin, c_long::from(libc::PROT_READ | libc::PROT_WRITE));
    let fixed = (libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS).into();
    let elsewhere = 0x4000_0000;
    let moves: c_long = (libc::MREMAP_FIXED | libc::MREMAP_MAYMOVE).into();
    for at in [begin, begin + 4096, end - 4096] {
        try_call("mmap", libc::SYS_mmap, [at, 4096, both, fixed, -1]);
        try_call("mmap before", libc::SYS_mmap, [begin - 4096, length, both, fixed, -1]);
        try_call("munmap", libc::SYS_munmap, [at, 4096, 0, 0, 0]);
        try_call("munmap before", libc::SYS_munmap, [begin - 4096, length, 0, 0, 0]);
        try_call("mprotect", libc::SYS_mprotect, [at, 4096, both, 0, 0]);
        try_call("mremap from", libc::SYS_mremap, [at, 4096, 4096, moves, elsewhere]);
        try_call("mremap to", libc::SYS_mremap, [elsewhere, 4096, 4096, moves, at]);
        try_call("madvise", libc::SYS_madvise, [at, 4096, libc::MADV_DONTFORK.into(), 0, 0]);
        try_call("remap_file_pages", libc::SYS_remap_file_pages, [at, 4096, 0, 1, 0]);
        try_call("read", libc::SYS_getrandom, [at, 8, 0, 0, 0]);
    }
    let memory = fs::OpenOptions::new().write(true).open("/proc/self/mem");
    let at = begin.cast_unsigned();
    if memory.is_ok_and(|memory| std::os::unix::fs::FileExt::write_at(&memory, b"x", at).is_ok()) {
        println!("it was written to");
    }
}

/// A signal ends the wait for a pipe, or its handler wants the wait to go on, until the other end is there.
fn wait_for_a_pipe() {
    static CAUGHT: AtomicU64 = AtomicU64::new(0);
    extern "C" fn catch(_: libc::c_int) {
        CAUGHT.fetch_add(1, Ordering::SeqCst);
    }
    let path = c"/tmp/waited-for";
    let open = |flags| {
        // SAFETY: the path is a string that outlives the call.
        let fd = unsafe { libc::open(path.as_ptr(), flags) };
        if fd >= 0 { Ok(fd) } else { Err(std::io::Error::last_os_error()) }
    };
    for flags in [0, libc::SA_RESTART] {
        // SAFETY: structures are plain data for which zero is valid, and outlive the calls; the handler only counts.
        unsafe {
            libc::mkfifo(path.as_ptr(), 0o600);
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = catch as extern "C" fn(libc::c_int) as usize;
            action.sa_flags = flags;
            libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut());
            let mut timer: libc::itimerval = std::mem::zeroed();
            timer.it_value.tv_usec = 100_000;
            libc::syscall(libc::SYS_setitimer, libc::ITIMER_REAL, &raw const timer, 0);
        }
        if flags == libc::SA_RESTART {
            std::thread::spawn(move || {
                while CAUGHT.load(Ordering::SeqCst) < 2 {
                    std::thread::yield_now();
                }
                println!("waited");
                open(libc::O_WRONLY).unwrap();
            });
        }
        match open(libc::O_RDONLY) {
            Ok(_) => println!("opened"),
            Err(error) => println!("{:?}", error.kind()),
        }
    }
}
