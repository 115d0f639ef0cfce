//! The one judge of images that tests make: everything a digest promises is looked up and computed again.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use oci::{Descriptor, DiffId, Digest, ImageConfig, Index, Manifest, Raw, validate_image};

/// Checks every image in the OCI image layout `dir`, and returns their manifests and configs.
///
/// Blobs must have the digest and size that point to them, layers the diff id of the config, and the history an entry
/// for each layer.
pub fn check_layout(dir: &Path) -> Vec<(Manifest, ImageConfig)> {
    let index = fs::read(dir.join("index.json")).expect("an index.json");
    let index = Raw::<Index>::parse("index", index).expect("a valid index");
    let images = index.value().manifests.iter();
    images.map(|descriptor| check_image(dir, descriptor)).collect()
}

fn check_image(dir: &Path, descriptor: &Descriptor) -> (Manifest, ImageConfig) {
    let manifest = Raw::<Manifest>::parse("manifest", blob(dir, descriptor)).expect("a valid manifest");
    let manifest = manifest.value();
    let config = Raw::<ImageConfig>::parse("config", blob(dir, &manifest.config)).expect("a valid config");
    let config = config.value();
    validate_image(manifest, config).expect("manifest and config that fit each other");
    for (layer, diff_id) in manifest.layers.iter().zip(&config.rootfs.diff_ids) {
        let bytes = blob(dir, layer);
        let mut tar = Vec::new();
        if layer.media_type.as_str().ends_with("gzip") {
            MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut tar).expect("a gzip layer");
        } else {
            tar = bytes;
        }
        assert_eq!(DiffId(Digest::of(&tar)), *diff_id, "the diff id of {}", layer.digest);
    }
    assert!(config.history.iter().all(|entry| entry.created.is_some()), "every history entry has a time");
    (manifest.clone(), config.clone())
}

fn blob(dir: &Path, descriptor: &Descriptor) -> Vec<u8> {
    let path = dir.join("blobs/sha256").join(descriptor.digest.hex());
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()));
    assert_eq!(bytes.len() as u64, descriptor.size, "the size of {}", descriptor.digest);
    assert_eq!(Digest::of(&bytes), descriptor.digest, "the digest of {}", path.display());
    bytes
}
