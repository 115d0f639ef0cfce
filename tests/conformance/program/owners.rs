//! Owners: `chown` in all its forms, ids of every size, and device nodes.

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;

use rustix::fs::{AtFlags, FileType, OFlags as O, RawDir, fstat};

use super::calls::{chmod, chown, create, fchown, fchownat, lchown, lstat, mkdir, mknod, open};
use super::report::{kind_name, tell};

/// The highest id there is; one more is -1, which means none.
const LAST: u32 = u32::MAX - 1;

pub(crate) fn run() {
    fs::write("file", "hello").unwrap();
    mkdir("dir", 0o755).unwrap();
    for (target, link) in [("file", "link"), ("nothing", "dangling"), ("loop", "loop"), ("dir", "to-dir")] {
        symlink(target, link).unwrap();
    }
    by_name();
    by_descriptor();
    what_follows_a_file();
    devices();
    devices_elsewhere();
}

fn by_name() {
    let ids = [(Some(1), Some(2)), (None, Some(3)), (Some(4), None), (None, None), (Some(LAST), Some(LAST))];
    let more = [(Some(1 << 31), Some(65_535)), (Some(65_534), Some(65_536)), (Some(0), Some(0))];
    for (uid, gid) in ids.into_iter().chain(more) {
        for path in ["file", "dir"] {
            tell!("chown({path:?}, {uid:?}, {gid:?})" => chown(path, uid, gid));
            tell!("lstat({path:?})" => lstat(path));
        }
    }
    for path in ["link", "to-dir", "dangling", "loop", "missing", "", "file/", "file/x", "."] {
        tell!("chown({path:?}, 10, 11)" => chown(path, Some(10), Some(11)));
        tell!("lchown({path:?}, 20, 21)" => lchown(path, Some(20), Some(21)));
        tell!("lstat({path:?})" => lstat(path));
    }
    for path in ["file", "dir"] {
        tell!("lstat({path:?})" => lstat(path));
    }
    tell!(std::os::unix::fs::chown("link", Some(30), None));
    tell!(std::os::unix::fs::lchown("link", None, Some(31)));
    tell!(lstat("link"));
    tell!(lstat("file"));
}

fn by_descriptor() {
    let file = open("file", O::RDONLY).unwrap();
    tell!(fchown(&file, Some(40), Some(41)));
    tell!(lstat("file"));
    let by_path = open("file", O::PATH).unwrap();
    tell!(fchown(&by_path, Some(42), Some(43)));
    tell!(fchownat(&by_path, "", Some(44), None, AtFlags::EMPTY_PATH));
    tell!(fchownat(&by_path, "", Some(44), None, AtFlags::empty()));
    let link = open("link", O::PATH | O::NOFOLLOW).unwrap();
    tell!(fchownat(&link, "", None, Some(45), AtFlags::EMPTY_PATH));
    tell!(lstat("link"));
    let dir = open("dir", O::PATH).unwrap();
    tell!(fchownat(&dir, "../file", Some(46), None, AtFlags::empty()));
    tell!(fchownat(&dir, "../link", Some(47), None, AtFlags::SYMLINK_NOFOLLOW));
    tell!(fchownat(&dir, "/t/owners/dir", Some(48), None, AtFlags::empty()));
    tell!(fchownat(&dir, "x", Some(49), None, AtFlags::from_bits_retain(1)));
    let magic = format!("/proc/self/fd/{}", by_path.as_raw_fd());
    tell!("chown(/proc/self/fd/N)" => chown(&magic, Some(50), Some(51)));
    for path in ["file", "link", "dir"] {
        tell!("lstat({path:?})" => lstat(path));
    }
}

fn what_follows_a_file() {
    fs::hard_link("file", "second").unwrap();
    tell!(chown("second", Some(60), Some(61)));
    tell!(lstat("file"));
    fs::rename("file", "third").unwrap();
    tell!(lstat("third"));
    fs::remove_file("second").unwrap();
    let third = open("third", O::RDONLY).unwrap();
    fs::remove_file("third").unwrap();
    tell!(fstat(&third));
    tell!(fchown(&third, Some(62), None));
    tell!(fstat(&third));
    drop(third);
    // The inode number of the one that is gone may come again.
    for name in ["new1", "new2", "new3"] {
        tell!("create({name:?})" => create(name, 0o644));
        tell!("lstat({name:?})" => lstat(name));
    }
    tell!(fs::copy("new1", "copy"));
    tell!(lstat("copy"));
    fs::write("victim", "").unwrap();
    chown("victim", Some(70), Some(70)).unwrap();
    tell!(fs::rename("new1", "victim"));
    tell!(lstat("victim"));
}

fn devices() {
    use FileType::{BlockDevice, CharacterDevice, Directory, Fifo, RegularFile, Socket, Symlink};
    tell!(mknod("null", CharacterDevice, 0o666, 1, 3));
    tell!(lstat("null"));
    tell!(mknod("disk", BlockDevice, 0o660, 259, 1_048_575));
    tell!(lstat("disk"));
    tell!(mknod("fifo", Fifo, 0o600, 0, 0));
    tell!(lstat("fifo"));
    tell!(mknod("socket", Socket, 0o600, 0, 0));
    tell!(lstat("socket"));
    tell!(mknod("regular", RegularFile, 0o4755, 5, 5));
    tell!(lstat("regular"));
    tell!(mknod("x", Directory, 0o755, 0, 0));
    tell!(mknod("x", Symlink, 0o755, 0, 0));
    tell!(mknod("x", FileType::Unknown, 0o755, 0, 0));
    tell!("entries with their types" => entries("."));
    tell!(mknod("null", CharacterDevice, 0o666, 1, 3));
    tell!(mknod("dangling", CharacterDevice, 0o666, 1, 3));
    tell!(mknod("missing/x", Fifo, 0o666, 0, 0));
    tell!(mknod("x/", Fifo, 0o666, 0, 0));
}

/// What reading the directory says of its entries, which is not what a look at each says.
fn entries(dir: &str) -> rustix::io::Result<Vec<String>> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let dir = open(dir, O::RDONLY)?;
    let mut reader = RawDir::new(&dir, &mut buffer);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next().transpose()? {
        entries.push(format!("{} {}", entry.file_name().to_string_lossy(), kind_name(entry.file_type())));
    }
    entries.sort();
    Ok(entries)
}

fn devices_elsewhere() {
    tell!(chown("disk", Some(80), Some(81)));
    tell!(chmod("disk", 0o1604));
    tell!(lstat("disk"));
    tell!(fs::hard_link("disk", "disk2"));
    tell!(fs::rename("disk2", "dir/disk"));
    tell!(lstat("dir/disk"));
    tell!(open("dir/disk", O::PATH).and_then(fstat));
    tell!(fs::remove_file("disk"));
    tell!(lstat("dir/disk"));
    tell!(fs::remove_file("dir/disk"));
}
