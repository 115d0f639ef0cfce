//! What happens to a step when its builder is killed: seen from outside, by whoever started the builder.

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sandbox::Cancellation;
use tempfile::TempDir;

use crate::lifetime::{is_running, sleeper};
use crate::setting::{Setting, Who};
use crate::{ENDLESS, Test, this_program};

pub(crate) const TESTS: &[Test<fn(Who)>] = &[
    ("a_killed_builder_leaves_nothing_running", Who::ALL, a_killed_builder_leaves_nothing),
    ("a_killed_child_of_the_supervisor_ends_it_likewise", &[Who::Pod, Who::Subordinate], a_killed_child),
    ("an_ignored_sigchld_does_no_harm", &[Who::Root, Who::Single], an_ignored_sigchld_does_no_harm),
    ("a_signal_reaches_the_builder", Who::ALL, a_signal_reaches_the_builder),
];

/// The builder to be killed: prints its process id and the step's command.
pub(crate) fn run_endlessly(setting: &Setting) {
    let sleeper = sleeper(3);
    let mut output = std::io::stdout();
    writeln!(output, "{}", std::process::id()).unwrap();
    let spec = setting.script(&format!("echo {sleeper}; {sleeper} & {sleeper}"));
    let mut print = |_, bytes: &[u8]| output.write_all(bytes).and_then(|()| output.flush()).unwrap();
    sandbox::run(&spec, &mut print, &Cancellation::new().unwrap()).unwrap();
}

/// Where any user can make files, and nothing is left.
fn shared_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).unwrap();
    dir
}

/// A builder with a step that sleeps.
struct Builder {
    process: Child,
    /// Where the builder works on; the started process is its supervisor then.
    entered: Pid,
    sleeper: String,
    _dir: TempDir,
}

impl Builder {
    fn start(who: Who) -> Self {
        let dir = shared_dir();
        Self::from_command(this_program(&[ENDLESS, &format!("{who:?}")]), dir)
    }

    fn from_command(mut command: Command, dir: TempDir) -> Self {
        let mut process = command.env("TMPDIR", dir.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let entered = Pid::from_raw(lines.next().unwrap().unwrap().parse().unwrap()).unwrap();
        let sleeper = lines.next().unwrap().unwrap();
        let builder = Self { process, entered, sleeper, _dir: dir };
        // The step's shell printed the command before it runs it.
        builder.wait_until(true);
        builder
    }

    fn wait_until(&self, running: bool) {
        let start = Instant::now();
        while is_running(&self.sleeper) != running {
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "the step's processes are running: {}",
                !running
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn ends_after(mut self, signal: Signal, target: Pid) -> ExitStatus {
        kill_process(target, signal).unwrap();
        let status = self.process.wait().unwrap();
        self.wait_until(false);
        status
    }

    fn started(&self) -> Pid {
        Pid::from_child(&self.process)
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // After a failed test it may still be there.
        drop(self.process.kill());
    }
}

fn a_killed_builder_leaves_nothing(who: Who) {
    let builder = Builder::start(who);
    let target = builder.started();
    assert_eq!(target == builder.entered, matches!(who, Who::Root | Who::Traced));
    assert_eq!(builder.ends_after(Signal::KILL, target).signal(), Some(9));
}

fn a_killed_child(who: Who) {
    let builder = Builder::start(who);
    let target = builder.entered;
    assert_eq!(builder.ends_after(Signal::KILL, target).signal(), Some(9));
}

fn an_ignored_sigchld_does_no_harm(who: Who) {
    #[expect(clippy::disallowed_methods, reason = "a test starts a builder")]
    let mut command = Command::new("env");
    command.arg("--ignore-signal=CHLD").arg(std::env::current_exe().unwrap());
    command.args([ENDLESS, &format!("{who:?}")]);
    let dir = shared_dir();
    let builder = Builder::from_command(command, dir);
    let target = builder.entered;
    assert_eq!(builder.ends_after(Signal::KILL, target).signal(), Some(9));
}

fn a_signal_reaches_the_builder(who: Who) {
    let builder = Builder::start(who);
    let target = builder.started();
    assert_eq!(builder.ends_after(Signal::TERM, target).signal(), Some(15));
}
