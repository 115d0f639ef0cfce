//! The process that stays outside of the builder's user namespace: passes signals on, reaps, ends as the builder ends.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use rustix::process::{Pid, WaitOptions, WaitStatus};

use crate::process::{hide_memory, kill, retry};
use crate::sys;

/// Signals by which someone tells the builder something.
const PASSED_ON: [Signal; 6] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];

/// The signals that a supervisor must have blocked, with the one that tells it of its child's end.
pub(crate) fn passed_on() -> SigSet {
    PASSED_ON.into_iter().chain([Signal::SIGCHLD]).collect()
}

/// Stays until `child` ended, then ends in the same way.
pub(crate) fn supervise(child: Pid, signals: &SigSet) -> ! {
    // Its arguments and its environment may hold credentials.
    if hide_memory().is_err() {
        end_as(kill(child).ok());
    }
    let Ok(inbox) = SignalFd::new(signals) else { end_as(kill(child).ok()) };
    loop {
        let signal = match inbox.read_signal() {
            Ok(Some(signal)) => signal,
            Ok(None) | Err(nix::errno::Errno::EINTR) => continue,
            Err(_) => end_as(kill(child).ok()),
        };
        if i32::try_from(signal.ssi_signo) == Ok(libc::SIGCHLD) {
            if let Some(status) = reap(child) {
                end_as(Some(status));
            }
        } else if signal.ssi_code != libc::SI_KERNEL
            && let Some(signal) = rustix::process::Signal::from_named_raw(signal.ssi_signo.cast_signed())
        {
            // What the kernel sends, as for a Ctrl-C, it sends to the whole foreground: the child has it already.
            let _ = rustix::process::kill_process(child, signal);
        }
    }
}

/// Reaps all that ended, orphans too if this is process 1 of a container; returns how `child` ended if it did.
fn reap(child: Pid) -> Option<WaitStatus> {
    while let Ok(Some((pid, status))) = retry(|| rustix::process::wait(WaitOptions::NOHANG)) {
        if pid == child {
            return Some(status);
        }
    }
    None
}

fn end_as(status: Option<WaitStatus>) -> ! {
    let Some(status) = status else { sys::exit_now(1) };
    if let Some(signal) = status.terminating_signal() {
        sys::die_of(signal);
    }
    sys::exit_now(status.exit_status().unwrap_or(1))
}
