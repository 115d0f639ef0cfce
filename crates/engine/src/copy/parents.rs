//! `COPY --parents`: what a source names, together with the directories above it (Dockerfile reference, "COPY
//! --parents").
//!
//! Patterns are those of ignore files, so that `**` matches any number of directories. Directories above a `/./` are not
//! copied.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use containerfile::glob;
use layer::{FileKind, Root};

use super::filter::Filter;
use super::pick::Pick;
use super::selection::{Match, expand, inside};
use crate::error::Error;

/// What `source` names in `root`; `None` if it is a path that is not there.
pub(super) fn select_parents(
    root: &Root,
    filter: &Filter,
    excludes: &Filter,
    source: &str,
) -> Result<Option<Vec<Match>>, Error> {
    let failed = |error| super::selection::failed(source, error);
    let (pivot, pattern) = source.split_once("/./").unwrap_or(("", source));
    let (pivot, pattern) = (inside(pivot), inside(pattern));
    let has_pattern = |path: &Path| path.iter().any(|name| glob::has_meta(&name.to_string_lossy()));
    let tops = if has_pattern(&pivot) {
        expand(root, &pivot, filter).map_err(failed)?
    } else {
        vec![root.resolve(&pivot).map_err(failed)?]
    };
    let is_pattern = has_pattern(&pattern);
    let mut matches = Vec::new();
    for top in tops {
        let entries = if is_pattern {
            matching(root, filter, excludes, &top, &pattern)?
        } else {
            literal(root, filter, excludes, &top, &pattern).map_err(failed)?
        };
        if !entries.is_empty() {
            let (name, kind) = (OsString::new(), FileKind::Directory);
            matches.push(Match { source: top, name, kind, entries });
        }
    }
    let is_missing = matches.is_empty() && !is_pattern && !has_pattern(&pivot);
    Ok((!is_missing).then_some(matches))
}

/// A path with its parents and, if it is a directory, all that is in it.
fn literal(
    root: &Root,
    filter: &Filter,
    excludes: &Filter,
    top: &Path,
    path: &Path,
) -> Result<Vec<PathBuf>, layer::Error> {
    let Some(metadata) = root.lstat(&top.join(path))? else { return Ok(Vec::new()) };
    let is_dir = metadata.kind == FileKind::Directory;
    if !filter.allows(&top.join(path), is_dir) || !excludes.allows(path, is_dir) {
        return Ok(Vec::new());
    }
    let mut entries: Vec<PathBuf> =
        path.ancestors().filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned).collect();
    entries.reverse();
    if is_dir {
        let all = Pick { filter, excludes, only: None }.entries(root, top, path)?;
        entries.extend(all.into_iter().filter(|entry| entry.starts_with(path) && entry != path));
    }
    Ok(entries)
}

/// What a pattern matches below `top`. The walk begins behind the part of it that is no pattern.
fn matching(
    root: &Root,
    filter: &Filter,
    excludes: &Filter,
    top: &Path,
    pattern: &Path,
) -> Result<Vec<PathBuf>, Error> {
    let failed = |error| super::selection::failed(&pattern.to_string_lossy(), error);
    let start: PathBuf = pattern.iter().take_while(|name| !glob::has_meta(&name.to_string_lossy())).collect();
    let metadata = root.lstat(&top.join(&start)).map_err(failed)?;
    if metadata.is_none_or(|metadata| metadata.kind != FileKind::Directory) {
        return Ok(Vec::new());
    }
    let only = Filter::of_patterns(&[String::from_utf8_lossy(pattern.as_os_str().as_bytes()).into_owned()])?;
    Pick { filter, excludes, only: Some(&only) }.entries(root, top, &start).map_err(failed)
}
