//! Process 1 of a step: makes its root file system what it shall be, starts the command, reaps until it ends.

use std::os::unix::net::UnixStream;

use rustix::io::Errno as Os;
use rustix::process::{Pid, WaitOptions, WaitStatus};

use super::{Report, command};
use crate::errno::Errno;
use crate::error::{Attempt, Error};
use crate::process::{Life, hide_memory, retry};
use crate::root;
use crate::spec::{Exit, RunSpec};
use crate::sys::{self, Forked};
use crate::wire;

/// Returns when the command ended; then this process must end too, and with it all others of the step.
pub(super) fn main(spec: RunSpec, keeper: Life, control: &UnixStream) -> Result<(), Error> {
    keeper.bind()?;
    set_host_name(&spec)?;
    root::enter(&spec)?;
    match sys::fork()? {
        Forked::Child => {
            let error = command::execute(&spec);
            let _ = wire::send(control, &Report::Failed(error));
            sys::exit_now(127);
        }
        Forked::Parent(command) => {
            // Nothing of this process is for the step's eyes. Its capabilities protect it as well.
            hide_memory()?;
            drop(spec);
            let exit = reap_until(command)?;
            wire::send(control, &Report::Ended(exit)).attempt("write", || "report the exit".to_owned())
        }
    }
}

/// In a namespace of the step's own.
pub(super) fn set_host_name(spec: &RunSpec) -> Result<(), Error> {
    rustix::system::sethostname(spec.hostname.as_bytes())
        .attempt("sethostname", || "set the host name".to_owned())
}

/// Reaps every orphan of the step until the command itself ends.
fn reap_until(command: Pid) -> Result<Exit, Error> {
    loop {
        let ended = match retry(|| rustix::process::wait(WaitOptions::empty())) {
            Ok(ended) => ended,
            Err(errno @ Os::CHILD) => return Err(Errno::from(errno)).attempt("waitpid", waiting),
            Err(_) => continue,
        };
        if let Some((_, status)) = ended.filter(|(pid, _)| *pid == command) {
            return Ok(exit_of(status));
        }
    }
}

fn waiting() -> String {
    "wait for the command".to_owned()
}

fn exit_of(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Code(0),
    }
}
