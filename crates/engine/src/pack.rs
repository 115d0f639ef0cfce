//! From what a step changed to a layer in the store: one pass, in the background where the tree allows it.

use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::thread::JoinHandle;

use layer::{PackOptions, Timestamps};
use oci::Descriptor;

use crate::Shared;
use crate::error::{Cause, Error};
use crate::event::Event;
use crate::fetch::stored;
use crate::options::{BuildOptions, Times};
use crate::secret::Guard;
use crate::snapshot::{Changes, Layer};

const BUFFER: usize = 256 * 1024;

/// A layer that is packed or being packed.
#[derive(Debug)]
pub(crate) enum Packing {
    Done(Box<Layer>),
    Running(JoinHandle<Result<Layer, Error>>),
}

impl Packing {
    /// Packs `changes`, in a thread of its own if the tree they are read from stays as it is.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        changes: Changes,
        options: &BuildOptions,
        guard: &Guard,
    ) -> Result<Self, Error> {
        let options = PackOptions {
            compression: options.compression,
            timestamps: match options.times {
                Times::Actual => Timestamps::Keep,
                Times::Clamp(seconds) => Timestamps::Clamp(seconds),
                Times::Force(seconds) => Timestamps::Force(seconds),
            },
            threads: shared.threads,
            forbidden: guard.forbidden.clone(),
        };
        if changes.frozen {
            let (shared, guard) = (Arc::clone(shared), guard.clone());
            Ok(Self::Running(std::thread::spawn(move || shared.pack(&changes, &options, &guard))))
        } else {
            shared.pack(&changes, &options, guard).map(|layer| Self::Done(Box::new(layer)))
        }
    }

    /// Waits for the layer.
    pub(crate) fn wait(self) -> Result<Layer, Error> {
        match self {
            Self::Done(layer) => Ok(*layer),
            Self::Running(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        }
    }
}

impl Shared {
    fn pack(&self, changes: &Changes, options: &PackOptions, guard: &Guard) -> Result<Layer, Error> {
        let mut blob = BufWriter::with_capacity(BUFFER, self.store.blob_file()?);
        let packed = layer::pack(&changes.root, &changes.set, options, &mut blob);
        let packed = packed.map_err(|error| pack_failed(error, guard))?;
        blob.flush().map_err(stored)?;
        let blob = blob.into_inner().map_err(|error| stored(error.into_error()))?;
        blob.commit_known(packed.digest, packed.size)?;
        self.event(Event::LayerPacked { digest: packed.digest, size: packed.size });
        let descriptor =
            Descriptor { media_type: packed.media_type, ..Descriptor::new("", packed.digest, packed.size) };
        Ok(Layer { descriptor, diff_id: packed.diff_id, origin: None })
    }
}

/// A full disk shows itself while writing; it is the store's failure then, not the archive's.
fn pack_failed(error: layer::Error, guard: &Guard) -> Error {
    match error {
        layer::Error::WriteArchive { source }
            if source.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<store::Error>) =>
        {
            stored(source)
        }
        layer::Error::Forbidden { path, part, what } => guard.found(what, part, &path),
        source => Cause::Layer { action: "pack the layer".into(), source }.into(),
    }
}
