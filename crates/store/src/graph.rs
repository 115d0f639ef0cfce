//! Which blobs belong to an image: the descriptors that manifests and indexes hold, followed to their ends.

use std::collections::BTreeMap;
use std::path::Path;

use oci::{Descriptor, Digest};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::layout::Layout;

/// The limit for manifests that registries agree on.
pub(crate) const MANIFEST_LIMIT: u64 = 4 << 20;

/// What to do about a manifest that is not there or not what its digest says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It is an error.
    Refuse,
    /// It points to nothing.
    Skip,
}

/// All blobs that can be reached from `roots`, by digest; `roots` included.
///
/// Blobs of media types that we do not know point to nothing, as do `subject` fields: a subject need not exist.
pub(crate) fn reach(
    layout: &Layout,
    roots: impl IntoIterator<Item = Descriptor>,
    broken: Broken,
) -> Result<BTreeMap<Digest, Descriptor>, Error> {
    let mut found = BTreeMap::new();
    let mut ahead: Vec<_> = roots.into_iter().collect();
    while let Some(blob) = ahead.pop() {
        let first = found.insert(blob.digest, blob.clone()).is_none();
        if first && (blob.media_type.is_manifest() || blob.media_type.is_index()) {
            ahead.extend(links(layout, &blob, broken)?);
        }
    }
    Ok(found)
}

/// The fields of manifests and indexes that point to other blobs. Go writes `null` for an empty list.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Links {
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

fn links(layout: &Layout, document: &Descriptor, broken: Broken) -> Result<Vec<Descriptor>, Error> {
    let links: Links = match read(layout, document, "manifest") {
        Err(Error::MissingBlob { .. } | Error::SizeMismatch { .. } | Error::DigestMismatch { .. })
            if broken == Broken::Skip =>
        {
            return Ok(Vec::new());
        }
        links => links?,
    };
    let lists = links.layers.into_iter().chain(links.manifests).flatten();
    Ok(links.config.into_iter().chain(lists).collect())
}

/// Reads and parses the document that `descriptor` points to.
pub(crate) fn read<T: DeserializeOwned>(
    layout: &Layout,
    descriptor: &Descriptor,
    what: &'static str,
) -> Result<T, Error> {
    let text = layout.read_blob(descriptor, MANIFEST_LIMIT)?;
    parse(&layout.blob_path(&descriptor.digest), what, &text)
}

/// Parses `text`, which was read from `path`, as a `what`.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, what: &'static str, text: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(text).map_err(|cause| {
        let source = oci::Error::Json { what, cause: cause.to_string() };
        Error::Malformed { path: path.to_owned(), source }
    })
}
