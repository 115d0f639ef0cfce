//! The system calls of a supervisor that no crate offers as safe functions: seccomp notifications, ptrace.
//! No policy here.
#![expect(unsafe_code, reason = "raw system calls; each block says why it is sound")]

use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::event::Timespec;
use rustix::io::Errno;

use crate::process::is_readable;

/// One system call that waits for an answer (`seccomp_unotify(2)`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Notification {
    /// What the answer must name.
    pub(super) id: u64,
    /// The thread.
    pub(super) tid: i32,
    /// Number of the call.
    pub(super) number: i64,
    /// Its arguments.
    pub(super) args: [u64; 6],
}

/// Where system calls arrive that wait for an answer.
#[derive(Debug)]
pub(super) struct Listener(OwnedFd);

impl From<OwnedFd> for Listener {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Listener {
    /// Waits for the next call; `ENOENT` if its process ended in the meantime.
    pub(super) fn receive(&self) -> Result<Notification, Errno> {
        // SAFETY: seccomp_notif is plain integers, and the kernel wants them to be zero.
        let mut request: libc::seccomp_notif = unsafe { mem::zeroed() };
        // SAFETY: the kernel writes one seccomp_notif, which outlives the call.
        let answer =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut request) };
        check(answer)?;
        Ok(Notification {
            id: request.id,
            tid: request.pid.cast_signed(),
            number: request.data.nr.into(),
            args: request.data.args,
        })
    }

    /// Ends the call: with a value, with an error, or by letting the kernel carry it out.
    pub(super) fn answer(&self, id: u64, answer: Result<i64, Errno>) -> Result<(), Errno> {
        let (val, error) = match answer {
            Ok(value) => (value, 0),
            Err(errno) => (0, -errno.raw_os_error()),
        };
        self.send(libc::seccomp_notif_resp { id, val, error, flags: 0 })
    }

    /// Lets the kernel carry the call out as it stands.
    pub(super) fn proceed(&self, id: u64) -> Result<(), Errno> {
        let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        self.send(libc::seccomp_notif_resp { id, val: 0, error: 0, flags })
    }

    fn send(&self, mut response: libc::seccomp_notif_resp) -> Result<(), Errno> {
        // SAFETY: the kernel reads one seccomp_notif_resp, which outlives the call.
        let answer =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) };
        check(answer)
    }

    /// Puts a copy of `file` into the process, which goes on waiting; returns the descriptor's number there.
    pub(super) fn give(&self, id: u64, file: impl AsFd, close_on_exec: bool) -> Result<i64, Errno> {
        let request = libc::seccomp_notif_addfd {
            id,
            flags: 0,
            srcfd: file.as_fd().as_raw_fd().cast_unsigned(),
            newfd: 0,
            newfd_flags: if close_on_exec { libc::O_CLOEXEC.cast_unsigned() } else { 0 },
        };
        // SAFETY: the kernel reads one seccomp_notif_addfd, which outlives the call.
        let answer =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw const request) };
        check(answer).map(|()| answer.into())
    }

    /// Whether the call still waits: else what was read from its process may be of another one.
    pub(super) fn is_waiting(&self, id: u64) -> bool {
        // SAFETY: the kernel reads one u64, which outlives the call.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) == 0 }
    }

    /// Whether no process is left whose calls could arrive.
    pub(super) fn is_over(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, poll};
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok() && fds[0].revents().contains(PollFlags::HUP)
    }

    /// Whether a call waits already.
    pub(super) fn is_called(&self) -> bool {
        is_readable(&self.0, Some(&Timespec::default()))
    }

    /// Whether the kernel wakes who waits on the processor of who wakes it (Linux 6.6).
    pub(super) fn wake_here(&self, here: bool) {
        const SYNC_WAKE_UP: libc::c_ulong = 1;
        let flags = if here { SYNC_WAKE_UP } else { 0 };
        // SAFETY: this request takes its flags by value.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags) };
    }
}

