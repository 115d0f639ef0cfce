//! A directory that is the root of every path lookup below it.
//!
//! Paths come from images, archives and users; none of them may reach anything outside. So nothing in this crate
//! hands a path to the kernel but relative to a [`Root`], with openat2(2) `RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS`:
//! `..` stops at the root, absolute paths and symbolic links start there, and what was looked up is what is used.
//!
//! Two kinds of lookup exist. The public ones follow symbolic links in parent directories, as a process in a
//! container would. The `exact` ones of this crate refuse every link on the way: they compare and write trees entry by
//! entry, where `a/b` must never mean "b in whatever `a` points to".

mod remove;
mod resolve;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, Mode, OFlags, ResolveFlags, openat2, readlinkat};
use rustix::io::Errno;
use rustix::path::Arg;

pub(crate) use remove::remove_entry;
pub use resolve::Ownership;

use crate::Error;
use crate::error::Context;
use crate::metadata::{FileKind, Metadata};
use crate::owners::Owners;

const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
const EXACT: ResolveFlags = IN_ROOT.union(ResolveFlags::NO_SYMLINKS);

/// openat2(2) gives EAGAIN when a rename anywhere in the system raced with a `..`.
const ATTEMPTS: usize = 256;

pub(crate) const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);
pub(crate) const READ_DIR: OFlags = READ.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);
/// A named pipe put where a file was must not block us.
pub(crate) const READ_FILE: OFlags = READ.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK);
pub(crate) const HANDLE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);
/// A directory to make entries in.
pub(crate) const DIR_HANDLE: OFlags = HANDLE.union(OFlags::DIRECTORY);
const HANDLE_FOLLOW: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// An open directory that no lookup leaves.
///
/// Paths may be absolute or relative; both start at this directory, and the empty path means the directory itself.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    path: PathBuf,
    owners: Owners,
}

