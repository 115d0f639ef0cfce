//! A step that means harm, in every way in which steps are isolated, and builders that are started with something to
//! reach.

#![expect(clippy::disallowed_methods, reason = "the attacker is compiled, and builders are interrupted")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use test_support::{Output, SHELL, TestBuilder};

/// How long an end may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);

/// The user, where it is not root.
const USER: u32 = 1000;

/// How a step is isolated, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// In namespaces, by root.
    Namespaces,
    /// In namespaces, by somebody with one id and no way to get more.
    NamespacesOfUser,
    /// Without, by root.
    TraceOfRoot,
    /// Without, by somebody with one id and no way to get more.
    TraceOfUser,
}

impl Way {
    pub(crate) const ALL: [Self; 4] =
        [Self::Namespaces, Self::NamespacesOfUser, Self::TraceOfRoot, Self::TraceOfUser];

    fn isolation(self) -> &'static str {
        if self.has_namespaces() { "--isolation=namespaces" } else { "--isolation=trace" }
    }

    pub(crate) fn has_namespaces(self) -> bool {
        matches!(self, Self::Namespaces | Self::NamespacesOfUser)
    }

    /// Whether a supervisor answers system calls, by which it has one id look like many.
    pub(crate) fn is_supervised(self) -> bool {
        self != Self::Namespaces
    }

    fn is_of_user(self) -> bool {
        matches!(self, Self::NamespacesOfUser | Self::TraceOfUser)
    }
}

/// The program that tries what its arguments say.
pub(crate) fn attacker() -> &'static [u8] {
    static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("attacker");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attacks/attacker.c");
        let mut command = Command::new("cc");
        let status = command
            .args(["-static", "-pthread", "-O1", "-Wall", "-Wextra", "-Werror", source, "-o"])
            .arg(&program)
            .status();
        assert!(status.unwrap().success(), "a C compiler");
        fs::read(program).unwrap()
    })
}

/// A builder, and what its steps do.
pub(crate) struct Attack {
    pub(crate) way: Way,
    pub(crate) builder: TestBuilder,
    programs: TempDir,
}

impl Attack {
    pub(crate) fn new(way: Way) -> Self {
        Self::started_by(way, "")
    }

    /// The builder is started by `launcher`, words of a shell in which `$ATTACKER` is the attacker; in groups that no image
    /// should see.
    pub(crate) fn started_by(way: Way, launcher: &str) -> Self {
        let programs = tempfile::tempdir().unwrap();
        let dir = programs.path();
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_builder"), dir.join("builder")).unwrap();
        fs::write(dir.join("attacker"), attacker()).unwrap();
        let (user, give) = if way.is_of_user() {
            (
                format!("--reuid={USER} --regid={USER} --no-new-privs"),
                format!("chown -R {USER}:{USER} .. 2>/dev/null"),
            )
        } else {
            (String::new(), String::new())
        };
        let path = dir.display();
        let script = format!(
            "#!/bin/sh\n{give}\nATTACKER={path}/attacker\nexec setpriv {user} --groups=27,42 {launcher} {path}/builder \"$@\"\n"
        );
        fs::write(dir.join("start"), script).unwrap();
        for name in ["attacker", "start"] {
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let builder = TestBuilder::new(dir.join("start")).with_busybox();
        builder.file("attacker", attacker());
        fs::set_permissions(builder.dir().join("attacker"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { way, builder, programs }
    }

    /// The builder's own program, which belongs to whoever runs it.
    pub(crate) fn program(&self) -> PathBuf {
        let program = self.programs.path().join("builder");
        if self.way.is_of_user() {
            chown(&program, Some(USER), Some(USER)).unwrap();
        }
        program
    }

    /// Builds `text` on top of a stage with busybox and the attacker.
    pub(crate) fn build(&self, text: &str, flags: &[&str]) -> Output {
        self.builder.run(&self.arguments(text, flags))
    }

    fn arguments<'a>(&self, text: &str, flags: &[&'a str]) -> Vec<&'a str> {
        self.builder
            .file("Containerfile", format!("{SHELL}FROM shell\nCOPY attacker /\nWORKDIR /tmp\n{text}\n"));
        [&["build", self.way.isolation(), "-t", "localhost/app:1"], flags, &["."]].concat()
    }

    /// Builds `text` as it is.
    pub(crate) fn build_file(&self, text: &str, flags: &[&str]) -> Output {
        self.builder.file("Containerfile", text);
        self.builder.run(&[&["build", self.way.isolation()], flags, &["."]].concat())
    }

    /// A step for each of these tries comes to its end, and nothing was reached.
    #[track_caller]
    pub(crate) fn reaches_nothing(&self, options: &str, tries: &[&str], flags: &[&str]) {
        let output = self.build(&steps(options, tries), flags);
        assert_nothing_reached(&format!("{:?}", self.way), &output, tries.len());
    }

    /// Builds until a step says that it has `started`, interrupts the builder, and returns how it ended.
    ///
    /// No process with the argument `marker` is left then.
    #[track_caller]
    pub(crate) fn interrupt(&self, text: &str, marker: &str) -> Option<i32> {
        let mut child = self.builder.command(&self.arguments(text, &[])).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut seen = Vec::new();
        for line in stderr.lines().map(Result::unwrap) {
            seen.push(line);
            if seen.last().is_some_and(|line| line.ends_with(" started")) {
                break;
            }
        }
        assert!(is_running(marker), "{:?}: {seen:#?}", self.way);
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let code = end_of(&mut child);
        assert!(!is_running(marker), "{:?}: a process is left", self.way);
        code
    }
}

/// Steps whose command is the attacker, with each of these arguments.
pub(crate) fn steps(options: &str, tries: &[&str]) -> String {
    let step = |arguments: &&str| {
        let words: Vec<_> = arguments.split(' ').map(|word| format!(", \"{word}\"")).collect();
        format!("RUN {options} [\"/attacker\"{}]\n", words.concat())
    };
    tries.iter().map(step).collect()
}

#[track_caller]
pub(crate) fn assert_nothing_reached(place: &str, output: &Output, tries: usize) {
    let lines = format!("{}{}", output.stderr, output.text());
    let ended = lines.lines().filter(|line| *line == "over" || line.ends_with(" over")).count();
    let reached: Vec<_> = lines
        .lines()
        .filter(|line| ["reached: ", "wrong: "].iter().any(|word| line.contains(word)))
        .collect();
    assert!(reached.is_empty(), "{place}: {reached:#?}");
    assert_eq!(ended, tries, "{place}: attacks that came to their end\n{output}");
    assert_eq!(output.code(), 0, "{place}\n{output}");
}

fn end_of(child: &mut Child) -> Option<i32> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(started.elapsed() < LIMIT, "the builder goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether any process has this argument.
pub(crate) fn is_running(marker: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| line.split(|byte| *byte == 0).any(|word| word == marker.as_bytes()))
}