/// Loads a filter into this thread, and returns where its notifications arrive.
pub(super) fn load_filter(program: &[libc::sock_filter]) -> Result<OwnedFd, Errno> {
    let load = |flags: libc::c_ulong| {
        let len = libc::c_ushort::try_from(program.len()).map_err(|_| Errno::INVAL)?;
        let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
        // SAFETY: the kernel reads `len` instructions, all of which outlive the call, and writes none.
        let answer = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
        };
        let fd = i32::try_from(answer).map_err(|_| Errno::INVAL)?;
        check(fd)?;
        // SAFETY: with NEW_LISTENER the kernel returns a new descriptor, which only this value owns.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // Else a signal makes a call start over that may have been carried out already (Linux 5.19).
    match load(listener | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(Errno::INVAL) => load(listener),
        loaded => loaded,
    }
}

/// The bytes of a structure of the kernel's.
///
/// Meant for structures of integers without padding between them, such as `stat` and `statx`.
pub(super) fn bytes_of<T: Copy>(value: &T) -> &[u8] {
    // SAFETY: any initialised value can be read as bytes, for as long as it is borrowed.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

pub(super) fn check(answer: libc::c_int) -> Result<(), Errno> {
    if answer < 0 { Err(last()) } else { Ok(()) }
}

pub(super) fn last() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// What linux/ptrace.h calls `PTRACE_EVENT_STOP`.
pub(super) const EVENT_STOP: i32 = 128;

/// How a traced thread changed its state (ptrace(2), "Stopped states").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It exited.
    Exited(i32),
    /// A signal ended it.
    Killed(i32),
    /// At the entry or exit of a system call.
    SystemCall,
    /// For one of the `PTRACE_EVENT_…`; with the signal that goes with it.
    Event(i32, i32),
    /// For a signal that it is about to get.
    Signal(i32),
}

impl Status {
    fn of(status: i32) -> Self {
        if libc::WIFEXITED(status) {
            return Self::Exited(libc::WEXITSTATUS(status));
        }
        if libc::WIFSIGNALED(status) {
            return Self::Killed(libc::WTERMSIG(status));
        }
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        match (signal, event) {
            (signal, 0) if signal == libc::SIGTRAP | 0x80 => Self::SystemCall,
            (signal, 0) => Self::Signal(signal),
            (signal, event) => Self::Event(event, signal),
        }
    }

    pub(super) fn is_system_call(self) -> bool {
        self == Self::SystemCall
    }

    /// At the entry of a system call that the filter leaves to the tracer.
    pub(super) fn is_of_filter(self) -> bool {
        matches!(self, Self::Event(libc::PTRACE_EVENT_SECCOMP, _))
    }

    /// A stop by job control, or the signal that asks for it.
    pub(super) fn is_job_control(self) -> bool {
        matches!(self, Self::Signal(libc::SIGSTOP) | Self::Event(EVENT_STOP, _))
    }

    /// A breakpoint.
    pub(super) fn is_trap(self) -> bool {
        self == Self::Signal(libc::SIGTRAP)
    }
}

/// Waits for the next change of any thread that this thread traces, or of a child.
pub(super) fn wait_for_any() -> Result<(i32, Status), Errno> {
    wait(-1)
}

/// Waits for the next change of one thread.
pub(super) fn wait_for(tid: i32) -> Result<Status, Errno> {
    wait(tid).map(|(_, status)| status)
}

/// How any thread changed that this thread traces, or a child, if one did.
pub(super) fn poll_for_any() -> Result<Option<(i32, Status)>, Errno> {
    poll(-1)
}

fn poll(tid: i32) -> Result<Option<(i32, Status)>, Errno> {
    let mut status = 0;
    // SAFETY: the kernel writes one int, which outlives the call.
    let found = unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL | libc::WNOHANG) };
    check(found)?;
    Ok((found != 0).then(|| (found, Status::of(status))))
}

fn wait(tid: i32) -> Result<(i32, Status), Errno> {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one int, which outlives the call.
        let found = unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL) };
        match check(found) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
            Ok(()) => return Ok((found, Status::of(status))),
        }
    }
}

/// How a stopped thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resume {
    /// To the next event.
    Freely,
    /// To the entry or exit of a system call.
    ToSystemCall,
    /// Not at all, but it may be woken (`PTRACE_LISTEN`).
    Listen,
}