impl Root {
    /// Opens the directory `path` of the builder's own file system, where the disk says whom files belong to.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(path, Owners::on_disk())
    }

    /// Opens the directory `path` of the builder's own file system, where `owners` says whom files belong to.
    ///
    /// Everyone who opens one tree must do it with clones of one value.
    pub fn open_with(path: impl AsRef<Path>, owners: Owners) -> Result<Self, Error> {
        let path = path.as_ref();
        let flags = READ | OFlags::DIRECTORY;
        // The kernel itself never answers so where a directory is to be read.
        let fd = match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::empty()) {
            Err(errno @ (Errno::NOSYS | Errno::PERM)) => {
                return Err(Error::Lookup { path: path.to_owned(), source: errno.into() });
            }
            answer => answer.context("open the directory", path)?,
        };
        Ok(Self { fd, path: path.to_owned(), owners })
    }

    /// Opens the directory `path` inside of this root as a root of its own.
    pub fn sub_root(&self, path: &Path) -> Result<Self, Error> {
        let flags = READ | OFlags::DIRECTORY;
        let fd = self.look_up(path, flags, IN_ROOT).context("open the directory", path)?;
        Ok(Self { fd, path: self.path.join(relative(path)), owners: self.owners.clone() })
    }

    /// Another handle of the same directory.
    pub fn try_clone(&self) -> Result<Self, Error> {
        let fd = self.fd.try_clone().context("duplicate the handle of", &self.path)?;
        Ok(Self { fd, path: self.path.clone(), owners: self.owners.clone() })
    }

    /// The open directory.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Where the directory was when it was opened. For messages only.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whom the files in it belong to.
    pub fn owners(&self) -> &Owners {
        &self.owners
    }

    /// The metadata of `path`; a link at its end is not followed. `None` when there is nothing.
    pub fn lstat(&self, path: &Path) -> Result<Option<Metadata>, Error> {
        self.metadata(path, HANDLE, IN_ROOT)
    }

    /// The metadata of what `path` leads to; links are followed. `None` when there is nothing.
    pub fn stat(&self, path: &Path) -> Result<Option<Metadata>, Error> {
        self.metadata(path, HANDLE_FOLLOW, IN_ROOT)
    }

    /// Opens a regular file for reading, following links. Other kinds are refused, and none of them blocks.
    pub fn open_file(&self, path: &Path) -> Result<File, Error> {
        let flags = READ | OFlags::NONBLOCK;
        let fd = self.look_up(path, flags, IN_ROOT).context("open", path)?;
        self.regular(fd, path).map(|(file, _)| file)
    }

    /// The content of a regular file, following links; `None` when there is nothing.
    ///
    /// Content of more than `limit` bytes and files of other kinds are refused without reading them.
    pub fn read_bounded(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        match self.stat(path)? {
            None => return Ok(None),
            Some(metadata) if metadata.kind != FileKind::File => {
                return Err(wrong_kind(path, "regular file"));
            }
            Some(_) => {}
        }
        let mut content = Vec::new();
        let file = self.open_file(path)?;
        file.take(limit.saturating_add(1)).read_to_end(&mut content).context("read", path)?;
        if content.len() as u64 > limit {
            return Err(Error::FileTooLarge { path: path.to_owned(), limit });
        }
        Ok(Some(content))
    }

    /// The names in the directory `path`, sorted by their bytes, without `.` and `..`.
    pub fn read_dir(&self, path: &Path) -> Result<Vec<OsString>, Error> {
        let fd = self.look_up(path, READ | OFlags::DIRECTORY, IN_ROOT).context("open the directory", path)?;
        names(&fd).context("list the directory", path)
    }

    /// The target of the symbolic link `path`, as it is written in it.
    pub fn read_link(&self, path: &Path) -> Result<PathBuf, Error> {
        let fd = self.look_up(path, HANDLE, IN_ROOT).context("open", path)?;
        link_target(&fd).context("read the link", path)
    }

    /// Removes `path` and everything below it. A link at its end is removed itself; nothing there is no error.
    pub fn remove_all(&self, path: &Path) -> Result<(), Error> {
        let canonical = self.resolve_parent(path)?;
        let Some(name) = canonical.file_name() else {
            return Err(Error::io("remove", path, Errno::BUSY));
        };
        match self.open_parent(&canonical) {
            Ok(parent) => remove_entry(&self.owners, parent.as_fd(), name, &canonical),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(errno) => Err(Error::io("open the parent directory of", path, errno)),
        }
    }

    /// Like [`lstat`](Self::lstat), but nothing is found behind a symbolic link.
    pub(crate) fn lstat_exact(&self, path: &Path) -> Result<Option<Metadata>, Error> {
        self.metadata(path, HANDLE, EXACT)
    }

    /// Opens `path`, refusing every symbolic link on the way with `ELOOP`.
    pub(crate) fn open_exact(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        self.look_up(path, flags, EXACT)
    }

    /// Opens the regular file `path` without following any link, and reads the metadata of what was opened.
    pub(crate) fn open_file_exact(&self, path: &Path) -> Result<(File, Metadata), Error> {
        let fd = self.open_exact(path, READ_FILE).context("open", path)?;
        self.regular(fd, path)
    }

    /// Opens the directory that holds the canonical `path`.
    pub(crate) fn open_parent(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        self.open_exact(path.parent().unwrap_or(Path::new("")), DIR_HANDLE)
    }

    /// Reads the metadata of `path` below `dir`, a directory or file of this tree, as [`Metadata::read`] does.
    pub(crate) fn read_metadata(&self, dir: impl AsFd, path: impl Arg) -> rustix::io::Result<Metadata> {
        Metadata::read(dir, path).map(|metadata| self.owners.correct(metadata))
    }

    fn regular(&self, fd: OwnedFd, path: &Path) -> Result<(File, Metadata), Error> {
        let metadata = self.read_metadata(&fd, c"").context("read the metadata of", path)?;
        if metadata.kind == FileKind::File {
            Ok((fd.into(), metadata))
        } else {
            Err(wrong_kind(path, "regular file"))
        }
    }

    fn metadata(&self, path: &Path, flags: OFlags, resolve: ResolveFlags) -> Result<Option<Metadata>, Error> {
        match self.look_up(path, flags, resolve) {
            Ok(fd) => self.read_metadata(&fd, c"").map(Some).context("read the metadata of", path),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(Errno::LOOP) if resolve == EXACT => Ok(None),
            Err(errno) => Err(Error::io("look up", path, errno)),
        }
    }

    fn look_up(&self, path: &Path, flags: OFlags, resolve: ResolveFlags) -> rustix::io::Result<OwnedFd> {
        let path = relative(path);
        for _ in 0..ATTEMPTS {
            match openat2(&self.fd, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                answer => return answer,
            }
        }
        Err(Errno::AGAIN)
    }
}

/// The names in an open directory, sorted by their bytes, without `.` and `..`.
pub(crate) fn names(dir: impl AsFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The target of a link opened as a handle.
pub(crate) fn link_target(link: impl AsFd) -> io::Result<PathBuf> {
    let target = readlinkat(link, c"", Vec::new())?;
    Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

/// `path` without its leading slashes; `.` for the root itself.
fn relative(path: &Path) -> &Path {
    let path = path.strip_prefix("/").unwrap_or(path);
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn wrong_kind(path: &Path, expected: &'static str) -> Error {
    Error::WrongKind { path: path.to_owned(), expected }
}
