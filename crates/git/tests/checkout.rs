//! Checkouts from a real git daemon: what comes, and what a hostile repository cannot do.

#![expect(clippy::unwrap_used, reason = "tests run git themselves, and fail by panicking")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use git::{Checkout, Error, GitUrl, Options, checkout, resolve};
use tempfile::TempDir;
use test_support::{COMMIT_TIME, GitServer, git, git_commit};

const TIME: i64 = COMMIT_TIME;

fn checked_out(server: &GitServer, rest: &str) -> Result<(TempDir, Checkout), Error> {
    let dest = tempfile::tempdir().unwrap();
    let url = GitUrl::parse(&server.url(rest)).unwrap()?;
    let done = checkout(&url, &Options::default(), dest.path(), &|| false)?;
    Ok((dest, done))
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
    let server = GitServer::start();
    let source = server.repository("a", |dir| {
        write(dir, "file", "text");
        write(dir, "dir/run", "text");
        fs::set_permissions(dir.join("dir/run"), fs::Permissions::from_mode(0o700)).unwrap();
        symlink("/nowhere", dir.join("link")).unwrap();
    });
    let (dest, done) = checked_out(&server, "a").unwrap();
    assert_eq!(done, Checkout { commit: git(&source, &["rev-parse", "HEAD"]), commit_time: TIME });
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
    let server = GitServer::start();
    let source = server.repository("a", |dir| write(dir, "f", "1"));
    let first = git(&source, &["rev-parse", "HEAD"]);
    git(&source, &["tag", "-a", "-m", "x", "v1"]);
    git(&source, &["tag", "light"]);
    git(&source, &["update-ref", "refs/pull/7/head", "HEAD"]);
    git(&source, &["checkout", "-q", "-b", "next/one"]);
    write(&source, "f", "2");
    git_commit(&source);
    write(&source, "f", "3");
    git_commit(&source);
    git(&source, &["checkout", "-q", "main"]);
    let middle = git(&source, &["rev-parse", "next/one~1"]);
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
        let (dest, done) = checked_out(&server, &format!("a{reference}")).unwrap();
        assert_eq!(read(&dest, "f"), text, "{reference}");
        let url = GitUrl::parse(&server.url(&format!("a{reference}"))).unwrap().unwrap();
        assert_eq!(resolve(&url, &Options::default(), &|| false).unwrap(), done.commit, "{reference}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let server = GitServer::start();
    server.repository("a", |dir| write(dir, "f", "1"));
    let error = checked_out(&server, "a#nope").unwrap_err();
    assert!(error.to_string().ends_with("has no ref `nope`"), "{error}");
    assert!(error.hint().unwrap().contains("does not exist"));
    assert!(matches!(checked_out(&server, "b"), Err(Error::Failed { .. })));
    assert!(matches!(checked_out(&server, "a#:nope"), Err(Error::NoSuchDirectory { .. })));
    assert!(matches!(checked_out(&server, "a#:f"), Err(Error::NoSuchDirectory { .. })));
    assert!(matches!(checked_out(&server, "a?checksum=0000000"), Err(Error::ChecksumMismatch { .. })));
    let url = GitUrl::parse(&server.url("a")).unwrap().unwrap();
    let nothing = Options { path: "/nonexistent".into(), ..Options::default() };
    assert!(matches!(resolve(&url, &nothing, &|| false), Err(Error::NotInstalled { .. })));
    assert!(matches!(resolve(&url, &Options::default(), &|| true), Err(Error::Cancelled)));
}

#[test]
fn a_directory_is_taken_alone_and_never_through_a_link() {
    let server = GitServer::start();
    server.repository("a", |dir| {
        write(dir, "sub/dir/f", "x");
        write(dir, "other", "y");
        symlink("/", dir.join("root")).unwrap();
        symlink("sub", dir.join("inside")).unwrap();
    });
    let (dest, _) = checked_out(&server, "a#main:sub").unwrap();
    assert_eq!(read(&dest, "dir/f"), "x");
    assert_eq!(fs::read_dir(dest.path()).unwrap().count(), 1);
    for path in ["root", "root/etc", "inside/dir"] {
        assert!(
            matches!(checked_out(&server, &format!("a#:{path}")), Err(Error::NoSuchDirectory { .. })),
            "{path}"
        );
    }
}

#[test]
fn git_dirs_stay_where_they_are_wanted_and_hold_a_checkout() {
    let server = GitServer::start();
    server.repository("a", |dir| write(dir, "f", "x"));
    let (dest, done) = checked_out(&server, "a?keep-git-dir=true").unwrap();
    assert_eq!(git(dest.path(), &["rev-parse", "HEAD"]), done.commit);
    assert_eq!(git(dest.path(), &["status", "--porcelain"]), "");
    assert_eq!(git(dest.path(), &["remote", "get-url", "origin"]), server.url("a"));
}

/// A repository `name` whose `.gitmodules` says that `url` is what belongs at `sub`.
fn parent(server: &GitServer, name: &str, url: &str, commit: &str) {
    server.repository(name, |dir| {
        write(dir, ".gitmodules", &format!("[submodule \"s\"]\n\tpath = sub\n\turl = \"{url}\"\n"));
        git(dir, &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},sub")]);
        fs::create_dir(dir.join("sub")).unwrap();
        git(dir, &["add", ".gitmodules"]);
        git(dir, &["commit", "-q", "-m", "x"]);
        // What the helper commits besides must not remove it.
        git(dir, &["config", "core.bare", "false"]);
    });
}

#[test]
fn submodules_come_along_unless_they_are_not_wanted() {
    let server = GitServer::start();
    let child = server.repository("child", |dir| write(dir, "f", "child"));
    let commit = git(&child, &["rev-parse", "HEAD"]);
    parent(&server, "a", "../child", &commit);
    let (dest, _) = checked_out(&server, "a").unwrap();
    assert_eq!(read(&dest, "sub/f"), "child");
    assert!(!dest.path().join("sub/.git").exists());
    let (dest, _) = checked_out(&server, "a?submodules=false").unwrap();
    assert!(!dest.path().join("sub/f").exists());
}

#[test]
fn urls_of_submodules_reach_no_files_and_no_options() {
    let server = GitServer::start();
    let child = server.repository("child", |dir| write(dir, "f", "child"));
    let commit = git(&child, &["rev-parse", "HEAD"]);
    let place = tempfile::tempdir().unwrap();
    let marker = place.path().join("marker");
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
        let error = checked_out(&server, &name).unwrap_err();
        assert!(matches!(error, Error::Submodule { .. } | Error::Failed { .. }), "{url}: {error:?}");
        assert!(!marker.exists(), "{url}");
    }
}

#[test]
fn attributes_and_hooks_run_nothing() {
    let server = GitServer::start();
    server.repository("a", |dir| {
        write(dir, ".gitattributes", "* filter=lfs diff=x merge=x\n");
        write(dir, "f", "text");
        write(dir, "hooks/post-checkout", "#!/bin/sh\ntouch /tmp/never\n");
    });
    let (dest, _) = checked_out(&server, "a").unwrap();
    assert_eq!(read(&dest, "f"), "text");
}
