//! Checkouts from a real git daemon: what comes, and what a hostile repository cannot do.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests run git themselves, and fail by panicking"
)]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use git::{Checkout, Error, GitUrl, Options, checkout, resolve};
use tempfile::TempDir;

const TIME: i64 = 1_000_000_000;

/// A directory of repositories, served on a free port.
struct Server {
    dir: TempDir,
    port: u16,
    daemon: Child,
}

impl Server {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let base = format!("--base-path={}", dir.path().display());
        // `git daemon` would be a child of what we start, and outlive it.
        let program = Path::new(&run(dir.path(), &["--exec-path"])).join("git-daemon");
        let mut command = Command::new(program);
        command.args(["--export-all", "--listen=127.0.0.1", "--reuseaddr", &format!("--port={port}"), &base]);
        let daemon =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { dir, port, daemon }
    }

    /// A repository with one commit of the files that `fill` makes.
    fn repository(&self, name: &str, fill: impl FnOnce(&Path)) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir(&path).unwrap();
        run(&path, &["init", "-q", "-b", "main"]);
        fill(&path);
        commit(&path);
        path
    }

    fn url(&self, rest: &str) -> String {
        format!("git://127.0.0.1:{}/{rest}", self.port)
    }

    fn checkout(&self, rest: &str) -> Result<(TempDir, Checkout), Error> {
        let dest = tempfile::tempdir().unwrap();
        let url = GitUrl::parse(&self.url(rest)).unwrap()?;
        let done = checkout(&url, &Options::default(), dest.path(), &|| false)?;
        Ok((dest, done))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }
}

fn run(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", Options::default().path)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "a").env(format!("GIT_{who}_EMAIL"), "a@b");
        command.env(format!("GIT_{who}_DATE"), format!("{TIME} +0000"));
    }
    let output = command.arg("-C").arg(dir).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(dir: &Path) {
    run(dir, &["add", "-A"]);
    run(dir, &["commit", "-q", "--allow-empty", "-m", "x"]);
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
    fs::write(dir.join(name), text).unwrap();
}

fn read(dir: &TempDir, name: &str) -> String {
    fs::read_to_string(dir.path().join(name)).unwrap()
}

#[test]
fn files_come_with_modes_and_times_that_do_not_depend_on_the_machine() {
    let server = Server::start();
    let source = server.repository("a", |dir| {
        write(dir, "file", "text");
        write(dir, "dir/run", "text");
        fs::set_permissions(dir.join("dir/run"), fs::Permissions::from_mode(0o700)).unwrap();
        symlink("/nowhere", dir.join("link")).unwrap();
    });
    let (dest, done) = server.checkout("a").unwrap();
    assert_eq!(done, Checkout { commit: run(&source, &["rev-parse", "HEAD"]), commit_time: TIME });
    for (name, mode) in
        [("file", 0o10_0644), ("dir", 0o4_0755), ("dir/run", 0o10_0755), ("link", 0o12_0777), ("", 0o4_0755)]
    {
        let found = fs::symlink_metadata(dest.path().join(name)).unwrap();
        assert_eq!((found.mode(), found.mtime()), (mode, TIME), "{name}");
    }
    assert!(!dest.path().join(".git").exists());
    assert_eq!(fs::read_link(dest.path().join("link")).unwrap(), Path::new("/nowhere"));
}

