//! Sources of ADD that are elsewhere: they are fetched into a directory of their own, and copied from there.
//!
//! Knows networks only through `registry` and `git`.

mod checksum;
mod file;
mod repository;

use git::GitUrl;
use url::Url;

pub(crate) use checksum::Checksum;
pub(crate) use file::Downloaded;

use crate::error::{Cause, Error};

/// What a source of ADD names that is no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remote {
    /// A file by its URL.
    File(Url),
    /// The files of a git repository.
    Repository(GitUrl),
}

impl Remote {
    /// What `text` names, unless it is a path. What could be either is a path, as in BuildKit.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, Error> {
        Ok(Self::parse_context(text)?
            .filter(|remote| !matches!(remote, Self::Repository(url) if url.could_be_path)))
    }

    /// What `text` names, unless it can only be a path.
    pub(crate) fn parse_context(text: &str) -> Result<Option<Self>, Error> {
        if let Some(url) = GitUrl::parse(text) {
            let url = url.map_err(|source| Cause::Git { url: without_user(text), source })?;
            return Ok(Some(Self::Repository(url)));
        }
        if !["http://", "https://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(None);
        }
        file_url(text).map(Self::File).map(Some)
    }

    /// How it is shown: without the user and password of its URL.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::File(url) => without_user(url.as_str()),
            Self::Repository(url) => url.to_string(),
        }
    }
}

/// The URL of a file.
pub(crate) fn file_url(text: &str) -> Result<Url, Error> {
    Url::parse(text).map_err(|error| {
        let (what, why) = ("URL", error.to_string());
        Cause::InvalidArgument { what, text: without_user(text), why }.into()
    })
}

/// A URL without user and password.
pub(crate) fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..end].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[host..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_passwords_are_not_shown() {
        for (url, shown) in [
            ("https://h/p", "https://h/p"),
            ("https://u:p@h:1/p?q=a@b", "https://h:1/p?q=a@b"),
            ("https://u:p@x@h", "https://h"),
            ("a@b", "a@b"),
        ] {
            assert_eq!(without_user(url), shown);
        }
    }

    #[test]
    fn only_urls_are_elsewhere() {
        assert_eq!(Remote::parse("http/x").unwrap(), None);
        assert!(matches!(Remote::parse("https://h/x").unwrap(), Some(Remote::File(_))));
        assert!(matches!(Remote::parse("https://h/x.git#v1:sub").unwrap(), Some(Remote::Repository(_))));
        assert!(matches!(Remote::parse("git@h:x").unwrap(), Some(Remote::Repository(_))));
        assert_eq!(Remote::parse("github.com/a/b").unwrap(), None);
        assert!(Remote::parse_context("github.com/a/b").unwrap().is_some());
        let error = Remote::parse("https://u:p@h:x/y").unwrap_err().to_string();
        assert_eq!(error, "invalid URL `https://h:x/y`: invalid port number");
    }
}
