//! Which object a URL names: by asking the remote, as git-ls-remote(1) does.

use crate::command::Git;
use crate::url::is_commit;
use crate::{Error, GitUrl};

/// What is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The full name of a ref; `None` where a commit is named.
    pub(crate) name: Option<String>,
    /// The object: a commit or an annotated tag.
    pub(crate) object: String,
    /// The commit behind an annotated tag, where the remote tells it.
    pub(crate) peeled: Option<String>,
}

impl Target {
    fn commit(object: &str) -> Self {
        Self { name: None, object: object.to_ascii_lowercase(), peeled: None }
    }
}

/// Asks the remote which object `url` names; one that is named by its digits is not asked for.
pub(crate) fn find(git: &Git<'_>, url: &GitUrl) -> Result<Target, Error> {
    let target = match (&url.reference, &url.checksum) {
        (_, Some(checksum)) if url.fetch_by_commit => Target::commit(checksum),
        (Some(reference), _) if is_commit(reference) => Target::commit(reference),
        (reference, _) => ask(git, reference.as_deref().unwrap_or("HEAD"))?,
    };
    let begins =
        |object: &str| url.checksum.as_ref().is_none_or(|checksum| object.starts_with(checksum.as_str()));
    if begins(&target.object) || target.peeled.as_deref().is_some_and(begins) {
        return Ok(target);
    }
    let found = target.peeled.unwrap_or(target.object);
    let expected = url.checksum.clone().unwrap_or_default();
    Err(Error::ChecksumMismatch { remote: git.remote.text.clone(), found, expected })
}

fn ask(git: &Git<'_>, reference: &str) -> Result<Target, Error> {
    let args = ["--symref", "--", &git.remote.text, reference, &format!("{reference}^{{}}")];
    let output = git.run("ls-remote", args)?;
    let found = choose(&String::from_utf8_lossy(&output), reference);
    let missing = || Error::NoSuchRef { remote: git.remote.text.clone(), reference: reference.to_owned() };
    found.ok_or_else(missing)
}

/// The ref that is meant among those that end alike: the exact one, then a branch, then a tag.
fn choose(listing: &str, reference: &str) -> Option<Target> {
    let object = |name: &str| {
        let lines = listing.lines().filter_map(|line| line.split_once('\t'));
        lines
            .filter(|(object, known)| *known == name && is_commit(object))
            .map(|(object, _)| object.to_owned())
            .next()
    };
    let symbolic = listing.lines().find_map(|line| line.strip_prefix("ref: ")?.strip_suffix("\tHEAD"));
    if reference == "HEAD" {
        let name = symbolic.filter(|name| name.starts_with("refs/heads/")).map(str::to_owned);
        return Some(Target { name, object: object("HEAD")?, peeled: None });
    }
    let short = reference.strip_prefix("refs/").unwrap_or(reference);
    ["refs/", "refs/heads/", "refs/tags/"].into_iter().find_map(|prefix| {
        let name = format!("{prefix}{short}");
        let peeled = object(&format!("{name}^{{}}"));
        Some(Target { object: object(&name)?, name: Some(name), peeled })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_win_over_tags_and_exact_names_over_both() {
        let [a, b, c] = ["a", "b", "c"].map(|digit| digit.repeat(40));
        let listing = format!(
            "ref: refs/heads/x\tHEAD\n{a}\tHEAD\n{a}\trefs/heads/x\n{b}\trefs/tags/x\n{c}\trefs/tags/x^{{}}\n{b}\trefs/tags/y\n"
        );
        for (reference, name, object) in [
            ("HEAD", Some("refs/heads/x"), Some(&a)),
            ("x", Some("refs/heads/x"), Some(&a)),
            ("heads/x", Some("refs/heads/x"), Some(&a)),
            ("refs/tags/x", Some("refs/tags/x"), Some(&b)),
            ("y", Some("refs/tags/y"), Some(&b)),
            ("z", None, None),
        ] {
            let found = choose(&listing, reference);
            assert_eq!(found.as_ref().and_then(|target| target.name.as_deref()), name);
            assert_eq!(found.as_ref().map(|target| &target.object), object);
        }
        assert_eq!(choose(&listing, "tags/x").unwrap().peeled, Some(c));
    }
}
