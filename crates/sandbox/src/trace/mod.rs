//! Isolation without namespaces: the kernel carries out no path and no change of identity for a step; a supervisor does,
//! in the view that the step shall have of files and of itself.
//!
//! Three threads of one process, the *keeper*, run a step: the [tracer](tracer) follows its threads, and executes
//! programs; the [supervisor](supervisor) answers the system calls that [the filter](filter) stops; and one waits for
//! the builder, which may end the step. The step's processes are confined besides ([confinement]), so that what passes
//! the filter by some mistake of ours finds nothing: they may read and execute files of the root, and write to none but
//! those that the supervisor opened for them.
//!
//! Start reading with `supervisor.rs` and `calls/mod.rs`; who a process believes to be is in `credentials/`, what it
//! sees in `place.rs`, how a path is looked up in `walk.rs`.

mod board;
mod calls;
mod confinement;
mod copies;
mod credentials;
mod exec;
mod filter;
mod ipc;
mod kernel;
mod landlock;
mod memory;
mod mounts;
mod owners;
mod permission;
mod pipes;
mod place;
mod proc;
mod processor;
mod rewrite;
mod shortcuts;
mod sockets;
mod straight;
mod supervisor;
mod tasks;
mod terminals;
mod thread_stat;
mod tracee;
mod tracer;
mod trial;
mod walk;
mod waypoints;

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use rustix::fs::Mode;
use rustix::process::Pid;

use crate::capabilities::{self, CapabilitySet};
use crate::errno::Errno;
use crate::error::{Attempt, Error};
use crate::facts::Denial;
use crate::mounts::open_path;
use crate::process::{Life, hide_memory, retry};
use crate::spec::{Exit, Protection, RunSpec};
use crate::step::Report;
use crate::sys::{self, Forked};
use crate::wire;

use self::board::Board;
use self::credentials::Credentials;
use self::ipc::Ipc;
use self::kernel::{Listener, Status};
use self::owners::Owners;
use self::place::View;
use self::sockets::Sockets;
use self::supervisor::Supervisor;
use self::tasks::{Directories, Tasks};
use self::terminals::Terminals;
use self::tracer::Tracer;
use self::waypoints::Waypoints;

pub(crate) use self::trial::supervise_a_child;

/// Why steps cannot be traced on this processor, if they cannot.
pub(crate) fn denial() -> Option<Denial> {
    None
}

/// For whoever asked for a step with more rights.
const NOT_INSECURE: &str = "builder: an insecure step has no more rights than any other where ids are emulated; hint: \
    `builder doctor` tells how to get more ids";

/// Runs the step of `spec` and reports how it ended; the process has one thread when it is called.
pub(crate) fn keep(spec: RunSpec, control: &UnixStream) -> Result<(), Error> {
    // New files get the permissions that the supervisor asks for.
    rustix::process::umask(Mode::empty());
    rustix::process::set_child_subreaper(Pid::from_raw(1)).attempt("prctl", || "keep a step".to_owned())?;
    let root = open_path(&spec.rootfs)?;
    let owners = Owners::load(&root, spec.ownership.clone())
        .map_err(|error| Error::Ownership { message: with_causes(&error) })?;
    let mounts = mounts::Mounts::make(&spec, &owners)?;
    if spec.protection == Protection::Unmasked {
        tell(NOT_INSECURE);
    }
    let confinement = confinement::prepare(&root, &mounts.points)?;
    let view = View::new(root, mounts.points).attempt("openat", || "open the root file system".to_owned())?;
    let board = Board::new().attempt("memfd_create", starting)?;
    let (ours, theirs) = UnixStream::pair().attempt("socketpair", starting)?;
    let life = Life::of_this_process()?;
    match sys::fork()? {
        Forked::Child => {
            drop(ours);
            let error = match begin(&spec, life, &theirs, &board, confinement.as_ref()) {
                Ok(()) => crate::step::command::execute(&spec),
                Err(error) => error,
            };
            let _ = wire::send(control, &Report::Failed(error));
            sys::exit_now(127);
        }
        Forked::Parent(command) => {
            drop(theirs);
            let waypoints = Waypoints::new(raise_limit());
            let (network, hostname) = (spec.network, spec.hostname.clone());
            let directories =
                Directories { root: Arc::clone(view.root()), cwd: Arc::clone(view.root()), umask: 0o022 };
            let (tasks, pipes) = (Tasks::default(), Arc::default());
            let (terminals, ipc) = (Terminals::default(), Ipc::default());
            let (board, sockets) = (Arc::new(board), Sockets::default());
            let supervisor = Arc::new(Supervisor {
                view,
                owners,
                tasks,
                terminals,
                ipc,
                network,
                hostname,
                pipes,
                board,
                sockets,
                waypoints,
            });
            let who = Credentials::root(spec.capabilities);
            drop(spec);
            supervisor.tasks.begin(command.as_raw_pid(), directories, who);
            kernel::settle_signals();
            let exit = follow(&supervisor, command, ours, control)?;
            end_all(&supervisor);
            supervisor.ipc.end();
            supervisor.owners.save().map_err(|error| Error::Ownership { message: with_causes(&error) })?;
            drop(mounts.scratch);
            wire::send(control, &Report::Ended(exit)).attempt("write", || "report the exit".to_owned())
        }
    }
}

