//! What a step sees as its file system: a root directory and, at some paths, other files and directories.
//!
//! Nothing is mounted: a [`View`] is the table by which paths are looked up. A [`Place`] is an open file with the path
//! by which the step knows it.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat};
use rustix::io::Errno;

use super::copies::Copies;
use crate::spec::{Access, Limits};

/// A handle: nothing can be read through it, and it can be made of everything.
pub(super) const HANDLE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// The identity of a file on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl From<&Stat> for FileId {
    fn from(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// What kind of thing is shown at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Files like those of the root.
    Files,
    /// The kernel's /proc.
    Proc,
    /// The kernel's /sys.
    Sys,
    /// A device of the machine.
    Device,
    /// A file that is never on disk.
    Memory,
}

/// A file or directory that stands at a path in place of what is there.
#[derive(Debug)]
pub(super) struct MountPoint {
    /// Where, as a canonical path.
    pub(super) target: PathBuf,
    /// Where it really is.
    pub(super) host: PathBuf,
    pub(super) fd: OwnedFd,
    pub(super) id: FileId,
    pub(super) is_dir: bool,
    pub(super) limits: Limits,
    pub(super) shown: Shown,
}

impl MountPoint {
    /// Shows the open file or directory `fd` at `target`.
    pub(super) fn new(target: PathBuf, fd: OwnedFd, limits: Limits, shown: Shown) -> Result<Self, Errno> {
        let stat = fstat(&fd)?;
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let host = real_path(&fd)?;
        Ok(Self { target, host, fd, id: FileId::from(&stat), is_dir, limits, shown })
    }
}

/// All that a step sees.
#[derive(Debug)]
pub(super) struct View {
    root: Arc<Place>,
    id: FileId,
    host: PathBuf,
    /// The later one covers the earlier one.
    mounts: Vec<MountPoint>,
    copies: Copies,
}

/// An open file, as the step knows it.
#[derive(Debug)]
pub(super) struct Place {
    /// A handle.
    pub(super) fd: OwnedFd,
    /// A path without links, `.` and `..`; for messages, for getcwd(2), and to find mounts.
    pub(super) path: PathBuf,
    /// The mount that it lies in, if not in the root itself.
    pub(super) mount: Option<usize>,
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Place {
    /// What lstat(2) says, without regard to the ownership table.
    pub(super) fn stat(&self) -> Result<Stat, Errno> {
        fstat(&self.fd)
    }

    /// Whether a directory was not removed.
    pub(super) fn is_there(&self) -> bool {
        self.stat().is_ok_and(|stat| stat.st_nlink > 0)
    }

    pub(super) fn duplicate(&self) -> Result<Self, Errno> {
        let fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 3)?;
        Ok(Self { fd, path: self.path.clone(), mount: self.mount })
    }
}

impl View {
    /// A view of the directory `root`, with `mounts` in it.
    pub(super) fn new(root: OwnedFd, mounts: Vec<MountPoint>) -> Result<Self, Errno> {
        let id = FileId::from(&fstat(&root)?);
        let host = real_path(&root)?;
        let copies = Copies::new(&root, &mounts);
        let root = Arc::new(Place { fd: root, path: PathBuf::from("/"), mount: None });
        Ok(Self { root, id, host, mounts, copies })
    }

    /// What stands for files that the kernel does not execute.
    pub(super) fn copies(&self) -> &Copies {
        &self.copies
    }

    pub(super) fn root(&self) -> &Arc<Place> {
        &self.root
    }

    /// Where the root really is.
    pub(super) fn host(&self) -> &Path {
        &self.host
    }

    pub(super) fn mounts(&self) -> &[MountPoint] {
        &self.mounts
    }

    /// What may be done with the files of a place.
    pub(super) fn limits(&self, mount: Option<usize>) -> Limits {
        mount.and_then(|index| self.mounts.get(index)).map_or_else(Limits::default, |mount| mount.limits)
    }

    /// `EROFS` if nothing may be written there.
    pub(super) fn check_writable(&self, mount: Option<usize>) -> Result<(), Errno> {
        match self.limits(mount).access {
            Access::ReadOnly => Err(Errno::ROFS),
            Access::ReadWrite => Ok(()),
        }
    }

    pub(super) fn shown(&self, mount: Option<usize>) -> Shown {
        mount.and_then(|index| self.mounts.get(index)).map_or(Shown::Files, |mount| mount.shown)
    }

    /// Whether a file is in a file system of processes.
    pub(super) fn is_of_processes(&self, stat: &Stat) -> bool {
        self.mounts.iter().any(|mount| mount.shown == Shown::Proc && mount.id.device == stat.st_dev)
    }

    /// What is mounted exactly at `path`.
    pub(super) fn mounted_at(&self, path: &Path) -> Result<Option<Place>, Errno> {
        let Some((index, mount)) =
            self.mounts.iter().enumerate().rev().find(|(_, mount)| mount.target.as_os_str() == path)
        else {
            return Ok(None);
        };
        let fd = rustix::io::fcntl_dupfd_cloexec(&mount.fd, 3)?;
        Ok(Some(Place { fd, path: path.to_owned(), mount: Some(index) }))
    }

    /// Whether something is mounted at `path`, or at one of the directories above it.
    pub(super) fn is_mounted(&self, path: &Path) -> bool {
        // Canonical paths are compared faster as they stand than name by name.
        let path = path.as_os_str().as_bytes();
        let below = |mount: &MountPoint| path.strip_prefix(mount.target.as_os_str().as_bytes());
        self.mounts.iter().filter_map(below).any(|rest| matches!(rest.first(), None | Some(b'/')))
    }

