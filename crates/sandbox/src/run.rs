//! The builder's side of a step: starts it, reads its output, waits until all of it is gone.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};

use crate::cancellation::Cancellation;
use crate::child::STEP;
use crate::error::{Attempt, Error};
use crate::mount_points::{Kind, Stubs};
use crate::mounts::open_path;
use crate::process::retry;
use crate::root;
use crate::spec::{Exit, Mount, RunSpec, Stream};
use crate::step::{Order, Report};
use crate::wire;

/// How long the kernel may take to end the processes of a cancelled step.
const GRACE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Runs one command, and returns when it and every process that it started are dead.
///
/// Output is handed over on this thread as it arrives. The calling thread must be one that lives as long as the step:
/// when it ends, the kernel kills the step. Several steps can run at once, on different root file systems.
///
/// The process must have [entered](crate::enter) its namespaces.
pub fn run(
    spec: &RunSpec,
    output: &mut dyn FnMut(Stream, &[u8]),
    cancellation: &Cancellation,
) -> Result<Exit, Error> {
    if cancellation.is_cancelled() {
        return Err(Error::Cancelled);
    }
    let rootfs = open_path(&spec.rootfs)?;
    let stubs = Stubs::make(&rootfs, &targets(spec)?)?;
    let exit = Step::start(spec).and_then(|step| step.finish(output, cancellation));
    let removed = stubs.remove();
    let exit = exit?;
    removed.map(|()| exit)
}

/// Everything that will be mounted on, in order.
fn targets(spec: &RunSpec) -> Result<Vec<(PathBuf, Kind)>, Error> {
    let mut targets: Vec<_> =
        root::DIRECTORIES.iter().map(|path| (PathBuf::from(path), Kind::Directory)).collect();
    for mount in &spec.mounts {
        targets.push(match mount {
            Mount::Tmpfs { target, .. } => (target.clone(), Kind::Directory),
            Mount::File { target, .. } => (target.clone(), Kind::File),
            Mount::Bind { source, target, .. } => (target.clone(), Kind::of(root::open_source(source)?)?),
        });
    }
    Ok(targets)
}

/// A started step.
struct Step {
    child: Child,
    control: UnixStream,
    outputs: [(Stream, Option<OwnedFd>); 2],
}

impl Step {
    fn start(spec: &RunSpec) -> Result<Self, Error> {
        let doing = || "start a step".to_owned();
        let (control, theirs) = UnixStream::pair().attempt("socketpair", doing)?;
        #[expect(clippy::disallowed_methods, reason = "the sandbox is where processes are spawned")]
        let mut command = Command::new(Path::new("/proc/self/exe"));
        let mut child = command
            .arg0(STEP)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .attempt("execve", doing)?;
        // The command still holds the child's end.
        drop(command);
        let outputs = [
            (Stream::Stdout, child.stdout.take().map(OwnedFd::from)),
            (Stream::Stderr, child.stderr.take().map(OwnedFd::from)),
        ];
        let step = Self { child, control, outputs };
        // If this fails the child is dying, and what it reports says why.
        let _ = wire::send(&step.control, &Order { spec: spec.clone(), parent: std::process::id() });
        Ok(step)
    }

    /// Passes output on until the last process is gone.
    fn finish(
        mut self,
        output: &mut dyn FnMut(Stream, &[u8]),
        cancellation: &Cancellation,
    ) -> Result<Exit, Error> {
        let mut cancelled = false;
        let mut reports = Vec::new();
        loop {
            let ready = self.wait(cancellation, cancelled)?;
            if cancelled && ready == Ready::default() {
                break;
            }
            self.pass_on(ready.outputs, output);
            if ready.control && !self.read_reports(&mut reports)? {
                break;
            }
            if ready.cancelled && !cancelled {
                cancelled = true;
                // The step's keeper kills it when its supervisor is gone, or says to be.
                drop(self.control.shutdown(std::net::Shutdown::Write));
            }
        }
        self.drain(output)?;
        // It is ending already, unless the kernel is still busy with the step after a cancellation.
        drop(self.child.kill());
        let status = self.child.wait().attempt("waitpid", || "end a step".to_owned())?;
        if cancelled {
            return Err(Error::Cancelled);
        }
        match wire::receive(&reports[..]).ok().flatten() {
            Some(Report::Ended(exit)) => Ok(exit),
            Some(Report::Failed(error)) => Err(error),
            None => {
                let signal = std::os::unix::process::ExitStatusExt::signal(&status);
                Err(Error::Lost { process: "step".to_owned(), signal })
            }
        }
    }

