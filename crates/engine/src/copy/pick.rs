//! Which entries below a directory are taken: what the ignore file leaves, what `--exclude` leaves of that, and, for
//! `--parents`, what a pattern names.

use std::path::{Path, PathBuf};

use layer::{FileKind, Flow, Root, walk};

use super::filter::{Filter, Visit};
use super::selection::below_top;

/// The rules for what is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pick<'a> {
    /// What the ignore file hides, by paths from the root of the tree.
    pub(super) filter: &'a Filter,
    /// What `--exclude` hides, by paths from the source.
    pub(super) excludes: &'a Filter,
    /// What is taken and nothing else, by paths from the source.
    pub(super) only: Option<&'a Filter>,
}

impl Pick<'_> {
    /// The entries below `top`, relative to it, in order, each directory before what is in it. The walk begins at
    /// `start`, a directory below `top`, whose own parents come first.
    ///
    /// A directory that is only on the way is taken if something in it is.
    pub(super) fn entries(
        &self,
        root: &Root,
        top: &Path,
        start: &Path,
    ) -> Result<Vec<PathBuf>, layer::Error> {
        let mut entries = Vec::new();
        let mut on_the_way: Vec<PathBuf> =
            start.ancestors().filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned).collect();
        on_the_way.reverse();
        let (mut hidden, mut excluded) = (self.filter.walk(), self.excludes.walk());
        let mut only = self.only.map(Filter::walk);
        walk(root, &below_top(top, start), |entry| {
            let path = start.join(entry.path);
            let is_dir = entry.metadata.kind == FileKind::Directory;
            if !hidden.allows(&top.join(&path), is_dir) {
                return Ok(Flow::Skip);
            }
            let visit = excluded.visit(&path, is_dir);
            let is_named = only.as_mut().is_none_or(|only| only.visit(&path, false) == Visit::Skip);
            on_the_way.retain(|dir| path.starts_with(dir));
            match visit {
                Visit::Skip => return Ok(Flow::Skip),
                Visit::Take if is_named => {
                    entries.append(&mut on_the_way);
                    if entry.metadata.kind != FileKind::Socket {
                        entries.push(path);
                    }
                }
                Visit::Take | Visit::Pass if is_dir => on_the_way.push(path),
                Visit::Take | Visit::Pass => {}
            }
            Ok::<_, layer::Error>(Flow::Descend)
        })?;
        Ok(entries)
    }
}
