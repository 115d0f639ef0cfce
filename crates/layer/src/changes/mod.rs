//! What changed in a tree: one rule, whatever the tree lies on.
//!
//! An entry that was there before is unchanged when kind, mode, owner, size, mtime (to the nanosecond), device numbers,
//! link target, carried extended attributes *and content* are equal. Size counts for files only, content for files
//! only. What a kernel needed on the way (ctime, inode numbers, an overlay copy) never counts: it only tells where to
//! look.
//!
//! The form of a changeset is canonical, so that [`overlay_changes`] and [`Index::changes`] give the same bytes:
//!
//! - Every directory above a change is in it, with its own metadata; a missing one would be made 0755 by who unpacks.
//! - A removed entry is one whiteout; nothing below it is mentioned. What was replaced by another kind has none.
//! - There are no opaque whiteouts: a directory that was removed and made again has a whiteout for each entry that it
//!   no longer has. Every reader knows that form, and it needs no knowledge of how the directory came to be.
//! - When one name of a file with several is in it, all names are that the search had reason to look at: a link in a
//!   layer needs its target in the same layer. That two equal files became one is no change by itself.
//! - Sockets do not exist: no layer can hold them.
//! - The root directory itself is in it, as the empty path, only if its mode, owner or attributes changed: its mtime
//!   changes with every entry made in it, and other builders leave it out altogether.
//!
//! The two searches can only agree where a step *did* the same: overlay breaks the link when a file of a lower layer with
//! several names is written through one of them, so [`Index::separate_links`] does it in a plain directory beforehand.

mod index;
mod overlay;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub use index::Index;
pub use overlay::{OverlayXattrs, overlay_changes};

use crate::Error;
use crate::metadata::{FileKind, Inode, Metadata};
use crate::node::Node;
use crate::root::Root;
use crate::walk::{Flow, walk};

/// What a layer says about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The entry is as the tree has it.
    Present,
    /// The entry was removed.
    Whiteout,
}

/// The changes between two states of a tree, in the order of their paths; all directories above a change are in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changeset {
    changes: BTreeMap<PathBuf, Change>,
}

impl Changeset {
    /// Everything in a tree but sockets, the root directory itself included.
    pub fn everything(root: &Root) -> Result<Self, Error> {
        let mut changeset = Self::default();
        changeset.changes.insert(PathBuf::new(), Change::Present);
        walk(root, Path::new(""), |entry| {
            if entry.metadata.kind != FileKind::Socket {
                changeset.changes.insert(entry.path.to_owned(), Change::Present);
            }
            Ok::<_, Error>(Flow::Descend)
        })?;
        Ok(changeset)
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The number of entries in the layer.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// The changes in the order of their paths: parents first, siblings by the bytes of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, Change)> {
        self.changes.iter().map(|(path, change)| (path.as_path(), *change))
    }

    fn insert(&mut self, path: &Path, change: Change) -> Result<(), Error> {
        if self.changes.get(path) == Some(&change) {
            return Ok(());
        }
        if path.file_name().is_some_and(|name| name.as_bytes().starts_with(b".wh.")) {
            return Err(Error::ReservedName { path: path.to_owned() });
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.insert(parent, Change::Present)?;
        }
        self.changes.insert(path.to_owned(), change);
        Ok(())
    }
}

/// Collects what a search finds, and completes hard links at the end.
#[derive(Debug, Default)]
struct Collector {
    changeset: Changeset,
    /// The names of files with several names that the search looked at.
    names: HashMap<Inode, Vec<PathBuf>>,
    /// Those among them of which a name changed.
    changed: HashSet<Inode>,
}

impl Collector {
    /// Notes an entry that the search looked at.
    fn candidate(&mut self, path: &Path, metadata: &Metadata, changed: bool) -> Result<(), Error> {
        if metadata.is_whiteout_device() && changed {
            return Err(Error::WhiteoutDevice { path: path.to_owned() });
        }
        if metadata.is_hard_linked() {
            self.names.entry(metadata.inode).or_default().push(path.to_owned());
            if changed {
                self.changed.insert(metadata.inode);
            }
        }
        if changed { self.changeset.insert(path, Change::Present) } else { Ok(()) }
    }

    fn removed(&mut self, path: &Path) -> Result<(), Error> {
        self.changeset.insert(path, Change::Whiteout)
    }

    fn finish(mut self) -> Result<Changeset, Error> {
        for inode in &self.changed {
            for path in self.names.get(inode).into_iter().flatten() {
                self.changeset.insert(path, Change::Present)?;
            }
        }
        Ok(self.changeset)
    }
}

/// Whether the root directory changed; its time does not count.
fn root_changed(old: &Node, new: &Node) -> bool {
    let mut old = old.clone();
    old.attributes.mtime = new.attributes.mtime;
    old != *new
}
