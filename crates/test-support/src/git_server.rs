//! Git repositories, and a real daemon that serves them.

#![expect(clippy::disallowed_methods, reason = "git is what users have")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// When everything was committed, in seconds since 1970.
pub const COMMIT_TIME: i64 = 1_000_000_000;

/// A directory of repositories, served on a free port; both end with this value.
#[derive(Debug)]
pub struct GitServer {
    dir: TempDir,
    port: u16,
    daemon: Child,
}

impl GitServer {
    /// Starts the daemon.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory for repositories");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("its number").port();
        drop(listener);
        let base = format!("--base-path={}", dir.path().display());
        // `git daemon` would be a child of what we start, and outlive it.
        let program = Path::new(&git(dir.path(), &["--exec-path"])).join("git-daemon");
        let mut command = Command::new(program);
        command.args(["--export-all", "--listen=127.0.0.1", "--reuseaddr", &format!("--port={port}"), &base]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = command.spawn().expect("starting git-daemon");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { dir, port, daemon }
    }

    /// A repository whose branch `main` has one commit of the files that `fill` makes.
    pub fn repository(&self, name: &str, fill: impl FnOnce(&Path)) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir(&path).expect("a directory for the repository");
        git(&path, &["init", "-q", "-b", "main"]);
        fill(&path);
        git_commit(&path);
        path
    }

    /// The URL of what is behind the host's name.
    pub fn url(&self, rest: &str) -> String {
        format!("git://127.0.0.1:{}/{rest}", self.port)
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.daemon.kill().ok();
        self.daemon.wait().ok();
    }
}

/// What git prints when it is run in `dir`, always as the same author at the same time.
pub fn git(dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "a").env(format!("GIT_{who}_EMAIL"), "a@b");
        command.env(format!("GIT_{who}_DATE"), format!("{COMMIT_TIME} +0000"));
    }
    let output = command.arg("-C").arg(dir).args(arguments).output().expect("running git");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Commits all that is in `dir`.
pub fn git_commit(dir: &Path) {
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-q", "--allow-empty", "-m", "x"]);
}