    /// Waits for something to do; after cancellation not without end.
    fn wait(&self, cancellation: &Cancellation, cancelled: bool) -> Result<Ready, Error> {
        let event = cancellation.event();
        let absent = self.control.as_fd();
        let [stdout, stderr] = [0, 1].map(|index| self.outputs[index].1.as_ref().map(AsFd::as_fd));
        let wanted = |fd: Option<_>| if fd.is_some() { PollFlags::IN } else { PollFlags::empty() };
        let mut fds = [
            PollFd::new(&self.control, PollFlags::IN),
            PollFd::from_borrowed_fd(event, if cancelled { PollFlags::empty() } else { PollFlags::IN }),
            PollFd::from_borrowed_fd(stdout.unwrap_or(absent), wanted(stdout)),
            PollFd::from_borrowed_fd(stderr.unwrap_or(absent), wanted(stderr)),
        ];
        let timeout = cancelled.then_some(&GRACE);
        retry(|| poll(&mut fds, timeout)).attempt("poll", || "wait for a step".to_owned())?;
        let happened = fds.map(|fd| !fd.revents().is_empty());
        Ok(Ready {
            control: happened[0],
            cancelled: happened[1],
            outputs: [stdout.is_some() && happened[2], stderr.is_some() && happened[3]],
        })
    }

    fn pass_on(&mut self, ready: [bool; 2], output: &mut dyn FnMut(Stream, &[u8])) {
        let mut buffer = [0; 16 << 10];
        for ((stream, pipe), ready) in self.outputs.iter_mut().zip(ready) {
            let Some(open) = pipe.as_ref().filter(|_| ready) else { continue };
            match retry(|| rustix::io::read(open, &mut buffer)) {
                Ok(0) | Err(_) => *pipe = None,
                Ok(length) => output(*stream, &buffer[..length]),
            }
        }
    }

    /// Collects what the step's processes report; false when they all are gone.
    fn read_reports(&mut self, reports: &mut Vec<u8>) -> Result<bool, Error> {
        let mut buffer = [0; 4096];
        let length = retry(|| rustix::io::read(&self.control, &mut buffer))
            .attempt("read", || "wait for a step".to_owned())?;
        reports.extend_from_slice(&buffer[..length]);
        Ok(length > 0)
    }

    /// Passes on what is left in the pipes; a process elsewhere that got hold of one cannot delay this.
    fn drain(&mut self, output: &mut dyn FnMut(Stream, &[u8])) -> Result<(), Error> {
        for (stream, pipe) in &mut self.outputs {
            let Some(pipe) = pipe.take() else { continue };
            rustix::io::ioctl_fionbio(&pipe, true).attempt("ioctl", || "read a step's output".to_owned())?;
            let mut left = Vec::new();
            // At most what a pipe holds (pipe(7)); an error means that nothing more is there.
            drop(std::fs::File::from(pipe).take(1 << 20).read_to_end(&mut left));
            if !left.is_empty() {
                output(*stream, &left);
            }
        }
        Ok(())
    }
}

/// What there is to do.
#[derive(Default, PartialEq, Eq)]
struct Ready {
    control: bool,
    cancelled: bool,
    outputs: [bool; 2],
}
