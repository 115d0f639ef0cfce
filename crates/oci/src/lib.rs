//! The words of the OCI image specification as checked values.
//!
//! Digests, descriptors, manifests, indexes, image configs and references: parsing is the only way in, so a held
//! value is valid. Everything is plain data; a digest is always of bytes, so parsed documents travel with the exact
//! bytes they came from ([`Raw`]).
//!
//! This crate does no I/O, opens no socket and knows no Dockerfile word. Start reading at [`Digest`] and
//! [`ImageConfig`].

mod config;
mod descriptor;
mod digest;
mod error;
mod manifest;
mod media_type;
mod platform;
mod raw;
mod reference;
mod validation;

pub use config::{ExecConfig, Healthcheck, History, ImageConfig, RootFs};
pub use descriptor::Descriptor;
pub use digest::{ChainId, DiffId, Digest, Digester};
pub use error::Error;
pub use manifest::{Index, Manifest};
pub use media_type::{LayerEncoding, MediaType};
pub use platform::Platform;
pub use raw::{Raw, to_json};
pub use reference::Reference;
pub use validation::validate_image;
