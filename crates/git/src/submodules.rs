//! The repositories inside of a repository (gitmodules(5)), each fetched as the first one: git-submodule(1), which
//! runs scripts and obeys more settings, is not called.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::checkout::Place;
use crate::command::Git;
use crate::error::io_error;
use crate::url::is_commit;
use crate::{Error, GitUrl};

/// Deeper nesting is a loop.
const DEPTH_LIMIT: usize = 8;

/// More in one repository than this is an attack.
const LIMIT: usize = 500;

/// Checks out the submodules of `commit` below `files`; only those in `subdir`, if one is wanted.
pub(crate) fn check_out(
    place: &Place<'_>,
    git: &Git<'_>,
    commit: &str,
    files: &Path,
    subdir: Option<&str>,
    depth: usize,
) -> Result<(), Error> {
    let links = links(git)?;
    let is_wanted = |path: &str| {
        subdir.is_none_or(|dir| path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/')))
    };
    let wanted: Vec<_> = links.into_iter().filter(|(path, _)| is_wanted(path)).collect();
    let Some((first, _)) = wanted.first() else { return Ok(()) };
    if depth >= DEPTH_LIMIT || wanted.len() > LIMIT {
        let problem = "there are too many, or they lie too deep".to_owned();
        return Err(Error::Submodule { path: first.clone(), problem });
    }
    let urls = urls(git, commit)?;
    for (path, object) in wanted {
        let url = urls.get(&path).ok_or("`.gitmodules` has no URL for it");
        let remote = url.and_then(|url| git.remote.join(url));
        let remote =
            remote.map_err(|problem| Error::Submodule { path: path.clone(), problem: problem.to_owned() })?;
        let dest = files.join(&path);
        fs::create_dir_all(&dest).map_err(io_error("create", &dest))?;
        let fetched = place.check_out(&GitUrl::of_commit(remote, object), &dest, false, depth + 1);
        fetched.map_err(|error| match error {
            Error::Cancelled => error,
            source => Error::SubmoduleFetch { path, source: Box::new(source) },
        })?;
    }
    Ok(())
}

/// Path and commit of each submodule in the index.
fn links(git: &Git<'_>) -> Result<Vec<(String, String)>, Error> {
    let output = git.run("ls-files", ["--stage", "-z"])?;
    let text = String::from_utf8_lossy(&output);
    let links = text.split('\0').filter_map(|entry| {
        let (object, path) = entry.strip_prefix("160000 ")?.split_once('\t')?;
        let object = object.split(' ').next().filter(|object| is_commit(object))?;
        Some((path.to_owned(), object.to_owned()))
    });
    Ok(links.collect())
}

/// URLs by path, from the `.gitmodules` of `commit`.
fn urls(git: &Git<'_>, commit: &str) -> Result<BTreeMap<String, String>, Error> {
    let blob = format!("--blob={commit}:.gitmodules");
    let output = match git.run("config", [&blob, "-z", "--get-regexp", r"^submodule\..*\.(path|url)$"]) {
        Err(Error::Failed { .. }) => return Ok(BTreeMap::new()),
        result => result?,
    };
    let text = String::from_utf8_lossy(&output);
    let (mut paths, mut urls) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in text.split('\0').filter_map(|entry| entry.split_once('\n')) {
        if let Some(name) = key.strip_suffix(".path") {
            paths.insert(name, value);
        } else if let Some(name) = key.strip_suffix(".url") {
            urls.insert(name, value);
        }
    }
    let url = |name: &str| urls.get(name).map(|url| (*url).to_owned());
    Ok(paths.into_iter().filter_map(|(name, path)| Some((path.to_owned(), url(name)?))).collect())
}
