//! Places for mounts inside a root file system: found without leaving it, made where missing, removed without a trace.
//!
//! Every lookup is openat2(2) with `RESOLVE_IN_ROOT`: links of the image lead around inside it, never out.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, UTIME_OMIT, futimens, mkdirat,
    openat, openat2, readlinkat, statat, unlinkat,
};
use rustix::io::Errno as Os;

use crate::errno::Errno;
use crate::error::{Attempt, Error};
use crate::mounts::proc_path;

/// As many links as the kernel follows in one lookup (`path_resolution(7)`).
pub(crate) const LINKS: u32 = 40;

/// How often a lookup is repeated on a busy machine: some milliseconds.
const ATTEMPTS: u32 = 10_000;

/// What a mount point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
}

impl Kind {
    /// Of an open file.
    pub(crate) fn of(file: impl AsFd) -> Result<Self, Error> {
        let stat = rustix::fs::fstat(file).attempt("fstat", || "look at a mount source".to_owned())?;
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        Ok(if is_dir { Self::Directory } else { Self::File })
    }
}

/// What to do about a missing name.
pub(crate) enum Missing {
    /// It was made.
    Made,
    /// It shall stay missing.
    Leave,
}

/// Opens `path` inside `root` for use in a mount, without following a link out of it.
pub(crate) fn open_inside(root: impl AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    open(root, path, OFlags::PATH | OFlags::CLOEXEC)
}

/// As [`open_inside`], but a link at the end of `path` is opened itself.
pub(crate) fn open_link_inside(root: impl AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    open(root, path, OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW)
}

fn open(root: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let mut attempts = 0;
    loop {
        match openat2(&root, path, flags, Mode::empty(), inside) {
            // openat2(2): a rename or mount anywhere on the machine came between, so `..` could not be trusted.
            Err(Os::AGAIN) if attempts < ATTEMPTS => attempts += 1,
            answer => return answer.map_err(Errno::from),
        }
    }
}

/// Finds the mount point `target` inside `root`; `make` is asked to make what is missing, and may decline.
pub(crate) fn find(
    root: BorrowedFd<'_>,
    target: &Path,
    kind: Kind,
    make: &mut dyn FnMut(&OwnedFd, &OsStr, Kind) -> Result<Missing, Error>,
) -> Result<Option<OwnedFd>, Error> {
    let found = Search { root, target, make, links: LINKS }.open(&clean(target), kind)?;
    let Some(found) = found else { return Ok(None) };
    if Kind::of(&found)? == kind {
        return Ok(Some(found));
    }
    let expected = match kind {
        Kind::Directory => "a directory",
        Kind::File => "a file",
    };
    Err(Error::MountPoint { target: target.display().to_string(), expected: expected.to_owned() })
}

struct Search<'a> {
    root: BorrowedFd<'a>,
    target: &'a Path,
    make: &'a mut dyn FnMut(&OwnedFd, &OsStr, Kind) -> Result<Missing, Error>,
    links: u32,
}

impl Search<'_> {
    fn open(&mut self, path: &Path, kind: Kind) -> Result<Option<OwnedFd>, Error> {
        match open_inside(self.root, path) {
            Ok(found) => return Ok(Some(found)),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno).attempt("openat2", || self.doing()),
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::NOENT).attempt("openat2", || self.doing());
        };
        let Some(directory) = self.open(parent, Kind::Directory)? else { return Ok(None) };
        match readlinkat(&directory, name, Vec::new()) {
            Ok(link) => {
                self.links = self.links.saturating_sub(1);
                if self.links == 0 {
                    return Err(Os::LOOP).attempt("openat2", || self.doing());
                }
                // A dangling link: what it names is what is missing. An absolute one replaces the whole path.
                return self.open(&parent.join(OsStr::from_bytes(link.as_bytes())), kind);
            }
            Err(Os::NOENT) => {}
            Err(errno) => return Err(errno).attempt("readlinkat", || self.doing()),
        }
        match (self.make)(&directory, name, kind)? {
            Missing::Leave => Ok(None),
            Missing::Made => {
                open_inside(directory, Path::new(name)).map(Some).attempt("openat2", || self.doing())
            }
        }
    }

    fn doing(&self) -> String {
        format!("find `{}` in the image", self.target.display())
    }
}

/// As BuildKit cleans targets: absolute, `..` taken back by text and cut off at the root.
pub(crate) fn clean(target: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for component in target.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    cleaned
}

