//! The built binary in an environment where nothing of the machine shows through.

#![expect(clippy::disallowed_methods, reason = "it is the binary that is tested")]

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use oci::{ImageConfig, Manifest};
use tempfile::TempDir;

use crate::image_check::check_layout;
use crate::output::Output;

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
        let child = self.start(arguments).expect("starting the binary");
        self.wait(child, stdin, arguments)
    }

    /// Starts `builder`. While its copy was written another test may have started a process, which has it open for writing
    /// until it executes something (execve(2), ETXTBSY).
    fn start(&self, arguments: &[&str]) -> io::Result<Child> {
        const ATTEMPTS: u32 = 100;
        for _ in 1..ATTEMPTS {
            match self.command(arguments).spawn() {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                    thread::sleep(Duration::from_millis(10));
                }
                started => return started,
            }
        }
        self.command(arguments).spawn()
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
    pub fn wait(&self, child: Child, stdin: &[u8], arguments: &[&str]) -> Output {
        let command = format!("builder {}", arguments.join(" "));
        Output::of(child, stdin, command, self.dir.path(), TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_status_and_input_are_passed() {
        let builder = TestBuilder::new("/bin/sh");
        let output = builder.run_with_stdin(&["-c", "cat; echo $HOME >&2; exit 3"], b"in").exits(3);
        assert_eq!(output.to_string(), "exit code: 3\n--- stdout\nin\n--- stderr\n[DIR]/home");
    }
}
