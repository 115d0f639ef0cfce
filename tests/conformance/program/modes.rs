//! Permissions: `chmod` in all its forms, the special bits, and what takes them away again.

use std::fs::{self, Permissions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use rustix::fs::{CWD, OFlags as O, chmodat};
use rustix::io::write;

use super::calls::{chmod, chown, create, fchmod, lstat, mkdir, mknod, open, umask};
use super::report::tell;

pub(crate) fn run() {
    fs::write("file", "hello").unwrap();
    mkdir("dir", 0o755).unwrap();
    for (target, link) in [("file", "link"), ("nothing", "dangling"), ("loop", "loop")] {
        symlink(target, link).unwrap();
    }
    by_name();
    by_descriptor();
    special_bits_are_lost();
    inheritance();
    masks();
}

fn by_name() {
    for mode in [0, 0o1, 0o644, 0o1777, 0o2755, 0o4755, 0o6755, 0o7777, 0o10_644] {
        tell!("chmod(\"file\", 0o{mode:o})" => chmod("file", mode));
        tell!(lstat("file"));
        tell!("chmod(\"dir\", 0o{mode:o})" => chmod("dir", mode));
        tell!(lstat("dir"));
    }
    tell!(chmod("link", 0o600));
    tell!(lstat("file"));
    tell!(lstat("link"));
    for path in ["dangling", "loop", "missing", "", "file/", "file/x", "dir/", "."] {
        tell!("set_permissions({path:?})" => fs::set_permissions(path, Permissions::from_mode(0o750)));
    }
    let dir = open("dir", O::PATH).unwrap();
    tell!(chmodat(&dir, "../file", 0o640.into(), rustix::fs::AtFlags::empty()));
    tell!(lstat("file"));
    let nofollow = FchmodatFlags::NoFollowSymlink;
    tell!(fchmodat(CWD, "link", Mode::S_IRUSR, nofollow));
    tell!(fchmodat(CWD, "file", Mode::S_IRUSR, nofollow));
    tell!(lstat("file"));
    tell!(fchmodat(CWD, "missing", Mode::S_IRUSR, nofollow));
}

fn by_descriptor() {
    let file = open("file", O::RDONLY).unwrap();
    tell!(fchmod(&file, 0o4711));
    tell!(lstat("file"));
    let by_path = open("file", O::PATH).unwrap();
    tell!(fchmod(&by_path, 0o644));
    let magic = format!("/proc/self/fd/{}", by_path.as_raw_fd());
    tell!("chmod(/proc/self/fd/N)" => chmod(&magic, 0o604));
    tell!(lstat("file"));
    let link = open("link", O::PATH | O::NOFOLLOW).unwrap();
    let magic = format!("/proc/self/fd/{}", link.as_raw_fd());
    tell!("chmod(/proc/self/fd/N of a link)" => chmod(&magic, 0o604));
    fs::rename("file", "renamed").unwrap();
    tell!(fchmod(&file, 0o640));
    fs::remove_file("renamed").unwrap();
    tell!(fchmod(&file, 0o600));
    tell!(rustix::fs::fstat(&file));
    fs::write("file", "new").unwrap();
    tell!(lstat("file"));
}

/// Root with `CAP_FSETID` keeps the bits when it writes, and nobody does when it gives the file away.
fn special_bits_are_lost() {
    for (name, mode) in [("both", 0o6755), ("no-group-x", 0o6745), ("sticky", 0o7644)] {
        let file = create(name, 0o644).unwrap();
        chmod(name, mode).unwrap();
        tell!("write to {name}" => write(&file, b"x"));
        tell!("lstat({name:?})" => lstat(name));
        tell!("chown({name:?}, 0, 0)" => chown(name, Some(0), Some(0)));
        tell!("lstat({name:?})" => lstat(name));
        chmod(name, mode).unwrap();
        tell!("chown({name:?}, -1, 5)" => chown(name, None, Some(5)));
        tell!("lstat({name:?})" => lstat(name));
        chmod(name, mode).unwrap();
        tell!("chown({name:?}, -1, -1)" => chown(name, None, None));
        tell!("lstat({name:?})" => lstat(name));
        chmod(name, mode).unwrap();
        tell!("truncate {name}" => open(name, O::WRONLY | O::TRUNC));
        tell!("lstat({name:?})" => lstat(name));
    }
}

fn inheritance() {
    mkdir("group", 0o755).unwrap();
    chown("group", Some(7), Some(1234)).unwrap();
    chmod("group", 0o2775).unwrap();
    tell!(lstat("group"));
    tell!(create("group/file", 0o644));
    tell!(lstat("group/file"));
    tell!(create("group/setgid", 0o2755));
    tell!(lstat("group/setgid"));
    tell!(mkdir("group/dir", 0o755));
    tell!(lstat("group/dir"));
    tell!(mkdir("group/dir/below", 0o700));
    tell!(lstat("group/dir/below"));
    tell!(symlink("x", "group/link"));
    tell!(lstat("group/link"));
    tell!(mknod("group/fifo", rustix::fs::FileType::Fifo, 0o600, 0, 0));
    tell!(lstat("group/fifo"));
    tell!(chown("group/dir", None, Some(0)));
    tell!(lstat("group/dir"));
    tell!(chmod("group/dir", 0o755));
    tell!(lstat("group/dir"));
}

fn masks() {
    for mask in [0o077, 0o7777, 0o1000, 0] {
        tell!("umask(0o{mask:o})" => umask(mask));
        let [file, dir, fifo] = ["file", "dir", "fifo"].map(|kind| format!("mask-{mask:o}-{kind}"));
        create(&file, 0o666).unwrap();
        mkdir(&dir, 0o777).unwrap();
        mknod(&fifo, rustix::fs::FileType::Fifo, 0o666, 0, 0).unwrap();
        tell!("lstat({file:?})" => lstat(&file));
        tell!("lstat({dir:?})" => lstat(&dir));
        tell!("lstat({fifo:?})" => lstat(&fifo));
    }
    umask(0o022).unwrap();
}
