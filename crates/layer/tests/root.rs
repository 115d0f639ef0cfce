//! Lookups that must not leave the root, and trees that are too deep for anybody else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod tree;

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use layer::{Error, FileKind, Flow, Ownership, Root, walk};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use tempfile::TempDir;

fn root(text: &str) -> (TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    tree::make(dir.path(), text);
    let root = Root::open(dir.path()).unwrap();
    (dir, root)
}

#[test]
fn lookups_stay_inside_whatever_the_path() {
    let (_dir, root) = root(
        "dir etc\nfile etc/passwd data=ours\nlink abs to=/etc/passwd\nlink up to=../../../../etc/passwd\nlink dir to=/etc",
    );
    for path in
        ["etc/passwd", "/etc/passwd", "../../etc/passwd", "abs", "up", "dir/passwd", "dir/../etc/passwd", "/"]
    {
        match root.read_bounded(Path::new(path), 100) {
            Ok(content) => assert_eq!(content.unwrap(), b"ours", "{path}"),
            Err(error) => assert_eq!((path, error.to_string()), ("/", "`/` is not a regular file".into())),
        }
    }
    assert!(root.stat(Path::new("etc/shadow")).unwrap().is_none());
    assert!(root.stat(Path::new("/proc/self/root/etc")).unwrap().is_none());
}

#[test]
fn magic_links_are_not_followed() {
    let proc = Root::open("/proc").unwrap();
    assert!(proc.stat(Path::new("self/root")).is_err());
    assert!(proc.read_bounded(Path::new("self/cwd/x"), 1).is_err());
}

#[test]
fn reading_is_bounded_and_never_blocks() {
    let (dir, root) =
        root("fifo pipe\nfile big data=0123456789\nchar zero dev=1:5\ndir d\nlink lost to=nowhere");
    let read = |path: &str, limit| root.read_bounded(Path::new(path), limit);
    assert_eq!(read("big", 10).unwrap().unwrap().len(), 10);
    assert!(matches!(read("big", 9), Err(Error::FileTooLarge { limit: 9, .. })));
    for path in ["pipe", "zero", "d"] {
        assert!(matches!(read(path, 9), Err(Error::WrongKind { .. })), "{path}");
        assert!(root.open_file(Path::new(path)).is_err(), "{path}");
    }
    assert_eq!(read("lost", 9).unwrap(), None);
    assert_eq!(read("big/below", 9).unwrap(), None);
    symlink("loop", dir.path().join("loop")).unwrap();
    assert!(matches!(read("loop", 9), Err(Error::Io { .. })));
}

#[test]
fn lstat_sees_links_and_stat_what_they_lead_to() {
    let (_dir, root) = root("file f mode=4711 owner=1:2 mtime=3.000000004 data=12345\nlink l to=f");
    let metadata = root.stat(Path::new("l")).unwrap().unwrap();
    assert_eq!((metadata.kind, metadata.mode, metadata.uid, metadata.gid), (FileKind::File, 0o4711, 1, 2));
    assert_eq!((metadata.size, metadata.mtime.secs, metadata.mtime.nanos), (5, 3, 4));
    assert_eq!(root.lstat(Path::new("l")).unwrap().unwrap().kind, FileKind::Symlink);
    assert_eq!(root.read_link(Path::new("l")).unwrap(), Path::new("f"));
}

#[test]
fn paths_resolve_as_a_process_in_the_root_would_see_them() {
    let (_dir, root) = root(
        "dir usr\ndir usr/bin\nlink bin to=usr/bin\nlink abs to=/usr\nlink usr/up to=..\nlink new to=/made/later\nlink a to=b\nlink b to=a\nfile file",
    );
    let cases = [
        ("", ""),
        ("/", ""),
        ("..", ""),
        ("bin/sh", "usr/bin/sh"),
        ("abs/bin/../x", "usr/x"),
        ("usr/up/usr/up/bin", "usr/bin"),
        ("bin/../..", ""),
        ("new/x", "made/later/x"),
        ("missing/../bin", "usr/bin"),
        ("file/x", "file/x"),
    ];
    for (path, expected) in cases {
        assert_eq!(root.resolve(Path::new(path)).unwrap(), Path::new(expected), "{path}");
    }
    assert!(root.resolve(Path::new("a")).is_err());
    assert_eq!(root.resolve_parent(Path::new("abs/up")).unwrap(), Path::new("usr/up"));
}

