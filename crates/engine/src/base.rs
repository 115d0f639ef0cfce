//! Base images: a name → a pinned manifest and its config, from the store, a registry or a local file.
//!
//! Layers stay where they are; [`crate::fetch`] gets them when a step needs them.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use layer::Root;
use oci::{Descriptor, DiffId, ImageConfig, Index, Manifest, Platform, Raw, Reference};
use store::Store;

use crate::Shared;
use crate::error::{Cause, Error};
use crate::event::Event;
use crate::name::ImageName;
use crate::options::PullPolicy;
use crate::snapshot::Layer;

/// The largest config or manifest that is read.
pub(crate) const DOCUMENT_LIMIT: u64 = 8 << 20;

/// An image that something is built on or copied from.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// What the Containerfile calls it.
    pub(crate) name: ImageName,
    /// The image manifest.
    pub(crate) manifest: Descriptor,
    /// Its config.
    pub(crate) config: Arc<Raw<ImageConfig>>,
    /// Its layers, bottom first.
    pub(crate) layers: Vec<Layer>,
}

/// The images of a build.
#[derive(Debug, Default)]
pub(crate) struct Bases(BTreeMap<(ImageName, String), Base>);

impl Base {
    /// What its config says it is for.
    pub(crate) fn platform(&self) -> Platform {
        let config = self.config.value();
        Platform {
            os: config.os.clone(),
            architecture: config.architecture.clone(),
            variant: config.variant.clone(),
            ..Platform::default()
        }
    }
}

impl Bases {
    /// The image that `name` means on `platform`, if it was resolved.
    pub(crate) fn of(&self, name: &ImageName, platform: &Platform) -> Option<&Base> {
        self.0.get(&(name.clone(), platform.to_string()))
    }

    pub(crate) fn insert(&mut self, platform: &Platform, base: Base) {
        self.0.insert((base.name.clone(), platform.to_string()), base);
    }
}

/// An image as the store has it.
#[derive(Debug, Clone)]
pub struct Image {
    /// The manifest's descriptor.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Raw<Manifest>,
    /// The image config; its digest is the image id.
    pub config: Raw<ImageConfig>,
}

impl Shared {
    /// Finds the image that `name` means now; a local one in `context`.
    pub(crate) fn resolve(
        &self,
        name: &ImageName,
        platform: &Platform,
        policy: PullPolicy,
        context: Option<&Root>,
    ) -> Result<Base, Error> {
        let image = match name {
            ImageName::Reference(reference) => self.find(reference, platform, policy)?,
            ImageName::Local(local) => self.import(local, context, platform)?,
        };
        self.event(Event::Resolved { name: name.clone(), digest: image.descriptor.digest });
        let layers = layers(name, &image)?;
        let (manifest, config) = (image.descriptor, Arc::new(image.config));
        Ok(Base { name: name.clone(), manifest, config, layers })
    }

    fn find(&self, reference: &Reference, platform: &Platform, policy: PullPolicy) -> Result<Image, Error> {
        let stored = match policy {
            PullPolicy::Always => None,
            _ => self.stored(reference, platform)?,
        };
        match (policy, stored) {
            (PullPolicy::Missing | PullPolicy::Never, Some(image)) => Ok(image),
            (PullPolicy::Never, None) => Err(Cause::NotInStore { reference: reference.to_string() }.into()),
            (PullPolicy::Newer, Some(image)) => Ok(self.remote(reference, platform).unwrap_or(image)),
            _ => self.remote(reference, platform),
        }
    }

    /// The image under this name in the store, if its manifest and config are there.
    fn stored(&self, reference: &Reference, platform: &Platform) -> Result<Option<Image>, Error> {
        let Some(found) = self.store.find(reference)? else { return Ok(None) };
        if !found.media_type.is_index() {
            return image_in(&self.store, &found, &reference.to_string()).map(Some);
        }
        let index = self.store.read_blob(&found, DOCUMENT_LIMIT)?;
        let index = Raw::<Index>::parse("index", index).map_err(|source| bad(reference, &source))?;
        let manifest = index.value().select(platform).map_err(|source| bad(reference, &source))?;
        image_in(&self.store, manifest, &reference.to_string()).map(Some)
    }

