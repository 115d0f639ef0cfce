//! Attributes of directories, set when everything in them is done.
//!
//! Making an entry changes the mtime of its directory, and a directory without write permission could not be filled;
//! so owner, mode, attributes and time of directories come last, innermost first.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::Error;
use crate::metadata::Timestamp;
use crate::node::{Attributes, set_time};
use crate::root::{READ_DIR, Root};

/// The directories that wait for their attributes, by canonical path.
#[derive(Debug, Default)]
pub(crate) struct Deferred {
    dirs: BTreeMap<PathBuf, Work>,
}

#[derive(Debug)]
enum Work {
    Set(Attributes),
    KeepTime(Timestamp),
}

impl Deferred {
    /// Notes the attributes of `path`; what was noted before is forgotten.
    pub(crate) fn set(&mut self, path: &Path, attributes: Attributes) {
        self.dirs.insert(path.to_owned(), Work::Set(attributes));
    }

    /// Notes that `path` is to have `mtime`, unless something was noted before.
    pub(crate) fn keep_time(&mut self, path: &Path, mtime: Timestamp) {
        if !self.dirs.contains_key(path) {
            self.dirs.insert(path.to_owned(), Work::KeepTime(mtime));
        }
    }

    /// Forgets `path` and everything below it, because it was removed.
    pub(crate) fn forget(&mut self, path: &Path) {
        let below = (Bound::Included(path), Bound::Unbounded);
        let gone: Vec<_> = self
            .dirs
            .range::<Path, _>(below)
            .map(|(dir, _)| dir.clone())
            .take_while(|dir| dir.starts_with(path))
            .collect();
        for dir in gone {
            self.dirs.remove(&dir);
        }
    }

    /// Sets all attributes. A directory that something outside of our sight replaced is left alone.
    pub(crate) fn apply(self, root: &Root) -> Result<(), Error> {
        for (path, work) in self.dirs.iter().rev() {
            match (root.open_exact(path, READ_DIR), work) {
                (Ok(dir), Work::Set(attributes)) => attributes.apply(root.owners(), &dir, path)?,
                (Ok(dir), Work::KeepTime(mtime)) => set_time(&dir, *mtime, path)?,
                (Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP), _) => {}
                (Err(errno), _) => return Err(Error::io("open the directory", path, errno)),
            }
        }
        Ok(())
    }
}
