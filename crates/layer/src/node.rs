//! An entry as a layer records it, without the bytes of a file: the same value whether it comes from a tree, from an
//! archive or from a copy, and the only way into a tree.
//!
//! Two nodes that are equal mean "no change" (see [`crate::changes`]), so only what an image can hold is in here: no
//! inode number, no ctime, no attribute that belongs to the machine.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, futimens, mkdirat, mknodat, openat, symlinkat,
    utimensat,
};
use rustix::io::Errno;

use crate::Error;
use crate::error::Context;
use crate::metadata::{Device, FileKind, Metadata, Timestamp};
use crate::owners::Owners;
use crate::root::{HANDLE, READ_DIR, Root, link_target};
use crate::stand_in;
use crate::xattr::{self, Xattrs};

/// A regular file that must not be there yet.
pub(crate) const NEW_FILE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Owner, permissions, time and extended attributes of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// The permission bits with set-id and sticky bits, at most `0o7777`.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The time of the last change of the content.
    pub mtime: Timestamp,
    /// The extended attributes that travel with an image.
    pub xattrs: Xattrs,
}

/// An entry without the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: FileKind,
    pub(crate) attributes: Attributes,
    /// The size of a regular file in bytes; 0 for other kinds.
    pub(crate) size: u64,
    /// The numbers of a device node; 0:0 for other kinds.
    pub(crate) device: Device,
    /// Where a symbolic link points to; empty for other kinds.
    pub(crate) target: PathBuf,
}

/// A node, its metadata and, for a regular file, the open file both were read from.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) node: Node,
    pub(crate) metadata: Metadata,
    pub(crate) file: Option<File>,
}

impl Opened {
    /// Reads the entry at the canonical `path`, whose lstat data is `metadata`.
    ///
    /// A file is opened, and what is told about it comes from the open file.
    pub(crate) fn read(root: &Root, path: &Path, metadata: &Metadata) -> Result<Self, Error> {
        let mut opened = Self { node: Node::of(metadata), metadata: *metadata, file: None };
        match metadata.kind {
            FileKind::File => {
                let (file, metadata) = root.open_file_exact(path)?;
                opened.node = Node::of(&metadata);
                opened.metadata = metadata;
                if metadata.size == 0
                    && let Some((kind, device)) = stand_in::read(&file, path)?
                {
                    (opened.node.kind, opened.node.device) = (kind, device);
                    return Ok(opened);
                }
                opened.node.attributes.xattrs = xattr::read_carried(&file, path)?;
                root.owners().complete(&mut opened.node.attributes.xattrs, metadata.inode);
                opened.file = Some(file);
            }
            FileKind::Directory => {
                let dir = root.open_exact(path, READ_DIR).context("open the directory", path)?;
                opened.node.attributes.xattrs = xattr::read_carried(&dir.into(), path)?;
                root.owners().complete(&mut opened.node.attributes.xattrs, metadata.inode);
            }
            FileKind::Symlink => {
                let link = root.open_exact(path, HANDLE).context("open", path)?;
                opened.node.target = link_target(&link).context("read the link", path)?;
            }
            // The kernel allows no user.* attribute on other kinds, and capabilities mean nothing there.
            _ => {}
        }
        Ok(opened)
    }
}

impl Node {
    fn of(metadata: &Metadata) -> Self {
        Self {
            kind: metadata.kind,
            attributes: Attributes {
                mode: metadata.mode,
                uid: metadata.uid,
                gid: metadata.gid,
                mtime: metadata.mtime,
                xattrs: Xattrs::new(),
            },
            size: if metadata.kind == FileKind::File { metadata.size } else { 0 },
            device: metadata.device,
            target: PathBuf::new(),
        }
    }

    /// Makes the entry `name` in `parent`, whose files belong to `owners`; fails with `EEXIST` in the way of everything
    /// that is there.
    ///
    /// Directories come without their attributes: they are set when what is in them is done. Regular files have
    /// content and are made by who has it.
    pub(crate) fn create(
        &self,
        owners: &Owners,
        parent: BorrowedFd<'_>,
        name: &OsStr,
    ) -> rustix::io::Result<()> {
        let private = Mode::RUSR | Mode::WUSR;
        let device = |kind| {
            if owners.is_in_table() {
                return openat(parent, name, NEW_FILE, private).map(drop);
            }
            stand_in::make(parent, name, kind, self.device)
        };
        match self.kind {
            FileKind::Directory => mkdirat(parent, name, Mode::RWXU),
            FileKind::Symlink => symlinkat(&self.target, parent, name),
            FileKind::Fifo => mknodat(parent, name, FileType::Fifo, private, 0),
            FileKind::CharDevice => device(FileType::CharacterDevice),
            FileKind::BlockDevice => device(FileType::BlockDevice),
            FileKind::File | FileKind::Socket => Err(Errno::INVAL),
        }
    }

    /// Sets everything but extended attributes on the entry that [`create`](Self::create) has made, which cannot be
    /// opened: a link, pipe or device.
    pub(crate) fn apply_at(
        &self,
        owners: &Owners,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        path: &Path,
    ) -> Result<(), Error> {
        owners.give_at(parent, name, self, path)?;
        utimensat(parent, name, &times(self.attributes.mtime), AtFlags::SYMLINK_NOFOLLOW)
            .context("set the time of", path)
    }

    /// Tells that it was a device node that could not be made.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let Device { major, minor } = self.device;
        match error {
            Error::Io { path, source, .. }
                if matches!(self.kind, FileKind::CharDevice | FileKind::BlockDevice) =>
            {
                Error::Device { path, major, minor, source }
            }
            other => other,
        }
    }
}

impl Attributes {
    /// Sets everything on an open file or directory of a tree; `path` is for messages.
    pub(crate) fn apply(&self, owners: &Owners, file: impl AsFd, path: &Path) -> Result<(), Error> {
        owners.give(&file, self, path)?;
        set_time(&file, self.mtime, path)
    }
}

/// Sets the mtime of an open file or directory; `path` is for messages.
pub(crate) fn set_time(file: impl AsFd, mtime: Timestamp, path: &Path) -> Result<(), Error> {
    futimens(&file, &times(mtime)).context("set the time of", path)
}

fn times(mtime: Timestamp) -> Timestamps {
    let time = Timespec { tv_sec: mtime.secs, tv_nsec: mtime.nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}
