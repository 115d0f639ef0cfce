//! The directories that entries go into: found, or made when the archive forgot them.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::io::Errno;

use super::UnpackOptions;
use super::placed::Placed;
use crate::Error;
use crate::deferred::Deferred;
use crate::error::Context;
use crate::metadata::{Metadata, Timestamp};
use crate::node::Attributes;
use crate::root::{DIR_HANDLE, Ownership, Root};
use crate::xattr::Xattrs;

/// An open directory and its canonical path.
#[derive(Debug)]
pub(super) struct Parent {
    pub(super) path: PathBuf,
    pub(super) fd: OwnedFd,
}

/// Opens parents, and remembers the last one: entries of a directory mostly follow each other.
#[derive(Debug)]
pub(super) struct Parents {
    /// What missing parents get.
    ownership: Ownership,
    keep_times: bool,
    last: Option<(PathBuf, Rc<Parent>)>,
}

impl Parents {
    pub(super) fn new(options: &UnpackOptions) -> Self {
        let (uid, gid) = options.adjust.owner.unwrap_or((0, 0));
        // A layer that does not speak of a directory leaves its time as it was.
        Self { ownership: Ownership { uid, gid, mode: 0o755 }, keep_times: options.whiteouts, last: None }
    }

    /// The directory that holds `path`, made with all above it when it is missing.
    pub(super) fn open(
        &mut self,
        root: &Root,
        path: &Path,
        placed: &mut Placed,
        dirs: &mut Deferred,
    ) -> Result<Rc<Parent>, Error> {
        if let Some(parent) = self.open_existing(root, path, dirs)? {
            return Ok(parent);
        }
        let dir = path.parent().unwrap_or(Path::new(""));
        for made in root.create_dir_all(dir, &self.ownership)? {
            placed.note_fresh(&made);
            dirs.set(&made, self.implied_attributes());
        }
        self.open_existing(root, path, dirs)?.ok_or_else(|| Error::Changed { path: dir.to_owned() })
    }

    /// The directory that holds `path`; `None` when it is missing.
    pub(super) fn open_existing(
        &mut self,
        root: &Root,
        path: &Path,
        dirs: &mut Deferred,
    ) -> Result<Option<Rc<Parent>>, Error> {
        let dir = path.parent().unwrap_or(Path::new(""));
        if let Some((_, parent)) = self.last.as_ref().filter(|(last, _)| last == dir) {
            return Ok(Some(parent.clone()));
        }
        let Some(parent) = open_dir(root, dir)? else { return Ok(None) };
        if self.keep_times {
            let metadata = Metadata::read(&parent.fd, c"").context("read the metadata of", &parent.path)?;
            dirs.keep_time(&parent.path, metadata.mtime);
        }
        let parent = Rc::new(parent);
        self.last = Some((dir.to_owned(), parent.clone()));
        Ok(Some(parent))
    }

    /// Forgets the last directory: something that a path may lead through was removed.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// Nothing in the archive tells the time of a directory that it forgot, and a clock must not.
    fn implied_attributes(&self) -> Attributes {
        let Ownership { uid, gid, mode } = self.ownership;
        Attributes { mode, uid, gid, mtime: Timestamp::default(), xattrs: Xattrs::new() }
    }
}

fn open_dir(root: &Root, dir: &Path) -> Result<Option<Parent>, Error> {
    const OPERATION: &str = "open the directory";
    match root.open_exact(dir, DIR_HANDLE) {
        Ok(fd) => return Ok(Some(Parent { path: dir.to_owned(), fd })),
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => {}
        Err(errno) => return Err(Error::io(OPERATION, dir, errno)),
    }
    // A link is on the way, or something is missing: find out where the path leads.
    let path = root.resolve(dir)?;
    match root.open_exact(&path, DIR_HANDLE) {
        Ok(fd) => Ok(Some(Parent { path, fd })),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::io(OPERATION, dir, errno)),
    }
}
