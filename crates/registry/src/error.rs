//! What can go wrong between us and a registry, in words a user can act on.
//!
//! An error names method, URL, status and the registry's own code. It never holds a credential, a query string or a
//! control character that came over the wire.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use oci::Digest;
use url::Url;

use crate::auth::LoginSource;

/// The most of a registry's message that is shown, in characters.
const MESSAGE_LIMIT: usize = 300;

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
            Self::Refused { refusal, .. } => refusal.is_transient(),
            _ => false,
        }
    }

    /// How long the server asks to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { refusal, .. } => refusal.retry_after,
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
    fn host(&self) -> &str {
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

/// An HTTP error status with what the registry said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The registry's error code, such as `MANIFEST_UNKNOWN`.
    pub code: Option<String>,
    /// The registry's message, in one printable line.
    pub message: Option<String>,
    /// The `Retry-After` header.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Reads the first error of a registry's answer, or the `details` of a token server's.
    pub(crate) fn parse(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |value: &serde_json::Value| value.as_str().map(printable).filter(|text| !text.is_empty());
        let first = &json["errors"][0];
        Self {
            status,
            code: text(&first["code"]),
            message: text(&first["message"]).or_else(|| text(&json["details"])),
            retry_after,
        }
    }

    fn is_transient(&self) -> bool {
        // A registry behind a load balancer may have started the upload on another machine.
        let lost_upload = self.code.as_deref() == Some("BLOB_UPLOAD_UNKNOWN");
        lost_upload || matches!(self.status, 408 | 429 | 500 | 502 | 503 | 504)
    }

    fn hint(&self, call: &Call) -> Option<String> {
        let host = call.host();
        let hint = match (self.status, self.code.as_deref()) {
            (404, _) if call.url.contains("/manifests/") => {
                format!("no such tag or repository on `{host}`, or it is hidden from this user")
            }
            (404, Some("NAME_UNKNOWN")) => format!("no such repository on `{host}`; create it first"),
            (403, _) => {
                format!("the user has no right for this on `{host}`; ask for push access to the repository")
            }
            (413, _) => "a proxy before the registry limits the size of a request; raise its limit \
                 (nginx: client_max_body_size)"
                .to_owned(),
            (429, _) => format!("`{host}` limits the rate of requests; log in or try again later"),
            (400, _) if self.message.as_deref().is_some_and(|m| m.contains("HTTP request to an HTTPS")) => {
                format!("`{host}` wants https; leave out --tls-verify=false")
            }
            (507, _) => format!("`{host}` has no space left"),
            (500.., _) => format!("`{host}` is in trouble; its log says more"),
            _ => return None,
        };
        Some(hint)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = || reqwest::StatusCode::from_u16(self.status).ok()?.canonical_reason();
        write!(formatter, "{}", self.status)?;
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => write!(formatter, " {code}: {message}"),
            (Some(code), None) => write!(formatter, " {code}"),
            (None, Some(message)) => write!(formatter, ": {message}"),
            (None, None) => reason().map_or(Ok(()), |reason| write!(formatter, " {reason}")),
        }
    }
}

/// One line of bounded length that cannot move a terminal's cursor.
pub(crate) fn printable(text: &str) -> String {
    let text = text.trim().chars().take(MESSAGE_LIMIT);
    text.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Why no (whole) answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The host's name has no address.
    UnknownHost,
    /// No name server answered.
    NoNameServer,
    /// Nothing listens there, or a firewall says so.
    ConnectionRefused,
    /// The server said nothing for too long.
    TimedOut,
    /// The server's certificate is not signed by anyone we trust.
    UntrustedCertificate,
    /// The server's certificate is for another name.
    CertificateForOtherName,
    /// The server's certificate is not valid at this time.
    ExpiredCertificate,
    /// The server spoke plain http on a port where TLS was expected.
    NotTls,
    /// The server and we found no common TLS, or it wants a client certificate.
    TlsRefused,
    /// The connection broke.
    ConnectionLost,
}

impl Failure {
    fn is_transient(self) -> bool {
        matches!(self, Self::NoNameServer | Self::ConnectionRefused | Self::TimedOut | Self::ConnectionLost)
    }

    fn hint(self, call: &Call) -> Option<String> {
        let host = call.host();
        let hint = match self {
            Self::UnknownHost | Self::NoNameServer => {
                format!("check the name `{host}` and the DNS of this machine or pod")
            }
            Self::ConnectionRefused => {
                format!("nothing listens on `{host}`; check host, port and proxy settings")
            }
            Self::TimedOut => format!("check that `{host}` can be reached from here, and the proxy settings"),
            Self::UntrustedCertificate => format!(
                "give the CA of `{host}` with --cert-dir (a *.crt file in it), or turn the check off with \
                 --tls-verify=false"
            ),
            Self::CertificateForOtherName => {
                format!("call the registry by a name that its certificate holds, not `{host}`")
            }
            Self::ExpiredCertificate => {
                format!("renew the certificate of `{host}`, or correct the clock of this machine")
            }
            Self::NotTls => format!("`{host}` does not speak https; allow http with --tls-verify=false"),
            Self::TlsRefused => {
                format!(
                    "`{host}` may want a client certificate (*.cert and *.key in --cert-dir), or may not speak \
                     https (--tls-verify=false allows http)"
                )
            }
            Self::ConnectionLost => return None,
        };
        Some(hint)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnknownHost => "unknown host",
            Self::NoNameServer => "name resolution failed",
            Self::ConnectionRefused => "cannot connect",
            Self::TimedOut => "no answer",
            Self::UntrustedCertificate => "certificate signed by unknown authority",
            Self::CertificateForOtherName => "certificate is for another name",
            Self::ExpiredCertificate => "certificate has expired or is not yet valid",
            Self::NotTls => "server gave an http answer to an https client",
            Self::TlsRefused => "TLS handshake failed",
            Self::ConnectionLost => "connection lost",
        })
    }
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

    #[test]
    fn refusals_show_the_registrys_code_and_message() {
        for (body, expected) in [
            (r#"{"errors":[{"code":"DENIED","message":"no\u001b[31m way\n"}]}"#, "403 DENIED: no [31m way"),
            (r#"{"errors":[{"code":"DENIED"}]}"#, "403 DENIED"),
            (r#"{"details":"bad password"}"#, "403: bad password"),
            (r#"{"errors":"x"}"#, "403 Forbidden"),
            ("<html>", "403 Forbidden"),
        ] {
            assert_eq!(Refusal::parse(403, None, body.as_bytes()).to_string(), expected);
        }
        let long = format!(r#"{{"details":"{}"}}"#, "x".repeat(10_000));
        assert!(Refusal::parse(403, None, long.as_bytes()).to_string().len() < 400);
    }
}
