//! The stat family and `access`, on files of every kind and by every kind of name.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::fs::{
    Access, AtFlags, CWD, OFlags as O, Statx, StatxFlags, access, accessat, fstat, stat, statat,
};
use rustix::io::Result;
use rustix::pipe::pipe;

use super::actors::{as_user, in_thread};
use super::calls::{chmod, chown, lstat, mkfifo, open};
use super::report::tell;

pub(crate) fn run() {
    fs::write("file", "hello").unwrap();
    fs::create_dir("dir").unwrap();
    fs::write("dir/inner", "inner").unwrap();
    for (target, link) in [("file", "link"), ("nothing", "dangling"), ("loop", "loop"), ("dir", "to-dir")] {
        symlink(target, link).unwrap();
    }
    mkfifo("fifo", 0o640).unwrap();
    drop(UnixListener::bind("socket").unwrap());
    chown("file", Some(1000), Some(4_000_000_000)).unwrap();
    by_name();
    by_directory();
    by_descriptor();
    accesses();
    access_by_ids();
}

fn statx(dir: impl AsFd, path: &str, flags: AtFlags) -> Result<Statx> {
    rustix::fs::statx(dir, path, flags, StatxFlags::BASIC_STATS)
}

fn by_name() {
    let paths = ["file", "dir", "link", "dangling", "loop", "to-dir", "fifo", "socket", "missing", "", "/"];
    let more =
        ["file/", "link/", "to-dir/", "dangling/", "to-dir/inner", "file/x", ".", "..", "/../t/stat/file"];
    let kernel = ["/dev/null", "/dev/full", "/proc/self/exe", "/proc/self", "/dev/fd", "/dev"];
    for path in paths.iter().chain(&more) {
        tell!("stat({path:?})" => stat(*path));
        tell!("lstat({path:?})" => lstat(path));
        tell!("statx({path:?})" => statx(CWD, path, AtFlags::empty()));
        tell!("statx({path:?}, SYMLINK_NOFOLLOW)" => statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW));
    }
    for path in kernel {
        let kind = |flags| statat(CWD, path, flags).map(|stat| stat.st_mode & 0o170_000);
        tell!("kind({path:?})" => kind(AtFlags::empty()));
        tell!("kind({path:?}, SYMLINK_NOFOLLOW)" => kind(AtFlags::SYMLINK_NOFOLLOW));
    }
}

fn by_directory() {
    let [dir, by_path] = [O::RDONLY, O::PATH].map(|flags| open("dir", flags).unwrap());
    let file = open("file", O::RDONLY).unwrap();
    let link = open("link", O::PATH | O::NOFOLLOW).unwrap();
    for path in ["inner", "../file", "/t/stat/file", "missing", ".", ""] {
        tell!("statat(dir, {path:?})" => statat(&dir, path, AtFlags::empty()));
        tell!("statat(path of dir, {path:?})" => statat(&by_path, path, AtFlags::empty()));
        tell!("statat(file, {path:?})" => statat(&file, path, AtFlags::empty()));
        tell!("statat(file, {path:?}, EMPTY_PATH)" => statat(&file, path, AtFlags::EMPTY_PATH));
        tell!("statx(path of link, {path:?}, EMPTY_PATH)" => statx(&link, path, AtFlags::EMPTY_PATH));
    }
    tell!(statat(CWD, "", AtFlags::EMPTY_PATH));
    tell!(statat(CWD, "link", AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT));
    tell!(statat(CWD, "file", AtFlags::from_bits_retain(0x8000_0000)));
    tell!(statx(CWD, "file", AtFlags::STATX_DONT_SYNC));
    tell!(statx(CWD, "file", AtFlags::STATX_DONT_SYNC | AtFlags::STATX_FORCE_SYNC));
}

fn by_descriptor() {
    let (reader, writer) = pipe().unwrap();
    tell!(fstat(&reader).map(|stat| stat.st_mode & 0o170_000));
    tell!(fstat(&writer).map(|stat| stat.st_mode & 0o170_000));
    let (left, _right) = UnixStream::pair().unwrap();
    tell!(fstat(&left).map(|stat| stat.st_mode & 0o170_000));
    let file = open("file", O::RDONLY).unwrap();
    fs::hard_link("file", "second").unwrap();
    tell!(fstat(&file));
    fs::remove_file("second").unwrap();
    fs::rename("file", "renamed").unwrap();
    tell!(fstat(&file));
    fs::remove_file("renamed").unwrap();
    tell!(fstat(&file));
    tell!(statat(&file, "", AtFlags::EMPTY_PATH));
    fs::write("file", "new").unwrap();
    tell!(fstat(&file));
    tell!(lstat("file"));
    tell!(open("link", O::PATH | O::NOFOLLOW).and_then(fstat));
}

fn accesses() {
    for (name, mode) in [("none", 0), ("all", 0o777), ("read", 0o444), ("others", 0o007)] {
        fs::write(name, "").unwrap();
        chmod(name, mode).unwrap();
        for wanted in [Access::EXISTS, Access::READ_OK, Access::WRITE_OK, Access::EXEC_OK] {
            tell!("access({name:?}, {wanted:?})" => access(name, wanted));
        }
    }
    for path in ["missing", "", "dangling", "loop", "file/x", "dir/", "to-dir/inner"] {
        tell!("access({path:?}, EXISTS)" => access(path, Access::EXISTS));
    }
    tell!(accessat(CWD, "dangling", Access::EXISTS, AtFlags::SYMLINK_NOFOLLOW));
    tell!(accessat(CWD, "link", Access::EXEC_OK, AtFlags::SYMLINK_NOFOLLOW));
    let dir = open("dir", O::PATH).unwrap();
    tell!(accessat(&dir, "inner", Access::READ_OK, AtFlags::EACCESS));
    tell!(accessat(&dir, "../none", Access::EXEC_OK, AtFlags::EACCESS));
    tell!(accessat(&dir, "inner", Access::from_bits_retain(64), AtFlags::empty()));
}

/// `access` asks for the real ids, and with `AT_EACCESS` for the effective ones.
fn access_by_ids() {
    use rustix::thread::set_thread_res_uid;
    fs::write("mine", "").unwrap();
    chmod("mine", 0o600).unwrap();
    let both = || {
        tell!(access("mine", Access::READ_OK));
        tell!(accessat(CWD, "mine", Access::READ_OK, AtFlags::EACCESS));
    };
    as_user(1000, 1000, &[], both);
    let [root, user] = [0, 1000].map(rustix::fs::Uid::from_raw);
    in_thread("real 1000, effective 0", || {
        set_thread_res_uid(user, root, root).unwrap();
        both();
    });
    in_thread("real 0, effective 1000", || {
        set_thread_res_uid(root, user, root).unwrap();
        both();
    });
}
