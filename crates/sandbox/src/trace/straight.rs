//! The usual path: no link on the way, nothing mounted there. The kernel looks up its directory in one system call, and
//! not even that if it is known.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::place::{HANDLE, Place, View};
use super::walk::{Found, Last};
use super::waypoints::{Moment, Waypoints};

/// Links are not followed, and nothing leads out of where the path begins.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

/// Paths are hardly longer; else they grow.
const CAPACITY: usize = 256;

/// A path that is read literally: `..` takes away the name before it. If there is a link after all, the kernel says so.
pub(super) struct Straight<'a> {
    waypoints: &'a Waypoints,
    at: &'a Arc<Place>,
    /// The names up to the last one, as the kernel gets them; empty if there is but one.
    above: PathBuf,
    name: &'a OsStr,
    /// Where the directory of the last name is in the view.
    parent: PathBuf,
    wants_directory: bool,
    /// Whether it begins at the root.
    is_from_root: bool,
    /// Before anything of the path was looked at.
    since: Moment,
}

impl<'a> Straight<'a> {
    /// The path of these names from `at`, of which the first one comes last.
    ///
    /// None if it begins at a mount or meets one, goes above its beginning, or ends in `.` or `..`.
    pub(super) fn new(
        (view, waypoints): (&View, &'a Waypoints),
        at: &'a Arc<Place>,
        names: &'a [OsString],
        wants_directory: bool,
        since: Moment,
    ) -> Option<Self> {
        let above = PathBuf::with_capacity(CAPACITY);
        Self::below((view, waypoints), at, (above, at.path.clone(), 0), names, wants_directory, since)
    }

    /// The same path, looked up from the root: it may go above its beginning, but not above the root. `at` must have been
    /// where its path says at some time after `since`.
    pub(super) fn from_root(
        (view, waypoints): (&'a View, &'a Waypoints),
        at: &'a Place,
        names: &'a [OsString],
        wants_directory: bool,
        since: Moment,
    ) -> Option<Self> {
        let mut above = PathBuf::with_capacity(CAPACITY);
        above.push(at.path.strip_prefix("/").ok().filter(|_| at.mount.is_none())?);
        let depth = at.path.components().count().saturating_sub(1);
        let way = (above, at.path.clone(), depth);
        Self::below((view, waypoints), view.root(), way, names, wants_directory, since)
    }

    /// From `at` the kernel has `above` to look up already, which is the directory `parent`, so many names below.
    fn below(
        (view, waypoints): (&View, &'a Waypoints),
        at: &'a Arc<Place>,
        (mut above, mut parent, mut depth): (PathBuf, PathBuf, usize),
        names: &'a [OsString],
        wants_directory: bool,
        since: Moment,
    ) -> Option<Self> {
        let (name, rest) = names.split_first().filter(|(name, _)| *name != "." && *name != "..")?;
        if at.mount.is_some() {
            return None;
        }
        for name in rest.iter().rev() {
            above.push(name);
            if name == ".." {
                depth = depth.checked_sub(1)?;
                if view.is_mounted(&parent) {
                    return None;
                }
                parent.pop();
            } else if name != "." {
                depth += 1;
                parent.push(name);
            }
        }
        let is_from_root = Arc::ptr_eq(at, view.root());
        let this = Self { waypoints, at, above, name, parent, wants_directory, is_from_root, since };
        Some(this).filter(|this| !view.is_mounted(&this.target()))
    }

    fn target(&self) -> PathBuf {
        self.parent.join(self.name)
    }

    fn flags(&self) -> OFlags {
        if self.wants_directory { HANDLE | OFlags::DIRECTORY } else { HANDLE }
    }

    /// The directory of the last name; none if only the long way can tell.
    fn directory(&self) -> Result<Option<Arc<Place>>, Errno> {
        if self.above.as_os_str().is_empty() {
            return Ok(Some(Arc::clone(self.at)));
        }
        // Elsewhere another directory may have been removed, and one made where it was.
        let path = self.is_from_root.then(|| self.at.path.join(&self.above));
        let path = path.as_ref().map(|path| path.as_os_str().as_bytes());
        let known = path.and_then(|path| self.waypoints.directory(path));
        let directory = match known {
            Some(known) => known,
            None => {
                match openat2(&self.at.fd, &self.above, HANDLE | OFlags::DIRECTORY, Mode::empty(), RESOLVE) {
                    Ok(fd) => {
                        let directory = Arc::new(Place { fd, path: self.parent.clone(), mount: None });
                        if let Some(path) = path {
                            self.waypoints.note_directory(path, &directory, self.since);
                        }
                        directory
                    }
                    Err(Errno::NOENT) if self.is_still_true() => return Err(Errno::NOENT),
                    Err(_) => return Ok(None),
                }
            }
        };
        Ok(Some(directory).filter(|_| self.is_still_true()))
    }

    /// Whether nothing was removed or moved meanwhile: what the root led to, it still leads to. Elsewhere it is an open
    /// directory that leads there.
    fn is_still_true(&self) -> bool {
        !self.is_from_root || self.waypoints.now() == self.since
    }

    /// What the path leads to; none if only the long way can tell.
    pub(super) fn find(&self, last: Last) -> Result<Option<Found>, Errno> {
        let Some(parent) = self.directory()? else { return Ok(None) };
        let entry = match openat(&parent.fd, self.name, self.flags(), Mode::empty()) {
            Ok(fd) => Some(Place { fd, path: self.target(), mount: None }),
            Err(Errno::NOENT) => None,
            Err(_) => return Ok(None),
        };
        if let Some(entry) = &entry
            && leads_on(entry, last)?
        {
            return Ok(None);
        }
        let (name, wants_directory) = (self.name.to_owned(), self.wants_directory);
        Ok(Some(Found { parent, name, entry, wants_directory }))
    }
}

/// Whether it is a link that is to be followed.
fn leads_on(entry: &Place, last: Last) -> Result<bool, Errno> {
    Ok(last == Last::Follow && FileType::from_raw_mode(entry.stat()?.st_mode) == FileType::Symlink)
}
