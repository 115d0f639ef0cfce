//! The built binary in an environment where nothing of the machine shows through.

#![expect(clippy::disallowed_methods, reason = "it is the binary that is tested")]

use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::chown;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use oci::{ImageConfig, Manifest};
use tempfile::TempDir;

use crate::image_check::check_layout;

/// No test needs longer.
const TIMEOUT: Duration = Duration::from_mins(5);

/// A stage `shell` with busybox and a link for each of its applets, in the context of [`TestBuilder::with_busybox`].
pub const SHELL: &str = "FROM scratch AS shell\nCOPY busybox /bin/busybox\n\
    RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n";

/// Runs `builder` with a home, a store, a temporary directory and a working directory of its own, without colour.
///
/// All of them are removed with this value. The user is that of the test, or an ordinary one ([`Self::as_user`]).
#[derive(Debug)]
pub struct TestBuilder {
    program: PathBuf,
    dir: TempDir,
    variables: Vec<(String, String)>,
    user: Option<(u32, u32)>,
}

impl TestBuilder {
    /// `program` is the binary, `env!("CARGO_BIN_EXE_builder")` in the tests of the root package.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let dir = tempfile::Builder::new().prefix("builder-test-").tempdir().expect("a temporary directory");
        let this = Self { program: program.into(), dir, variables: Vec::new(), user: None };
        for sub in ["home", "tmp", "work"] {
            fs::create_dir(this.dir.path().join(sub)).expect("a directory in the temporary directory");
        }
        this
    }

    /// Runs as this user from now on, who owns the directories and has a copy of the binary that they can execute.
    pub fn as_user(mut self, uid: u32, gid: u32) -> Self {
        let copy = self.dir.path().join("builder");
        fs::copy(&self.program, &copy).expect("copying the binary");
        for path in [self.dir.path().to_owned(), self.home(), self.tmp(), self.dir(), copy.clone()] {
            chown(&path, Some(uid), Some(gid)).expect("giving a directory to the user");
        }
        self.program = copy;
        self.user = Some((uid, gid));
        self
    }

    /// Puts a static busybox into the working directory, which is the context of most builds.
    pub fn with_busybox(self) -> Self {
        fs::copy("/bin/busybox", self.dir().join("busybox")).expect("the package busybox-static");
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// The working directory.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// The home directory.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// The store, which is an OCI image layout.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn tmp(&self) -> PathBuf {
        self.dir.path().join("tmp")
    }

    /// Writes a file below the working directory, with the directories above it.
    pub fn file(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> &Self {
        let path = self.dir().join(path);
        fs::create_dir_all(path.parent().expect("a path below the working directory"))
            .expect("making directories");
        fs::write(&path, content).unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
        self
    }

    /// Reads a file below the working directory.
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.dir().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
    }

    /// Runs `builder` with these arguments and nothing on standard input, and waits for its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_stdin(arguments, b"")
    }

    /// Runs `builder` with `stdin` on its standard input, and waits for its end.
    pub fn run_with_stdin(&self, arguments: &[&str], stdin: &[u8]) -> Output {
        let child = self.command(arguments).spawn().expect("starting the binary");
        self.wait(child, stdin, arguments)
    }

    /// Builds `containerfile` as `localhost/app:1`, with these flags as well, and returns its checked image.
    ///
    /// Its root file system is then in [`Self::exported`], its image layout in `image` beside it.
    pub fn build(&self, containerfile: &str, flags: &[&str]) -> (Manifest, ImageConfig) {
        self.file("Containerfile", containerfile);
        for old in ["out", "image"] {
            fs::remove_dir_all(self.dir.path().join(old)).ok();
        }
        let mut arguments = vec!["build", "-t", "localhost/app:1"];
        arguments.extend(["-o", "type=local,dest=../out", "-o", "type=oci,tar=false,dest=../image"]);
        arguments.extend(flags);
        arguments.push(".");
        self.run(&arguments).success();
        check_layout(&self.root());
        check_layout(&self.dir.path().join("image")).pop().expect("one image")
    }

    /// The path of `path` in the root file system that [`Self::build`] made.
    pub fn exported(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join("out").join(path)
    }

    /// The content of a file in the root file system that [`Self::build`] made.
    pub fn read_exported(&self, path: impl AsRef<Path>) -> String {
        self.read(self.exported(path))
    }

    /// The command, for tests that do something while it runs; its output goes to pipes.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(self.dir()).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", self.home()).env("TMPDIR", self.tmp()).env("BUILDER_ROOT", self.root());
        command.env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8").env("RUST_BACKTRACE", "0");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Waits for the end of a child of [`Self::command`] while it reads `stdin`; kills it when it takes too long.
    pub fn wait(&self, mut child: Child, stdin: &[u8], arguments: &[&str]) -> Output {
        let started = Instant::now();
        let mut input = child.stdin.take().expect("a piped standard input");
        let stdin = stdin.to_owned();
        // A builder that does not read it is no failure of the test.
        let writer = thread::spawn(move || input.write_all(&stdin).ok());
        let stdout = collect(child.stdout.take().expect("a piped standard output"));
        let stderr = collect(child.stderr.take().expect("a piped standard error"));
        let status = wait_until(&mut child, started + TIMEOUT);
        let finish = |thread: thread::JoinHandle<Vec<u8>>| thread.join().expect("a thread that only reads");
        writer.join().expect("a thread that only writes");
        let output = Output {
            command: format!("builder {}", arguments.join(" ")),
            status,
            stdout: finish(stdout),
            stderr: String::from_utf8_lossy(&finish(stderr)).into_owned(),
            elapsed: started.elapsed(),
            dir: self.dir.path().to_owned(),
        };
        assert!(output.elapsed < TIMEOUT, "the command took too long\n{output}");
        output
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("reading a pipe");
        bytes
    })
}

