//! What a caller decides: secrets, trust, proxies, patience. Plain data; nothing is looked up here.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that a checkout is told besides the URL.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where `git` and `ssh` are looked for (`PATH`).
    pub path: OsString,
    /// Secrets by host; the first that fits counts, before a password in the URL.
    pub authorizations: Vec<Authorization>,
    /// The socket of an ssh agent.
    pub ssh_agent: Option<PathBuf>,
    /// A file of known hosts; without one, only the hosts that the machine knows are trusted.
    pub known_hosts: Option<PathBuf>,
    /// A bundle of CAs in place of git's.
    pub ca_file: Option<PathBuf>,
    /// Whether https servers must prove who they are.
    pub verify_tls: bool,
    /// Ways around a firewall, for http and https.
    pub proxies: Proxies,
    /// How long one call of git may take.
    pub timeout: Duration,
    /// Whether `.git` stays where the URL does not say.
    pub keep_git_dir: bool,
    /// What all files and directories are dated, in seconds since 1970; `None` for the time of the commit, which does
    /// not change from one checkout to the next.
    pub mtime: Option<i64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
            authorizations: Vec::new(),
            ssh_agent: None,
            known_hosts: None,
            ca_file: None,
            verify_tls: true,
            proxies: Proxies::default(),
            timeout: Duration::from_mins(30),
            keep_git_dir: false,
            mtime: None,
        }
    }
}

/// The value of an `Authorization` header and the host that it is for.
#[derive(Clone)]
pub struct Authorization {
    /// `HOST[:PORT]`; `None` for the host of the URL that is checked out, where submodules may lie too.
    pub host: Option<String>,
    /// `Basic …` or `Bearer …`.
    pub header: String,
}

impl fmt::Debug for Authorization {
    // The header is a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Authorization").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Authorization {
    /// What a hosting service takes a token as: the password of `x-access-token` (the secret `GIT_AUTH_TOKEN`).
    pub fn token(host: Option<String>, token: &str) -> Self {
        Self { host, header: crate::remote::basic(b"x-access-token", token.as_bytes()) }
    }
}

/// Proxies as `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name them.
#[derive(Clone, Default)]
pub struct Proxies {
    /// The proxy for http URLs.
    pub http: Option<String>,
    /// The proxy for https URLs.
    pub https: Option<String>,
    /// Hosts and domains that are reached directly, separated by commas.
    pub no_proxy: Option<String>,
}

impl fmt::Debug for Proxies {
    // A proxy's URL may hold a password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Proxies").field("no_proxy", &self.no_proxy).finish_non_exhaustive()
    }
}
