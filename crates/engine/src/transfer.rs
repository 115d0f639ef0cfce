//! Images between the store and registries.

use std::collections::BTreeSet;
use std::io::Read;

use oci::{Descriptor, Digest, Platform, Reference};
use registry::PushedBlob;

use crate::Shared;
use crate::base::{Image, image_in};
use crate::error::{Cause, Error};
use crate::event::{Event, Pushed};
use crate::options::PullPolicy;
use crate::parallel::each;

/// The annotation that names an image's base, whose repository may already have its layers.
const BASE_NAME: &str = "org.opencontainers.image.base.name";

impl Shared {
    /// Sends an image to a registry: layers, then config, then manifest. Returns the digest that the registry
    /// confirmed.
    pub(crate) fn push(&self, image: &Image, to: &Reference) -> Result<Digest, Error> {
        self.event(Event::PushStarted { reference: to.clone() });
        let manifest = image.manifest.value();
        let base = manifest.annotations.get(BASE_NAME).and_then(|name| name.parse::<Reference>().ok());
        let mount_from =
            base.filter(|base| base.registry() == to.registry()).map(|b| b.repository().to_owned());
        let mut seen = BTreeSet::new();
        let layers: Vec<_> = manifest.layers.iter().filter(|layer| seen.insert(layer.digest)).collect();
        each(layers.into_iter(), |layer| {
            self.check_cancelled()?;
            self.push_blob(layer, to, mount_from.as_deref())
        })?;
        self.push_blob(&manifest.config, to, None)?;
        let digest = self
            .registry
            .push_manifest(to, &image.descriptor.media_type, image.manifest.bytes())
            .map_err(|source| push_failed(to, source))?;
        self.event(Event::PushFinished { reference: to.clone(), digest });
        Ok(digest)
    }

    fn push_blob(&self, blob: &Descriptor, to: &Reference, from: Option<&str>) -> Result<(), Error> {
        // A damaged blob must not become part of a pushed image.
        let open = || -> std::io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(self.store.verified_reader(blob).map_err(std::io::Error::other)?))
        };
        let mounts: Vec<&str> = from.into_iter().collect();
        let pushed = self
            .registry
            .push_blob(to, blob, &mounts, &open, &|_| ())
            .map_err(|source| push_failed(to, source))?;
        let how = match pushed {
            PushedBlob::Present => Pushed::Present,
            PushedBlob::Mounted => Pushed::Mounted,
            PushedBlob::Uploaded => Pushed::Uploaded,
        };
        self.event(Event::BlobPushed { digest: blob.digest, size: blob.size, how });
        Ok(())
    }

    /// Gets an image with all its layers into the store, under its name.
    pub(crate) fn pull(&self, reference: &Reference, platform: &Platform) -> Result<Image, Error> {
        let base = self.resolve(&reference.clone().into(), platform, PullPolicy::Always, None)?;
        self.fetch(&base.layers)?;
        self.store.tag(reference, &base.manifest)?;
        self.event(Event::Tagged { reference: reference.clone() });
        image_in(&self.store, &base.manifest, &reference.to_string())
    }
}

fn push_failed(to: &Reference, source: registry::Error) -> Error {
    Cause::Registry { action: "push", reference: to.to_string(), source }.into()
}
