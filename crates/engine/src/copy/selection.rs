//! From a source of COPY to the entries it names.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use containerfile::glob::{self, Glob};
use layer::{FileKind, Root};

use super::CopyOp;
use super::filter::Filter;
use super::parents::select_parents;
use super::pick::Pick;
use super::similar::similar;
use crate::error::{Cause, Error, IgnoreRule};
use crate::input::Reading;

/// An entry that a source names, and everything below it that is copied.
#[derive(Debug)]
pub(crate) struct Match {
    /// Its canonical path in the source's root, links followed.
    pub(crate) source: PathBuf,
    /// The name it has in a destination directory: that of the link, if it was one.
    pub(crate) name: OsString,
    /// What it is.
    pub(crate) kind: FileKind,
    /// What is copied, relative to `source`, in order: for a directory what is in it, else the entry itself.
    pub(crate) entries: Vec<PathBuf>,
}

impl Match {
    /// The file `name` at the root.
    pub(crate) fn file(name: &str) -> Self {
        let kind = FileKind::File;
        Self { source: name.into(), name: name.into(), kind, entries: vec![PathBuf::new()] }
    }

    /// Where one of its entries is in the source's root.
    pub(crate) fn path_of(&self, entry: &Path) -> PathBuf {
        below_top(&self.source, entry)
    }
}

/// `entry` below `top`; joining nothing would put a slash behind the name of a file.
pub(super) fn below_top(top: &Path, entry: &Path) -> PathBuf {
    if entry.as_os_str().is_empty() { top.to_owned() } else { top.join(entry) }
}

/// Finds what `source`, one of the sources of `op`, names in `reading`.
///
/// A path that does not exist, or that the filter hides, is an error; a pattern that matches nothing is none.
pub(crate) fn select(reading: &Reading, source: &str, op: &CopyOp) -> Result<Vec<Match>, Error> {
    let missing = |ignored_by| Err(missing(reading, source, op.instruction, ignored_by));
    let Some(root) = reading.root() else { return missing(None) };
    if op.parents {
        let found = select_parents(root, reading.filter(), &op.excludes, source)?;
        return found.map_or_else(|| missing(hidden_by(root, reading.filter(), source)), Ok);
    }
    select_in(root, reading.filter(), &op.excludes, source)?.or_else(missing)
}

/// The error for a source that is not there, with what may have been meant.
fn missing(
    reading: &Reading,
    path: &str,
    instruction: &'static str,
    ignored_by: Option<IgnoreRule>,
) -> Error {
    let root = reading.root().filter(|_| ignored_by.is_none());
    let similar = root.and_then(|root| similar(root, reading.filter(), &inside(path)));
    let (path, place) = (path.to_owned(), reading.name.clone());
    Cause::MissingSource { instruction, path, place, ignored_by, similar }.into()
}

fn hidden_by(root: &Root, filter: &Filter, source: &str) -> Option<IgnoreRule> {
    let path = inside(source);
    let is_there = root.lstat(&path).is_ok_and(|metadata| metadata.is_some());
    is_there.then(|| filter.hidden_by(&path)).flatten()
}

/// Finds the entry at `path`, which is no pattern, in `reading`; a link at its end is followed unless it is `kept`.
///
/// A path that does not exist, or that the filter hides, is an error; an empty tree has nothing but its root.
pub(crate) fn find_one(
    reading: &Reading,
    path: &str,
    kept: bool,
    instruction: &'static str,
) -> Result<Match, Error> {
    let failed = |error| failed(path, error);
    let inside = inside(path);
    let missing = |ignored_by| missing(reading, path, instruction, ignored_by);
    let Some(root) = reading.root() else {
        let kind = FileKind::Directory;
        let nothing = Match { source: PathBuf::new(), name: OsString::new(), kind, entries: Vec::new() };
        return if inside.as_os_str().is_empty() { Ok(nothing) } else { Err(missing(None)) };
    };
    if kept && let Some(link) = find_link(root, &inside, reading.filter()).map_err(failed)? {
        return Ok(link);
    }
    match find(root, &inside, reading.filter(), &Filter::all()).map_err(failed)? {
        Some(found) => Ok(found),
        None => {
            let is_there = root.lstat(&inside).map_err(failed)?.is_some();
            Err(missing(is_there.then(|| reading.filter().hidden_by(&inside)).flatten()))
        }
    }
}

/// The link at `path`, if it is one.
fn find_link(root: &Root, path: &Path, filter: &Filter) -> Result<Option<Match>, layer::Error> {
    let source = root.resolve_parent(path)?;
    let is_link = root.lstat(&source)?.is_some_and(|metadata| metadata.kind == FileKind::Symlink);
    if !is_link || !filter.allows(&source, false) {
        return Ok(None);
    }
    let name = path.file_name().unwrap_or_default().to_owned();
    Ok(Some(Match { source, name, kind: FileKind::Symlink, entries: vec![PathBuf::new()] }))
}

/// What `source` names; or the rule that hides what it names, if one does.
fn select_in(
    root: &Root,
    filter: &Filter,
    excludes: &Filter,
    source: &str,
) -> Result<Result<Vec<Match>, Option<IgnoreRule>>, Error> {
    let failed = |error| failed(source, error);
    let path = inside(source);
    let has_pattern = path.iter().any(|name| glob::has_meta(&name.to_string_lossy()));
    let paths = if has_pattern { expand(root, &path, filter).map_err(failed)? } else { vec![path.clone()] };
    let mut matches = Vec::new();
    for path in paths {
        match find(root, &path, filter, excludes).map_err(failed)? {
            // A file has no path below itself that `--exclude` could mean, so its name is meant.
            Some(found) if found.kind != FileKind::Directory && is_excluded(excludes, &found) => {}
            Some(found) => matches.push(found),
            None if has_pattern => {}
            None => return Ok(Err(hidden_by(root, filter, source))),
        }
    }
    Ok(Ok(matches))
}

