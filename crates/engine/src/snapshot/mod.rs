//! Root file systems: a stack of layers made into a directory that a step can change.
//!
//! Two drivers do it, [`overlay`] and [`vfs`]; what a step changed comes out the same from both. This module knows
//! layers and directories, but no instruction and no cache.

pub(crate) mod overlay;
pub(crate) mod vfs;

use std::io::Read;
use std::path::Path;

use layer::{Changeset, Owners, Root, UnpackOptions};
use oci::{ChainId, Descriptor, DiffId, Digester, Reference};
use store::Store;

use crate::error::{Cause, Error};

/// A layer of an image, packed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Layer {
    /// The blob.
    pub(crate) descriptor: Descriptor,
    /// The digest of its tar.
    pub(crate) diff_id: DiffId,
    /// Where the blob can be fetched, for a layer of a base image.
    #[serde(skip)]
    pub(crate) origin: Option<Reference>,
}

/// The chain ids of a stack: one for each layer, bottom first.
pub(crate) fn chain(layers: &[Layer]) -> Vec<ChainId> {
    let mut parent = None;
    layers
        .iter()
        .map(|layer| {
            let id = ChainId::apply(parent, layer.diff_id);
            parent = Some(id);
            id
        })
        .collect()
}

/// Makes root file systems from layers. All blobs must be in the store.
pub(crate) trait Driver: Send + Sync {
    /// A root file system that steps can change.
    fn tree(&self, layers: &[Layer]) -> Result<Box<dyn Tree>, Error>;

    /// A root file system to read from.
    fn view(&self, layers: &[Layer]) -> Result<Box<dyn View>, Error>;
}

/// A root file system that steps change, one after the other.
pub(crate) trait Tree: Send {
    /// Begins a step and returns the root to change.
    fn begin(&mut self) -> Result<&Root, Error>;

    /// Ends a step and tells what it changed.
    fn finish(&mut self) -> Result<Changes, Error>;

    /// Gives the tree up when no more steps follow. `layers` are the layers of the whole tree; what is worth keeping
    /// for later is kept under their chain ids.
    fn close(self: Box<Self>, layers: &[Layer]) -> Result<(), Error>;
}

/// A root file system that does not change.
pub(crate) trait View: Send {
    /// Its root.
    fn root(&self) -> &Root;
}

/// What a step changed, and where to read it.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The tree that has the changed entries.
    pub(crate) root: Root,
    /// Which entries.
    pub(crate) set: Changeset,
    /// Whether `root` stays as it is while the next step runs.
    pub(crate) frozen: bool,
}

/// Puts the blob of `layer` into `root`, which holds the layers below it.
///
/// What is unpacked is found again by its diff id, so a layer that claims another's is refused.
fn unpack(store: &Store, layer: &Layer, root: &Root) -> Result<(), Error> {
    let digest = layer.descriptor.digest;
    let failed = |source| Cause::Layer { action: format!("unpack the layer {digest}"), source };
    let blob = store.verified_reader(&layer.descriptor)?;
    let (_, tar) = layer::decode(blob).map_err(failed)?;
    let mut tar = Hashed { tar, digester: Digester::new() };
    let options = UnpackOptions { whiteouts: true, ..UnpackOptions::default() };
    layer::unpack(&mut tar, root, Path::new(""), &options).map_err(failed)?;
    // Only at its end the blob is known to be what its digest says.
    let rest = std::io::copy(&mut tar, &mut std::io::sink());
    rest.map_err(|source| failed(layer::Error::ReadArchive { source }))?;
    let found = DiffId(tar.digester.finish());
    if found != layer.diff_id {
        let why = format!("it unpacks to {}, and its config says {}", found.0, layer.diff_id.0);
        return Err(Cause::BadImage { reference: format!("layer {digest}"), why }.into());
    }
    Ok(())
}

/// An archive that is hashed while it is read.
struct Hashed<R> {
    tar: R,
    digester: Digester,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.tar.read(buffer)?;
        self.digester.update(&buffer[..read]);
        Ok(read)
    }
}

fn open(path: &Path, owners: Owners) -> Result<Root, Error> {
    Root::open_with(path, owners).map_err(|source| {
        Cause::Layer { action: format!("open the root file system `{}`", path.display()), source }.into()
    })
}

fn make_dir(path: &Path) -> Result<(), Error> {
    std::fs::create_dir(path)
        .map_err(|source| Cause::Io { action: "make the directory", path: path.to_owned(), source }.into())
}
