//! Which strings are git URLs, and what their fragment and query ask for. Pure text.
//!
//! The rules are those of BuildKit: `REMOTE[?KEY=VALUE&…][#REF[:SUBDIR]]`, where an http URL must end in `.git`.

use std::fmt;

use crate::Error;
use crate::remote::Remote;

/// The keys of the query.
pub(crate) const QUERY_KEYS: [&str; 10] = [
    "ref",
    "tag",
    "branch",
    "subdir",
    "checksum",
    "commit",
    "keep-git-dir",
    "submodules",
    "mtime",
    "fetch-by-commit",
];

/// What files are dated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileTimes {
    /// The time of the checkout.
    Checkout,
    /// The time of the commit.
    Commit,
}

/// A git repository and which part of it is wanted. Shown, it has no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitUrl {
    pub(crate) remote: Remote,
    /// Branch, tag, full ref name or whole commit; `None` for the default branch.
    pub reference: Option<String>,
    /// A directory of the repository, without `.` and `..`.
    pub subdir: Option<String>,
    /// How the commit, or the annotated tag, must begin, in lower case.
    pub checksum: Option<String>,
    /// Whether `.git` stays; `None` where the URL does not say.
    pub keep_git_dir: Option<bool>,
    /// Whether submodules are fetched; `None` where the URL does not say.
    pub submodules: Option<bool>,
    /// What files are dated; `None` where the URL does not say.
    pub mtime: Option<FileTimes>,
    /// Whether the checksum alone says what is fetched.
    pub fetch_by_commit: bool,
    /// Whether the text (`github.com/…`) could as well be a path on this machine.
    pub could_be_path: bool,
}

impl GitUrl {
    /// What `text` means, `None` if it is no git URL at all.
    pub fn parse(text: &str) -> Option<Result<Self, Error>> {
        let (rest, fragment) = text.split_once('#').map_or((text, None), |(rest, after)| (rest, Some(after)));
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let could_be_path = place.starts_with("github.com/");
        if !could_be_path && !is_git(place) {
            return None;
        }
        let place = if could_be_path { format!("https://{place}") } else { place.to_owned() };
        Some(Self::of(&place, query, fragment, could_be_path))
    }

