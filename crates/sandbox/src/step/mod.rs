//! The child's side of a step, from the re-executed builder to the command's last process.
//!
//! Three processes: the *keeper* stays outside of the pid namespace and ends the step when the builder says so or dies;
//! the *init* is process 1 inside, makes the mounts and reaps; the *command* is the user's. All are single-threaded.
//! Where the ids of a step are emulated there is no init: the keeper is the supervisor (`trace/mod.rs`).
//! The keeper and the init keep all their capabilities: so the command, which has fewer, can neither trace them nor
//! read their files in /proc (ptrace(2), "access mode checking").

pub(crate) mod command;
mod init;

use std::fs::File;
use std::os::unix::net::UnixStream;

use nix::sched::{CloneFlags, unshare};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags};
use serde::{Deserialize, Serialize};

use crate::choice::Isolation;
use crate::errno::Errno;
use crate::error::{Attempt, Error};
use crate::process::{self, Life, retry};
use crate::spec::{Exit, Network, RunSpec};
use crate::sys::{self, Forked};
use crate::trace;
use crate::wire;

/// What the builder tells the keeper.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) spec: RunSpec,
    /// Process id of the builder.
    pub(crate) parent: u32,
}

/// What the builder is told; the first report counts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The command ended.
    Ended(Exit),
    /// It could not be started.
    Failed(Error),
}

/// The keeper, as which the builder executed itself.
pub(crate) fn main() -> ! {
    let status = match take_control() {
        Ok(control) => {
            let kept = keep(&control);
            report_failure(&control, kept)
        }
        Err(_) => 1,
    };
    sys::exit_now(status)
}

/// Sends the error if there is one; returns the exit status for it.
fn report_failure(control: &UnixStream, result: Result<(), Error>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            // If it cannot be sent there is nobody left to know.
            let _ = wire::send(control, &Report::Failed(error));
            1
        }
    }
}

/// Takes the socket from standard input, which becomes /dev/null, and closes everything else but the outputs.
///
/// From then on a Ctrl-C at the terminal is the builder's to handle.
fn take_control() -> Result<UnixStream, Errno> {
    rustix::process::setsid()?;
    sys::reset_signals()?;
    // A descriptor that the builder inherited unknowingly must not reach the step.
    sys::close_from(3)?;
    let control = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(null)?;
    Ok(UnixStream::from(control))
}

fn keep(control: &UnixStream) -> Result<(), Error> {
    let order: Option<Order> = wire::receive(control).attempt("read", || "read the step".to_owned())?;
    let Some(order) = order else { return Ok(()) };
    die_with_builder(&order)?;
    match order.spec.isolation {
        Isolation::Trace => trace::keep(order.spec, control),
        Isolation::Namespaces if order.spec.ownership.is_some() => keep_supervised(order.spec, control),
        Isolation::Namespaces => keep_init(order.spec, control),
    }
}

/// Whom files belong to is known to no kernel: a supervisor carries out the step's calls, for processes in namespaces.
///
/// It is among them itself, and sees their ids; that no other process is seen or reached is its task.
fn keep_supervised(mut spec: RunSpec, control: &UnixStream) -> Result<(), Error> {
    enter_namespaces(spec.network)?;
    init::set_host_name(&spec)?;
    // There is none but the loopback interface, and that may be used.
    spec.network = Network::Host;
    trace::keep(spec, control)
}

fn keep_init(spec: RunSpec, control: &UnixStream) -> Result<(), Error> {
    enter_namespaces(spec.network)?;
    let pids = Pids::enter()?;
    let life = Life::of_this_process()?;
    match sys::fork()? {
        Forked::Child => {
            let result = init::main(spec, life, control);
            sys::exit_now(report_failure(control, result));
        }
        Forked::Parent(init) => {
            watch(init, control)?;
            match pids {
                // The kernel killed what was in it before it let the init go (pid_namespaces(7)).
                Pids::Own => Ok(()),
                Pids::OfBuilder => process::kill_children(),
            }
        }
    }
}

/// The builder's id is compared because it may be gone before the request; both are in one pid namespace.
fn die_with_builder(order: &Order) -> Result<(), Error> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .attempt("prctl(PR_SET_PDEATHSIG)", || "die with the builder".to_owned())?;
    let parent = rustix::process::getppid().map_or(0, Pid::as_raw_pid);
    if u32::try_from(parent) != Ok(order.parent) {
        sys::exit_now(1);
    }
    Ok(())
}

/// Waits for the init's end; hastens it when the builder closes its side.
fn watch(init: Pid, control: &UnixStream) -> Result<(), Error> {
    let doing = || "watch a step".to_owned();
    let ended = rustix::process::pidfd_open(init, PidfdFlags::empty()).attempt("pidfd_open", doing)?;
    let mut fds = [PollFd::new(&ended, PollFlags::IN), PollFd::new(control, PollFlags::IN)];
    retry(|| poll(&mut fds, None)).attempt("poll", doing)?;
    if fds[0].revents().is_empty() {
        process::kill(init)?;
    } else {
        process::wait(init)?;
    }
    Ok(())
}

/// All namespaces that every step needs but the mount namespace.
fn enter_namespaces(network: Network) -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS)
        .attempt("unshare(CLONE_NEWIPC|CLONE_NEWUTS)", || "create the namespaces of a step".to_owned())?;
    if network == Network::None {
        unshare(CloneFlags::CLONE_NEWNET)
            .attempt("unshare(CLONE_NEWNET)", || "cut off the network".to_owned())?;
        sys::bring_loopback_up().attempt("ioctl(SIOCSIFFLAGS)", || "bring up lo".to_owned())?;
    }
    Ok(())
}

/// The pid namespace of a step.
enum Pids {
    /// One of its own.
    Own,
    /// That of the builder, where the kernel refuses another.
    OfBuilder,
}

impl Pids {
    /// For the children of this process.
    fn enter() -> Result<Self, Error> {
        if unshare(CloneFlags::CLONE_NEWPID).is_ok() {
            return Ok(Self::Own);
        }
        let this = rustix::process::getpid();
        rustix::process::set_child_subreaper(Some(this))
            .attempt("prctl(PR_SET_CHILD_SUBREAPER)", || "keep hold of a step's processes".to_owned())?;
        Ok(Self::OfBuilder)
    }
}
