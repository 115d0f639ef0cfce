//! The media types of manifests, configs and layers, in their OCI and Docker spellings.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A media type as written in a descriptor.
///
/// Unknown types are kept as they are: an image may hold layers that only its runtime understands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(String);

/// How a layer's tar is encoded in its blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerEncoding {
    /// Plain tar.
    Plain,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl MediaType {
    /// `application/vnd.oci.image.index.v1+json`.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// `application/vnd.oci.image.manifest.v1+json`.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// `application/vnd.oci.image.config.v1+json`.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// `application/vnd.oci.image.layer.v1.tar`.
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// `application/vnd.oci.image.layer.v1.tar+gzip`.
    pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// `application/vnd.oci.image.layer.v1.tar+zstd`.
    pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker's manifest list.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's image manifest, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's image config.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// Docker's layer, gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker's layer, plain tar.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    /// Docker's layer, zstd.
    pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";

    /// The text of the media type.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the document is an index (OCI) or manifest list (Docker).
    pub fn is_index(&self) -> bool {
        [Self::OCI_INDEX, Self::DOCKER_INDEX].contains(&self.as_str())
    }

    /// Whether the document is an image manifest.
    pub fn is_manifest(&self) -> bool {
        [Self::OCI_MANIFEST, Self::DOCKER_MANIFEST].contains(&self.as_str())
    }

    /// How the layer is encoded; `None` when this is no distributable file system layer.
    pub fn layer_encoding(&self) -> Option<LayerEncoding> {
        match self.as_str() {
            Self::OCI_LAYER | Self::DOCKER_LAYER => Some(LayerEncoding::Plain),
            Self::OCI_LAYER_GZIP | Self::DOCKER_LAYER_GZIP => Some(LayerEncoding::Gzip),
            Self::OCI_LAYER_ZSTD | Self::DOCKER_LAYER_ZSTD => Some(LayerEncoding::Zstd),
            _ => None,
        }
    }

    /// The OCI spelling of a Docker media type; other types stay as they are.
    ///
    /// Only names differ between the two: the bytes a descriptor points to are the same.
    pub fn to_oci(&self) -> Self {
        Self::from(match self.as_str() {
            Self::DOCKER_INDEX => Self::OCI_INDEX,
            Self::DOCKER_MANIFEST => Self::OCI_MANIFEST,
            Self::DOCKER_CONFIG => Self::OCI_CONFIG,
            Self::DOCKER_LAYER => Self::OCI_LAYER,
            Self::DOCKER_LAYER_GZIP => Self::OCI_LAYER_GZIP,
            Self::DOCKER_LAYER_ZSTD => Self::OCI_LAYER_ZSTD,
            other => other,
        })
    }
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl PartialEq<str> for MediaType {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}
