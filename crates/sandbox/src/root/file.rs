//! A file that exists in memory only: written to a file system of its own that nothing but this mount leads to.

use std::fs::File;
use std::io::Write;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, openat};
use rustix::mount::MountAttrFlags;

use crate::errno::Errno;
use crate::error::{Attempt, Error, IdKind};
use crate::mounts::{Depth, MountGuard, attach, clone_tree, new_file_system, restrict};
use crate::spec::Content;

/// Whose the file is.
pub(super) struct Owner {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

const PLAIN: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// Makes a read-only mount of a file with this content, attached nowhere.
///
/// `place` is any directory: before Linux 6.15 a part of a mount can be cloned only while that is attached somewhere.
pub(super) fn new(
    place: BorrowedFd<'_>,
    content: &Content,
    owner: &Owner,
    name: &str,
) -> Result<OwnedFd, Error> {
    // ramfs(5): unlike those of tmpfs, its pages are never written to swap.
    let memory = new_file_system("ramfs", &[("mode", "700")], PLAIN)?;
    attach(&memory, place, name)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let written = openat(&memory, "file", flags, Mode::RUSR)
        .attempt("openat", || format!("make `{name}`"))
        .and_then(|file| write(file, content, owner, name))
        .and_then(|()| open(&memory, name))
        .and_then(|file| clone_tree(file, Depth::One, name));
    // What has been cloned stays.
    MountGuard::new(memory).unmount()?;
    let file = written?;
    restrict(&file, MountAttrFlags::MOUNT_ATTR_RDONLY, Depth::One, name)?;
    Ok(file)
}

fn write(file: OwnedFd, content: &Content, owner: &Owner, name: &str) -> Result<(), Error> {
    let mut file = File::from(file);
    file.write_all(content.bytes()).map_err(Errno::from).attempt("write", || format!("write `{name}`"))?;
    fchown(&file, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid))).map_err(
        |errno| match errno {
            rustix::io::Errno::INVAL => not_mapped(owner),
            errno => Error::Refused {
                doing: format!("give `{name}` its owner"),
                call: "fchown".to_owned(),
                errno: errno.into(),
            },
        },
    )?;
    fchmod(&file, Mode::from_raw_mode(owner.mode)).attempt("fchmod", || format!("set the mode of `{name}`"))
}

fn not_mapped(owner: &Owner) -> Error {
    match crate::IdMap::current() {
        Ok(map) if map.contains_uid(owner.uid) => Error::IdNotMapped { kind: IdKind::Gid, id: owner.gid },
        Ok(_) => Error::IdNotMapped { kind: IdKind::Uid, id: owner.uid },
        Err(error) => error,
    }
}

fn open(memory: &OwnedFd, name: &str) -> Result<OwnedFd, Error> {
    openat(memory, "file", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .attempt("openat", || format!("open `{name}`"))
}
