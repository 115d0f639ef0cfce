//! The usual path: no link on the way, nothing mounted there. The kernel looks it up in one system call.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::place::{HANDLE, Place, View};
use super::walk::{Found, Last};

/// Links are not followed, and nothing leads out of where the path begins.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

/// A path that is read literally: `..` takes away the name before it. If there is a link after all, the kernel says so.
pub(super) struct Straight<'a> {
    at: &'a Arc<Place>,
    /// The names up to the last one, as the kernel gets them; empty if there is but one.
    above: PathBuf,
    name: &'a OsStr,
    /// Where the directory of the last name is in the view.
    parent: PathBuf,
    wants_directory: bool,
}

impl<'a> Straight<'a> {
    /// The path of these names from `at`, of which the first one comes last.
    ///
    /// None if it begins at a mount or meets one, goes above its beginning, or ends in `.` or `..`.
    pub(super) fn new(
        view: &View,
        at: &'a Arc<Place>,
        names: &'a [OsString],
        wants_directory: bool,
    ) -> Option<Self> {
        let (name, rest) = names.split_first().filter(|(name, _)| *name != "." && *name != "..")?;
        if at.mount.is_some() {
            return None;
        }
        let (mut parent, mut above, mut depth) = (at.path.clone(), PathBuf::new(), 0_usize);
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
        let this = Self { at, above, name, parent, wants_directory };
        Some(this).filter(|this| !view.is_mounted(&this.target()))
    }

    fn target(&self) -> PathBuf {
        self.parent.join(self.name)
    }

    fn flags(&self) -> OFlags {
        if self.wants_directory { HANDLE | OFlags::DIRECTORY } else { HANDLE }
    }

    /// What the path leads to; none if only the long way can tell.
    pub(super) fn find(&self, last: Last) -> Result<Option<Found>, Errno> {
        let parent = if self.above.as_os_str().is_empty() {
            Arc::clone(self.at)
        } else {
            let flags = HANDLE | OFlags::DIRECTORY;
            match openat2(&self.at.fd, &self.above, flags, Mode::empty(), RESOLVE) {
                Ok(fd) => Arc::new(Place { fd, path: self.parent.clone(), mount: None }),
                Err(Errno::NOENT) => return Err(Errno::NOENT),
                Err(_) => return Ok(None),
            }
        };
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

    /// What is there, without the directory that it is in; none if only the long way can tell.
    pub(super) fn entry(&self, last: Last) -> Result<Option<Place>, Errno> {
        let path = self.above.join(self.name);
        let entry = match openat2(&self.at.fd, &path, self.flags(), Mode::empty(), RESOLVE) {
            Ok(fd) => Place { fd, path: self.target(), mount: None },
            Err(Errno::NOENT) => return Err(Errno::NOENT),
            Err(_) => return Ok(None),
        };
        Ok(if leads_on(&entry, last)? { None } else { Some(entry) })
    }
}

/// Whether it is a link that is to be followed.
fn leads_on(entry: &Place, last: Last) -> Result<bool, Errno> {
    Ok(last == Last::Follow && FileType::from_raw_mode(entry.stat()?.st_mode) == FileType::Symlink)
}