    fn of(place: &str, query: &str, fragment: Option<&str>, could_be_path: bool) -> Result<Self, Error> {
        let remote = Remote::parse(place)
            .map_err(|problem| Error::Url { url: without_user(place), problem: problem.to_owned() })?;
        let mut url = Self { could_be_path, ..Self::plain(remote) };
        let (reference, subdir) =
            fragment.unwrap_or_default().split_once(':').unwrap_or((fragment.unwrap_or(""), ""));
        url.set_reference(reference)?;
        url.set_subdir(subdir)?;
        let mut seen = Vec::new();
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if seen.contains(&key) {
                return Err(url.wrong(format!("`{key}` is given twice")));
            }
            url.set(&key, &value)?;
            seen.push(key);
        }
        if url.fetch_by_commit && !url.checksum.as_deref().is_some_and(is_commit) {
            return Err(url.wrong("`fetch-by-commit` needs `checksum` with a whole commit".to_owned()));
        }
        Ok(url)
    }

    /// A commit of `remote`, as its parent names a submodule.
    pub(crate) fn of_commit(remote: Remote, commit: String) -> Self {
        Self { reference: Some(commit), ..Self::plain(remote) }
    }

    fn plain(remote: Remote) -> Self {
        Self {
            remote,
            reference: None,
            subdir: None,
            checksum: None,
            keep_git_dir: None,
            submodules: None,
            mtime: None,
            fetch_by_commit: false,
            could_be_path: false,
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        match key {
            "keep-git-dir" => self.keep_git_dir = Some(self.flag(key, value)?),
            "submodules" => self.submodules = Some(self.flag(key, value)?),
            "fetch-by-commit" => self.fetch_by_commit = self.flag(key, value)?,
            _ if !QUERY_KEYS.contains(&key) => {
                return Err(Error::UnknownOption { url: self.remote.text.clone(), key: printable(key) });
            }
            _ if value.is_empty() => return Err(self.wrong(format!("`{key}` has no value"))),
            "ref" => self.set_reference(value)?,
            "tag" => self.set_reference(&qualified("refs/tags/", value))?,
            "branch" => self.set_reference(&qualified("refs/heads/", value))?,
            "subdir" => self.set_subdir(value)?,
            "mtime" if value == "checkout" => self.mtime = Some(FileTimes::Checkout),
            "mtime" if value == "commit" => self.mtime = Some(FileTimes::Commit),
            "mtime" => return Err(self.wrong("`mtime` is neither `checkout` nor `commit`".to_owned())),
            _ => self.set_checksum(value)?,
        }
        Ok(())
    }

    fn flag(&self, key: &str, value: &str) -> Result<bool, Error> {
        match value {
            "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(self.wrong(format!("`{key}` is neither `true` nor `false`"))),
        }
    }

    fn set_reference(&mut self, value: &str) -> Result<(), Error> {
        if value.is_empty() {
            return Ok(());
        }
        if !is_reference(value) {
            return Err(self.wrong(format!("`{}` cannot be the name of a ref", printable(value))));
        }
        match &self.reference {
            Some(other) if other != value => {
                Err(self.wrong(format!("it names two refs, `{other}` and `{value}`")))
            }
            _ => {
                self.reference = Some(value.to_owned());
                Ok(())
            }
        }
    }

    fn set_subdir(&mut self, value: &str) -> Result<(), Error> {
        let mut parts = Vec::new();
        for part in value.split('/').filter(|part| !matches!(*part, "" | ".")) {
            if part != ".." {
                parts.push(part);
            } else if parts.pop().is_none() {
                return Err(self.wrong("its directory leads out of the repository".to_owned()));
            }
        }
        let subdir = Some(parts.join("/")).filter(|subdir| !subdir.is_empty());
        if value.chars().any(char::is_control) || (self.subdir.is_some() && self.subdir != subdir) {
            return Err(self.wrong("its directory is not one path".to_owned()));
        }
        self.subdir = subdir;
        Ok(())
    }

    /// Sets what the commit must begin with (`ADD --checksum` says it apart from the URL): 7 to 64 hexadecimal digits.
    pub fn set_checksum(&mut self, value: &str) -> Result<(), Error> {
        let is_hex = value.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || !(7..=64).contains(&value.len()) {
            return Err(self.wrong("its checksum is not 7 to 64 digits of a commit".to_owned()));
        }
        let value = value.to_ascii_lowercase();
        match &self.checksum {
            Some(other) if *other != value => Err(self.wrong("it has two checksums".to_owned())),
            _ => {
                self.checksum = Some(value);
                Ok(())
            }
        }
    }

    /// The repository alone, without user and password.
    pub fn remote(&self) -> &str {
        &self.remote.text
    }

    /// `HOST[:PORT]`, which secrets are named after.
    pub fn host(&self) -> &str {
        &self.remote.host
    }

    fn wrong(&self, problem: String) -> Error {
        Error::Url { url: self.remote.text.clone(), problem }
    }
}

impl fmt::Display for GitUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.remote.text)?;
        if self.reference.is_some() || self.subdir.is_some() {
            write!(formatter, "#{}", self.reference.as_deref().unwrap_or_default())?;
        }
        self.subdir.as_ref().map_or(Ok(()), |subdir| write!(formatter, ":{subdir}"))
    }
}

/// Whether a place, without query and fragment, is that of a git repository.
fn is_git(place: &str) -> bool {
    match place.split_once("://") {
        Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => rest.contains('/') && rest.strip_suffix(".git").is_some(),
            "ssh" | "git" => true,
            _ => false,
        },
        None => !place.starts_with(['.', '/']) && Remote::parse(place).is_ok(),
    }
}

/// Whether `text` names a commit whole: by SHA-1 or SHA-256.
pub(crate) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether `text` could name a ref, by the rules of git-check-ref-format(1).
fn is_reference(text: &str) -> bool {
    let is_bad = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    !text.starts_with(['-', '/', '.', '+'])
        && !text.ends_with(['/', '.'])
        && !text.contains(is_bad)
        && !["..", "//", "@{", "/."].iter().any(|bad| text.contains(bad))
        && !text.split('/').any(|part| part.strip_suffix(".lock").is_some())
}

