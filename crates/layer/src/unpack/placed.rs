//! What a layer has put into the tree, as opposed to what lay there before: whiteouts remove only the latter.
//!
//! The image specification (`layer.md`, "Whiteouts") wants it so whatever the order of entries. Memory is kept only for
//! directories, and for entries of directories that were there before.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::Error;
use crate::metadata::FileKind;
use crate::root::{Root, remove_entry};

/// The canonical paths that came with this layer.
#[derive(Debug, Default)]
pub(super) struct Placed {
    /// Directories that this layer made: everything in them is of this layer.
    fresh: HashSet<PathBuf>,
    /// Entries in other directories.
    entries: HashSet<PathBuf>,
}

impl Placed {
    /// Notes an entry.
    pub(super) fn note(&mut self, path: &Path) {
        if !self.is_in_fresh(path) {
            self.entries.insert(path.to_owned());
        }
    }

    /// Notes a directory that did not exist before.
    pub(super) fn note_fresh(&mut self, path: &Path) {
        self.note(path);
        self.fresh.insert(path.to_owned());
    }

    /// Removes what lay at `path` before this layer, and returns what was removed.
    pub(super) fn remove_lower(&self, root: &Root, path: PathBuf) -> Result<Vec<PathBuf>, Error> {
        self.remove_each(root, vec![path])
    }

    /// Removes what lay in the directory `path` before this layer, and returns what was removed.
    pub(super) fn remove_lower_in(&self, root: &Root, path: &Path) -> Result<Vec<PathBuf>, Error> {
        self.remove_each(root, self.below(root, path)?)
    }

    fn remove_each(&self, root: &Root, mut pending: Vec<PathBuf>) -> Result<Vec<PathBuf>, Error> {
        let mut removed = Vec::new();
        while let Some(path) = pending.pop() {
            let Some(metadata) = root.lstat_exact(&path)? else { continue };
            if !self.is_in_fresh(&path) && !self.entries.contains(&path) {
                remove(root, &path)?;
                removed.push(path);
            } else if metadata.kind == FileKind::Directory {
                pending.extend(self.below(root, &path)?);
            }
        }
        Ok(removed)
    }

    /// The entries of a directory among which older ones may be.
    fn below(&self, root: &Root, dir: &Path) -> Result<Vec<PathBuf>, Error> {
        if self.fresh.contains(dir) {
            return Ok(Vec::new());
        }
        Ok(root.read_dir(dir)?.into_iter().map(|name| dir.join(name)).collect())
    }

    fn is_in_fresh(&self, path: &Path) -> bool {
        path.parent().is_some_and(|parent| self.fresh.contains(parent))
    }
}

fn remove(root: &Root, path: &Path) -> Result<(), Error> {
    match root.open_parent(path) {
        Ok(parent) => remove_entry(root.owners(), parent.as_fd(), path.file_name().unwrap_or_default(), path),
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(Error::io("open the parent directory of", path, errno)),
    }
}