fn is_excluded(excludes: &Filter, found: &Match) -> bool {
    !excludes.allows(Path::new(&found.name), false)
}

pub(super) fn failed(path: &str, source: layer::Error) -> Error {
    Cause::Layer { action: format!("read `{path}`"), source }.into()
}

/// The path relative to the root; `..` cannot lead out of it.
pub(super) fn inside(source: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for component in Path::new(source).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => drop(path.pop()),
            _ => {}
        }
    }
    path
}

/// The paths that a pattern matches, in order. Each element matches one name; links are followed only before the first
/// element that is a pattern.
pub(super) fn expand(root: &Root, pattern: &Path, filter: &Filter) -> Result<Vec<PathBuf>, layer::Error> {
    let is_literal = |name: &&OsStr| !glob::has_meta(&name.to_string_lossy());
    let prefix: PathBuf = pattern.iter().take_while(is_literal).collect();
    let mut found = vec![root.resolve(&prefix)?];
    for element in pattern.iter().skip_while(is_literal) {
        // A pattern that is none matches nothing, as in Go.
        let Ok(glob) = Glob::parse(&element.to_string_lossy()) else { return Ok(Vec::new()) };
        let mut next = Vec::new();
        for dir in found {
            if root.lstat(&dir)?.is_some_and(|metadata| metadata.kind == FileKind::Directory) {
                let names = root.read_dir(&dir)?;
                let matching = names.iter().filter(|name| glob.matches(name.as_bytes()));
                next.extend(matching.map(|name| dir.join(name)));
            }
        }
        found = next;
    }
    let mut there = Vec::new();
    for path in found {
        let metadata = root.lstat(&path)?;
        if metadata.is_some_and(|m| filter.allows(&path, m.kind == FileKind::Directory)) {
            there.push(path);
        }
    }
    Ok(there)
}

/// The entry at `path` with links followed, unless it does not exist or the filter hides it.
fn find(root: &Root, path: &Path, filter: &Filter, excludes: &Filter) -> Result<Option<Match>, layer::Error> {
    let Some(metadata) = root.stat(path)? else { return Ok(None) };
    let is_dir = metadata.kind == FileKind::Directory;
    let source = root.resolve(path)?;
    if !filter.allows(path, is_dir) || !filter.allows(&source, is_dir) {
        return Ok(None);
    }
    let name = path.file_name().unwrap_or_default().to_owned();
    let pick = Pick { filter, excludes, only: None };
    let entries = if is_dir { pick.entries(root, &source, Path::new(""))? } else { vec![PathBuf::new()] };
    Ok(Some(Match { source, name, kind: metadata.kind, entries }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use containerfile::Source;

    use super::*;

    fn context() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a.txt", "b.txt", "src/main.rs", "src/lib.rs", "src/deep/x.rs", "doc/x.md"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink("src", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("out")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        (dir, root)
    }

    fn selected(source: &str, ignore: &str) -> Result<Vec<String>, String> {
        let (_dir, root) = context();
        let filter = Filter::parse(&Source::new(".dockerignore", ignore)).unwrap();
        let matches = select_in(&root, &filter, &Filter::all(), source).unwrap();
        let matches = matches.map_err(|rule| rule.map_or_else(String::new, |rule| rule.pattern))?;
        let paths = |found: &Match| {
            let join = |entry: &PathBuf| below_top(&found.source, entry).to_string_lossy().into_owned();
            found.entries.iter().map(join).collect::<Vec<_>>()
        };
        Ok(matches.iter().flat_map(paths).collect())
    }

    #[test]
    fn paths_patterns_and_links() {
        assert_eq!(selected("a.txt", "").unwrap(), ["a.txt"]);
        assert_eq!(selected("/../../a.txt", "").unwrap(), ["a.txt"]);
        assert_eq!(selected("*.txt", "").unwrap(), ["a.txt", "b.txt"]);
        assert_eq!(selected("*/*.rs", "").unwrap(), ["src/lib.rs", "src/main.rs"]);
        assert_eq!(selected("src", "").unwrap(), ["src/deep", "src/deep/x.rs", "src/lib.rs", "src/main.rs"]);
        assert_eq!(selected("link", "").unwrap(), selected("src", "").unwrap());
        assert_eq!(selected("*.none", "").unwrap(), [""; 0]);
    }

    #[test]
    fn a_link_out_of_the_context_finds_nothing() {
        assert_eq!(selected("out", "").unwrap_err(), "");
    }

    #[test]
    fn the_ignore_file_hides() {
        assert_eq!(selected("*.txt", "b.txt").unwrap(), ["a.txt"]);
        assert_eq!(selected("b.txt", "b.*").unwrap_err(), "b.*");
        assert_eq!(selected("src", "src/deep\n**/main.rs").unwrap(), ["src/lib.rs"]);
        assert_eq!(selected("src", "src\n!src/deep/x.rs").unwrap(), ["src/deep", "src/deep/x.rs"]);
        assert!(selected("link", "src").is_err());
        assert_eq!(selected(".", "*\n!doc").unwrap(), ["doc", "doc/x.md"]);
    }
}