#[test]
fn missing_directories_are_made_inside_with_their_owner() {
    let (dir, root) = root("dir old mode=700\nlink l to=/../far\nfile f");
    let ownership = Ownership { uid: 11, gid: 22, mode: 0o2750 };
    let make = |path: &str| root.create_dir_all(Path::new(path), &ownership);
    assert_eq!(make("old/a/b").unwrap(), [PathBuf::from("old/a"), PathBuf::from("old/a/b")]);
    assert!(make("old/a/b").unwrap().is_empty());
    assert_eq!(make("l/x").unwrap(), [PathBuf::from("far"), PathBuf::from("far/x")]);
    for path in ["old/a", "old/a/b", "far"] {
        let metadata = fs::metadata(dir.path().join(path)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (11, 22, 0o2750), "{path}");
    }
    assert_eq!(fs::metadata(dir.path().join("old")).unwrap().mode() & 0o7777, 0o700);
    for path in ["f", "f/x"] {
        assert!(matches!(make(path), Err(Error::WrongKind { .. })), "{path}");
    }
}

#[test]
fn removing_follows_no_link_at_the_end() {
    let (dir, root) = root("dir d\nfile d/x\ndir d/e\nlink l to=d\nlink e to=d/e");
    root.remove_all(Path::new("l")).unwrap();
    assert!(dir.path().join("d/x").exists());
    root.remove_all(Path::new("e/../x")).unwrap();
    assert!(!dir.path().join("d/x").exists());
    root.remove_all(Path::new("d")).unwrap();
    root.remove_all(Path::new("d/nothing")).unwrap();
    assert!(root.read_dir(Path::new("")).unwrap() == ["e"]);
    assert!(root.remove_all(Path::new("/")).is_err());
}

#[test]
fn directories_are_listed_by_the_bytes_of_their_names() {
    let (_dir, root) = root("file b\nfile a\nfile B\nfile a-\nfile é");
    assert_eq!(root.read_dir(Path::new("/")).unwrap(), ["B", "a", "a-", "b", "é"]);
}

/// More directories in each other than open files are allowed, and a path longer than `PATH_MAX`.
fn deep(dir: &Path) {
    let mut current: OwnedFd = openat(CWD, dir, OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..5_000 {
        mkdirat(&current, "d", Mode::RWXU).unwrap();
        current = openat(&current, "d", OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
}

#[test]
fn a_tree_of_any_depth_is_removed_and_refused_by_a_walk() {
    let (dir, root) = root("");
    deep(dir.path());
    let result = walk(&root, Path::new(""), |_| Ok::<_, Error>(Flow::Descend));
    assert!(matches!(result, Err(Error::PathTooLong { .. })));
    root.remove_all(Path::new("d")).unwrap();
    assert!(root.read_dir(Path::new("")).unwrap().is_empty());
}

#[test]
fn a_walk_goes_parents_first_and_leaves_out_what_it_is_told() {
    let (_dir, root) = root("dir a\nfile a/b\ndir a/c\nfile a/c/d\nfile a-b\nlink l to=a");
    let mut seen = Vec::new();
    walk(&root, Path::new("/"), |entry| {
        seen.push(entry.path.display().to_string());
        Ok::<_, Error>(if entry.name == "c" { Flow::Skip } else { Flow::Descend })
    })
    .unwrap();
    assert_eq!(seen, ["a", "a/b", "a/c", "a-b", "l"]);
}

#[test]
fn a_sub_root_is_a_root() {
    let (_dir, root) = root("dir d\nfile secret data=x\nlink l to=d");
    let sub = root.sub_root(Path::new("l")).unwrap();
    assert!(sub.lstat(Path::new("../secret")).unwrap().is_none());
    assert!(root.sub_root(Path::new("secret")).is_err());
    assert!(sub.try_clone().unwrap().read_dir(Path::new("/")).unwrap().is_empty());
}
