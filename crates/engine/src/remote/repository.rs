//! The files of a git repository (Dockerfile reference, "Adding files from a Git repository").

use std::path::PathBuf;

use git::{Authorization, FileTimes, GitUrl};
use registry::Verify;

use crate::Shared;
use crate::error::{Cause, Error};
use crate::options::{BuildOptions, SshSource};

/// The build argument that keeps `.git` in a build context.
const KEEP_GIT_DIR: &str = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";

impl Shared {
    /// Checks `url` out into a directory of its own.
    pub(crate) fn check_out(&self, url: &GitUrl, options: &BuildOptions) -> Result<PathBuf, Error> {
        let dir = self.new_dir("git")?;
        let cancelled = || self.cancel.is_cancelled();
        match git::checkout(url, &self.git_options(url, options), &dir, &cancelled) {
            Ok(_) => Ok(dir),
            Err(_) if cancelled() => Err(Cause::Cancelled.into()),
            Err(source) => Err(Cause::Git { url: url.to_string(), source }.into()),
        }
    }

    /// Trust and proxies are those of registries, secrets have BuildKit's names.
    fn git_options(&self, url: &GitUrl, options: &BuildOptions) -> git::Options {
        let registry = self.registry.settings();
        let agent = options.ssh.get("default").and_then(|source| match source {
            SshSource::Agent(socket) => Some(socket.clone()),
            SshSource::Keys(_) => None,
        });
        git::Options {
            authorizations: authorizations(url.host(), options),
            ssh_agent: agent,
            ca_file: registry.tls.ca_file.clone(),
            verify_tls: registry.tls.verify != Verify::Skipped,
            proxies: git::Proxies {
                http: registry.proxies.http.clone(),
                https: registry.proxies.https.clone(),
                no_proxy: registry.proxies.no_proxy.clone(),
            },
            mtime: (url.mtime == Some(FileTimes::Checkout)).then_some(options.now),
            ..git::Options::default()
        }
    }

    /// As [`check_out`](Self::check_out), for a build context: `.git` is kept if a build argument says so.
    pub(crate) fn check_out_context(&self, url: &GitUrl, options: &BuildOptions) -> Result<PathBuf, Error> {
        let keeps =
            options.build_args.get(KEEP_GIT_DIR).is_some_and(|value| matches!(value.as_str(), "1" | "true"));
        let mut url = url.clone();
        url.keep_git_dir = url.keep_git_dir.or(Some(keeps));
        self.check_out(&url, options)
    }
}

/// What the secrets `GIT_AUTH_HEADER` and `GIT_AUTH_TOKEN` say, those with `.host` behind them first.
fn authorizations(host: &str, options: &BuildOptions) -> Vec<Authorization> {
    let secret = |id: &str| {
        let secret = options.secrets.get(id)?;
        Some(String::from_utf8_lossy(secret.bytes()).trim().to_owned())
    };
    let mut found = Vec::new();
    for (suffix, host) in [(format!(".{host}"), Some(host.to_owned())), (String::new(), None)] {
        let header = secret(&format!("GIT_AUTH_HEADER{suffix}"));
        found.extend(header.map(|header| Authorization { host: host.clone(), header }));
        let token = secret(&format!("GIT_AUTH_TOKEN{suffix}"));
        found.extend(token.map(|token| Authorization::token(host, &token)));
    }
    found
}
