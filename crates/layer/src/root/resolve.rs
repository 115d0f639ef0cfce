//! Paths that need not exist yet: canonical form, and making the directories that are missing.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, mkdirat};
use rustix::io::Errno;

use super::{HANDLE, READ_DIR, Root, link_target, wrong_kind};
use crate::Error;
use crate::error::Context;
use crate::metadata::FileKind;
use crate::node::Attributes;

/// `path_resolution(7)`: the kernel follows at most 40 links in one path.
const MAX_LINKS: usize = 40;

/// Owner and permission bits of an entry that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The permission bits with set-id and sticky bits, at most `0o7777`; no umask is applied.
    pub mode: u32,
}

impl Root {
    /// The canonical form of `path`: relative to the root, without links, `.` and `..`, empty for the root itself.
    ///
    /// A link at the end is followed, also when it dangles. What does not exist is kept as it is written.
    pub fn resolve(&self, path: &Path) -> Result<PathBuf, Error> {
        let mut resolved = PathBuf::new();
        let mut pending = Vec::new();
        push_reversed(&mut pending, path);
        let mut links = 0;
        while let Some(name) = pending.pop() {
            if name == ".." {
                resolved.pop();
                continue;
            }
            resolved.push(name);
            if let Some(target) = self.link_exact(&resolved)? {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Error::io("resolve", path, Errno::LOOP));
                }
                resolved.pop();
                if target.is_absolute() {
                    resolved.clear();
                }
                push_reversed(&mut pending, &target);
            }
        }
        Ok(resolved)
    }

    /// Like [`resolve`](Self::resolve), but a link at the end of `path` is not followed.
    pub fn resolve_parent(&self, path: &Path) -> Result<PathBuf, Error> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(self.resolve(parent)?.join(name)),
            _ => self.resolve(path),
        }
    }

    /// Makes the directory `path` and those above it that are missing, each with `ownership`; links are followed.
    ///
    /// Returns the canonical paths that were made, outermost first. Directories that exist are not touched.
    pub fn create_dir_all(&self, path: &Path, ownership: &Ownership) -> Result<Vec<PathBuf>, Error> {
        let canonical = self.resolve(path)?;
        let mut missing = Vec::new();
        for dir in canonical.ancestors() {
            match self.lstat_exact(dir)? {
                Some(metadata) if metadata.kind == FileKind::Directory => break,
                Some(_) => return Err(wrong_kind(dir, "directory")),
                None => missing.push(dir.to_owned()),
            }
        }
        missing.reverse();
        for dir in &missing {
            self.create_dir(dir, ownership)?;
        }
        Ok(missing)
    }

    /// Gives the directory at `path` this owner and these permissions; links are followed.
    pub fn set_ownership(&self, path: &Path, ownership: &Ownership) -> Result<(), Error> {
        let dir = self.open_exact(&self.resolve(path)?, READ_DIR).context("open the directory", path)?;
        self.give(dir, ownership, path)
    }

    fn create_dir(&self, path: &Path, ownership: &Ownership) -> Result<(), Error> {
        const OPERATION: &str = "make the directory";
        let parent = self.open_parent(path).context(OPERATION, path)?;
        let name = path.file_name().unwrap_or(OsStr::new("."));
        mkdirat(&parent, name, Mode::RWXU).context(OPERATION, path)?;
        let dir = self.open_exact(path, READ_DIR).context(OPERATION, path)?;
        self.give(&dir, ownership, path)
    }

    fn give(&self, dir: impl AsFd, ownership: &Ownership, path: &Path) -> Result<(), Error> {
        let Ownership { uid, gid, mode } = *ownership;
        self.owners().give(dir, &Attributes { mode, uid, gid, ..Attributes::default() }, path)
    }

    /// The target of `path` when it is a link.
    fn link_exact(&self, path: &Path) -> Result<Option<PathBuf>, Error> {
        match self.open_exact(path, HANDLE) {
            Ok(fd) => match link_target(&fd) {
                Ok(target) => Ok(Some(target)),
                // readlinkat(2) with an empty path answers ENOENT for anything but a link.
                Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => Ok(None),
                Err(error) => Err(Error::io("read the link", path, error)),
            },
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(Error::io("look up", path, errno)),
        }
    }
}

fn push_reversed(pending: &mut Vec<OsString>, path: &Path) {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let start = pending.len();
    pending.extend(names);
    pending[start..].reverse();
}
