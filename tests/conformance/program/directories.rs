//! Where a process is: `chdir`, `fchdir`, `getcwd`, `chroot`, and the threads that share it.

use std::fs;
use std::os::unix::fs::{chroot, symlink};
use std::thread;

use rustix::fs::OFlags as O;
use rustix::process::{chdir, fchdir, getcwd};

use super::PROGRAM;
use super::actors::{as_user, part, program};
use super::calls::{chmod, chown, create, lstat, mkdir, open, openat, umask};
use super::report::{acting_as, tell};

const HOME: &str = "/t/directories";

pub(crate) fn run() {
    fs::create_dir_all("dir/sub").unwrap();
    fs::write("file", "hello").unwrap();
    for (target, link) in [("dir", "to-dir"), ("nothing", "dangling"), ("loop", "loop"), ("/", "to-root")] {
        symlink(target, link).unwrap();
    }
    by_name();
    by_descriptor();
    gone_and_moved();
    shared_by_threads();
    permissions();
    a_jail();
    tell!("another program in the jail" => part(&["jail"]).status());
    tell!(getcwd(Vec::new()));
}

fn cwd() -> rustix::io::Result<std::ffi::CString> {
    getcwd(Vec::new())
}

fn by_name() {
    let paths =
        ["dir", "dir/sub", "to-dir/sub", "to-dir", "to-root", "/", "/..", "..", ".", "dir/..", "dir/"];
    let wrong =
        ["file", "file/", "dangling", "loop", "missing", "", "/proc/self/cwd", "/proc/self/root", "/dev"];
    for path in paths.into_iter().chain(wrong) {
        chdir(HOME).unwrap();
        tell!("chdir({path:?})" => chdir(path));
        tell!(cwd());
        tell!("read_link(/proc/self/cwd)" => fs::read_link("/proc/self/cwd"));
    }
    chdir(HOME).unwrap();
    tell!("a program in dir/sub" => part(&["show", "directory"]).current_dir("to-dir/sub").status());
    tell!("a program in a directory that is missing" => part(&["show", "directory"]).current_dir("x").status());
    chdir("/").unwrap();
    tell!(lstat("t/directories/dir"));
    tell!(open("../../../t/directories/file", O::RDONLY));
    chdir(HOME).unwrap();
}

fn by_descriptor() {
    for path in ["dir", "to-dir/sub", "file", "/"] {
        chdir(HOME).unwrap();
        for flags in [O::RDONLY, O::PATH] {
            let fd = open(path, flags).unwrap();
            tell!("fchdir({path:?} opened with {flags:?})" => fchdir(fd));
            tell!(cwd());
            chdir(HOME).unwrap();
        }
    }
    let link = open("to-dir", O::PATH | O::NOFOLLOW).unwrap();
    tell!(fchdir(&link));
}

fn gone_and_moved() {
    mkdir("gone", 0o755).unwrap();
    chdir("gone").unwrap();
    fs::remove_dir("../gone").unwrap();
    tell!(cwd());
    tell!("read_link(/proc/self/cwd)" => fs::read_link("/proc/self/cwd"));
    tell!(lstat("."));
    tell!(lstat("..").map(|stat| stat.st_mode));
    tell!(open("x", O::RDONLY));
    tell!(create("x", 0o644));
    tell!(mkdir("x", 0o755));
    tell!(symlink("x", "y"));
    tell!(lstat("../file"));
    tell!(chdir("."));
    tell!("a program where nothing is" => part(&["show", "directory"]).status());
    tell!(chdir(".."));
    tell!(cwd());
    chdir(HOME).unwrap();
    fs::create_dir_all("old/below").unwrap();
    chdir("old/below").unwrap();
    fs::rename(format!("{HOME}/old"), format!("{HOME}/new")).unwrap();
    tell!(cwd());
    tell!(lstat("../../new").map(|stat| stat.st_mode));
    tell!(create("made", 0o644));
    chdir(HOME).unwrap();
    tell!(lstat("new/below/made"));
}

fn shared_by_threads() {
    thread::scope(|scope| {
        scope.spawn(|| chdir("dir").unwrap()).join().unwrap();
        tell!(cwd());
        tell!(create("by-thread", 0o644));
        scope.spawn(|| umask(0o077).unwrap()).join().unwrap();
        tell!(create("masked", 0o666));
        tell!(lstat("masked"));
        tell!(umask(0o022));
        scope.spawn(|| chdir(HOME).unwrap()).join().unwrap();
        tell!(lstat("dir/by-thread"));
    });
}

fn permissions() {
    mkdir("closed", 0o755).unwrap();
    mkdir("closed/inner", 0o755).unwrap();
    mkdir("passage", 0o711).unwrap();
    mkdir("readable", 0o744).unwrap();
    mkdir("own", 0o100).unwrap();
    chown("own", Some(1000), None).unwrap();
    let inner = open("closed/inner", O::PATH).unwrap();
    chmod("closed", 0o700).unwrap();
    as_user(1000, 1000, &[], || {
        for path in ["closed", "closed/inner", "passage", "readable", "own"] {
            tell!("chdir({path:?})" => chdir(path));
            chdir(HOME).unwrap();
        }
        tell!(fchdir(open("closed", O::PATH).unwrap()));
        tell!(fchdir(&inner));
        chdir(HOME).unwrap();
        tell!(chroot("dir"));
        tell!(chroot("missing"));
    });
}

/// What the jail's own process finds: its root is elsewhere, and its descriptors still lead out.
fn a_jail() {
    fs::create_dir_all("jail/t").unwrap();
    fs::create_dir("jail/sub").unwrap();
    fs::write("jail/inner", "inner").unwrap();
    fs::copy(PROGRAM, "jail/conformance").unwrap();
    for (target, link) in [("/inner", "absolute"), ("../../../inner", "up"), ("/t/directories/file", "out")] {
        symlink(target, format!("jail/{link}")).unwrap();
    }
    for path in ["file", "missing", "dangling", "loop", "", "file/x"] {
        tell!("chroot({path:?})" => chroot(path));
    }
}

/// A part: goes into the jail.
pub(crate) fn in_a_jail() {
    acting_as("prisoner");
    chdir(HOME).unwrap();
    let outside = open("dir", O::RDONLY).unwrap();
    tell!(chroot("jail"));
    // Still outside: chroot does not move it.
    tell!(lstat("file"));
    tell!(lstat("/inner"));
    tell!(lstat("jail/inner"));
    tell!(chdir("/"));
    tell!(cwd());
    for path in
        ["/inner", "/../../inner", "absolute", "up", "out", "/t/directories/file", "/proc/self/exe", "sub/.."]
    {
        tell!("open({path:?}, RDONLY)" => open(path, O::RDONLY));
    }
    tell!(chdir("sub"));
    tell!(cwd());
    tell!(openat(&outside, "../file", O::RDONLY));
    tell!(openat(&outside, "/inner", O::RDONLY));
    tell!("a program of the jail" => program("/conformance", &["show", "directory"]).status());
    tell!("a program outside of it" => program("/t/directories/file", &[]).status());
    tell!(fchdir(&outside));
    tell!(lstat("../file"));
    tell!(lstat("/inner"));
    tell!(chdir("../../.."));
    tell!(lstat("conformance").map(|stat| stat.st_mode));
    tell!(chroot("."));
    tell!(chdir("/"));
    tell!(cwd());
    tell!(lstat("/t/directories/file"));
}
