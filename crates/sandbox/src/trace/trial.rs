//! Whether a supervisor can do its work here: one child is supervised from its start to its end, in every way there is.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use rustix::event::Timespec;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::Pid;

use super::board::Board;
use super::kernel::{self, Listener, Resume, Status};
use super::memory::Memory;
use super::{filter, receive_listener, send_listener, tracer};
use crate::errno::Errno;
use crate::error::{Attempt, Error};
use crate::process::{Life, is_readable, kill};
use crate::sys::{self, Forked};
use crate::wire;

/// What the child opens; it exists nowhere, so that only the supervisor can have opened it.
const PATH: &str = "/a path that only the supervisor opens";

/// How long a child may take that does as it shall; then something was lost that nobody said no to.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Supervises a child; to be called in a process of one thread without other children.
pub(crate) fn supervise_a_child() -> Result<(), Error> {
    let (ours, theirs) = UnixStream::pair().attempt("socketpair", doing)?;
    let board = Board::new().attempt("memfd_create", doing)?;
    let life = Life::of_this_process()?;
    match sys::fork()? {
        Forked::Child => {
            drop(ours);
            let opened = life.bind().and_then(|()| be_supervised(&theirs, &board));
            let sent = wire::send(&theirs, &opened);
            sys::exit_now(i32::from(sent.is_err() || opened.is_err()));
        }
        Forked::Parent(child) => {
            drop(theirs);
            let supervised = supervise(child, &ours);
            // It has ended already if all went well.
            drop(kill(child));
            supervised
        }
    }
}

fn doing() -> String {
    "supervise a child".to_owned()
}

/// In the child: makes a call that the tracer sees, and one that the supervisor answers with a file.
fn be_supervised(supervisor: &UnixStream, board: &Board) -> Result<(), Error> {
    board.put_up().attempt("mmap", doing)?;
    wire::receive::<()>(supervisor).attempt("read", doing)?;
    rustix::thread::set_no_new_privs(true).attempt("prctl(PR_SET_NO_NEW_PRIVS)", doing)?;
    let program = filter::trial(libc::SYS_uname, libc::SYS_openat);
    let listener = kernel::load_filter(&program).attempt("seccomp", doing)?;
    send_listener(supervisor, listener.as_raw_fd()).attempt("sendmsg", doing)?;
    drop(listener);
    let _ = rustix::system::uname();
    rustix::fs::openat(CWD, PATH, OFlags::RDONLY, Mode::empty())
        .map(drop)
        .attempt("ioctl(SECCOMP_IOCTL_NOTIF_ADDFD)", doing)
}

fn supervise(child: Pid, stream: &UnixStream) -> Result<(), Error> {
    let tid = child.as_raw_pid();
    kernel::seize(tid, tracer::OPTIONS).attempt("ptrace(PTRACE_SEIZE)", doing)?;
    wire::send(stream, &()).attempt("write", doing)?;
    let Some(listener) = receive_listener(stream).attempt("recvmsg", doing)? else {
        return Err(Errno::PERM).attempt("seccomp", doing);
    };
    let stopped = kernel::wait_for(tid).attempt("waitpid", doing)?;
    if !matches!(stopped, Status::Event(libc::PTRACE_EVENT_SECCOMP, _)) {
        return Err(Errno::PERM).attempt("ptrace(PTRACE_EVENT_SECCOMP)", doing);
    }
    super::tracee::Tracee::new(tid).registers().attempt("ptrace(PTRACE_GETREGS)", doing)?;
    kernel::resume(tid, Resume::Freely, 0).attempt("ptrace(PTRACE_CONT)", doing)?;
    answer(&listener)?;
    let report = wire::receive::<Result<(), Error>>(stream).attempt("read", doing)?;
    report.unwrap_or(Err(Errno::PERM).attempt("ioctl(SECCOMP_IOCTL_NOTIF_ADDFD)", doing))
}

/// Reads the path of the call, writes there, and answers with a file.
fn answer(listener: &Listener) -> Result<(), Error> {
    if !is_readable(listener, Some(&PATIENCE)) {
        return Err(Errno::PERM).attempt("seccomp(SECCOMP_RET_USER_NOTIF)", doing);
    }
    let call = listener.receive().attempt("ioctl(SECCOMP_IOCTL_NOTIF_RECV)", doing)?;
    let memory = Memory::of(call.tid);
    let path = memory.path(call.args[1]).attempt("process_vm_readv", doing)?;
    memory.write(call.args[1], &path).attempt("process_vm_writev", doing)?;
    let file = std::fs::File::open("/dev/null").attempt("openat", || "open `/dev/null`".to_owned())?;
    let given = listener.give(call.id, file, true).attempt("ioctl(SECCOMP_IOCTL_NOTIF_ADDFD)", doing)?;
    listener.answer(call.id, Ok(given)).attempt("ioctl(SECCOMP_IOCTL_NOTIF_SEND)", doing)
}
