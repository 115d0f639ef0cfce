//! Images by name: the entries of `index.json`.
//!
//! An entry is named by its annotations: `org.opencontainers.image.ref.name`, which skopeo and umoci look for, and
//! `io.containerd.image.name`. In a store both hold the full reference.

use oci::{Descriptor, Digest, Manifest, Reference};

use crate::{Error, Store, graph};

pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";

/// An image of the store under one of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The name; `None` for an image without one, or with one that is no reference.
    pub reference: Option<Reference>,
    /// The manifest or index, without the annotations that name it.
    pub descriptor: Descriptor,
}

impl Store {
    /// All images, sorted by name; those without a name first.
    pub fn images(&self) -> Result<Vec<Image>, Error> {
        let mut images: Vec<_> = self.layout.index()?.entries().flatten().map(image).collect();
        images.sort_by(|a, b| (&a.reference, a.descriptor.digest).cmp(&(&b.reference, b.descriptor.digest)));
        Ok(images)
    }

    /// The image that is called `reference`.
    ///
    /// A reference with a digest finds the image under that name only if it is the one of that digest, and also under
    /// any other tag of the same repository.
    pub fn find(&self, reference: &Reference) -> Result<Option<Descriptor>, Error> {
        let fits = |image: &Image| {
            let Some(name) = &image.reference else { return false };
            match reference.digest() {
                Some(digest) => image.descriptor.digest == digest && name.name() == reference.name(),
                None => name == reference,
            }
        };
        Ok(self.images()?.into_iter().find(fits).map(|image| image.descriptor))
    }

    /// The image whose manifest or config has a digest that begins with `prefix`, under all of its names.
    ///
    /// `prefix` is hexadecimal, with or without `sha256:`. [`Error::AmbiguousId`] if several images fit.
    pub fn find_by_id(&self, prefix: &str) -> Result<Vec<Image>, Error> {
        let digits = prefix.strip_prefix("sha256:").unwrap_or(prefix);
        if digits.is_empty() {
            return Ok(Vec::new());
        }
        let fits = |image: &Image| {
            image.descriptor.digest.hex().starts_with(digits)
                || self
                    .config_digest(&image.descriptor)
                    .is_some_and(|config| config.hex().starts_with(digits))
        };
        let found: Vec<_> = self.images()?.into_iter().filter(fits).collect();
        let mut digests: Vec<_> = found.iter().map(|image| image.descriptor.digest).collect();
        digests.sort_unstable();
        digests.dedup();
        match digests.len() {
            0 | 1 => Ok(found),
            matches => Err(Error::AmbiguousId { prefix: prefix.to_owned(), matches }),
        }
    }

    /// Calls the image `reference`, and no longer the image that had this name.
    ///
    /// Lasting when it returns. Fails if the store does not have the manifest.
    pub fn tag(&self, reference: &Reference, descriptor: &Descriptor) -> Result<(), Error> {
        self.require(descriptor)?;
        let name = reference.to_string();
        let entry = named(descriptor, Some(&name), Some(&name));
        self.layout.update_index(|index| {
            index.retain(|other| !is_called(other, reference));
            index.push(&entry);
        })
    }

    /// Keeps an image that has no name; nothing happens if the store lists it already.
    pub fn keep(&self, descriptor: &Descriptor) -> Result<(), Error> {
        self.require(descriptor)?;
        self.layout.update_index(|index| {
            if !index.entries().flatten().any(|entry| entry.digest == descriptor.digest) {
                index.push(&named(descriptor, None, None));
            }
        })
    }

    /// Takes the name away; whether there was one. The blobs stay until [`Store::prune`].
    pub fn untag(&self, reference: &Reference) -> Result<bool, Error> {
        let removed = self.layout.update_index(|index| index.retain(|entry| !is_called(entry, reference)))?;
        Ok(removed > 0)
    }

    /// Takes all names of an image away and returns their number. The blobs stay until [`Store::prune`].
    pub fn remove(&self, digest: &Digest) -> Result<usize, Error> {
        self.layout.update_index(|index| index.retain(|entry| entry.digest != *digest))
    }

    fn require(&self, descriptor: &Descriptor) -> Result<(), Error> {
        self.open_blob(descriptor).map(drop)
    }

    /// The digest of a single image's config; `None` for an index and for what cannot be read.
    fn config_digest(&self, descriptor: &Descriptor) -> Option<Digest> {
        let manifest: Manifest = graph::read(&self.layout, descriptor, "manifest").ok()?;
        Some(manifest.config.digest)
    }
}

/// `descriptor` as an entry of an index, with these names and no others.
pub(crate) fn named(descriptor: &Descriptor, ref_name: Option<&str>, image_name: Option<&str>) -> Descriptor {
    let mut entry = image(descriptor.clone()).descriptor;
    let names = [(REF_NAME, ref_name), (IMAGE_NAME, image_name)];
    let names = names.into_iter().filter_map(|(key, name)| Some((key.to_owned(), name?.to_owned())));
    entry.annotations.extend(names);
    entry
}

fn is_called(entry: &Descriptor, reference: &Reference) -> bool {
    image(entry.clone()).reference.as_ref() == Some(reference)
}

fn image(mut descriptor: Descriptor) -> Image {
    let ref_name = descriptor.annotations.remove(REF_NAME);
    let image_name = descriptor.annotations.remove(IMAGE_NAME);
    // Other tools write a bare tag as `ref.name`; read as a reference it would be a repository of Docker Hub.
    let name = image_name.or(ref_name.filter(|name| name.contains('/')));
    Image { reference: name.and_then(|name| name.parse().ok()), descriptor }
}
