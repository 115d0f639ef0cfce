//! What can go wrong between us and a registry, in words a user can act on.
//!
//! An error names method, URL, status and the registry's own code. It never holds a credential, a query string or a
//! control character that came over the wire.

mod failure;
mod refusal;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use oci::Digest;
use url::Url;

use crate::auth::LoginSource;

pub use failure::Failure;
pub use refusal::Refusal;
pub(crate) use refusal::printable;

/// A request to a registry that failed, or a setting for one that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with an error status.
    #[error("{call}: {refusal}")]
    Refused {
        /// What was asked.
        call: Call,
        /// What was answered.
        refusal: Box<Refusal>,
    },
    /// The registry, or its token server, did not accept who we are.
    #[error("{call}: {refusal}")]
    Unauthorized {
        /// What was asked.
        call: Call,
        /// What was answered.
        refusal: Box<Refusal>,
        /// `HOST[:PORT]` of the registry.
        registry: String,
        /// Where the refused credentials came from.
        login: Box<LoginSource>,
    },
    /// No answer, or only part of one, came back.
    #[error("{call}: {failure}: {cause}")]
    Unreachable {
        /// What was asked.
        call: Call,
        /// The kind of failure.
        failure: Failure,
        /// The innermost cause.
        cause: String,
    },
    /// The content is not what its digest says.
    #[error("{call}: content has digest {found}, expected {expected}")]
    DigestMismatch {
        /// What was asked.
        call: Call,
        /// The digest that was asked for or announced.
        expected: Digest,
        /// The digest of what came, or that the registry answered.
        found: Digest,
    },
    /// The content is longer or shorter than its descriptor says.
    #[error("{call}: content has {found} bytes, expected {expected}")]
    SizeMismatch {
        /// What was asked.
        call: Call,
        /// The size in the descriptor, in bytes.
        expected: u64,
        /// The size that was announced or came, in bytes.
        found: u64,
    },
    /// A document is larger than any honest one.
    #[error("{call}: answer is larger than {limit} bytes")]
    TooLarge {
        /// What was asked.
        call: Call,
        /// The limit in bytes.
        limit: u64,
    },
    /// The answer breaks the distribution specification.
    #[error("{call}: {problem}")]
    InvalidAnswer {
        /// What was asked.
        call: Call,
        /// The broken rule.
        problem: &'static str,
    },
    /// The document is neither an image manifest nor an index that we understand.
    #[error("{call}: media type `{media_type}` is not supported")]
    UnsupportedManifest {
        /// What was asked.
        call: Call,
        /// What came.
        media_type: String,
    },
    /// The server sent us to a place where we do not go.
    #[error("{call}: refused to follow to {location}: {problem}")]
    UnsafeLocation {
        /// What was asked.
        call: Call,
        /// The place, without query and credentials.
        location: String,
        /// Why not.
        problem: &'static str,
    },
    /// A plain file is not to be had.
    #[error("{call}: {refusal}")]
    FileRefused {
        /// What was asked.
        call: Call,
        /// What was answered.
        refusal: Box<Refusal>,
    },
    /// The server of a plain file sent us to a place where we do not go.
    #[error("{call}: refused to follow to {location}: {problem}")]
    FileRedirect {
        /// What was asked.
        call: Call,
        /// The place, without query and credentials.
        location: String,
        /// Why not.
        problem: &'static str,
    },
    /// The URL of a plain file, or what is to be shown to its server, cannot be used.
    #[error("cannot download from {url}: {problem}")]
    FileUrl {
        /// The URL without query and credentials.
        url: String,
        /// Why not.
        problem: &'static str,
    },
    /// The blob to be pushed could not be read.
    #[error("cannot read blob {digest} to push it")]
    ReadBlob {
        /// The blob.
        digest: Digest,
        /// Why not.
        source: io::Error,
    },
    /// The blob to be pushed is not what its descriptor says.
    #[error("blob {expected} cannot be pushed: its content has digest {found} and {size} bytes")]
    BlobChanged {
        /// The digest in the descriptor.
        expected: Digest,
        /// The digest of what was read.
        found: Digest,
        /// How many bytes were read.
        size: u64,
    },
    /// A file with credentials cannot be read or understood.
    #[error("cannot use credentials file {}: {cause}", path.display())]
    AuthFile {
        /// The file.
        path: PathBuf,
        /// Why not; never holds its content.
        cause: String,
    },
    /// A certificate, a key or the directory of them cannot be used.
    #[error("cannot use certificates in {}: {cause}", path.display())]
    Certificates {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// A registry's name that makes no URL.
    #[error("`{registry}` is not the address of a registry: {cause}")]
    Address {
        /// `HOST[:PORT]` as it stands in the image name.
        registry: String,
        /// Why not.
        cause: String,
    },
    /// A proxy's URL is none.
    #[error("cannot use the proxy for {scheme}: {cause}")]
    Proxy {
        /// `http` or `https`.
        scheme: &'static str,
        /// Why not.
        cause: String,
    },
    /// The HTTP client could not be made.
    #[error("cannot set up TLS for {registry}: {cause}")]
    HttpClient {
        /// `HOST[:PORT]` of the registry.
        registry: String,
        /// Why not.
        cause: String,
    },
    /// The threads that carry the network could not be started.
    #[error("cannot start the network threads")]
    Runtime {
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    /// What the user can do about it, if we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unauthorized { registry, login, .. } => Some(login.hint(registry)),
            Self::Unreachable { failure, call, .. } => failure.hint(call),
            Self::Refused { call, refusal } => refusal.hint(call),
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => Some(
                "the registry, or a proxy before it, altered the content; nothing of it was used".to_owned(),
            ),
            Self::BlobChanged { .. } => {
                Some("the store is damaged; build again with `--no-cache` and an empty `--root`".to_owned())
            }
            Self::FileRefused { call, refusal } => refusal.file_hint(call),
            Self::FileRedirect { .. } => {
                Some("name the place that the file is at, if you trust it".to_owned())
            }
            Self::UnsafeLocation { .. } => Some(
                "check the registry's public address; behind a TLS proxy it may need `relativeurls` or \
                 `X-Forwarded-Proto`"
                    .to_owned(),
            ),
            Self::UnsupportedManifest { .. } => Some(
                "push the image again with a tool that writes OCI or Docker schema 2 manifests".to_owned(),
            ),
            Self::HttpClient { .. } => {
                Some("check the files in --cert-dir, certs.d, SSL_CERT_FILE and SSL_CERT_DIR".to_owned())
            }
            _ => None,
        }
    }

    /// Whether the same request may succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { failure, .. } => failure.is_transient(),
            Self::Refused { refusal, .. } | Self::FileRefused { refusal, .. } => refusal.is_transient(),
            _ => false,
        }
    }

    /// How long the server asks to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { refusal, .. } | Self::FileRefused { refusal, .. } => refusal.retry_after,
            _ => None,
        }
    }

    /// The HTTP status behind this error.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { refusal, .. } | Self::Unauthorized { refusal, .. } => Some(refusal.status),
            _ => None,
        }
    }
}

/// A request as it may be shown: method and URL without user, password and query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The HTTP method.
    pub method: String,
    /// The URL up to its path.
    pub url: String,
}

impl Call {
    pub(crate) fn new(method: &str, url: &Url) -> Self {
        Self { method: method.to_owned(), url: redacted(url) }
    }

    /// `HOST[:PORT]` of the URL.
    pub(crate) fn host(&self) -> &str {
        self.url.split('/').nth(2).unwrap_or_default()
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.url)
    }
}

/// `url` without user, password, query and fragment.
pub(crate) fn redacted(url: &Url) -> String {
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    format!("{}://{authority}{}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_urls_hold_no_secrets() {
        let url =
            Url::parse("https://user:secret@r.io:5000/v2/a/blobs/uploads/1?_state=secret#secret").unwrap();
        assert_eq!(Call::new("PUT", &url).to_string(), "PUT https://r.io:5000/v2/a/blobs/uploads/1");
        assert_eq!(Call::new("PUT", &url).host(), "r.io:5000");
    }
}