    /// Whether something is mounted at `path` itself or below it: then it cannot be removed or renamed.
    pub(super) fn is_busy(&self, path: &Path) -> bool {
        self.mounts.iter().any(|mount| mount.target.starts_with(path))
    }

    /// Whether a directory is the root, above which nothing is.
    pub(super) fn is_root(&self, id: FileId) -> bool {
        id == self.id
    }

    /// The mount whose topmost directory this is.
    pub(super) fn mount_of(&self, mount: Option<usize>, id: FileId) -> Option<&MountPoint> {
        mount.and_then(|index| self.mounts.get(index)).filter(|mount| mount.id == id)
    }

    /// The place of an open file of the step, by where it really is.
    ///
    /// A file that was removed, or is none of a file system (a pipe), has the root's path: only its handle counts.
    /// `EACCES` for one that the step does not see; it should not have it.
    pub(super) fn place_of(&self, fd: OwnedFd) -> Result<Place, Errno> {
        let host = real_path(&fd)?;
        if let Some((path, mount)) = self.path_of(&host) {
            return Ok(Place { fd, path, mount });
        }
        let in_memory = host.as_os_str().as_bytes().starts_with(b"/memfd:");
        if in_memory && let Some(original) = self.copies.original(&fstat(&fd)?) {
            return self.place_of(rustix::io::fcntl_dupfd_cloexec(&*original, 3)?);
        }
        if host.is_absolute() && !in_memory && fstat(&fd)?.st_nlink > 0 {
            return Err(Errno::ACCESS);
        }
        Ok(Place { fd, path: PathBuf::from("/"), mount: None })
    }

    /// The place of the directory that `..` led to from `at`.
    ///
    /// `at` may have been moved by another step that sees more of the same files, so what counts is where the directory
    /// above really is. `ENOENT`, as from the kernel, for one that this step does not see.
    pub(super) fn place_above(&self, at: &Place, fd: OwnedFd) -> Result<Place, Errno> {
        let host = real_path(&fd)?;
        let (target, above) = match at.mount.and_then(|index| self.mounts.get(index)) {
            Some(mount) => (mount.target.as_path(), &mount.host),
            None => (Path::new("/"), &self.host),
        };
        match host.strip_prefix(above) {
            // What is mounted from inside the root is seen twice.
            Ok(below) => Ok(Place { fd, path: join(target, below), mount: at.mount }),
            Err(_) => self.place_of(fd).map_err(|_| Errno::NOENT),
        }
    }

    /// The path by which the step knows what is really at `host`; none if it does not see it.
    pub(super) fn path_of(&self, host: &Path) -> Option<(PathBuf, Option<usize>)> {
        let mounted = self.mounts.iter().enumerate().filter_map(|(index, mount)| {
            let below = host.strip_prefix(&mount.host).ok()?;
            let length = mount.host.as_os_str().len();
            Some((length, join(&mount.target, below), Some(index)))
        });
        let own = host
            .strip_prefix(&self.host)
            .ok()
            .map(|below| (self.host.as_os_str().len(), join(Path::new("/"), below), None));
        mounted.chain(own).max_by_key(|(length, ..)| *length).map(|(_, path, mount)| (path, mount))
    }
}

/// `Path::join` leaves a slash at the end where there is nothing to join.
fn join(path: &Path, below: &Path) -> PathBuf {
    if below.as_os_str().is_empty() { path.to_owned() } else { path.join(below) }
}

/// The path of an open file of this process, as `proc_pid_fd(5)` shows it.
pub(super) fn real_path(fd: impl AsFd) -> Result<PathBuf, Errno> {
    let link = readlinkat(CWD, crate::mounts::proc_path(&fd), Vec::new())?;
    Ok(PathBuf::from(std::ffi::OsString::from_vec(link.into_bytes())))
}

/// Opens the very file that a handle is of, with `flags`. A terminal does not become that of the supervisor, to which
/// it would then send signals.
pub(super) fn reopen(handle: impl AsFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
    openat(CWD, crate::mounts::proc_path(&handle), flags, Mode::empty())
}

/// The name of an open file for calls that take no descriptor of a handle.
pub(super) fn name_of(handle: impl AsFd) -> String {
    crate::mounts::proc_path(handle)
}

/// A file that a thread has open, of whatever kind, as a handle; `EBADF` if it has not.
pub(super) fn open_file(tid: i32, fd: i32) -> Result<OwnedFd, Errno> {
    if fd < 0 {
        return Err(Errno::BADF);
    }
    let name = format!("/proc/{tid}/fd/{fd}");
    match openat(CWD, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => Err(Errno::BADF),
        file => file,
    }
}

/// What the kernel tells under `key` of a file that a thread has open (`proc_pid_fdinfo(5)`); none if it tells nothing.
pub(super) fn told_of(tid: i32, fd: i32, key: &str) -> Option<String> {
    let info = std::fs::read_to_string(format!("/proc/{tid}/fdinfo/{fd}")).ok()?;
    info.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim().to_owned())
}

/// The flags with which a thread has a file open (`proc_pid_fdinfo(5)`); none if it has not.
pub(super) fn flags_of(tid: i32, fd: i32) -> OFlags {
    let flags = told_of(tid, fd, "flags:").and_then(|flags| u32::from_str_radix(&flags, 8).ok());
    OFlags::from_bits_retain(flags.unwrap_or(0))
}

/// A name in a directory, without a path.
pub(super) fn is_name(name: &OsStr) -> bool {
    !name.is_empty() && !name.as_bytes().contains(&b'/')
}
