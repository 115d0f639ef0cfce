//! Sources of ADD that are elsewhere: they are fetched into a directory of their own, and copied from there.
//!
//! Knows networks only through `registry` and `git`.

mod checksum;
mod file;

use url::Url;

pub(crate) use checksum::Checksum;
pub(crate) use file::Downloaded;

use crate::error::{Cause, Error};

/// What a source of ADD names that is no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remote {
    /// A file by its URL.
    File(Url),
}

impl Remote {
    /// What `text` names, unless it is a path.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, Error> {
        let is_git = ["git://", "ssh://", "git@"].iter().any(|scheme| text.starts_with(scheme));
        let is_http = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
        if is_git || (is_http && text.split(['#', '?']).next().is_some_and(|path| path.ends_with(".git"))) {
            return Err(Cause::Unsupported { what: "a git repository".to_owned() }.into());
        }
        if !is_http {
            return Ok(None);
        }
        match Url::parse(text) {
            Ok(url) => Ok(Some(Self::File(url))),
            Err(error) => {
                let (what, why) = ("URL", error.to_string());
                Err(Cause::InvalidArgument { what, text: without_user(text), why }.into())
            }
        }
    }

    /// How it is shown: without the user and password of its URL.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::File(url) => without_user(url.as_str()),
        }
    }
}

/// A URL without user and password.
fn without_user(url: &str) -> String {
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
        assert!(Remote::parse("https://h/x").unwrap().is_some());
        let error = Remote::parse("https://u:p@h:x/y").unwrap_err().to_string();
        assert_eq!(error, "invalid URL `https://h:x/y`: invalid port number");
    }
}