fn wait_until(child: &mut Child, deadline: Instant) -> ExitStatus {
    loop {
        if let Some(status) = child.try_wait().expect("waiting for the binary") {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().expect("killing the binary");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// How a run of `builder` ended and what it wrote.
///
/// Prints as a text for snapshots: exit code and output, with `[DIR]` for the temporary directory and `[TIME]` for
/// durations.
#[derive(Debug, Clone)]
pub struct Output {
    command: String,
    status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
    /// How long it took.
    pub elapsed: Duration,
    dir: PathBuf,
}

impl Output {
    /// The exit code; 128 + n for death by signal n, as a shell tells it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or_default())
    }

    /// Itself, if the exit code is 0.
    #[track_caller]
    pub fn success(self) -> Self {
        self.exits(0)
    }

    /// Itself, if the exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "the wrong exit code of `{}`\n{self}", self.command);
        self
    }

    /// Standard output as text without the newline at its end.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.stdout);
        text.strip_suffix('\n').unwrap_or(&text).to_owned()
    }

    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{self}"))
    }

    fn shown(&self, text: &str) -> String {
        let text = text.replace(&*self.dir.to_string_lossy(), "[DIR]");
        let lines: Vec<_> = text.lines().map(without_times).collect();
        lines.join("\n")
    }
}

impl fmt::Display for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stdout = String::from_utf8_lossy(&self.stdout);
        write!(
            formatter,
            "exit code: {}\n--- stdout\n{}\n--- stderr\n{}",
            self.code(),
            self.shown(&stdout),
            self.shown(&self.stderr)
        )
    }
}

/// A line of plain progress without what differs between runs: `#2 0.8 text`, `#2 DONE 1.2s`.
fn without_times(line: &str) -> String {
    let words: Vec<_> = line.split(' ').collect();
    match words.as_slice() {
        [number, "DONE", time, rest @ ..]
            if number.starts_with('#') && is_seconds(time.trim_end_matches('s')) =>
        {
            [&[*number, "DONE", "[TIME]"], rest].concat().join(" ")
        }
        [number, time, rest @ ..] if number.starts_with('#') && is_seconds(time) => {
            [&[*number, "[TIME]"], rest].concat().join(" ")
        }
        _ => line.to_owned(),
    }
}

fn is_seconds(word: &str) -> bool {
    word.contains('.') && word.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_out_of_plain_progress() {
        for (line, expected) in [
            ("#12 DONE 1.2s", "#12 DONE [TIME]"),
            ("#4 DONE 0.3s sha256:ab", "#4 DONE [TIME] sha256:ab"),
            ("#3 0.1 took 2.5 s", "#3 [TIME] took 2.5 s"),
            ("#3 CACHED", "#3 CACHED"),
            ("#1 [build 1/2] RUN x", "#1 [build 1/2] RUN x"),
            ("1 | RUN 0.1", "1 | RUN 0.1"),
        ] {
            assert_eq!(without_times(line), expected);
        }
    }

    #[test]
    fn output_status_and_input_are_passed() {
        let builder = TestBuilder::new("/bin/sh");
        let output = builder.run_with_stdin(&["-c", "cat; echo $HOME >&2; exit 3"], b"in").exits(3);
        assert_eq!(output.to_string(), "exit code: 3\n--- stdout\nin\n--- stderr\n[DIR]/home");
    }
}
