//! What builds leave on disk: blobs by digest, images by name, unpacked layers, cache records; and image archives.
//!
//! A store is one directory. It *is* an OCI image layout that other tools read (`oci-layout`, `index.json`,
//! `blobs/sha256/…`), and holds four more directories that they do not look at: `layers/` (unpacked layers for
//! overlay), `cache/` (records of steps), `cache-mounts/` (directories that steps keep) and `work/` (what running
//! processes have under way). Several processes may use one store at a time.
//!
//! Every file appears whole under its name or not at all: it is written below `work/` and renamed. Blobs and layers
//! are not flushed to the disk, as they can be fetched again: after a power cut a blob fails its size or digest
//! check where it is read. `index.json`, which cannot be fetched again, is flushed.
//!
//! This crate knows no Dockerfile word, no network and no mount; times are passed in. Start reading at [`Store`];
//! how processes keep out of each other's way is told in `session.rs`.

mod blobs;
mod cache;
mod cache_mounts;
mod error;
pub mod export;
mod files;
mod graph;
mod images;
mod layers;
mod layout;
mod lock;
mod prune;
mod remove;
mod session;
mod work;

use std::path::Path;
use std::sync::Arc;

pub use blobs::{BlobFile, BlobWriter, VerifiedReader};
pub use cache_mounts::{CacheMount, CacheSharing, HeldCacheMount, StagedCacheMount};
pub use error::Error;
pub use images::Image;
pub use layers::StagedLayer;
pub use prune::{Keep, PruneOptions, Pruned};
pub use work::WorkDir;

use layout::Layout;
use session::Session;

/// A directory of images, shared by processes and threads.
///
/// While a `Store`, or anything under way that it has handed out, lives, no [`Store::prune`] takes a blob or a layer
/// away.
#[derive(Debug)]
pub struct Store {
    layout: Layout,
    session: Arc<Session>,
}

impl Store {
    /// Opens the store in `dir`, making it where there is none, and removes what killed processes left in it.
    ///
    /// Waits while another process prunes, for a minute at most. A directory that cannot be written to is
    /// [`Error::Unwritable`]; one with another version of the image layout is [`Error::LayoutVersion`].
    pub fn open(dir: &Path) -> Result<Self, Error> {
        // The names of what is handed out must not depend on the working directory.
        let dir = &std::path::absolute(dir).map_err(|source| Error::io("find", dir, source))?;
        let unwritable = |error| Error::unwritable(dir, error);
        files::create_dir(dir, 0o755).map_err(unwritable)?;
        let session = Session::begin(dir).map_err(unwritable)?;
        let layout = Layout::open(dir, session.dir()).map_err(unwritable)?;
        layers::create(dir).map_err(unwritable)?;
        Ok(Self { layout, session: Arc::new(session) })
    }

    /// The directory of the store.
    pub fn dir(&self) -> &Path {
        self.layout.dir()
    }
}
