//! A client of the OCI distribution specification: pulls and pushes manifests and blobs.
//!
//! The face is blocking and `Send + Sync`; the async runtime and the HTTP client stay inside `transport`. Every byte
//! that comes in is checked against the digest and size it was asked for, and every credential stays with the
//! registry it was found for. A plain file from anywhere ([`Client::download`]) comes over the same transport, without
//! a digest and without a registry's credentials.
//!
//! This crate opens sockets and reads the certificate and credential files that it is told about, besides the
//! system's CAs. It does not know the store (it yields readers and takes readers), reads no environment, no home and
//! no wall clock, and spawns nothing. Start reading at [`Client`], then `session`, which every request passes through.

mod auth;
mod blob;
mod client;
mod download;
mod endpoint;
mod error;
mod file_name;
mod manifest;
mod retry;
mod session;
mod settings;
mod tls;
mod transport;
mod upload;

pub use auth::{Credentials, ExplicitCredentials, LoginSource};
pub use blob::BlobReader;
pub use client::Client;
pub use download::{Download, DownloadReader, DownloadRequest};
pub use error::{Call, Error, Failure, Refusal};
pub use manifest::Fetched;
pub use settings::{Proxies, Retry, Settings, Timeouts, TlsSettings, Verify};
pub use upload::PushedBlob;
pub use url::Url;
