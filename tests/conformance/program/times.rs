//! Sizes, times and file systems: `truncate`, `utimensat`, `statfs`, `fallocate`.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, OFlags as O, Timespec, Timestamps, fallocate, fstatfs, ftruncate,
};
use rustix::fs::{futimens, statat, statfs, utimensat};
use rustix::io::Result;

use super::actors::as_user;
use super::calls::{chmod, chown, lstat, mkdir, open};
use super::report::tell;

/// `UTIME_NOW` and `UTIME_OMIT` of utimensat(2).
const NOW: i64 = 0x3fff_ffff;
const OMIT: i64 = 0x3fff_fffe;

pub(crate) fn run() {
    fs::write("file", "hello").unwrap();
    mkdir("dir", 0o755).unwrap();
    for (target, link) in [("file", "link"), ("nothing", "dangling"), ("loop", "loop"), ("dir", "to-dir")] {
        symlink(target, link).unwrap();
    }
    times_by_name();
    times_by_descriptor();
    times_of_others();
    sizes();
    file_systems();
}

fn stamps(access: (i64, i64), modification: (i64, i64)) -> Timestamps {
    let spec = |(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec };
    Timestamps { last_access: spec(access), last_modification: spec(modification) }
}

/// Times of the last thousand years of the program's tests are set ones; the others are of its own doing.
fn times(dir: impl AsFd, path: &str) -> Result<String> {
    let stat = statat(dir, path, AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH)?;
    let shown = |seconds: i64, nanoseconds: u64| match seconds {
        1_500_000_000..4_000_000_000 => "now".to_owned(),
        _ => format!("{seconds}.{nanoseconds:09}"),
    };
    let access = shown(stat.st_atime, stat.st_atime_nsec);
    Ok(format!("access {access} modification {}", shown(stat.st_mtime, stat.st_mtime_nsec)))
}

fn times_by_name() {
    let pairs = [
        ((1, 2), (3, 4)),
        ((0, 0), (0, 999_999_999)),
        ((0, NOW), (0, OMIT)),
        ((0, OMIT), (100, 5)),
        ((0, OMIT), (0, OMIT)),
        ((0, NOW), (0, NOW)),
        ((-10, 7), (1_000_000_000, 7)),
        ((1, 1_000_000_000), (1, 1)),
        ((1, -1), (1, 1)),
    ];
    for (access, modification) in pairs {
        let stamps = stamps(access, modification);
        for path in ["file", "dir"] {
            tell!("utimensat({path:?}, {access:?}, {modification:?})" =>
                utimensat(CWD, path, &stamps, AtFlags::empty()));
            tell!("times({path:?})" => times(CWD, path));
        }
    }
    let stamps = stamps((11, 12), (13, 14));
    for path in ["link", "dangling", "loop", "missing", "", "file/", "to-dir/", "file/x"] {
        tell!("utimensat({path:?})" => utimensat(CWD, path, &stamps, AtFlags::empty()));
        tell!("utimensat({path:?}, SYMLINK_NOFOLLOW)" =>
            utimensat(CWD, path, &stamps, AtFlags::SYMLINK_NOFOLLOW));
        tell!("times({path:?})" => times(CWD, path));
    }
}

fn times_by_descriptor() {
    let file = open("file", O::RDONLY).unwrap();
    tell!(futimens(&file, &stamps((21, 22), (23, 24))));
    tell!(times(&file, ""));
    tell!(utimensat(&file, "", &stamps((31, 32), (33, 34)), AtFlags::EMPTY_PATH));
    tell!(times(&file, ""));
    tell!(utimensat(&file, "", &stamps((31, 32), (33, 34)), AtFlags::empty()));
    let by_path = open("file", O::PATH).unwrap();
    tell!(futimens(&by_path, &stamps((41, 42), (43, 44))));
    let dir = open("dir", O::PATH).unwrap();
    tell!(utimensat(&dir, "../file", &stamps((51, 52), (53, 54)), AtFlags::empty()));
    tell!(times(CWD, "file"));
    tell!(utimensat(&dir, "x", &stamps((1, 1), (1, 1)), AtFlags::from_bits_retain(1)));
    tell!(fs::File::open("file").and_then(|file| file.set_modified(std::time::UNIX_EPOCH)));
    tell!(times(CWD, "file"));
}

/// The owner may set any time, who may write may set the present one, and nobody else anything.
fn times_of_others() {
    for (name, mode) in [("closed", 0o644), ("writable", 0o666)] {
        fs::write(name, "").unwrap();
        chmod(name, mode).unwrap();
    }
    fs::write("own", "").unwrap();
    chown("own", Some(1000), Some(1000)).unwrap();
    chmod("own", 0o400).unwrap();
    as_user(1000, 1000, &[], || {
        for path in ["closed", "writable", "own"] {
            for (access, modification) in [((1, 1), (1, 1)), ((0, NOW), (0, NOW)), ((0, OMIT), (0, NOW))] {
                let stamps = stamps(access, modification);
                tell!("utimensat({path:?}, {access:?}, {modification:?})" =>
                    utimensat(CWD, path, &stamps, AtFlags::empty()));
            }
            let none = stamps((0, OMIT), (0, OMIT));
            tell!("utimensat({path:?}, OMIT, OMIT)" => utimensat(CWD, path, &none, AtFlags::empty()));
        }
    });
}

fn truncate(path: &str, size: i64) -> nix::Result<()> {
    nix::unistd::truncate(path, size)
}

fn sizes() {
    for size in [3, 0, 10_000, -1, i64::MAX] {
        tell!("truncate(\"file\", {size})" => truncate("file", size));
        tell!(lstat("file").map(|stat| stat.st_size.min(1 << 40).cast_unsigned()));
    }
    for path in ["link", "dangling", "loop", "dir", "missing", "", "file/", "file/x", "/dev/null"] {
        tell!("truncate({path:?}, 5)" => truncate(path, 5));
    }
    tell!(lstat("file"));
    let [reader, writer, by_path] = [O::RDONLY, O::WRONLY, O::PATH].map(|flags| open("file", flags).unwrap());
    tell!(ftruncate(&reader, 1));
    tell!(ftruncate(&writer, 2));
    tell!(ftruncate(&by_path, 3));
    tell!(fallocate(&writer, FallocateFlags::empty(), 0, 4096));
    tell!(lstat("file"));
    tell!(fallocate(&reader, FallocateFlags::empty(), 0, 4096));
}

fn file_systems() {
    let name_length = |stat: rustix::fs::StatFs| i32::try_from(stat.f_namelen).unwrap();
    for path in ["file", "dir", "link", "dangling", "loop", "missing", "", "file/", "/"] {
        tell!("statfs({path:?})" => statfs(path).map(name_length));
    }
    tell!("statfs(/proc)" => statfs("/proc").map(|stat| stat.f_type == rustix::fs::PROC_SUPER_MAGIC));
    tell!(open("file", O::RDONLY).and_then(fstatfs).map(name_length));
    tell!(open("file", O::PATH).and_then(fstatfs).map(name_length));
    tell!(rustix::fs::statvfs("file").map(|stat| stat.f_namemax));
    tell!(nix::sys::statvfs::statvfs("missing").map(|stat| stat.name_max()));
}