/// Lets a stopped thread go on, with a signal if that is not zero.
pub(super) fn resume(tid: i32, how: Resume, signal: i32) -> Result<(), Errno> {
    let request = match how {
        Resume::Freely => libc::PTRACE_CONT,
        Resume::ToSystemCall => libc::PTRACE_SYSCALL,
        Resume::Listen => libc::PTRACE_LISTEN,
    };
    // SAFETY: these requests take a number and no address.
    let answer = unsafe { libc::ptrace(request, tid, 0, libc::c_long::from(signal)) };
    if answer == 0 { Ok(()) } else { Err(last()) }
}

/// Begins to trace a child, with `options` of ptrace(2).
pub(super) fn seize(tid: i32, options: i32) -> Result<(), Errno> {
    // SAFETY: PTRACE_SEIZE takes a number and no address.
    let answer = unsafe { libc::ptrace(libc::PTRACE_SEIZE, tid, 0, libc::c_long::from(options)) };
    if answer == 0 { Ok(()) } else { Err(last()) }
}

/// What the last event of a stopped thread is about: a thread id, mostly.
pub(super) fn event_message(tid: i32) -> Result<u64, Errno> {
    let mut message: libc::c_ulong = 0;
    // SAFETY: the kernel writes one unsigned long, which outlives the call.
    let answer = unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, tid, 0, &raw mut message) };
    if answer == 0 { Ok(message) } else { Err(last()) }
}

/// The signals that a stopped thread has blocked.
pub(super) fn blocked_signals(tid: i32) -> Result<u64, Errno> {
    const GET: libc::c_uint = 0x420a;
    let mut mask = 0_u64;
    // SAFETY: the kernel writes as many bytes as it is told, all in a value that outlives the call.
    let answer = unsafe { libc::ptrace(GET, tid, size_of::<u64>(), &raw mut mask) };
    if answer == 0 { Ok(mask) } else { Err(last()) }
}

/// Blocks these signals in a stopped thread, and no others.
pub(super) fn block_signals(tid: i32, mask: u64) -> Result<(), Errno> {
    const SET: libc::c_uint = 0x420b;
    // SAFETY: the kernel reads as many bytes as it is told, all of a value that outlives the call.
    let answer = unsafe { libc::ptrace(SET, tid, size_of::<u64>(), &raw const mask) };
    if answer == 0 { Ok(()) } else { Err(last()) }
}

/// Settles what signals do to this process: [`interrupt`] does no more than that to a thread; and it is spared one for
/// each stop of a thread that it traces, as it waits for them anyway, and the signal would wake another thread of ours.
pub(super) fn settle_signals() {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: sigaction is plain data, for which zero is valid; SIG_DFL is no handler.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_flags = libc::SA_NOCLDSTOP;
    // SAFETY: the kernel reads one sigaction, which outlives the call.
    unsafe { libc::sigaction(libc::SIGCHLD, &raw const action, std::ptr::null_mut()) };
    // Without `SA_RESTART`: no call is started over.
    action.sa_flags = 0;
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
    // SAFETY: as above; the handler does nothing that it must not.
    unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
}

/// Has a thread of this process return from a system call that waits.
pub(super) fn interrupt(tid: i32) {
    // SAFETY: tgkill(2) takes no pointers.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, libc::SIGUSR1) };
}

/// The number of the terminal whose other end this is (`ioctl_tty(2)`).
pub(super) fn terminal_of(master: impl AsFd) -> Result<u32, Errno> {
    let mut number: libc::c_uint = 0;
    // SAFETY: the kernel writes one unsigned int, which outlives the call.
    check(unsafe { libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCGPTN, &raw mut number) })?;
    Ok(number)
}

/// Ends the process of a thread, unless it ended by itself.
pub(super) fn kill(tid: i32) {
    signal(tid, libc::SIGKILL);
}

/// Sends a signal to a process, or to that of a thread, unless it ended.
pub(super) fn signal(tid: i32, signal: i32) {
    // SAFETY: kill(2) takes no pointers.
    unsafe { libc::kill(tid, signal) };
}
