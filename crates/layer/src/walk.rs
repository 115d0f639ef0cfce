//! Visiting every entry of a tree in the one order that all output has.
//!
//! The order is that of [`Path`]: parents before their children, siblings by the bytes of their names. Memory grows
//! with the number of entries in the directories on the way down, open files do not grow at all.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::descent::Descent;
use crate::error::Context;
use crate::metadata::{FileKind, Metadata};
use crate::root::{READ_DIR, Root};

/// limits.h: `PATH_MAX`, without the terminating NUL. Longer paths exist on disk, but no layer reader can make them.
const MAX_PATH: usize = 4095;

/// An entry met on a walk.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The path, relative to where the walk began.
    pub path: &'a Path,
    /// The last component of the path.
    pub name: &'a OsStr,
    /// What is true of it.
    pub metadata: &'a Metadata,
}

/// Whether a walk goes into the directory that was visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Visit what is in it. The answer for everything that is no directory as well.
    Descend,
    /// Leave it out.
    Skip,
}

/// Calls `visit` for every entry below `dir` (links in that path are followed), not for `dir` itself.
///
/// Symbolic links are visited, never followed. Fails when a path grows longer than the kernel's `PATH_MAX`, and with
/// whatever `visit` fails.
pub fn walk<E: From<Error>>(
    root: &Root,
    dir: &Path,
    mut visit: impl FnMut(Entry<'_>) -> Result<Flow, E>,
) -> Result<(), E> {
    let start = root.sub_root(dir)?;
    let open = start.open_exact(Path::new(""), READ_DIR).context("open the directory", dir)?;
    let mut descent = Descent::at(open, dir)?;
    let mut path = PathBuf::new();
    let mut frames = vec![descent.names(dir)?.into_iter()];
    while let Some(names) = frames.last_mut() {
        let Some(name) = names.next() else {
            frames.pop();
            descent.leave(&path)?;
            path.pop();
            continue;
        };
        path.push(&name);
        check_length(&path)?;
        let metadata =
            start.read_metadata(descent.current(), &name).context("read the metadata of", &path)?;
        let flow = visit(Entry { path: &path, name: &name, metadata: &metadata })?;
        if metadata.kind == FileKind::Directory && flow == Flow::Descend {
            descent.enter(&name, &path)?;
            frames.push(descent.names(&path)?.into_iter());
        } else {
            path.pop();
        }
    }
    Ok(())
}

fn check_length(path: &Path) -> Result<(), Error> {
    if path.as_os_str().len() <= MAX_PATH {
        return Ok(());
    }
    let beginning = path.iter().take(4).collect();
    Err(Error::PathTooLong { beginning, limit: MAX_PATH })
}
