//! Child processes of this one: tied to its life, waited for, asked for an answer.

use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno as Os;
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, Signal, WaitOptions, WaitStatus};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::errno::Errno;
use crate::error::{Attempt, Error};
use crate::sys::{self, Forked};
use crate::wire;

/// A handle by which a child can tell whether its parent still lives, also from a new pid namespace.
#[derive(Debug)]
pub(crate) struct Life(OwnedFd);

impl Life {
    /// Of this process; to be made before the fork.
    pub(crate) fn of_this_process() -> Result<Self, Error> {
        rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
            .map(Self)
            .attempt("pidfd_open", || "watch a process".to_owned())
    }

    /// Has the kernel kill this process when its parent, whose life this is, ends.
    ///
    /// To be called after the last change of credentials, which would undo it (prctl(2)).
    pub(crate) fn bind(self) -> Result<(), Error> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .attempt("prctl(PR_SET_PDEATHSIG)", || "die with the parent process".to_owned())?;
        // The parent may have ended before the request.
        if is_readable(&self.0, Some(&Timespec::default())) {
            sys::exit_now(1);
        }
        Ok(())
    }
}

/// Keeps other processes of the same user from this one's memory, environment and open files; the next program that it
/// executes has to do that itself (`proc(5)`, prctl(2) `PR_SET_DUMPABLE`).
pub(crate) fn hide_memory() -> Result<(), Error> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .attempt("prctl(PR_SET_DUMPABLE)", || "hide the builder's memory".to_owned())
}

/// Waits until `fd` is readable or at its end, at most for `timeout`.
pub(crate) fn is_readable(fd: impl AsFd, timeout: Option<&Timespec>) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    matches!(retry(|| rustix::event::poll(&mut fds, timeout)), Ok(ready) if ready > 0)
}

/// Calls again while a signal interrupts.
pub(crate) fn retry<T>(mut call: impl FnMut() -> Result<T, Os>) -> Result<T, Os> {
    loop {
        match call() {
            Err(Os::INTR) => {}
            answer => return answer,
        }
    }
}

/// Waits for the end of a child.
pub(crate) fn wait(child: Pid) -> Result<WaitStatus, Error> {
    let ended = retry(|| rustix::process::waitpid(Some(child), WaitOptions::empty()))
        .attempt("waitpid", || "wait for a process".to_owned())?;
    let (_, status) = ended.expect("invariant: without NOHANG waitpid returns a child");
    Ok(status)
}

/// Kills a child and waits for its end.
pub(crate) fn kill(child: Pid) -> Result<WaitStatus, Error> {
    // Fails only if it is a zombie already.
    let _ = rustix::process::kill_process(child, Signal::KILL);
    wait(child)
}

/// Runs `task` in a forked process and returns its answer; what it unshares and mounts vanishes with it.
pub(crate) fn ask_child<T>(task: impl FnOnce() -> Result<T, Error>) -> Result<T, Error>
where
    T: Serialize + DeserializeOwned,
{
    let (ours, theirs) = UnixStream::pair().attempt("socketpair", || "start a process".to_owned())?;
    let life = Life::of_this_process()?;
    match sys::fork()? {
        Forked::Child => {
            drop(ours);
            let answer = life.bind().and_then(|()| task());
            let sent = wire::send(&theirs, &answer);
            sys::exit_now(i32::from(sent.is_err()));
        }
        Forked::Parent(child) => {
            drop(theirs);
            let answer = wire::receive::<Result<T, Error>>(&ours);
            let status = wait(child)?;
            answer.ok().flatten().unwrap_or_else(|| {
                Err(Error::Lost { process: "probing".to_owned(), signal: status.terminating_signal() })
            })
        }
    }
}

/// Kills and reaps every child of this process, with all that they leave behind, until there is none.
///
/// Complete only where this process is a child subreaper (prctl(2)).
pub(crate) fn kill_children() -> Result<(), Error> {
    loop {
        for child in children()? {
            let _ = rustix::process::kill_process(child, Signal::KILL);
        }
        match retry(|| rustix::process::wait(WaitOptions::empty())) {
            Ok(_) => {}
            Err(Os::CHILD) => return Ok(()),
            Err(errno) => return Err(Errno::from(errno)).attempt("waitpid", || "end a step".to_owned()),
        }
    }
}

/// The children of this single-threaded process (`proc_pid_task(5)`).
fn children() -> Result<Vec<Pid>, Error> {
    const LIST: &str = "/proc/thread-self/children";
    let text = std::fs::read_to_string(LIST).attempt("read", || format!("read `{LIST}`"))?;
    Ok(text.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect())
}
