//! `open` and `openat`: what opens, what is made, and what the descriptor then allows.

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::thread;

use rustix::fs::{AtFlags, CWD, OFlags as O, fstat, linkat};
use rustix::io::{read, write};

use super::calls::{create, lstat, mkdir, mkfifo, open, openat, umask};
use super::report::tell;

pub(crate) fn run() {
    prepare();
    kinds();
    links();
    making();
    truncating();
    names();
    descriptors();
    directories();
    temporary();
    fifos();
    kernel_files();
}

fn prepare() {
    fs::write("file", "hello").unwrap();
    fs::create_dir("dir").unwrap();
    fs::write("dir/inner", "inner").unwrap();
    for (target, link) in [("file", "link"), ("nothing", "dangling"), ("loop", "loop"), ("dir", "to-dir")] {
        symlink(target, link).unwrap();
    }
    symlink("/t/open/file", "absolute").unwrap();
    symlink("file", "chain0").unwrap();
    for number in 1..=40 {
        symlink(format!("chain{}", number - 1), format!("chain{number}")).unwrap();
    }
}

fn kinds() {
    for flags in [O::RDONLY, O::WRONLY, O::RDWR, O::DIRECTORY, O::PATH, O::PATH | O::DIRECTORY] {
        for path in ["file", "dir", "missing", "file/", "dir/", "file/x", "missing/x", ""] {
            tell!("open({path:?}, {flags:?})" => open(path, flags));
        }
    }
    drop(UnixListener::bind("socket").unwrap());
    tell!(open("socket", O::RDONLY));
    tell!(open("socket", O::PATH));
    tell!(open("file", O::RDONLY | O::CLOEXEC | O::NONBLOCK | O::APPEND | O::NOATIME));
    tell!(open("file", O::RDWR | O::SYNC));
}

fn links() {
    for path in ["link", "dangling", "loop", "loop/x", "to-dir", "to-dir/", "to-dir/inner", "absolute"] {
        tell!("open({path:?}, RDONLY)" => open(path, O::RDONLY));
        tell!("open({path:?}, NOFOLLOW)" => open(path, O::NOFOLLOW));
        tell!("open({path:?}, NOFOLLOW|PATH)" => open(path, O::NOFOLLOW | O::PATH));
        tell!("open({path:?}, NOFOLLOW|DIRECTORY)" => open(path, O::NOFOLLOW | O::DIRECTORY));
    }
    tell!(open("chain39", O::RDONLY));
    tell!(open("chain40", O::RDONLY));
    for path in ["../open/file", "dir/../file", "file/../file", "to-dir/../file", "./././file", "file/."] {
        tell!("open({path:?}, RDONLY)" => open(path, O::RDONLY));
    }
    for path in ["/t/open/file", "//t//open///file", "/../../t/open/file", "/..", "/"] {
        tell!("open({path:?}, RDONLY)" => open(path, O::RDONLY));
    }
}

fn making() {
    tell!(open("file", O::WRONLY | O::CREATE | O::EXCL));
    tell!(open("dangling", O::WRONLY | O::CREATE | O::EXCL));
    tell!(open("dangling", O::WRONLY | O::CREATE | O::NOFOLLOW));
    tell!(open("dangling", O::WRONLY | O::CREATE));
    tell!(lstat("nothing"));
    tell!(open("dir", O::WRONLY | O::CREATE));
    tell!(open("dir", O::RDONLY | O::CREATE));
    tell!(open("new/", O::WRONLY | O::CREATE));
    tell!(open("missing/new", O::WRONLY | O::CREATE));
    tell!(open("file/new", O::WRONLY | O::CREATE));
    tell!(open("loop", O::WRONLY | O::CREATE));
    tell!(open("new", O::RDONLY | O::CREATE | O::EXCL));
    for (mask, mode) in [(0o022, 0o666), (0o077, 0o777), (0, 0o666), (0o777, 0o777), (0o022, 0o7777)] {
        umask(mask).unwrap();
        let name = format!("mask-{mask:o}-{mode:o}");
        tell!("create({name:?}, 0o{mode:o})" => create(&name, mode));
        tell!("lstat({name:?})" => lstat(&name));
    }
    umask(0o022).unwrap();
    // What it may do with it is no question of the mode that it gives to it.
    let unreadable = create("unreadable", 0).unwrap();
    tell!(write(&unreadable, b"written"));
}

fn truncating() {
    fs::write("long", "0123456789").unwrap();
    tell!(open("long", O::RDONLY | O::TRUNC));
    tell!(lstat("long"));
    fs::write("long", "0123456789").unwrap();
    tell!(open("long", O::WRONLY | O::TRUNC | O::NOFOLLOW));
    tell!(lstat("long"));
    tell!(open("dir", O::WRONLY | O::TRUNC));
    tell!(open("missing", O::WRONLY | O::TRUNC));
    let [first, second] = [(); 2].map(|()| open("long", O::WRONLY | O::APPEND).unwrap());
    tell!(write(&first, b"one"));
    tell!(write(&second, b"two"));
    tell!(fs::read_to_string("long"));
}