/// Makes an empty directory (0755) or file (0644) as a place for a mount.
pub(crate) fn make_empty(directory: &OwnedFd, name: &OsStr, kind: Kind) -> Result<(), Errno> {
    match kind {
        Kind::Directory => mkdirat(directory, name, Mode::from_raw_mode(0o755))?,
        Kind::File => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            drop(openat(directory, name, flags, Mode::from_raw_mode(0o644))?);
        }
    }
    Ok(())
}

/// The mount points that were made in a root file system for one step.
#[derive(Debug, Default)]
pub(crate) struct Stubs(Vec<Stub>);

#[derive(Debug)]
struct Stub {
    directory: OwnedFd,
    name: OsString,
    made: Stat,
    kind: Kind,
}

impl Stubs {
    /// Makes what is missing for mounts on `targets`, in their order.
    ///
    /// A target below an earlier one is left alone: its place is in that mount, not in the root file system.
    pub(crate) fn make(rootfs: &OwnedFd, targets: &[(PathBuf, Kind)]) -> Result<Self, Error> {
        let mut stubs = Self::default();
        match stubs.make_all(rootfs, targets) {
            Ok(()) => Ok(stubs),
            Err(error) => stubs.remove().and(Err(error)),
        }
    }

    fn make_all(&mut self, rootfs: &OwnedFd, targets: &[(PathBuf, Kind)]) -> Result<(), Error> {
        let mut covered: Vec<PathBuf> = Vec::new();
        for (target, kind) in targets {
            let mut make = |directory: &OwnedFd, name: &OsStr, kind| {
                let directory_path = real_path(directory)?;
                if covered.iter().any(|mount| directory_path.starts_with(mount)) {
                    return Ok(Missing::Leave);
                }
                let stub = Stub::make(directory, name, kind)
                    .attempt("mkdirat", || format!("make the mount point `{}`", target.display()))?;
                self.0.push(stub);
                Ok(Missing::Made)
            };
            if let Some(found) = find(rootfs.as_fd(), target, *kind, &mut make)? {
                covered.push(real_path(&found)?);
            }
        }
        Ok(())
    }

    /// Removes again what is still empty, the last first. What a step put content into is the step's.
    pub(crate) fn remove(self) -> Result<(), Error> {
        let mut result = Ok(());
        for stub in self.0.into_iter().rev() {
            let removed = stub
                .remove()
                .attempt("unlinkat", || format!("remove the mount point `{}`", stub.name.to_string_lossy()));
            result = result.and(removed);
        }
        result
    }
}

impl Stub {
    fn make(directory: &OwnedFd, name: &OsStr, kind: Kind) -> Result<Self, Errno> {
        // Times can be set through a directory that is open for reading, not through an O_PATH descriptor.
        let directory =
            openat(directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let made = keeping_times(&directory, || {
            make_empty(&directory, name, kind)?;
            Ok(statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?)
        })?;
        Ok(Self { directory, name: name.to_owned(), made, kind })
    }

    fn remove(&self) -> Result<(), Errno> {
        let now = match statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(now) => now,
            Err(Os::NOENT) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        };
        let ours = (now.st_dev, now.st_ino) == (self.made.st_dev, self.made.st_ino);
        let flags = match self.kind {
            _ if !ours => return Ok(()),
            Kind::File if now.st_size > 0 => return Ok(()),
            Kind::File => AtFlags::empty(),
            Kind::Directory => AtFlags::REMOVEDIR,
        };
        keeping_times(&self.directory, || match unlinkat(&self.directory, &self.name, flags) {
            Err(Os::NOTEMPTY) => Ok(()),
            answer => answer.map_err(Errno::from),
        })
    }
}

/// Changes the content of a directory, but not its modification time.
fn keeping_times<T>(directory: &OwnedFd, change: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let before = rustix::fs::fstat(directory)?;
    let changed = change()?;
    let last_modification = Timespec { tv_sec: before.st_mtime, tv_nsec: before.st_mtime_nsec.cast_signed() };
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    futimens(directory, &Timestamps { last_access, last_modification })?;
    Ok(changed)
}

fn real_path(file: &OwnedFd) -> Result<PathBuf, Error> {
    fs::read_link(proc_path(file)).attempt("readlink", || "find the path of a mount point".to_owned())
}
