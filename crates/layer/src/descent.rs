//! Going down and up a tree with a bounded number of open files, however deep it is.
//!
//! Only the current directory is open. Going up opens `..` and checks that it is the directory we came from: when
//! something moved directories meanwhile, that is an error and never a way out of the tree.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, openat};

use crate::Error;
use crate::error::Context;
use crate::metadata::{Inode, Metadata};
use crate::root::{READ_DIR, names};

const OPERATION: &str = "open the directory";

/// A position in a tree. The paths its methods take are for messages.
#[derive(Debug)]
pub(crate) struct Descent {
    current: OwnedFd,
    /// The directories above the current one, outermost first.
    above: Vec<Inode>,
    inode: Inode,
}

impl Descent {
    /// Starts in the directory `name` of `parent`.
    pub(crate) fn start(parent: BorrowedFd<'_>, name: &OsStr, path: &Path) -> Result<Self, Error> {
        Self::at(openat(parent, name, READ_DIR, Mode::empty()).context(OPERATION, path)?, path)
    }

    /// Starts in an open directory.
    pub(crate) fn at(current: OwnedFd, path: &Path) -> Result<Self, Error> {
        let inode = inode(&current, path)?;
        Ok(Self { current, above: Vec::new(), inode })
    }

    /// The directory we are in.
    pub(crate) fn current(&self) -> BorrowedFd<'_> {
        self.current.as_fd()
    }

    /// The sorted names in the directory we are in.
    pub(crate) fn names(&self, path: &Path) -> Result<Vec<OsString>, Error> {
        names(&self.current).context("list the directory", path)
    }

    /// Goes into the directory `name` of the current one.
    pub(crate) fn enter(&mut self, name: &OsStr, path: &Path) -> Result<(), Error> {
        let child = openat(&self.current, name, READ_DIR, Mode::empty()).context(OPERATION, path)?;
        let inode = inode(&child, path)?;
        self.above.push(std::mem::replace(&mut self.inode, inode));
        self.current = child;
        Ok(())
    }

    /// Goes up and returns the directory arrived in; `None` when that would leave the tree.
    pub(crate) fn leave(&mut self, path: &Path) -> Result<Option<BorrowedFd<'_>>, Error> {
        let Some(expected) = self.above.pop() else { return Ok(None) };
        let parent = openat(&self.current, c"..", READ_DIR, Mode::empty()).context(OPERATION, path)?;
        self.inode = inode(&parent, path)?;
        if self.inode != expected {
            return Err(Error::Changed { path: path.to_owned() });
        }
        self.current = parent;
        Ok(Some(self.current.as_fd()))
    }
}

fn inode(dir: impl AsFd, path: &Path) -> Result<Inode, Error> {
    Ok(Metadata::read(dir, c"").context("read the metadata of", path)?.inode)
}
