//! What a caller decides: credentials, trust, proxies, patience. Plain data; nothing is looked up here.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::Credentials;

/// Everything a [`Client`](crate::Client) is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who we are.
    pub credentials: Credentials,
    /// Whom we trust.
    pub tls: TlsSettings,
    /// Ways around a firewall.
    pub proxies: Proxies,
    /// What happens after a failure that may pass.
    pub retry: Retry,
    /// How long we wait.
    pub timeouts: Timeouts,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// How many blobs are read, and how many are sent, at the same time.
    pub parallel: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            credentials: Credentials::default(),
            tls: TlsSettings::default(),
            proxies: Proxies::default(),
            retry: Retry::default(),
            timeouts: Timeouts::default(),
            user_agent: concat!("builder/", env!("CARGO_PKG_VERSION")).to_owned(),
            parallel: 6,
        }
    }
}

/// Which servers are trusted and how we identify ourselves to them.
#[derive(Debug, Clone, Default)]
pub struct TlsSettings {
    /// Whether a server must prove who it is.
    pub verify: Verify,
    /// Directories that hold `HOST[:PORT]/*.crt` (CAs) and `*.cert` with `*.key` (client certificates), the later
    /// ones in addition to the earlier (containers-certs.d(5)).
    pub cert_dirs: Vec<PathBuf>,
    /// A directory with such files for every registry (`--cert-dir`).
    pub cert_dir: Option<PathBuf>,
    /// A bundle of CAs in place of the system's (`SSL_CERT_FILE`).
    pub ca_file: Option<PathBuf>,
    /// Directories of CAs in place of the system's (`SSL_CERT_DIR`).
    pub ca_dirs: Vec<PathBuf>,
}

/// Whether a server must speak TLS and show a certificate that we trust.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Verify {
    /// Always (`--tls-verify=true`).
    #[default]
    Required,
    /// Never: certificates are not checked, and a registry without TLS is spoken to in plain http.
    Skipped,
    /// Not by these hosts (`HOST[:PORT]`), but by all others, among them the token servers and redirect targets
    /// that such a host names.
    SkippedFor(BTreeSet<String>),
}

impl Verify {
    /// Whether `host` (`HOST[:PORT]`) is exempt.
    pub(crate) fn is_skipped_for(&self, host: &str) -> bool {
        match self {
            Self::Required => false,
            Self::Skipped => true,
            Self::SkippedFor(hosts) => hosts.contains(host),
        }
    }
}

/// Proxies as `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name them; loopback addresses are always reached directly.
#[derive(Clone, Default)]
pub struct Proxies {
    /// The proxy for http URLs.
    pub http: Option<String>,
    /// The proxy for https URLs.
    pub https: Option<String>,
    /// Hosts, domains and networks that are reached directly, separated by commas.
    pub no_proxy: Option<String>,
}

impl std::fmt::Debug for Proxies {
    // A proxy's URL may hold a password.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Proxies").field("no_proxy", &self.no_proxy).finish_non_exhaustive()
    }
}

/// How failures that may pass (broken connections, 408, 429, 5xx) are answered.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// How many more times a failed request is tried.
    pub attempts: u32,
    /// The pause before the first of them; each later one is twice as long, up to 30 seconds. A registry's
    /// `Retry-After` is honoured up to a minute.
    pub delay: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 3, delay: Duration::from_secs(2) }
    }
}

/// How long a silent server is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// To name resolution, TCP and TLS.
    pub connect: Duration,
    /// Until an answer begins, and between two pieces of a body in either direction.
    pub idle: Duration,
    /// Until the answer to a complete upload: a registry may have to copy or check gigabytes first.
    pub commit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            idle: Duration::from_mins(1),
            commit: Duration::from_mins(10),
        }
    }
}