#[test]
fn branches_tags_commits_and_pull_requests_are_found() {
    let server = Server::start();
    let source = server.repository("a", |dir| write(dir, "f", "1"));
    let first = run(&source, &["rev-parse", "HEAD"]);
    run(&source, &["tag", "-a", "-m", "x", "v1"]);
    run(&source, &["tag", "light"]);
    run(&source, &["update-ref", "refs/pull/7/head", "HEAD"]);
    run(&source, &["checkout", "-q", "-b", "next/one"]);
    write(&source, "f", "2");
    commit(&source);
    write(&source, "f", "3");
    commit(&source);
    run(&source, &["checkout", "-q", "main"]);
    let middle = run(&source, &["rev-parse", "next/one~1"]);
    for (reference, text) in [
        ("", "1"),
        ("#main", "1"),
        ("#v1", "1"),
        ("?tag=light", "1"),
        ("#refs/pull/7/head", "1"),
        ("#next/one", "3"),
        ("?branch=next/one", "3"),
        (&format!("#{first}"), "1"),
        (&format!("#{middle}"), "2"),
        (&format!("?fetch-by-commit&checksum={middle}"), "2"),
        (&format!("?tag=v1&checksum={}", &first[..8]), "1"),
    ] {
        let (dest, done) = server.checkout(&format!("a{reference}")).unwrap();
        assert_eq!(read(&dest, "f"), text, "{reference}");
        let url = GitUrl::parse(&server.url(&format!("a{reference}"))).unwrap().unwrap();
        assert_eq!(resolve(&url, &Options::default(), &|| false).unwrap(), done.commit, "{reference}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let server = Server::start();
    server.repository("a", |dir| write(dir, "f", "1"));
    let error = server.checkout("a#nope").unwrap_err();
    assert!(error.to_string().ends_with("has no ref `nope`"), "{error}");
    assert!(error.hint().unwrap().contains("does not exist"));
    assert!(matches!(server.checkout("b"), Err(Error::Failed { .. })));
    assert!(matches!(server.checkout("a#:nope"), Err(Error::NoSuchDirectory { .. })));
    assert!(matches!(server.checkout("a#:f"), Err(Error::NoSuchDirectory { .. })));
    assert!(matches!(server.checkout("a?checksum=0000000"), Err(Error::ChecksumMismatch { .. })));
    let url = GitUrl::parse(&server.url("a")).unwrap().unwrap();
    let nothing = Options { path: "/nonexistent".into(), ..Options::default() };
    assert!(matches!(resolve(&url, &nothing, &|| false), Err(Error::NotInstalled { .. })));
    assert!(matches!(resolve(&url, &Options::default(), &|| true), Err(Error::Cancelled)));
}

#[test]
fn a_directory_is_taken_alone_and_never_through_a_link() {
    let server = Server::start();
    server.repository("a", |dir| {
        write(dir, "sub/dir/f", "x");
        write(dir, "other", "y");
        symlink("/", dir.join("root")).unwrap();
        symlink("sub", dir.join("inside")).unwrap();
    });
    let (dest, _) = server.checkout("a#main:sub").unwrap();
    assert_eq!(read(&dest, "dir/f"), "x");
    assert_eq!(fs::read_dir(dest.path()).unwrap().count(), 1);
    for path in ["root", "root/etc", "inside/dir"] {
        assert!(
            matches!(server.checkout(&format!("a#:{path}")), Err(Error::NoSuchDirectory { .. })),
            "{path}"
        );
    }
}

#[test]
fn git_dirs_stay_where_they_are_wanted_and_hold_a_checkout() {
    let server = Server::start();
    server.repository("a", |dir| write(dir, "f", "x"));
    let (dest, done) = server.checkout("a?keep-git-dir=true").unwrap();
    assert_eq!(run(dest.path(), &["rev-parse", "HEAD"]), done.commit);
    assert_eq!(run(dest.path(), &["status", "--porcelain"]), "");
    assert_eq!(run(dest.path(), &["remote", "get-url", "origin"]), server.url("a"));
}

/// A repository `name` whose `.gitmodules` says that `url` is what belongs at `sub`.
fn parent(server: &Server, name: &str, url: &str, commit: &str) {
    server.repository(name, |dir| {
        write(dir, ".gitmodules", &format!("[submodule \"s\"]\n\tpath = sub\n\turl = \"{url}\"\n"));
        run(dir, &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},sub")]);
        fs::create_dir(dir.join("sub")).unwrap();
        run(dir, &["add", ".gitmodules"]);
        run(dir, &["commit", "-q", "-m", "x"]);
        // What the helper commits besides must not remove it.
        run(dir, &["config", "core.bare", "false"]);
    });
}

#[test]
fn submodules_come_along_unless_they_are_not_wanted() {
    let server = Server::start();
    let child = server.repository("child", |dir| write(dir, "f", "child"));
    let commit = run(&child, &["rev-parse", "HEAD"]);
    parent(&server, "a", "../child", &commit);
    let (dest, _) = server.checkout("a").unwrap();
    assert_eq!(read(&dest, "sub/f"), "child");
    assert!(!dest.path().join("sub/.git").exists());
    let (dest, _) = server.checkout("a?submodules=false").unwrap();
    assert!(!dest.path().join("sub/f").exists());
}

#[test]
fn urls_of_submodules_reach_no_files_and_no_options() {
    let server = Server::start();
    let child = server.repository("child", |dir| write(dir, "f", "child"));
    let commit = run(&child, &["rev-parse", "HEAD"]);
    let marker = server.dir.path().join("marker");
    let path = child.display().to_string();
    for (number, url) in [
        format!("--upload-pack=touch {}", marker.display()),
        format!("file://{path}"),
        path,
        format!("ext::sh -c touch% {}", marker.display()),
        format!("ssh://-oProxyCommand=touch${{IFS}}{}/x", marker.display()),
        "../../../../..".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("a{number}");
        parent(&server, &name, &url, &commit);
        let error = server.checkout(&name).unwrap_err();
        assert!(matches!(error, Error::Submodule { .. } | Error::Failed { .. }), "{url}: {error:?}");
        assert!(!marker.exists(), "{url}");
    }
}

#[test]
fn attributes_and_hooks_run_nothing() {
    let server = Server::start();
    server.repository("a", |dir| {
        write(dir, ".gitattributes", "* filter=lfs diff=x merge=x\n");
        write(dir, "f", "text");
        write(dir, "hooks/post-checkout", "#!/bin/sh\ntouch /tmp/never\n");
    });
    let (dest, _) = server.checkout("a").unwrap();
    assert_eq!(read(&dest, "f"), "text");
}
