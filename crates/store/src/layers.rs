//! Unpacked layers, which overlay file systems are stacked of: `layers/CHAIN-ID/fs/`.
//!
//! The directory above `fs` is ours and has room for what belongs to a layer and is not part of its tree; its
//! modification time tells when the layer was last used. `layers/` is closed to other users, as the trees in it hold
//! set-user-ID programs of any image.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::ChainId;
use rustix::io::Errno;

use crate::session::Session;
use crate::{Error, Store, files, remove};

/// Makes the directory of all layers in the store `root`.
pub(crate) fn create(root: &Path) -> Result<(), Error> {
    files::create_dir(&dir(root), 0o700)
}

/// The directory of all layers.
pub(crate) fn dir(root: &Path) -> PathBuf {
    root.join("layers")
}

impl Store {
    /// The root of the unpacked layer that completes `chain`, if the store has it; notes that it is used.
    ///
    /// It must not be changed. It stays as long as the store is open.
    pub fn layer(&self, chain: &ChainId) -> Option<PathBuf> {
        let layer = self.layer_dir(chain);
        let root = layer.join("fs");
        root.is_dir().then(|| {
            files::touch(&layer);
            root
        })
    }

    /// Begins a layer; nobody sees it before [`StagedLayer::commit`].
    pub fn stage_layer(&self, chain: &ChainId) -> Result<StagedLayer, Error> {
        let dir = files::create_private_dir(self.session.dir(), "layer-")?;
        let staged = StagedLayer { dir, target: self.layer_dir(chain), _session: Arc::clone(&self.session) };
        files::create_dir(&staged.root(), 0o755)?;
        Ok(staged)
    }

    fn layer_dir(&self, chain: &ChainId) -> PathBuf {
        dir(self.dir()).join(chain.0.hex())
    }
}

/// A layer being unpacked; dropped without a commit, it is removed.
#[derive(Debug)]
pub struct StagedLayer {
    dir: PathBuf,
    target: PathBuf,
    _session: Arc<Session>,
}

impl StagedLayer {
    /// The empty directory, of mode 0755, that becomes the layer's root.
    pub fn root(&self) -> PathBuf {
        self.dir.join("fs")
    }

    /// Puts the complete layer into the store and returns its root.
    ///
    /// If another process was faster, its layer is taken, which has the same content, and this one is removed.
    pub fn commit(self) -> Result<PathBuf, Error> {
        match fs::rename(&self.dir, &self.target) {
            Err(source) if !was_faster(&source) => Err(Error::io("rename a layer to", &self.target, source)),
            _ => Ok(self.target.join("fs")),
        }
    }
}

impl Drop for StagedLayer {
    fn drop(&mut self) {
        // A rest is removed with the session.
        drop(remove::remove_tree(&self.dir));
    }
}

fn was_faster(error: &std::io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOTEMPTY | Errno::EXIST))
}
