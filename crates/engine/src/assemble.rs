//! From a finished stage to an image in the store: config, manifest, names.

use oci::{Descriptor, Manifest, MediaType, Raw, Reference};

use crate::Shared;
use crate::base::{Base, Image};
use crate::error::Error;
use crate::event::Event;
use crate::options::{BuildOptions, Times};
use crate::stage::State;

/// Annotations that name the base image (image specification, `annotations.md`).
const BASE_NAME: &str = "org.opencontainers.image.base.name";
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

impl Shared {
    /// Makes the image of `state`. `base` is the image that its first stage started from.
    pub(crate) fn assemble(
        &self,
        state: &State,
        base: Option<&Base>,
        options: &BuildOptions,
    ) -> Result<Image, Error> {
        self.fetch(&state.layers)?;
        let mut config = state.config.clone();
        config.rootfs.diff_ids = state.layers.iter().map(|layer| layer.diff_id).collect();
        config.config.labels.extend(options.labels.iter().cloned());
        let is_unset =
            |entry: &String| options.unset_env.iter().any(|name| entry.split('=').next() == Some(name));
        config.config.env.retain(|entry| !is_unset(entry));
        config.created = match options.times {
            Times::Actual => config.created.or_else(|| Some(rfc3339(options.now))),
            Times::Clamp(seconds) | Times::Force(seconds) => Some(rfc3339(seconds)),
        };
        let config = Raw::write(config);
        let layers = state.layers.iter().map(|layer| layer.descriptor.clone()).collect();
        let mut manifest = Manifest::new(Descriptor::of(MediaType::OCI_CONFIG, config.bytes()), layers);
        if let Some(base) = base {
            // The path of a local image means nothing elsewhere.
            let name = base.name.reference().map(|name| (BASE_NAME.to_owned(), name.to_string()));
            let digest = (BASE_DIGEST.to_owned(), base.manifest.digest.to_string());
            manifest.annotations.extend(name.into_iter().chain([digest]));
        }
        manifest.annotations.extend(options.annotations.iter().cloned());
        let manifest = Raw::write(manifest);
        oci::validate_image(manifest.value(), config.value())
            .expect("invariant: every layer has its history entry");
        self.store.put_bytes(MediaType::OCI_CONFIG, config.bytes())?;
        let descriptor = self.store.put_bytes(MediaType::OCI_MANIFEST, manifest.bytes())?;
        self.event(Event::ImageBuilt { manifest: descriptor.digest, config: config.digest() });
        Ok(Image { descriptor, manifest, config })
    }

    /// Gives the image its names in the store; without any it is kept as it is.
    pub(crate) fn name(&self, image: &Image, names: &[Reference]) -> Result<(), Error> {
        if names.is_empty() {
            self.store.keep(&image.descriptor)?;
        }
        for reference in names {
            self.store.tag(reference, &image.descriptor)?;
            self.event(Event::Tagged { reference: reference.clone() });
        }
        Ok(())
    }
}

/// A time as images write it; times out of range become 1970.
pub(crate) fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339(i64::MAX), "1970-01-01T00:00:00Z");
    }
}
