//! What lstat says about an entry, in the words of this crate.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, statx};
use rustix::path::Arg;

/// The kind of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A character device node.
    CharDevice,
    /// A block device node.
    BlockDevice,
    /// A socket; no layer can hold one.
    Socket,
}

impl FileKind {
    /// The kind in words, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "regular file",
            Self::Directory => "directory",
            Self::Symlink => "symbolic link",
            Self::Fifo => "named pipe",
            Self::CharDevice => "character device",
            Self::BlockDevice => "block device",
            Self::Socket => "socket",
        }
    }

    /// What the ownership table calls an entry that is of this kind on disk.
    pub(crate) fn on_disk(self) -> ownership::Kind {
        match self {
            Self::File => ownership::Kind::File,
            Self::Directory => ownership::Kind::Directory,
            Self::Symlink => ownership::Kind::Symlink,
            Self::Fifo | Self::CharDevice | Self::BlockDevice | Self::Socket => ownership::Kind::Other,
        }
    }

    fn of(mode: u16) -> Self {
        match FileType::from_raw_mode(mode.into()) {
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::Fifo => Self::Fifo,
            FileType::CharacterDevice => Self::CharDevice,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::Socket => Self::Socket,
            _ => Self::File,
        }
    }
}

/// A point in time: `secs` + `nanos` / 10⁹ seconds after the epoch, `nanos` always in 0..10⁹ (also before 1970).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Whole seconds since the epoch, rounded down.
    pub secs: i64,
    /// Nanoseconds after `secs`.
    pub nanos: u32,
}

impl Timestamp {
    /// The moment `secs` whole seconds after the epoch.
    pub fn from_secs(secs: i64) -> Self {
        Self { secs, nanos: 0 }
    }

    pub(crate) fn as_nanos(self) -> i128 {
        i128::from(self.secs) * 1_000_000_000 + i128::from(self.nanos)
    }
}

/// The numbers of a device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Device {
    /// The driver.
    pub major: u32,
    /// The device of that driver.
    pub minor: u32,
}

/// The identity of a file on this machine: two names with one `Inode` are hard links of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inode {
    /// The file system.
    pub device: Device,
    /// The inode number in it.
    pub number: u64,
}

/// What `lstat` says about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// The kind of the entry.
    pub kind: FileKind,
    /// The permission bits with set-id and sticky bits, at most `0o7777`.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The size in bytes as the kernel gives it.
    pub size: u64,
    /// The allocated size in units of 512 bytes.
    pub blocks: u64,
    /// The time of the last change of the content.
    pub mtime: Timestamp,
    /// The time of the last change of anything; nothing but the kernel sets it.
    pub ctime: Timestamp,
    /// The identity of the file.
    pub inode: Inode,
    /// The number of names.
    pub nlink: u32,
    /// The numbers of a device node; 0:0 for other kinds.
    pub device: Device,
}

impl Metadata {
    /// Reads what the disk says of `path` below `dir` without following a link; an empty path means `dir` itself.
    ///
    /// To whom it belongs, and whether it is a device, is told by [`Root::read_metadata`](crate::Root::read_metadata).
    pub(crate) fn read(dir: impl AsFd, path: impl Arg) -> rustix::io::Result<Self> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
        statx(dir, path, flags, StatxFlags::BASIC_STATS).map(|statx| Self::from(&statx))
    }

    /// Whether the file has several names, so that another one may be met.
    pub fn is_hard_linked(&self) -> bool {
        self.nlink > 1 && self.kind != FileKind::Directory
    }

    /// Whether this is what overlay leaves where a file of a lower layer was removed.
    pub(crate) fn is_whiteout_device(&self) -> bool {
        self.kind == FileKind::CharDevice && self.device == Device::default()
    }
}

impl From<&Statx> for Metadata {
    fn from(statx: &Statx) -> Self {
        let kind = FileKind::of(statx.stx_mode);
        let is_device = matches!(kind, FileKind::CharDevice | FileKind::BlockDevice);
        let device = Device { major: statx.stx_rdev_major, minor: statx.stx_rdev_minor };
        Self {
            kind,
            mode: u32::from(statx.stx_mode) & 0o7777,
            uid: statx.stx_uid,
            gid: statx.stx_gid,
            size: statx.stx_size,
            blocks: statx.stx_blocks,
            mtime: Timestamp { secs: statx.stx_mtime.tv_sec, nanos: statx.stx_mtime.tv_nsec },
            ctime: Timestamp { secs: statx.stx_ctime.tv_sec, nanos: statx.stx_ctime.tv_nsec },
            inode: Inode {
                device: Device { major: statx.stx_dev_major, minor: statx.stx_dev_minor },
                number: statx.stx_ino,
            },
            nlink: statx.stx_nlink,
            device: if is_device { device } else { Device::default() },
        }
    }
}
