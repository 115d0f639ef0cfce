//! Names: `mkdir`, `rmdir`, `unlink`, `rename`, `link`, `symlink`, `readlink`.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;

use rustix::fs::{AtFlags, CWD, OFlags as O, RenameFlags as R, linkat, readlinkat, renameat_with, symlinkat};
use rustix::fs::{mkdirat, unlinkat};

use super::calls::{create, lstat, mkdir, open};
use super::report::tell;

pub(crate) fn run() {
    fs::write("file", "hello").unwrap();
    fs::write("other", "other!").unwrap();
    fs::create_dir_all("full/inner").unwrap();
    for (target, link) in [("file", "link"), ("nothing", "dangling"), ("loop", "loop"), ("full", "to-full")] {
        symlink(target, link).unwrap();
    }
    directories();
    removing();
    renaming();
    exchanging();
    hard_links();
    symbolic_links();
    links_of_the_kernel();
}

fn directories() {
    tell!(mkdir("a", 0o777));
    tell!(lstat("a"));
    tell!(mkdir("b", 0o7777));
    tell!(lstat("b"));
    for path in
        ["a", "a/", "file", "link", "dangling", "dangling/", "file/x", "missing/x", "", ".", "..", "/"]
    {
        tell!("mkdir({path:?})" => mkdir(path, 0o755));
    }
    tell!(mkdir("slash/", 0o755));
    tell!(fs::create_dir("c"));
    tell!(fs::create_dir("c"));
    let full = open("full", O::PATH).unwrap();
    tell!(mkdirat(&full, "d", 0o700.into()));
    tell!(mkdirat(&full, "../e", 0o700.into()));
    tell!(mkdirat(open("file", O::PATH).unwrap(), "f", 0o700.into()));
    tell!(lstat("full/d"));
    for path in
        ["full", "file", "link", "to-full", "to-full/", "missing", "", ".", "a/.", "a/..", "/", "a/", "b"]
    {
        tell!("remove_dir({path:?})" => fs::remove_dir(path));
    }
    tell!(unlinkat(&full, "d", AtFlags::REMOVEDIR));
    tell!(unlinkat(&full, "inner", AtFlags::empty()));
    tell!(unlinkat(&full, ".", AtFlags::REMOVEDIR));
    tell!(unlinkat(&full, "x", AtFlags::from_bits_retain(1)));
}

fn removing() {
    for name in ["one", "two", "three"] {
        fs::write(name, "").unwrap();
    }
    symlink("three", "to-three").unwrap();
    for path in
        ["one", "one", "two/", "two/x", "full", "full/", "to-full/", "", ".", "/", "to-three", "three"]
    {
        tell!("remove_file({path:?})" => fs::remove_file(path));
    }
    tell!(unlinkat(CWD, "two", AtFlags::empty()));
    tell!(unlinkat(CWD, "file", AtFlags::REMOVEDIR));
    tell!(unlinkat(open("file", O::PATH).unwrap(), "", AtFlags::empty()));
}

fn renaming() {
    fs::create_dir_all("from/deep").unwrap();
    fs::create_dir("empty").unwrap();
    let pairs = [
        ("missing", "x"),
        ("", "x"),
        ("file", ""),
        ("file", "missing/x"),
        ("file", "empty"),
        ("from", "file"),
        ("from", "from/deep/x"),
        ("from/deep", "from"),
        ("from", "full"),
        ("from", "empty"),
        ("empty/", "from/"),
        ("file", "moved/"),
        ("file/", "moved"),
        ("file", "moved"),
        ("moved", "file"),
        ("file", "file"),
        ("link", "link2"),
        ("link2", "link"),
        ("to-full/", "full2"),
        ("from/.", "x"),
        ("from/..", "x"),
        ("from", "."),
        ("/", "x"),
        ("from", "/"),
        ("dangling", "other-dangling"),
        ("other-dangling", "dangling"),
    ];
    for (from, to) in pairs {
        tell!("rename({from:?}, {to:?})" => fs::rename(from, to));
    }
    fs::hard_link("file", "same").unwrap();
    tell!(fs::rename("file", "same"));
    tell!(lstat("file"));
    fs::write("victim", "123").unwrap();
    let victim = fs::File::open("victim").unwrap();
    tell!(fs::rename("same", "victim"));
    tell!(rustix::fs::fstat(&victim));
    tell!(lstat("victim"));
    let full = open("full", O::PATH).unwrap();
    tell!(rustix::fs::renameat(CWD, "victim", &full, "victim"));
    tell!(rustix::fs::renameat(&full, "victim", &full, "../victim"));
}

