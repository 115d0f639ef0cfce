//! A repository's place as git is told it, without its password. Pure text.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use url::{Position, Url};

/// Transports that git may speak.
const SCHEMES: [&str; 4] = ["http", "https", "ssh", "git"];

/// Where a repository is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// What git is told. Of a user only that of ssh is left.
    pub(crate) text: String,
    /// `HOST[:PORT]`.
    pub(crate) host: String,
    /// `http://HOST[:PORT]/` or `https://…`; `None` where no header is sent.
    pub(crate) header_scope: Option<String>,
    /// The `Authorization` header that user and password of the URL make.
    pub(crate) login: Option<String>,
}

impl Remote {
    /// A URL without query and fragment; an error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.chars().any(|c| c.is_control() || c == ' ') {
            return Err("it holds a blank or a control character");
        }
        if !text.contains("://") {
            return Self::parse_scp(text);
        }
        let mut url = Url::parse(text).map_err(|_| "it is not a URL")?;
        if !SCHEMES.contains(&url.scheme()) {
            return Err("its transport is not http, https, ssh or git");
        }
        let host = url[Position::BeforeHost..Position::AfterPort].to_owned();
        let is_http = url.scheme().starts_with("http");
        if host.is_empty() || host.starts_with('-') || url.username().starts_with('-') {
            return Err("it names no host");
        }
        let login = (is_http && (!url.username().is_empty() || url.password().is_some())).then(|| {
            let user: Vec<u8> = percent_decode_str(url.username()).collect();
            let password: Vec<u8> = percent_decode_str(url.password().unwrap_or_default()).collect();
            basic(&user, &password)
        });
        if !is_http && url.password().is_some() {
            return Err("a password is of no use to this transport");
        }
        let keeps_user = url.scheme() == "ssh";
        let removed = keeps_user || (url.set_username("").is_ok() && url.set_password(None).is_ok());
        if !removed {
            return Err("it names no host");
        }
        let header_scope = is_http.then(|| format!("{}://{host}/", url.scheme()));
        Ok(Self { text: url.into(), host, header_scope, login })
    }

    /// `USER@HOST:PATH`.
    fn parse_scp(text: &str) -> Result<Self, &'static str> {
        let parts = text.split_once('@').and_then(|(user, rest)| Some((user, rest.split_once(':')?)));
        let Some((user, (host, path))) = parts else { return Err("it is neither a URL nor USER@HOST:PATH") };
        let is_word = |word: &str, more: &[char]| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || more.contains(&c);
            !word.is_empty() && !word.starts_with('-') && word.chars().all(allowed)
        };
        if !is_word(user, &['_']) || !is_word(host, &['.']) || path.is_empty() || path.starts_with('-') {
            return Err("it is not of the form USER@HOST:PATH");
        }
        Ok(Self { text: text.to_owned(), host: host.to_owned(), header_scope: None, login: None })
    }

    /// The remote of a submodule, whose URL may be relative to this one (gitmodules(5)).
    pub(crate) fn join(&self, url: &str) -> Result<Self, &'static str> {
        if !url.starts_with("./") && !url.starts_with("../") {
            return Self::parse(url);
        }
        // Nothing is taken away from scheme and host.
        let fixed = self.text.find("://").map_or(0, |at| at + 3);
        let root = self.text[fixed..].find(['/', ':']).map_or(self.text.len(), |at| fixed + at);
        let root = if fixed == 0 { root } else { self.text[fixed..].find('/').map_or(root, |at| fixed + at) };
        let (mut base, mut rest) = (self.text.trim_end_matches('/'), url);
        loop {
            if let Some(after) = rest.strip_prefix("../") {
                let cut = base.rfind(['/', ':']).filter(|at| *at >= root);
                base = &base[..cut.ok_or("it leads out of its host")?];
                rest = after;
            } else if let Some(after) = rest.strip_prefix("./") {
                rest = after;
            } else {
                break;
            }
        }
        let separator = if fixed == 0 && base.len() <= root { ':' } else { '/' };
        let mut joined = Self::parse(&format!("{base}{separator}{rest}"))?;
        joined.login.clone_from(&self.login);
        Ok(joined)
    }
}

impl fmt::Debug for Remote {
    // A login is a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Remote({})", self.text)
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The value of a header that shows a user and a password (RFC 7617).
pub(crate) fn basic(user: &[u8], password: &[u8]) -> String {
    format!("Basic {}", BASE64_STANDARD.encode([user, b":", password].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submodules_may_be_named_relative_to_their_parent() {
        for (base, url, expected) in [
            ("https://h/a/b.git", "../c.git", Ok("https://h/a/c.git")),
            ("https://h/a/b.git/", "./c", Ok("https://h/a/b.git/c")),
            ("https://h/a/b", "../../../c", Err("it leads out of its host")),
            ("git@h:a/b", "../c", Ok("git@h:a/c")),
            ("git@h:b", "../c", Ok("git@h:c")),
            ("https://h/a", "https://k/c", Ok("https://k/c")),
            ("https://h/a", "--upload-pack=touch /x", Err("it holds a blank or a control character")),
            ("https://h/a", "--upload-pack=x", Err("it is neither a URL nor USER@HOST:PATH")),
            ("https://h/a", "file:///etc", Err("its transport is not http, https, ssh or git")),
            ("https://h/a", "ext::sh", Err("it is neither a URL nor USER@HOST:PATH")),
            ("https://h/a", "ssh://-oProxyCommand=x/y", Err("it names no host")),
            ("https://h/a", "/etc", Err("it is neither a URL nor USER@HOST:PATH")),
        ] {
            let joined = Remote::parse(base).unwrap().join(url);
            assert_eq!(joined.map(|remote| remote.text), expected.map(str::to_owned), "{base} {url}");
        }
    }

    #[test]
    fn passwords_leave_the_url() {
        let remote = Remote::parse("https://me:p%40ss@h:8/a.git").unwrap();
        assert_eq!(remote.to_string(), "https://h:8/a.git");
        assert_eq!(remote.login.as_deref(), Some("Basic bWU6cEBzcw=="));
        assert_eq!(remote.header_scope.as_deref(), Some("https://h:8/"));
    }
}
