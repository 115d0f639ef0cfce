//! Which credentials count for a repository, and where they came from.
//!
//! Only the place that a credential was found for decides where it goes; no server can name another.

use std::fmt;
use std::path::PathBuf;

use super::auth_file::{AuthFile, Found};
use crate::Error;

/// Where credentials are looked for, in this order. Unlike in buildah, a file that does not know the registry hides
/// no other file.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// What the user typed (`--creds`).
    pub explicit: Option<ExplicitCredentials>,
    /// Files that may or may not be there: `--authfile`, `$REGISTRY_AUTH_FILE`, `$DOCKER_CONFIG/config.json`, …
    pub auth_files: Vec<PathBuf>,
}

/// A user and a password from the command line.
#[derive(Clone)]
pub struct ExplicitCredentials {
    /// The one registry (`HOST[:PORT]`) that they are for; `None` for all.
    pub registry: Option<String>,
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for ExplicitCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ExplicitCredentials")
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}

/// Where the credentials of a request came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginSource {
    /// There were none.
    Anonymous {
        /// The files that do not know the registry.
        looked_in: Vec<PathBuf>,
    },
    /// The command line.
    CommandLine,
    /// A credentials file.
    File(PathBuf),
    /// None were used, because a program would have to be asked for them.
    Helper {
        /// `docker-credential-NAME`.
        name: String,
        /// The file that names it.
        file: PathBuf,
    },
}

impl LoginSource {
    pub(crate) fn hint(&self, registry: &str) -> String {
        match self {
            Self::Anonymous { looked_in } if looked_in.is_empty() => {
                format!("no credentials for `{registry}`; give them with --creds or --authfile")
            }
            Self::Anonymous { looked_in } => {
                let files: Vec<_> = looked_in.iter().map(|file| file.display().to_string()).collect();
                format!("no credentials for `{registry}`; looked in {}", files.join(", "))
            }
            Self::CommandLine => format!("`{registry}` refused the credentials given with --creds"),
            Self::File(file) => {
                format!("`{registry}` refused the credentials from {}", file.display())
            }
            Self::Helper { name, file } => format!(
                "{} wants `docker-credential-{name}` to be asked, which is not supported; give the credentials \
                 for `{registry}` with --creds or in another --authfile",
                file.display()
            ),
        }
    }
}

/// What is proven with.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Secret {
    None,
    Password {
        user: String,
        password: String,
    },
    /// A refresh token, exchanged at the token server.
    IdentityToken(String),
    /// A bearer token for the registry itself.
    RegistryToken(String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// A secret and where it came from.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) secret: Secret,
    pub(super) source: LoginSource,
}

impl Credentials {
    /// The credentials for `repository` at `registry` (`HOST[:PORT]`).
    ///
    /// A helper program counts only when no file has the credentials themselves.
    pub(super) fn login(&self, registry: &str, repository: &str) -> Result<Login, Error> {
        if let Some(given) = &self.explicit
            && given.registry.as_deref().is_none_or(|only| only == registry)
        {
            let (user, password) = (given.user.clone(), given.password.clone());
            return Ok(Login {
                secret: Secret::Password { user, password },
                source: LoginSource::CommandLine,
            });
        }
        let mut helper = None;
        for file in &self.auth_files {
            let Some(entries) = AuthFile::read(file)? else { continue };
            let found = entries.find(registry, repository);
            match found.map_err(|cause| Error::AuthFile { path: file.clone(), cause })? {
                Some(Found::Secret(secret)) => {
                    return Ok(Login { secret, source: LoginSource::File(file.clone()) });
                }
                Some(Found::Helper(name)) => {
                    helper = helper.or(Some(LoginSource::Helper { name, file: file.clone() }));
                }
                None => {}
            }
        }
        let nowhere = || LoginSource::Anonymous { looked_in: self.auth_files.clone() };
        Ok(Login { secret: Secret::None, source: helper.unwrap_or_else(nowhere) })
    }
}
