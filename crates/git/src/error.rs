//! Why there are no files. No error holds a password, a token or a control character that came over the wire.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::url::QUERY_KEYS;

/// A git URL that cannot be used, or a checkout that failed. Remotes are shown without user and password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL breaks a rule.
    #[error("cannot use git URL `{url}`: {problem}")]
    Url {
        /// The remote.
        url: String,
        /// The rule.
        problem: String,
    },
    /// The query of the URL holds a key that means nothing.
    #[error("git URL `{url}` has unknown option `{key}`")]
    UnknownOption {
        /// The remote.
        url: String,
        /// The key.
        key: String,
    },
    /// There is no git.
    #[error("cannot fetch from {remote}: git is not installed")]
    NotInstalled {
        /// The remote.
        remote: String,
    },
    /// Git could not do it.
    #[error("git {command} of {remote} failed: {message}")]
    Failed {
        /// The subcommand.
        command: &'static str,
        /// The remote.
        remote: String,
        /// The last lines that git said.
        message: String,
    },
    /// The remote does not have the branch, tag or commit.
    #[error("{remote} has no ref `{reference}`")]
    NoSuchRef {
        /// The remote.
        remote: String,
        /// What was asked for.
        reference: String,
    },
    /// The commit is another one than the checksum says.
    #[error("{remote} has commit {found}, expected {expected}")]
    ChecksumMismatch {
        /// The remote.
        remote: String,
        /// The commit that was found.
        found: String,
        /// The whole commit, or how it begins.
        expected: String,
    },
    /// The commit has no such directory.
    #[error("{remote} has no directory `{subdir}`")]
    NoSuchDirectory {
        /// The remote.
        remote: String,
        /// The directory inside of the repository.
        subdir: String,
    },
    /// A submodule breaks a rule.
    #[error("cannot use submodule `{path}`: {problem}")]
    Submodule {
        /// Where it belongs in the repository.
        path: String,
        /// The rule.
        problem: String,
    },
    /// A submodule could not be fetched.
    #[error("cannot fetch submodule `{path}`")]
    SubmoduleFetch {
        /// Where it belongs in the repository.
        path: String,
        /// Why not.
        source: Box<Self>,
    },
    /// Git took too long.
    #[error("git {command} of {remote} took longer than {} seconds", limit.as_secs())]
    TimedOut {
        /// The subcommand.
        command: &'static str,
        /// The remote.
        remote: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The caller wanted no more of it.
    #[error("cancelled")]
    Cancelled,
    /// A file could not be written or a program not be run.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    /// What the user can do about it, if we know.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::UnknownOption { .. } => format!("the options are {}", QUERY_KEYS.join(", ")),
            Self::NotInstalled { .. } => "install git and put it in PATH".to_owned(),
            Self::NoSuchRef { reference, .. } if reference.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                "the branch or tag does not exist; a commit is named by all of its digits".to_owned()
            }
            Self::NoSuchRef { .. } => "the branch or tag does not exist; check its name".to_owned(),
            Self::Submodule { .. } => "leave submodules out with `?submodules=false`".to_owned(),
            Self::SubmoduleFetch { source, .. } => return source.hint(),
            Self::Failed { message, .. } => return hint_for(message).map(str::to_owned),
            _ => return None,
        };
        Some(hint)
    }
}

/// Makes an I/O error one of `path`.
pub(crate) fn io_error(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { operation, path, source }
}

/// The cure for what git says.
fn hint_for(message: &str) -> Option<&'static str> {
    const CURES: [(&[&str], &str); 5] = [
        (
            &[
                "Authentication failed",
                "could not read Username",
                "could not read Password",
                "error: 401",
                "error: 403",
            ],
            "the repository wants to know who asks; give the secret GIT_AUTH_TOKEN or GIT_AUTH_HEADER",
        ),
        (
            &["not found", "error: 404", "not appear to be a git repository"],
            "check the URL; a private repository needs the secret GIT_AUTH_TOKEN",
        ),
        (&["Host key verification failed"], "give the host's key in a file of known hosts"),
        (&["Permission denied (publickey"], "forward an ssh agent that has a key for the host (--ssh)"),
        (&["error: 30", "redirect"], "the repository has moved; name its new URL"),
    ];
    let fits = |words: &[&str]| words.iter().any(|word| message.contains(word));
    CURES.iter().find(|(words, _)| fits(words)).map(|(_, cure)| *cure)
}
