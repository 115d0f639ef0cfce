//! The system calls that neither rustix nor nix offers as safe functions. No policy here.
#![expect(unsafe_code, reason = "raw system calls; each block says why it is sound")]

use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::signal::SigSet;
use rustix::mount::MountAttrFlags;
use rustix::process::Pid;

use crate::errno::Errno;
use crate::error::{Attempt, Error};

/// Which side of a fork this is.
#[derive(Debug)]
pub(crate) enum Forked {
    /// The old process; holds the new one's id.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Forks this process, which must have one thread only: then the child may run any code.
pub(crate) fn fork() -> Result<Forked, Error> {
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        return Err(Error::Threaded { threads });
    }
    // An inherited SIG_IGN would have the kernel reap the child before it is waited for (waitpid(2)).
    // SAFETY: signal(2) takes no pointers, and SIG_DFL is no handler.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    // SAFETY: with a single thread no lock can be held by a thread that the child lacks.
    let pid = unsafe { libc::fork() };
    match Pid::from_raw(pid) {
        Some(child) if pid > 0 => Ok(Forked::Parent(child)),
        None => Ok(Forked::Child),
        Some(_) => Err(Errno::last()).attempt("fork", || "start a process".to_owned()),
    }
}

/// Ends this process without running anything that the parent registered for its own end.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: _exit(2) has no preconditions.
    unsafe { libc::_exit(status) }
}

/// Adds attributes to a mount, and to all below it if asked. Attributes already set stay.
pub(crate) fn add_mount_attributes(
    mount: impl AsFd,
    attributes: MountAttrFlags,
    recursive: bool,
) -> Result<(), Errno> {
    // SAFETY: mount_attr is plain integers, for which zero is valid.
    let mut request: libc::mount_attr = unsafe { mem::zeroed() };
    request.attr_set = u64::from(attributes.bits());
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated literal and the request outlives the call, its size given with it.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const request,
            size_of::<libc::mount_attr>(),
        )
    };
    if answer == 0 { Ok(()) } else { Err(Errno::last()) }
}

/// Closes every descriptor from `first` on; `close_range(2)` is unknown to some filters.
///
/// To be called while no `OwnedFd` of this process holds one of them.
pub(crate) fn close_from(first: RawFd) -> Result<(), Errno> {
    let open = fs::read_dir("/proc/self/fd")?.map(|entry| Ok(entry?.file_name()));
    let open = open.collect::<io::Result<Vec<_>>>()?;
    for fd in open.iter().filter_map(|name| name.to_str()?.parse().ok()).filter(|fd| *fd >= first) {
        // SAFETY: as documented above, nothing in this process owns these descriptors. That of the directory itself is
        // closed already.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

/// Gives every signal its default disposition and blocks none.
pub(crate) fn reset_signals() -> Result<(), Errno> {
    /// The kernel's `struct sigaction`: handler, flags, restorer, mask.
    const DEFAULT: [u64; 4] = [0; 4];
    const SIGNALS: i32 = 64;
    for number in 1..=SIGNALS {
        // SAFETY: SIG_DFL, which is zero, is no handler, and the structure outlives the call, which libc's own function
        // would refuse for 32 and 33. SIGKILL and SIGSTOP answer EINVAL and are default anyway.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                DEFAULT.as_ptr(),
                std::ptr::null::<u64>(),
                size_of::<u64>(),
            )
        };
    }
    SigSet::empty().thread_set_mask().map_err(Errno::from)
}

/// Brings up `lo` in the network namespace of this process.
pub(crate) fn bring_loopback_up() -> Result<(), Errno> {
    // SAFETY: socket(2) takes no pointers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the descriptor was just opened, and only this value owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: ifreq is plain data, for which zero is valid.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo\0") {
        *to = libc::c_char::try_from(*from).unwrap_or(0);
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: netdevice(7): SIOCSIFFLAGS reads an ifreq, which outlives the call.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if answer == 0 { Ok(()) } else { Err(Errno::last()) }
}

/// The version of Landlock that the kernel offers (`landlock_create_ruleset(2)`).
pub(crate) fn landlock_abi() -> Result<u32, Errno> {
    const VERSION: libc::c_uint = 1;
    // SAFETY: with this flag the kernel takes no attributes: null and size 0 are what it asks for.
    let answer =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    u32::try_from(answer).map_err(|_| Errno::last())
}

/// Loads a seccomp filter that allows everything, with `flags` of seccomp(2); returns what the call returned.
pub(crate) fn load_permissive_filter(flags: libc::c_ulong) -> Result<i64, Errno> {
    let mut allow = [libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_ALLOW,
    }];
    let program = libc::sock_fprog { len: 1, filter: allow.as_mut_ptr() };
    // SAFETY: the program points to one instruction; both outlive the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    if answer < 0 { Err(Errno::last()) } else { Ok(answer) }
}

/// Asks to be traced by the parent (ptrace(2)).
pub(crate) fn trace_me() -> Result<(), Errno> {
    // SAFETY: PTRACE_TRACEME ignores its other arguments.
    let answer = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
    if answer == 0 { Ok(()) } else { Err(Errno::last()) }
}

/// Gives this process a session keyring of its own, empty (`session-keyring(7)`).
pub(crate) fn join_new_session_keyring() -> Result<(), Errno> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: without a name the call takes no pointer.
    let answer = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, 0_usize) };
    if answer < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// Ends this process by a signal, without a second core file; process 1 of a container, which cannot, exits with 128+n.
pub(crate) fn die_of(signal: i32) -> ! {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit outlives the call; signal(2) and raise(3) take no pointers, and SIG_DFL is no handler.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        libc::signal(signal, libc::SIG_DFL);
    }
    let _ = SigSet::empty().thread_set_mask();
    // SAFETY: as above.
    unsafe { libc::raise(signal) };
    exit_now(128 + signal)
}
