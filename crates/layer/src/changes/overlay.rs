//! Changes of an overlay, read from its upper directory.
//!
//! The upper directory holds what was written, and whatever the kernel copied up on the way: a chmod that changed
//! nothing leaves a full copy. So each entry is compared with what lies below it, byte by byte where all else is equal.
//! The cost is that of what was written, never that of the tree.
//!
//! Kernel documentation, `filesystems/overlayfs.rst` ("whiteouts and opaque directories"), is the reference.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{Changeset, Collector, root_changed};
use crate::Error;
use crate::content::Content;
use crate::error::Context;
use crate::metadata::{FileKind, Metadata};
use crate::node::Opened;
use crate::root::{READ_FILE, Root};
use crate::walk::{Entry, Flow, walk};
use crate::xattr;

/// Where an overlay keeps its own attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverlayXattrs {
    /// `trusted.overlay.*`: mounted by real root.
    Trusted,
    /// `user.overlay.*`: mounted with `userxattr`, as in a user namespace.
    User,
}

/// The changes in the upper directory `upper` against `lower`, what all layers below it show together.
///
/// `lower` is a mount of the lower layers, or the directory when there is only one. The overlay must not be mounted any
/// more, or nothing may write to it, and it must have been mounted with `redirect_dir=off,metacopy=off,index=off`.
pub fn overlay_changes(upper: &Root, lower: &Root, xattrs: OverlayXattrs) -> Result<Changeset, Error> {
    let mut search = Search { upper, lower, xattrs, hidden: None, found: Collector::default() };
    search.root()?;
    walk(upper, Path::new(""), |entry| search.entry(entry))?;
    search.found.finish()
}

struct Search<'a> {
    upper: &'a Root,
    lower: &'a Root,
    xattrs: OverlayXattrs,
    /// The outermost opaque directory around the current entry: nothing below it shines through.
    hidden: Option<PathBuf>,
    found: Collector,
}

impl Search<'_> {
    fn root(&mut self) -> Result<(), Error> {
        let root = Path::new("");
        let (Some(upper), Some(lower)) = (self.upper.lstat_exact(root)?, self.lower.lstat_exact(root)?)
        else {
            return Err(Error::Changed { path: root.to_owned() });
        };
        let upper = Opened::read(self.upper, root, &upper)?;
        let lower = Opened::read(self.lower, root, &lower)?;
        self.found.candidate(root, &upper.metadata, root_changed(&lower.node, &upper.node))
    }

    fn entry(&mut self, entry: Entry<'_>) -> Result<Flow, Error> {
        let path = entry.path;
        if self.hidden.as_ref().is_some_and(|hidden| !path.starts_with(hidden)) {
            self.hidden = None;
        }
        let lower = visible(self.lower.lstat_exact(path)?);
        if entry.metadata.kind == FileKind::Socket || self.is_whiteout(&entry)? {
            if lower.is_some() {
                self.found.removed(path)?;
            }
            return Ok(Flow::Skip);
        }
        self.refuse_features(&entry)?;
        let upper = Opened::read(self.upper, path, entry.metadata)?;
        let changed = match &lower {
            Some(lower) => self.differs(path, &upper, lower)?,
            None => true,
        };
        self.found.candidate(path, entry.metadata, changed)?;
        if entry.metadata.kind == FileKind::Directory {
            self.directory(path, lower.as_ref())?;
        }
        Ok(Flow::Descend)
    }

    fn differs(&self, path: &Path, upper: &Opened, lower: &Metadata) -> Result<bool, Error> {
        let lower = Opened::read(self.lower, path, lower)?;
        if upper.node != lower.node {
            return Ok(true);
        }
        let (Some(ours), Some(theirs)) = (&upper.file, &lower.file) else { return Ok(false) };
        let ours = Content { file: ours, metadata: &upper.metadata, path };
        let theirs = Content { file: theirs, metadata: &lower.metadata, path };
        Ok(!ours.equals(theirs)?)
    }

    /// Finds what an opaque directory hides.
    fn directory(&mut self, path: &Path, lower: Option<&Metadata>) -> Result<(), Error> {
        if self.hidden.is_none() && self.overlay_xattr(path, "opaque")?.as_deref() == Some(b"y") {
            self.hidden = Some(path.to_owned());
        }
        if self.hidden.is_none() || lower.is_none_or(|lower| lower.kind != FileKind::Directory) {
            return Ok(());
        }
        for name in self.lower.read_dir(path)? {
            let path = path.join(name);
            if self.upper.lstat_exact(&path)?.is_none() && visible(self.lower.lstat_exact(&path)?).is_some() {
                self.found.removed(&path)?;
            }
        }
        Ok(())
    }

    fn is_whiteout(&self, entry: &Entry<'_>) -> Result<bool, Error> {
        if entry.metadata.is_whiteout_device() {
            return Ok(true);
        }
        // Whiteouts for nested overlays, since Linux 6.7.
        let may_be = entry.metadata.kind == FileKind::File && entry.metadata.size == 0;
        Ok(may_be && self.overlay_xattr(entry.path, "whiteout")?.is_some())
    }

    /// Data that an overlay keeps elsewhere cannot be read from the upper directory.
    fn refuse_features(&self, entry: &Entry<'_>) -> Result<(), Error> {
        let name = match entry.metadata.kind {
            FileKind::File => "metacopy",
            FileKind::Directory => "redirect",
            _ => return Ok(()),
        };
        match self.overlay_xattr(entry.path, name)? {
            None => Ok(()),
            Some(_) => {
                Err(Error::OverlayFeature { path: entry.path.to_owned(), xattr: self.xattrs.name(name) })
            }
        }
    }

    /// An attribute of overlay's own on a file or directory of the upper layer.
    fn overlay_xattr(&self, path: &Path, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let file = self.upper.open_exact(path, READ_FILE).context("open", path)?;
        xattr::read(&file, OsStr::new(&self.xattrs.name(name)), path)
    }
}

impl OverlayXattrs {
    fn name(self, name: &str) -> String {
        match self {
            Self::Trusted => format!("trusted.overlay.{name}"),
            Self::User => format!("user.overlay.{name}"),
        }
    }
}

/// What a layer below shows: neither sockets nor leftovers of an overlay of its own.
fn visible(lower: Option<Metadata>) -> Option<Metadata> {
    lower.filter(|lower| lower.kind != FileKind::Socket && !lower.is_whiteout_device())
}