/// The keeper has open what every process of the step stands in, and its limit is none for them. Returns how much it may
/// have open.
fn raise_limit() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Without it a step of very many processes gets ENFILE.
    let _ = setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

fn starting() -> String {
    "start a step".to_owned()
}

fn with_causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// In the child: gives up everything, loads the filter, and hands its other end to the supervisor.
fn begin(
    spec: &RunSpec,
    life: Life,
    supervisor: &UnixStream,
    board: &Board,
    confinement: Option<&landlock::Ruleset>,
) -> Result<(), Error> {
    life.bind()?;
    // The tracer must be there before the first stop that only it can end.
    wire::receive::<()>(supervisor).attempt("read", starting)?;
    let root = open_path(&spec.rootfs)?;
    // Where the kernel believes the process to be; it never asks for more than that.
    rustix::process::fchdir(root).attempt("fchdir", starting)?;
    rustix::process::umask(Mode::empty());
    // Held by nobody in a restricted pod, and refused to some who hold them: what counts is that they are gone.
    drop(capabilities::limit_bounding(CapabilitySet::NONE));
    capabilities::hold_only(CapabilitySet::NONE)?;
    rustix::thread::set_no_new_privs(true).attempt("prctl(PR_SET_NO_NEW_PRIVS)", starting)?;
    if let Some(confinement) = confinement {
        confinement.enter().attempt("landlock_restrict_self", starting)?;
    }
    // What is sent below is put there.
    board.put_up().attempt("mmap", starting)?;
    let listener = kernel::load_filter(&filter::program()).attempt("seccomp", starting)?;
    send_listener(supervisor, listener.as_raw_fd()).attempt("sendmsg", starting)
}

/// Gives the other end of the filter to the parent.
fn send_listener(parent: &UnixStream, listener: RawFd) -> Result<(), Errno> {
    let (byte, fds) = ([IoSlice::new(&[1])], [listener]);
    let with_it = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(parent.as_raw_fd(), &byte, &with_it, MsgFlags::empty(), None)?;
    Ok(())
}

/// Traces and supervises until the command ended.
fn follow(
    supervisor: &Arc<Supervisor>,
    command: Pid,
    child: UnixStream,
    control: &UnixStream,
) -> Result<Exit, Error> {
    let tid = command.as_raw_pid();
    kernel::seize(tid, tracer::OPTIONS).attempt("ptrace(PTRACE_SEIZE)", starting)?;
    // Not before: who cannot be looked into has children who cannot be traced.
    hide_memory()?;
    // Not before: nobody may trace who has more rights.
    capabilities::hold_only(CapabilitySet::OF_SUPERVISOR)?;
    wire::send(&child, &()).attempt("write", starting)?;
    let control = control.try_clone().attempt("dup", starting)?;
    let watched = Arc::clone(supervisor);
    spawn(move || wait_for_builder(&watched, &control))?;
    let serving = Arc::clone(supervisor);
    spawn(move || {
        if let Ok(Some(listener)) = receive_listener(&child) {
            drop(child);
            let listener = Arc::new(listener);
            serving.serve(&listener);
            if !listener.is_over() {
                // Nobody answers any more.
                kill_all(&serving);
            }
        }
    })?;
    Tracer::new(Arc::clone(supervisor), tid).run().attempt("waitpid", || "follow a step".to_owned())
}

fn spawn(task: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    std::thread::Builder::new().spawn(task).map(drop).attempt("clone", starting)
}

/// Takes the other end of the filter from the child; none if it failed before it had one.
fn receive_listener(child: &UnixStream) -> Result<Option<Listener>, Errno> {
    let mut byte = [0];
    let mut buffer = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let mut parts = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(child.as_raw_fd(), &mut parts, Some(&mut buffer), flags)?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control
            && let [fd] = fds[..]
        {
            return Ok(Some(Listener::from(owned(fd))));
        }
    }
    Ok(None)
}

#[expect(unsafe_code, reason = "nix hands descriptors over as numbers")]
fn owned(fd: std::os::fd::RawFd) -> OwnedFd {
    // SAFETY: the kernel made this descriptor for the message that it came with, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// The builder closes its side to end the step, or by ending itself.
fn wait_for_builder(supervisor: &Supervisor, control: &UnixStream) {
    let mut byte = [0];
    // It says nothing more; whatever this returns, it is over.
    let _ = retry(|| rustix::io::read(control, &mut byte));
    kill_all(supervisor);
}

fn kill_all(supervisor: &Supervisor) {
    for tid in supervisor.tasks.threads() {
        kernel::kill(tid);
    }
}

/// Ends whatever the command left behind, and returns when it is gone.
fn end_all(supervisor: &Supervisor) {
    loop {
        kill_all(supervisor);
        match kernel::poll_for_any() {
            Ok(Some((tid, Status::Exited(_) | Status::Killed(_)))) => supervisor.tasks.end(tid),
            // It was made so late that nobody heard of it.
            Ok(Some((tid, _))) => kernel::kill(tid),
            Ok(None) => std::thread::sleep(std::time::Duration::from_millis(1)),
            Err(_) => return,
        }
    }
}

/// A line for who reads the build's output.
fn tell(line: &str) {
    // Who has closed it does not want to know.
    let _ = rustix::io::write(rustix::stdio::stderr(), format!("{line}\n").as_bytes());
}