fn qualified(prefix: &str, name: &str) -> String {
    if name.starts_with(prefix) { name.to_owned() } else { format!("{prefix}{name}") }
}

/// A place that could not be parsed, without what may be a password.
fn without_user(place: &str) -> String {
    let (scheme, rest) = place.split_once("://").unwrap_or(("", place));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    printable(&if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") })
}

fn printable(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_urls_are_told_from_everything_else() {
        for (text, shown) in [
            ("https://h/a.git", "https://h/a.git"),
            ("https://h/a.git#main:sub/./x/../dir/", "https://h/a.git#main:sub/dir"),
            ("https://h/a.git#:dir", "https://h/a.git#:dir"),
            ("https://me:secret@h/a.git#v1", "https://h/a.git#v1"),
            ("http://h/a.git?branch=b&subdir=d", "http://h/a.git#refs/heads/b:d"),
            ("git@github.com:a/b.git#x", "git@github.com:a/b.git#x"),
            ("git@h:a?tag=v1", "git@h:a#refs/tags/v1"),
            ("ssh://git@h:22/a", "ssh://git@h:22/a"),
            ("git://h/a#refs/pull/7/head", "git://h/a#refs/pull/7/head"),
            ("github.com/a/b", "https://github.com/a/b"),
        ] {
            assert_eq!(GitUrl::parse(text).unwrap().unwrap().to_string(), shown);
        }
        for text in [
            "https://h/a.tar.gz",
            "https://h/a#x.git",
            "https://h.git",
            "file:///a.git",
            "ext::sh",
            "./git@h:a",
            "/a.git",
            "a.git",
            "docker-image://a",
            "",
            ".",
            "-",
            "a:b",
        ] {
            assert_eq!(GitUrl::parse(text).map(|url| url.is_ok()), None, "{text}");
        }
    }

    #[test]
    fn the_query_says_all_that_a_checkout_can_be_told() {
        let text = "https://h/a.git?ref=x&keep-git-dir&submodules=false&mtime=checkout&checksum=ABCDEF0";
        let url = GitUrl::parse(text).unwrap().unwrap();
        assert_eq!(
            (url.keep_git_dir, url.submodules, url.mtime),
            (Some(true), Some(false), Some(FileTimes::Checkout))
        );
        assert_eq!(url.checksum.as_deref(), Some("abcdef0"));
        let error = GitUrl::parse("https://h/a.git?brunch=x").unwrap().unwrap_err();
        assert_eq!(error.to_string(), "git URL `https://h/a.git` has unknown option `brunch`");
        assert!(error.hint().unwrap().contains("branch"));
    }

    #[test]
    fn what_breaks_a_rule_is_refused_without_a_password_in_the_error() {
        for (text, problem) in [
            ("https://h/a.git#-x", "cannot be the name"),
            ("https://h/a.git#--upload-pack=x", "cannot be the name"),
            ("https://h/a.git#+a", "cannot be the name"),
            ("https://h/a.git?ref=a:b", "cannot be the name"),
            ("https://h/a.git#main:../../..", "leads out"),
            ("https://h/a.git#main:a/../..", "leads out"),
            ("https://h/a.git#a?tag=b", "cannot be the name"),
            ("https://h/a.git?tag=b#a", "two refs"),
            ("https://h/a.git?tag=b&branch=b", "two refs"),
            ("https://h/a.git?ref=a&ref=b", "twice"),
            ("https://h/a.git?ref=", "no value"),
            ("https://h/a.git?mtime=now", "neither"),
            ("https://h/a.git?submodules=x", "neither"),
            ("https://h/a.git?checksum=main", "checksum"),
            ("https://h/a.git?fetch-by-commit", "whole commit"),
            ("ssh://git:secret@h/a", "of no use"),
            ("ssh://-oProxyCommand=x/a", "no host"),
            ("https://me:secret@h/a b.git", "blank"),
        ] {
            let error = GitUrl::parse(text).unwrap().unwrap_err().to_string();
            assert!(error.contains(problem) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
