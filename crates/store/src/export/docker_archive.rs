//! A tar for `docker load`, `podman load` and `skopeo copy docker-archive:`.
//!
//! As Docker and BuildKit themselves write it, it is an image layout with a `manifest.json` beside, whose paths point to
//! the layout's blobs. Layers stay as they are: every reader decompresses them by their content.

use std::io::Write;

use oci::{Descriptor, Manifest, Reference};
use serde_json::json;

use super::Name;
use super::oci_archive::{entry_name, layout_entries};
use super::tar::Archive;
use crate::{Error, Store, graph};

/// Writes the image as a Docker archive to `out`; the loaded image gets the tags of `references`.
///
/// `image` must be a single image: [`Error::NotAnImage`] for an index.
pub fn docker_archive(
    store: &Store,
    image: &Descriptor,
    references: &[Reference],
    out: &mut dyn Write,
) -> Result<(), Error> {
    if !image.media_type.is_manifest() {
        let (digest, media_type) = (image.digest, image.media_type.to_string());
        return Err(Error::NotAnImage { digest, media_type });
    }
    let manifest: Manifest = graph::read(&store.layout, image, "manifest")?;
    let tags = references.iter().filter(|reference| reference.tag().is_some());
    let docker_manifest = json!([{
        "Config": entry_name(&manifest.config),
        "RepoTags": tags.map(ToString::to_string).collect::<Vec<_>>(),
        "Layers": manifest.layers.iter().map(entry_name).collect::<Vec<_>>(),
    }]);
    let names: Vec<_> = references.iter().map(Name::from).collect();
    let mut archive = Archive::new(out);
    archive.text("manifest.json", &oci::to_json(&docker_manifest))?;
    layout_entries(store, image, &names, &mut archive)?;
    archive.finish()
}