    /// Asks the registry; manifest and config are in the store afterwards.
    fn remote(&self, reference: &Reference, platform: &Platform) -> Result<Image, Error> {
        let mut fetched = self.manifest(reference)?;
        if fetched.descriptor.media_type.is_index() {
            let index =
                Raw::<Index>::parse("index", fetched.bytes).map_err(|source| bad(reference, &source))?;
            let chosen = index.value().select(platform).map_err(|source| bad(reference, &source))?;
            fetched = self.manifest(&reference.with_digest(chosen.digest))?;
        }
        if !fetched.descriptor.media_type.is_manifest() {
            let why = format!("it is a {}", fetched.descriptor.media_type);
            return Err(Cause::BadImage { reference: reference.to_string(), why }.into());
        }
        let descriptor = self.store.put_bytes(fetched.descriptor.media_type, &fetched.bytes)?;
        let manifest =
            Raw::<Manifest>::parse("manifest", fetched.bytes).map_err(|source| bad(reference, &source))?;
        let config = &manifest.value().config;
        if !self.store.has(config) {
            self.fetch_config(reference, config)?;
        }
        image_in(&self.store, &descriptor, &reference.to_string())
    }

    fn manifest(&self, reference: &Reference) -> Result<registry::Fetched, Error> {
        self.registry.manifest(reference).map_err(|source| pull_failed(reference, source))
    }

    fn fetch_config(&self, reference: &Reference, config: &Descriptor) -> Result<(), Error> {
        if config.size > DOCUMENT_LIMIT {
            let why = format!("its config has {} bytes", config.size);
            return Err(Cause::BadImage { reference: reference.to_string(), why }.into());
        }
        let mut reader =
            self.registry.blob(reference, config).map_err(|source| pull_failed(reference, source))?;
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|error| read_failed(reference, error))?;
        self.store.put_bytes(config.media_type.clone(), &bytes)?;
        Ok(())
    }
}

/// The layers of an image, which its name tells where to fetch.
fn layers(name: &ImageName, image: &Image) -> Result<Vec<Layer>, Error> {
    let described = image.manifest.value().layers.iter().zip(&image.config.value().rootfs.diff_ids);
    let layer = |(descriptor, diff_id): (&Descriptor, &DiffId)| {
        if descriptor.media_type.layer_encoding().is_none() {
            let why = format!("its layer {} is of type {}", descriptor.digest, descriptor.media_type);
            return Err(Cause::BadImage { reference: name.to_string(), why }.into());
        }
        let descriptor = Descriptor { media_type: descriptor.media_type.to_oci(), ..descriptor.clone() };
        Ok(Layer { descriptor, diff_id: *diff_id, origin: name.reference().cloned() })
    };
    described.map(layer).collect()
}

/// Reads an image's manifest and config from the store, and checks that they fit each other.
pub(crate) fn image_in(store: &Store, descriptor: &Descriptor, name: &str) -> Result<Image, Error> {
    let bad = |source: oci::Error| Cause::BadImage { reference: name.to_owned(), why: source.to_string() };
    let manifest = store.read_blob(descriptor, DOCUMENT_LIMIT)?;
    let manifest = Raw::<Manifest>::parse("manifest", manifest).map_err(bad)?;
    let config = store.read_blob(&manifest.value().config, DOCUMENT_LIMIT)?;
    let config = Raw::<ImageConfig>::parse("image config", config).map_err(bad)?;
    oci::validate_image(manifest.value(), config.value()).map_err(bad)?;
    Ok(Image { descriptor: descriptor.clone(), manifest, config })
}

pub(crate) fn pull_failed(reference: &Reference, source: registry::Error) -> Error {
    Cause::Registry { action: "pull", reference: reference.to_string(), source }.into()
}

/// What a failed read of a blob means: it came from the registry, or from the network below it.
pub(crate) fn read_failed(reference: &Reference, error: std::io::Error) -> Error {
    match error.downcast::<registry::Error>() {
        Ok(source) => pull_failed(reference, source),
        Err(source) => {
            Cause::Io { action: "read a blob of", path: reference.to_string().into(), source }.into()
        }
    }
}

fn bad(reference: &Reference, source: &oci::Error) -> Error {
    Cause::BadImage { reference: reference.to_string(), why: source.to_string() }.into()
}
