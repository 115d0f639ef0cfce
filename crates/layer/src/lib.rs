//! A directory tree and the layer changesets that make it.
//!
//! From archive to tree: [`unpack`] puts a layer, or an archive that a user adds, into a live tree. From tree to
//! archive: [`overlay_changes`] or an [`Index`] finds what changed, and [`pack`] writes it as a layer, hashed and
//! compressed in one pass. Between trees: [`Copier`]. All of them touch the disk through a [`Root`], which no path
//! leaves, and all of them speak of the same [`Attributes`], whether the disk has them or not ([`Owners`]).
//!
//! The same tree gives the same bytes: entries are in the order of their paths, and nothing depends on a clock, on the
//! order of a directory or on the number of threads.
//!
//! This crate knows tar, whiteouts and file systems. It must not know images, registries, where trees are kept, or any
//! word of a Containerfile. Start reading at [`Root`], then at [`changes`].

mod adjust;
pub mod changes;
mod content;
mod copy;
mod deferred;
mod descent;
mod encoding;
mod error;
mod fingerprint;
mod metadata;
mod node;
mod owners;
mod pack;
mod root;
mod stand_in;
mod tar;
mod unpack;
mod walk;
mod xattr;

pub use adjust::{Adjust, ModeChange};
pub use changes::{Change, Changeset, Index, OverlayXattrs, overlay_changes};
pub use copy::Copier;
pub use encoding::{Encoding, decode, probe_archive};
pub use error::Error;
pub use metadata::{Device, FileKind, Inode, Metadata, Timestamp};
pub use node::Attributes;
pub use owners::Owners;
pub use pack::{Compression, Forbidden, PackOptions, Packed, Timestamps, pack};
pub use root::{Ownership, Root};
pub use tar::{Extent, Limits, Listing};
pub use unpack::{UnpackOptions, Unpacked, unpack};
pub use walk::{Entry, Flow, walk};
pub use xattr::Xattrs;
