//! What is changed in the attributes of entries on their way into a tree: owner and mode.

use std::fmt;

use crate::metadata::FileKind;
use crate::node::{Attributes, Node};

/// Owner and mode that entries get instead of their own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Adjust<'a> {
    /// The owner and group of every entry; their own without it.
    pub owner: Option<(u32, u32)>,
    /// What becomes of the mode of every entry but symbolic links; nothing without it.
    pub mode: Option<ModeChange<'a>>,
}

/// From the permission bits of an entry (at most `0o7777`), and whether it is a directory, to those it gets.
#[derive(Clone, Copy)]
pub struct ModeChange<'a>(pub &'a dyn Fn(u32, bool) -> u32);

impl fmt::Debug for ModeChange<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ModeChange").finish_non_exhaustive()
    }
}

impl Adjust<'_> {
    pub(crate) fn node(&self, node: &mut Node) {
        let kind = node.kind;
        self.attributes(&mut node.attributes, kind);
    }

    /// Changes the attributes of an entry of this kind.
    pub fn attributes(&self, attributes: &mut Attributes, kind: FileKind) {
        if let Some((uid, gid)) = self.owner {
            (attributes.uid, attributes.gid) = (uid, gid);
        }
        if let Some(ModeChange(change)) = self.mode {
            attributes.mode = change(attributes.mode & 0o7777, kind == FileKind::Directory) & 0o7777;
        }
    }
}
