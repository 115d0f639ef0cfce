//! `openat2`: lookups that may not leave a directory, follow links, or cross into another file system.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, Mode, OFlags as O, ResolveFlags as R};
use rustix::io::{Errno, Result};

use super::calls::open;
use super::report::tell;

pub(crate) fn run() {
    fs::create_dir_all("dir/sub").unwrap();
    fs::write("outside", "outside").unwrap();
    fs::write("dir/inner", "inner").unwrap();
    let links = [
        ("inner", "dir/link"),
        ("/inner", "dir/absolute"),
        ("../outside", "dir/out"),
        ("../../../../inner", "dir/far-out"),
        ("sub", "dir/to-sub"),
        ("loop", "dir/loop"),
        ("/proc/self/exe", "dir/magic"),
    ];
    for (target, link) in links {
        symlink(target, link).unwrap();
    }
    everywhere();
    arguments();
}

/// Asks again when somebody's rename came between, as openat2(2) wants it.
fn openat2(dir: impl AsFd, path: &str, flags: O, mode: u32, resolve: R) -> Result<OwnedFd> {
    loop {
        match rustix::fs::openat2(&dir, path, flags, Mode::from_raw_mode(mode), resolve) {
            Err(Errno::AGAIN) => {}
            result => return result,
        }
    }
}

fn everywhere() {
    let dir = open("dir", O::RDONLY).unwrap();
    let paths =
        ["inner", "sub/../inner", "../outside", "/inner", "/t/lookup/outside", "link", "absolute", "out"];
    let more = ["far-out", "to-sub/../inner", "loop", "magic", "missing", "", ".", "/", "..", "inner/"];
    for resolve in [R::empty(), R::BENEATH, R::IN_ROOT, R::NO_SYMLINKS, R::NO_MAGICLINKS] {
        for path in paths.iter().chain(&more) {
            tell!("openat2({path:?}, {resolve:?})" => openat2(&dir, path, O::RDONLY, 0, resolve));
        }
    }
}

fn arguments() {
    let dir = open("dir", O::PATH).unwrap();
    tell!(openat2(&dir, "inner", O::RDONLY, 0, R::BENEATH | R::IN_ROOT));
    tell!(openat2(&dir, "inner", O::RDONLY, 0o644, R::empty()));
    tell!(openat2(&dir, "made", O::WRONLY | O::CREATE | O::EXCL, 0o640, R::IN_ROOT));
    tell!(openat2(&dir, "/made", O::RDONLY, 0, R::IN_ROOT));
    tell!(openat2(&dir, "made", O::WRONLY | O::CREATE, 0o100_000, R::empty()));
    tell!(openat2(&dir, "inner", O::RDONLY, 0, R::from_bits_retain(1 << 40)));
    tell!(openat2(&dir, "inner", O::from_bits_retain(1 << 30), 0, R::empty()));
    tell!(openat2(&dir, "inner", O::PATH | O::RDWR, 0, R::empty()));
    tell!(openat2(&dir, "link", O::PATH | O::NOFOLLOW, 0, R::BENEATH));
    tell!(openat2(&dir, "sub", O::RDWR | O::TMPFILE, 0o600, R::BENEATH));
    tell!(openat2(CWD, "/proc/self/cwd/dir/inner", O::RDONLY, 0, R::NO_MAGICLINKS));
    tell!(openat2(CWD, "/proc/self/stat", O::RDONLY, 0, R::NO_SYMLINKS));
    tell!(openat2(CWD, "/t/lookup/dir/inner", O::RDONLY, 0, R::NO_SYMLINKS));
    tell!(openat2(CWD, "/t/lookup/dir/inner", O::RDONLY, 0, R::NO_XDEV));
    tell!(openat2(CWD, "/t/lookup/dir/inner", O::RDONLY, 0, R::BENEATH));
    tell!(openat2(CWD, "/t/lookup/dir/inner", O::RDONLY, 0, R::IN_ROOT));
    tell!(openat2(CWD, "../../proc/self/exe", O::RDONLY, 0, R::BENEATH));
}
