//! Getting the layers of base images into the store, several at once, each at most once.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use crate::Shared;
use crate::base::{pull_failed, read_failed};
use crate::error::{Cause, Error};
use crate::event::Event;
use crate::parallel::each;
use crate::snapshot::Layer;

const CHUNK: usize = 256 * 1024;

impl Shared {
    /// Makes sure that the store has the blobs of `layers`.
    pub(crate) fn fetch(&self, layers: &[Layer]) -> Result<(), Error> {
        let missing: BTreeMap<_, _> = layers
            .iter()
            .filter(|layer| !self.store.has(&layer.descriptor))
            .map(|layer| (layer.descriptor.digest, layer))
            .collect();
        each(missing.into_values(), |layer| self.fetch_layer(layer))
    }

    fn fetch_layer(&self, layer: &Layer) -> Result<(), Error> {
        let Some(reference) = &layer.origin else {
            let why = format!("the store has lost its layer {}", layer.descriptor.digest);
            return Err(Cause::BadImage { reference: "a cached step".to_owned(), why }.into());
        };
        let (digest, size) = (layer.descriptor.digest, layer.descriptor.size);
        self.event(Event::PullStarted { digest, size });
        let mut reader = self
            .registry
            .blob(reference, &layer.descriptor)
            .map_err(|source| pull_failed(reference, source))?;
        let mut writer = self.store.blob_writer()?;
        writer.reserve(size)?;
        self.copy(&mut reader, &mut writer, &|error| read_failed(reference, error))?;
        writer.commit(Some(&layer.descriptor))?;
        self.event(Event::PullFinished { digest, size });
        Ok(())
    }

    /// Copies all that `reader` yields, until the build is cancelled; `failed` says what a failed read means.
    pub(crate) fn copy(
        &self,
        reader: &mut impl Read,
        writer: &mut impl Write,
        failed: &dyn Fn(io::Error) -> Error,
    ) -> Result<(), Error> {
        let mut buffer = vec![0; CHUNK];
        loop {
            self.check_cancelled()?;
            let read = reader.read(&mut buffer).map_err(failed)?;
            if read == 0 {
                return Ok(());
            }
            writer.write_all(&buffer[..read]).map_err(stored)?;
        }
    }
}

/// What a failed write to a blob means.
pub(crate) fn stored(error: std::io::Error) -> Error {
    match error.downcast::<store::Error>() {
        Ok(source) => Cause::Store(source).into(),
        Err(source) => Cause::Io { action: "write a blob to", path: "the store".into(), source }.into(),
    }
}