fn exchanging() {
    tell!(renameat_with(CWD, "file", CWD, "other", R::NOREPLACE));
    tell!(renameat_with(CWD, "file", CWD, "dangling", R::NOREPLACE));
    tell!(renameat_with(CWD, "file", CWD, "fresh", R::NOREPLACE));
    tell!(renameat_with(CWD, "fresh", CWD, "file", R::NOREPLACE));
    tell!(renameat_with(CWD, "file", CWD, "other", R::EXCHANGE));
    tell!(fs::read_to_string("file"));
    tell!(renameat_with(CWD, "file", CWD, "full", R::EXCHANGE));
    tell!(lstat("file"));
    tell!(renameat_with(CWD, "file", CWD, "full", R::EXCHANGE));
    tell!(renameat_with(CWD, "file", CWD, "missing", R::EXCHANGE));
    tell!(renameat_with(CWD, "full", CWD, "full/inner", R::EXCHANGE));
    tell!(renameat_with(CWD, "file", CWD, "other", R::EXCHANGE | R::NOREPLACE));
    tell!(renameat_with(CWD, "file", CWD, "other", R::from_bits_retain(64)));
}

fn hard_links() {
    tell!(fs::hard_link("file", "linked"));
    tell!(lstat("linked"));
    for (from, to) in
        [("file", "linked"), ("full", "dir2"), ("missing", "x"), ("file", "missing/x"), ("file", "x/")]
    {
        tell!("hard_link({from:?}, {to:?})" => fs::hard_link(from, to));
    }
    tell!(linkat(CWD, "link", CWD, "link-itself", AtFlags::empty()));
    tell!(lstat("link-itself"));
    tell!(linkat(CWD, "link", CWD, "its-target", AtFlags::SYMLINK_FOLLOW));
    tell!(lstat("its-target"));
    tell!(linkat(CWD, "dangling", CWD, "x", AtFlags::SYMLINK_FOLLOW));
    let file = open("file", O::RDONLY).unwrap();
    tell!(linkat(&file, "", CWD, "by-descriptor", AtFlags::empty()));
    let magic = format!("/proc/self/fd/{}", file.as_raw_fd());
    tell!("linkat(/proc/self/fd/N, SYMLINK_FOLLOW)" => linkat(CWD, &magic, CWD, "by-magic", AtFlags::SYMLINK_FOLLOW));
    tell!(lstat("by-magic"));
    tell!("linkat(/proc/self/fd/N)" => linkat(CWD, &magic, CWD, "crossing", AtFlags::empty()));
    tell!(linkat(CWD, "file", CWD, "x", AtFlags::REMOVEDIR));
    tell!(linkat(CWD, "/dev/null", CWD, "null", AtFlags::empty()));
    for name in ["linked", "its-target", "by-magic"] {
        fs::remove_file(name).unwrap();
    }
    tell!(lstat("file"));
}

fn symbolic_links() {
    let longest = "n".repeat(4095);
    tell!(symlink("anything", "new-link"));
    tell!(lstat("new-link"));
    for (target, link) in
        [("x", "file"), ("x", "dangling"), ("x", "full"), ("", "y"), ("x", ""), ("x", "y/"), ("x", "file/y")]
    {
        tell!("symlink({target:?}, {link:?})" => symlink(target, link));
    }
    tell!("symlink(4095 bytes)" => symlink(&longest, "long-link"));
    tell!("symlink(4096 bytes)" => symlink(format!("{longest}n"), "longer-link"));
    tell!(lstat("long-link"));
    let full = open("full", O::PATH).unwrap();
    tell!(symlinkat("x", &full, "y"));
    for path in ["link", "dangling", "loop", "file", "full", "missing", "", "to-full/", "full/y", "link/x"] {
        tell!("read_link({path:?})" => fs::read_link(path));
    }
    tell!(readlinkat(&full, "y", Vec::new()));
    let link = open("link", O::PATH | O::NOFOLLOW).unwrap();
    tell!(readlinkat(&link, "", Vec::new()));
    tell!(readlinkat(CWD, "", Vec::new()));
    tell!(readlinkat(open("file", O::PATH).unwrap(), "", Vec::new()));
}

fn links_of_the_kernel() {
    for path in ["/proc/self/exe", "/proc/self/cwd", "/proc/self/root", "/proc/thread-self/cwd"] {
        tell!("read_link({path:?})" => fs::read_link(path));
    }
    let full = open("full", O::PATH).unwrap();
    let file = create("gone", 0o644).unwrap();
    let [full_link, file_link] = [&full, &file].map(|fd| format!("/proc/self/fd/{}", fd.as_raw_fd()));
    tell!("read_link(/proc/self/fd/N of a directory)" => fs::read_link(&full_link));
    tell!("read_link(/proc/self/fd/N of a file)" => fs::read_link(&file_link));
    fs::rename("full", "full-renamed").unwrap();
    tell!("read_link(/proc/self/fd/N of one that is renamed)" => fs::read_link(&full_link));
    fs::remove_file("gone").unwrap();
    tell!("read_link(/proc/self/fd/N of one that is gone)" => fs::read_link(&file_link));
    tell!("canonicalize" => fs::canonicalize("to-full/../full-renamed/./inner"));
    tell!("canonicalize(/proc/self/fd/N)" => fs::canonicalize(&full_link));
}