fn names() {
    let longest = "n".repeat(255);
    tell!("create(255 bytes)" => create(&longest, 0o644));
    tell!("create(256 bytes)" => create(&format!("{longest}n"), 0o644));
    tell!("open(4095 bytes)" => open(&format!("/{}t/open/file", "./".repeat(2041)), O::RDONLY));
    tell!("open(4096 bytes)" => open(&format!("//{}t/open/file", "./".repeat(2041)), O::RDONLY));
    tell!(create("new\nline and \u{fe}", 0o644));
}

fn descriptors() {
    let file = open("file", O::RDONLY).unwrap();
    let lowest = file.as_raw_fd();
    drop(file);
    tell!(open("file", O::RDONLY).map(|fd| fd.as_raw_fd() == lowest));
    let [reader, writer] = [O::RDONLY, O::WRONLY].map(|flags| open("file", flags).unwrap());
    let mut buffer = [0; 8];
    tell!(write(&reader, b"x"));
    tell!(read(&writer, &mut buffer));
    tell!(read(&reader, &mut buffer));
    let path = open("file", O::PATH).unwrap();
    tell!(read(&path, &mut buffer));
    tell!(open(&format!("/proc/self/fd/{}", path.as_raw_fd()), O::RDWR).and_then(|fd| write(fd, b"J")));
    tell!(open(&format!("/dev/fd/{}", reader.as_raw_fd()), O::RDONLY));
    tell!(open(&format!("/proc/self/fd/{}", reader.as_raw_fd()), O::NOFOLLOW));
    fs::remove_file("file").unwrap();
    tell!(fstat(&reader));
    tell!(open(&format!("/proc/self/fd/{}", reader.as_raw_fd()), O::RDONLY));
    fs::write("file", "hello").unwrap();
}

fn directories() {
    let [dir, by_path] = [O::RDONLY, O::PATH].map(|flags| open("dir", flags).unwrap());
    let file = open("file", O::RDONLY).unwrap();
    tell!(openat(&dir, "inner", O::RDONLY));
    tell!(openat(&by_path, "inner", O::RDONLY));
    tell!(openat(&by_path, ".", O::RDONLY));
    tell!(openat(&dir, "../file", O::RDONLY));
    tell!(openat(&dir, "..", O::RDONLY));
    tell!(openat(&dir, "", O::RDONLY));
    tell!(openat(&file, "", O::RDONLY));
    tell!(openat(&file, "inner", O::RDONLY));
    tell!(openat(&file, "/t/open/file", O::RDONLY));
    tell!(openat(&dir, "made", O::WRONLY | O::CREATE | O::EXCL));
    tell!(lstat("dir/made"));
    tell!(read(&dir, &mut [0; 8]));
    mkdir("gone", 0o755).unwrap();
    let gone = open("gone", O::RDONLY).unwrap();
    fs::remove_dir("gone").unwrap();
    tell!(openat(&gone, "x", O::RDONLY));
    tell!(openat(&gone, "x", O::WRONLY | O::CREATE));
    tell!(openat(&gone, ".", O::RDONLY));
    tell!(openat(&gone, "../file", O::RDONLY));
}

fn temporary() {
    let made: Option<OwnedFd> = tell!(open("dir", O::RDWR | O::TMPFILE));
    tell!(open("dir", O::RDONLY | O::TMPFILE));
    tell!(open("file", O::RDWR | O::TMPFILE));
    tell!(open("missing", O::RDWR | O::TMPFILE));
    let Some(made) = made else { return };
    tell!(fstat(&made));
    let link = format!("/proc/self/fd/{}", made.as_raw_fd());
    tell!("linkat(/proc/self/fd/N, SYMLINK_FOLLOW)" => linkat(CWD, &link, CWD, "named", AtFlags::SYMLINK_FOLLOW));
    tell!(lstat("named"));
    let alone = open("dir", O::RDWR | O::TMPFILE | O::EXCL).unwrap();
    let link = format!("/proc/self/fd/{}", alone.as_raw_fd());
    tell!("linkat(TMPFILE|EXCL)" => linkat(CWD, &link, CWD, "never", AtFlags::SYMLINK_FOLLOW));
}

fn fifos() {
    mkfifo("fifo", 0o644).unwrap();
    tell!(open("fifo", O::WRONLY | O::NONBLOCK));
    tell!(open("fifo", O::RDONLY | O::NONBLOCK));
    tell!(open("fifo", O::RDWR));
    tell!(open("fifo", O::PATH));
    thread::scope(|scope| {
        // Each end waits for the other.
        let reader = scope.spawn(|| fs::read_to_string("fifo"));
        tell!(fs::write("fifo", "through"));
        tell!(reader.join().unwrap());
    });
}

fn kernel_files() {
    for path in ["/dev/null", "/dev/zero", "/proc/self/exe", "/proc/self/cwd", "/proc/self/cwd/file"] {
        tell!("open({path:?}, RDONLY)" => open(path, O::RDONLY));
    }
    for path in
        ["/proc/self/root/t/open/file", "/proc/thread-self/root", "/proc/self/missing", "/dev/missing"]
    {
        tell!("open({path:?}, RDONLY)" => open(path, O::RDONLY));
    }
    tell!(open("/dev/null", O::WRONLY | O::CREATE | O::TRUNC));
    tell!(open("/proc/self/exe", O::WRONLY));
    tell!(open("/proc/self/exe", O::NOFOLLOW));
}
