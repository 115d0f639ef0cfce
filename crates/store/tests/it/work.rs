//! Work directories: gone whatever a build has done in them, and never more than they.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use store::{Error, Store};

use crate::fixture::{child, child_with_mounts, is_child, listing, store};

#[test]
fn a_work_dir_is_removed_when_it_is_dropped() {
    let (store, dir) = store();
    let before = listing(store.dir());
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "").unwrap();
    let work = store.work_dir().unwrap();
    assert_eq!(work.path().metadata().unwrap().permissions().mode() & 0o7777, 0o700);
    fs::create_dir_all(work.path().join("a/b/c")).unwrap();
    fs::write(work.path().join("a/b/file"), "").unwrap();
    fs::write(work.path().join(".removed-1"), "").unwrap();
    fs::create_dir_all(work.path().join(".removed-2/full/full")).unwrap();
    symlink(&outside, work.path().join("a/link")).unwrap();
    drop(work);
    assert_eq!(listing(store.dir()), before);
    assert!(outside.join("file").exists());
}

#[test]
fn removing_works_without_permissions() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = child("work::removes_as_nobody", dir.path());
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    assert!(command.status().unwrap().success());
    assert!(listing(&dir.path().join("store/work")).is_empty());
}

#[test]
#[ignore = "a process of removing_works_without_permissions"]
fn removes_as_nobody() {
    if !is_child() {
        return;
    }
    let store = Store::open("store".as_ref()).unwrap();
    let work = store.work_dir().unwrap();
    let paths = ["a/b/c", "a/b", "a", ""].map(|path| work.path().join(path));
    fs::create_dir_all(&paths[0]).unwrap();
    fs::write(paths[0].join("file"), "").unwrap();
    for (path, mode) in paths.iter().zip([0o000, 0o500, 0o100, 0o000]) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    work.close().unwrap();
}

#[test]
fn a_tree_deeper_than_any_path_is_removed() {
    let (store, _dir) = store();
    let work = store.work_dir().unwrap();
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let mut dir = openat(CWD, work.path(), flags, Mode::empty()).unwrap();
    for _ in 0..10_000 {
        mkdirat(&dir, "d", Mode::RWXU).unwrap();
        dir = openat(&dir, "d", flags, Mode::empty()).unwrap();
    }
    let path = work.path().to_owned();
    work.close().unwrap();
    assert!(!path.exists());
}

#[test]
fn what_is_mounted_in_a_work_dir_survives() {
    let dir = tempfile::tempdir().unwrap();
    let precious = dir.path().join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("file"), "content").unwrap();
    fs::set_permissions(&precious, fs::Permissions::from_mode(0o555)).unwrap();
    let status = child_with_mounts("work::removes_around_a_mount", dir.path(), "true").status();
    assert!(status.unwrap().success());
    assert_eq!(fs::read_to_string(precious.join("file")).unwrap(), "content");
    assert_eq!(precious.metadata().unwrap().permissions().mode() & 0o7777, 0o555);
}

#[test]
#[ignore = "a process of what_is_mounted_in_a_work_dir_survives"]
fn removes_around_a_mount() {
    if !is_child() {
        return;
    }
    let store = Store::open("store".as_ref()).unwrap();
    for target in ["mount", "a/b/mount"] {
        let work = store.work_dir().unwrap();
        let target = work.path().join(target);
        fs::create_dir_all(&target).unwrap();
        crate::fixture::run("mount", &["--bind", "precious", &target.display().to_string()]);
        let error = work.close().unwrap_err();
        assert!(matches!(&error, Error::Io { operation: "remove", .. }), "{error}");
        assert_eq!(error.hint(), Some("something is still mounted below it"));
    }
}
