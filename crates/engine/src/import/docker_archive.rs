//! Archives of `docker save` (Docker's image specification v1.2, "Combined Image JSON + Filesystem Changeset Format"):
//! the config is kept byte for byte, the layers as they are, and a manifest is made for them.

use std::collections::BTreeMap;
use std::io::{self, Read};

use layer::Encoding;
use oci::{Descriptor, DiffId, Digest, Digester, ImageConfig, Manifest, MediaType, Raw, Reference};
use serde::Deserialize;

use super::{Importer, listed};
use crate::error::Error;
use crate::name::Selector;

/// An entry of `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    /// The file of the image config.
    config: String,
    /// What the image is called.
    repo_tags: Option<Vec<String>>,
    /// The files of the layers, bottom first.
    layers: Option<Vec<String>>,
}

impl Importer<'_> {
    /// Imports from an archive of `docker save`; returns the manifest.
    pub(super) fn docker_archive(&self) -> Result<Descriptor, Error> {
        let saved = self.document("manifest.json")?;
        let saved =
            Raw::<Vec<Saved>>::parse("manifest.json", saved).map_err(|error| self.bad(error.to_string()))?;
        let saved = self.chosen(saved.value())?;
        let config = self.document(&saved.config)?;
        let descriptor = self.shared.store.put_bytes(MediaType::OCI_CONFIG, &config)?;
        let config =
            Raw::<ImageConfig>::parse("image config", config).map_err(|error| self.bad(error.to_string()))?;
        let layers = self.layers(saved.layers.as_deref().unwrap_or_default(), config.value())?;
        let manifest = Raw::write(Manifest::new(descriptor, layers));
        Ok(self.shared.store.put_bytes(MediaType::OCI_MANIFEST, manifest.bytes())?)
    }

    /// The one that the user means of the images in the archive.
    fn chosen<'s>(&self, there: &'s [Saved]) -> Result<&'s Saved, Error> {
        let found = match (&self.image.selector, there) {
            (None, [only]) => return Ok(only),
            (None, []) => return Err(self.bad("it has no images")),
            (None, _) => {
                return Err(
                    self.bad(format!("it has several images, of which one must be named{}", told(there)))
                );
            }
            (Some(Selector::Position(position)), _) => there.get(*position),
            (Some(Selector::Name(name)), _) => there.iter().find(|saved| saved.is_called(name)),
            (Some(Selector::Digest(_)), _) => None,
        };
        found.ok_or_else(|| match &self.image.selector {
            Some(Selector::Name(name)) => {
                self.bad(format!("no image in it is called `{name}`{}", told(there)))
            }
            _ => self.bad(format!("it has {} images, counted from @0", there.len())),
        })
    }

    fn layers(&self, names: &[String], config: &ImageConfig) -> Result<Vec<Descriptor>, Error> {
        let diff_ids = &config.rootfs.diff_ids;
        if names.len() != diff_ids.len() {
            let (files, ids) = (names.len(), diff_ids.len());
            return Err(
                self.bad(format!("its manifest.json has {files} layers and its config {ids} diff ids"))
            );
        }
        // A layer that changes nothing may be there many times.
        let mut known = BTreeMap::new();
        let mut layers = Vec::new();
        for (name, diff_id) in names.iter().zip(diff_ids) {
            let layer = match known.get(&(name, diff_id)) {
                Some(layer) => Descriptor::clone(layer),
                None => self.layer(name, diff_id)?,
            };
            known.insert((name, diff_id), layer.clone());
            layers.push(layer);
        }
        Ok(layers)
    }

    /// Brings a layer into the store. Its name tells nothing of how it is compressed.
    fn layer(&self, name: &str, diff_id: &DiffId) -> Result<Descriptor, Error> {
        let content = self.open(name)?;
        let size = content.size;
        let (encoding, _) = layer::decode(content.bytes).map_err(|error| self.bad_layer(name, &error))?;
        let media_type = match encoding {
            Encoding::Plain => {
                let descriptor = Descriptor::new(MediaType::OCI_LAYER, diff_id.0, size);
                self.blob(name, &descriptor)?;
                return Ok(descriptor);
            }
            Encoding::Gzip => MediaType::OCI_LAYER_GZIP,
            Encoding::Zstd => MediaType::OCI_LAYER_ZSTD,
            Encoding::Bzip2 | Encoding::Xz => {
                return Err(self.bad(format!("its layer `{name}` is compressed as no layer may be")));
            }
        };
        let (digest, size) = self.copied(name)?.commit(None)?;
        let descriptor = Descriptor::new(media_type, digest, size);
        let tar = self.uncompressed(name, &descriptor)?;
        if tar != diff_id.0 {
            return Err(self.bad(format!("its layer `{name}` is damaged: the diff id is {tar}")));
        }
        Ok(descriptor)
    }

    /// The digest of the archive in a compressed blob of the store.
    fn uncompressed(&self, name: &str, blob: &Descriptor) -> Result<Digest, Error> {
        let limit = layer::Limits::default().bytes;
        let blob = self.shared.store.verified_reader(blob)?;
        let (_, tar) = layer::decode(blob).map_err(|error| self.bad_layer(name, &error))?;
        let mut digester = Hashing(Digester::new());
        self.shared.copy(&mut tar.take(limit), &mut digester, &|error| self.bad_layer(name, &error))?;
        Ok(digester.0.finish())
    }

    fn bad_layer(&self, name: &str, error: &dyn std::error::Error) -> Error {
        self.bad(format!("its layer `{name}` cannot be read: {error}"))
    }
}

impl Saved {
    /// Whether one of its tags means what `name` means, in whatever spelling.
    fn is_called(&self, name: &str) -> bool {
        let reference = |text: &str| text.parse::<Reference>().ok();
        let wanted = reference(name);
        let mut tags = self.repo_tags.iter().flatten();
        tags.any(|tag| tag == name || (wanted.is_some() && reference(tag) == wanted))
    }
}

/// What the images are called that there are.
fn told(there: &[Saved]) -> String {
    let tags: Vec<_> = there.iter().flat_map(|saved| saved.repo_tags.iter().flatten().cloned()).collect();
    if tags.is_empty() { String::new() } else { format!("; there are {}", listed(&tags)) }
}

/// A sink that digests what is written to it.
struct Hashing(Digester);

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
