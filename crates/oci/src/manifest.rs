//! Image manifests and indexes (image specification, `manifest.md` and `image-index.md`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::raw::null_as_default;
use crate::{Descriptor, Error, MediaType, Platform};

/// An image manifest: one config and the layers, bottom first. Docker's schema 2 has the same shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The document's own media type; OCI allows it to be absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<MediaType>,
    /// The image config.
    pub config: Descriptor,
    /// The layers, bottom first.
    #[serde(default, deserialize_with = "null_as_default")]
    pub layers: Vec<Descriptor>,
    /// Annotations of the image.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default, deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, String>,
    /// Everything else (`subject`, `artifactType`), kept as it is.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

impl Manifest {
    /// An OCI manifest of `config` and `layers`.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::OCI_MANIFEST.into()),
            config,
            layers,
            annotations: BTreeMap::new(),
            other: BTreeMap::new(),
        }
    }
}

/// An image index (OCI) or manifest list (Docker).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The document's own media type; OCI allows it to be absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<MediaType>,
    /// The manifests, in the order of preference.
    #[serde(default, deserialize_with = "null_as_default")]
    pub manifests: Vec<Descriptor>,
    /// Annotations of the index.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default, deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, String>,
    /// Everything else, kept as it is.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

impl Index {
    /// An OCI index of `manifests`.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::OCI_INDEX.into()),
            manifests,
            annotations: BTreeMap::new(),
            other: BTreeMap::new(),
        }
    }

    /// The first manifest for `wanted`; an exact variant is preferred to a manifest that names none.
    ///
    /// Fails with the platforms that there are when none fits.
    pub fn select(&self, wanted: &Platform) -> Result<&Descriptor, Error> {
        let named =
            |descriptor: &&Descriptor| descriptor.platform.as_ref().is_some_and(|p| p.satisfies(wanted));
        let anonymous = |descriptor: &&Descriptor| descriptor.platform.is_none();
        let found = self.manifests.iter().find(named);
        found
            .or_else(|| self.manifests.iter().find(anonymous).filter(|_| self.manifests.len() == 1))
            .ok_or_else(|| {
                let there: Vec<_> = self
                    .manifests
                    .iter()
                    .filter_map(|d| d.platform.as_ref())
                    .map(ToString::to_string)
                    .collect();
                Error::Inconsistent {
                    what: "image index",
                    why: format!("no manifest for {wanted}, only for {}", there.join(", ")),
                }
            })
    }
}
