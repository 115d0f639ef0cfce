//! Image layouts (image specification, `image-layout.md`), and the directories of `dir:` (containers-transports(5)):
//! documents that describe each other by digest.

use oci::{Descriptor, Digest, Index, Manifest, MediaType, Raw};

use super::{Importer, listed};
use crate::error::Error;
use crate::name::Selector;

/// Annotations that name an image of a layout: those of the image specification, and containerd's full reference.
const NAMES: [&str; 2] = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];
/// What an image is called if it has no other name.
const LATEST: &str = "latest";
/// An index may list indexes; no honest one is deeper.
const DEPTH: usize = 4;

impl Importer<'_> {
    /// Imports from an image layout; returns the manifest.
    pub(super) fn layout(&self) -> Result<Descriptor, Error> {
        let blob = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
        let index = self.index(self.document("index.json")?)?;
        let mut found = self.choose(index.manifests)?;
        for _ in 0..DEPTH {
            if !found.media_type.is_index() {
                break;
            }
            found = self.of_platform(&self.index(self.described(&blob(&found.digest), &found)?)?)?;
        }
        if !found.media_type.is_manifest() {
            return Err(self.bad(format!("it is a {}", found.media_type)));
        }
        let manifest = self.described(&blob(&found.digest), &found)?;
        self.manifest(found.media_type, manifest, &blob)
    }

    /// Imports from a directory of `dir:`; returns the manifest.
    pub(super) fn dir(&self) -> Result<Descriptor, Error> {
        let mut bytes = self.document("manifest.json")?;
        let index = self.index(bytes.clone())?;
        if index.media_type.as_ref().is_some_and(MediaType::is_index) || !index.manifests.is_empty() {
            let found = self.of_platform(&index)?;
            bytes = self.described(&format!("{}.manifest.json", found.digest.hex()), &found)?;
        }
        let media_type = self.index(bytes.clone())?.media_type;
        let media_type = media_type.unwrap_or_else(|| MediaType::OCI_MANIFEST.into());
        if !media_type.is_manifest() {
            return Err(self.bad(format!("it is a {media_type}")));
        }
        self.manifest(media_type, bytes, &Digest::hex)
    }

    /// Brings a manifest and all that it describes into the store. `blob` is where a blob is found.
    fn manifest(
        &self,
        media_type: MediaType,
        bytes: Vec<u8>,
        blob: &dyn Fn(&Digest) -> String,
    ) -> Result<Descriptor, Error> {
        let descriptor = self.shared.store.put_bytes(media_type, &bytes)?;
        let manifest =
            Raw::<Manifest>::parse("manifest", bytes).map_err(|error| self.bad(error.to_string()))?;
        let Manifest { config, layers, .. } = manifest.value();
        for described in std::iter::once(config).chain(layers) {
            self.blob(&blob(&described.digest), described)?;
        }
        Ok(descriptor)
    }

    fn index(&self, bytes: Vec<u8>) -> Result<Index, Error> {
        let index = Raw::<Index>::parse("index", bytes).map_err(|error| self.bad(error.to_string()))?;
        Ok(index.value().clone())
    }

    fn of_platform(&self, index: &Index) -> Result<Descriptor, Error> {
        index.select(self.platform).cloned().map_err(|error| self.bad(error.to_string()))
    }

    /// The one that the user means of the images in a layout.
    ///
    /// Without a choice it is the only one, or that called `latest`. Images of one name are one image for several
    /// platforms.
    fn choose(&self, there: Vec<Descriptor>) -> Result<Descriptor, Error> {
        let chosen = match &self.image.selector {
            Some(Selector::Name(name)) => {
                named(&there, name).ok_or_else(|| self.bad(absent(name, &there)))?
            }
            Some(Selector::Position(position)) => {
                let count = there.len();
                let found = there.into_iter().nth(*position);
                vec![found.ok_or_else(|| self.bad(format!("it has {count} images, counted from @0")))?]
            }
            Some(Selector::Digest(digest)) => {
                let found = there.iter().find(|descriptor| descriptor.digest == *digest).cloned();
                vec![found.ok_or_else(|| self.bad(absent(&digest.to_string(), &there)))?]
            }
            None if is_one_image(&there) => there,
            None => named(&there, LATEST).ok_or_else(|| self.bad(ambiguous(&there)))?,
        };
        match <[Descriptor; 1]>::try_from(chosen) {
            Ok([only]) => Ok(only),
            Err(several) => self.of_platform(&Index::new(several)),
        }
    }
}

/// Those called `name`, if there are any.
fn named(there: &[Descriptor], name: &str) -> Option<Vec<Descriptor>> {
    let is_called = |descriptor: &&Descriptor| names(descriptor).any(|other| other == name);
    let found: Vec<_> = there.iter().filter(is_called).cloned().collect();
    (!found.is_empty()).then_some(found)
}

fn names(descriptor: &Descriptor) -> impl Iterator<Item = &str> {
    NAMES.iter().filter_map(|key| descriptor.annotations.get(*key)).map(String::as_str)
}

fn is_one_image(there: &[Descriptor]) -> bool {
    let name = |descriptor| names(descriptor).next();
    there.windows(2).all(|pair| name(&pair[0]) == name(&pair[1])) && !there.is_empty()
}

fn absent(name: &str, there: &[Descriptor]) -> String {
    format!("no image in it is called `{name}`{}", told(there))
}

fn ambiguous(there: &[Descriptor]) -> String {
    if there.is_empty() {
        "it has no images".to_owned()
    } else {
        format!("it has several images, of which one must be named{}", told(there))
    }
}

/// What the images are called that there are.
fn told(there: &[Descriptor]) -> String {
    let name = |descriptor: &Descriptor| {
        names(descriptor).next().map_or_else(|| descriptor.digest.to_string(), str::to_owned)
    };
    let mut names: Vec<_> = there.iter().map(name).collect();
    names.dedup();
    if names.is_empty() { String::new() } else { format!("; there are {}", listed(&names)) }
}
