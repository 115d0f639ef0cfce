//! Links and directories that lookups met already, so that the next ones need not look them up again.
//!
//! That is sound as all names of a step's root are made and removed by its supervisor, which says so here. Nothing is
//! known of mounts, whose files others may change.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::FileType;

use super::memory::PATH_MAX;
use super::place::Place;

/// So many of each kind are kept at most: all are forgotten before there is one more.
const LINKS: usize = 1024;
const DIRECTORIES: usize = 64;

/// One of so many descriptors may be that of a known directory.
const SHARE: u64 = 8;

/// What is known of one step's root.
#[derive(Debug)]
pub(super) struct Waypoints {
    state: Mutex<State>,
    /// How many directories are kept open.
    room: usize,
}

#[derive(Debug, Default)]
struct State {
    /// What a link says, by its canonical path.
    links: BTreeMap<Vec<u8>, Vec<u8>>,
    /// By an absolute path without links, read literally: it may hold `..`.
    directories: BTreeMap<Vec<u8>, Arc<Place>>,
    /// How often a link or directory was removed or moved.
    removals: u64,
    /// Whether a directory was moved, so that the path of an open one may not be true any more.
    is_moved: bool,
}

/// A known link on the way of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// How many names stand before it.
    pub(super) position: usize,
    pub(super) target: Vec<u8>,
}

/// A moment: what is read after it is still true if nothing was removed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(u64);

impl Waypoints {
    /// Nothing is known yet; `descriptors` may be open.
    pub(super) fn new(descriptors: u64) -> Self {
        let room = usize::try_from(descriptors / SHARE).unwrap_or(DIRECTORIES).min(DIRECTORIES);
        Self { state: Mutex::default(), room }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a directory was moved.
    pub(super) fn is_moved(&self) -> bool {
        self.state().is_moved
    }

    pub(super) fn now(&self) -> Moment {
        Moment(self.state().removals)
    }

    /// The link with the canonical path `link` was found after `since`.
    pub(super) fn note_link(&self, link: &Path, target: &[u8], since: Moment) {
        let link = link.as_os_str().as_bytes();
        let mut state = self.state();
        if state.removals == since.0 && link.len() + target.len() < PATH_MAX {
            make_room(&mut state.links, LINKS);
            state.links.insert(link.to_vec(), target.to_vec());
        }
    }

    /// The first known link among `names`, of which the first one comes last, from the directory `at`.
    ///
    /// The last name counts only if a link there `leads_on`. What follows a `..` is not looked at.
    pub(super) fn first_link(&self, at: &Path, names: &[OsString], leads_on: bool) -> Option<Link> {
        let state = self.state();
        if state.links.is_empty() {
            return None;
        }
        let mut path = at.as_os_str().as_bytes().to_vec();
        for (position, name) in names.iter().rev().enumerate() {
            match name.as_bytes() {
                b"." => continue,
                b".." => return None,
                name => {
                    if !path.ends_with(b"/") {
                        path.push(b'/');
                    }
                    path.extend_from_slice(name);
                }
            }
            if (leads_on || position + 1 < names.len())
                && let Some(target) = state.links.get(&path)
            {
                return Some(Link { position, target: target.clone() });
            }
        }
        None
    }

    /// The directory with this path was found after `since`, and no link on the way.
    pub(super) fn note_directory(&self, path: &[u8], directory: &Arc<Place>, since: Moment) {
        let mut state = self.state();
        if state.removals == since.0 && path.len() < PATH_MAX && self.room > 0 {
            make_room(&mut state.directories, self.room);
            state.directories.insert(path.to_vec(), Arc::clone(directory));
        }
    }

    pub(super) fn directory(&self, path: &[u8]) -> Option<Arc<Place>> {
        self.state().directories.get(path).map(Arc::clone)
    }

    /// What was of this kind at `path` is not there any more.
    pub(super) fn removed(&self, path: &Path, kind: FileType) {
        let mut state = self.state();
        match kind {
            FileType::Directory => state.directories.clear(),
            // The path goes by that of an open directory.
            FileType::Symlink if state.is_moved => state.links.clear(),
            FileType::Symlink => drop(state.links.remove(path.as_os_str().as_bytes())),
            _ => return,
        }
        state.removals += 1;
    }

    /// A directory got another path.
    pub(super) fn moved(&self) {
        let mut state = self.state();
        state.removals += 1;
        state.is_moved = true;
        state.links.clear();
        state.directories.clear();
    }
}

fn make_room<T>(known: &mut BTreeMap<Vec<u8>, T>, limit: usize) {
    if known.len() >= limit {
        known.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn names(path: &str) -> Vec<OsString> {
        path.split('/').rev().map(OsString::from).collect()
    }

    fn first(known: &Waypoints, at: &str, path: &str, leads_on: bool) -> Option<(usize, String)> {
        let link = known.first_link(Path::new(at), &names(path), leads_on)?;
        Some((link.position, String::from_utf8(link.target).unwrap()))
    }

    fn directory() -> Arc<Place> {
        let fd = std::fs::File::open("/").unwrap().into();
        Arc::new(Place { fd, path: PathBuf::from("/"), mount: None })
    }

    #[test]
    fn the_first_link_on_a_path_is_found() {
        let known = Waypoints::new(1024);
        known.note_link(Path::new("/lib"), b"usr/lib", known.now());
        known.note_link(Path::new("/usr/cc"), b"gcc", known.now());
        assert_eq!(first(&known, "/", "lib/libc.so", false), Some((0, "usr/lib".into())));
        assert_eq!(first(&known, "/", "./usr/cc", true), Some((2, "gcc".into())));
        assert_eq!(first(&known, "/", "usr/cc", false), None, "a link itself is meant");
        assert_eq!(first(&known, "/usr", "cc", true), Some((0, "gcc".into())));
        assert_eq!(first(&known, "/", "usr/../lib/x", true), None);
        assert_eq!(first(&known, "/", "library", true), None);
    }

    #[test]
    fn what_is_removed_is_not_known() {
        let known = Waypoints::new(1024);
        let before = known.now();
        known.note_link(Path::new("/a"), b"b", before);
        known.note_directory(b"/c", &directory(), before);
        known.removed(Path::new("/a"), FileType::Symlink);
        assert_eq!(first(&known, "/", "a", true), None);
        assert!(known.directory(b"/c").is_some(), "it is still there");
        known.note_link(Path::new("/a"), b"b", before);
        assert_eq!(first(&known, "/", "a", true), None, "read before it was removed");
        known.removed(Path::new("/d"), FileType::Directory);
        assert!(known.directory(b"/c").is_none(), "the way to it may have led over the other one");
        known.note_directory(b"/c", &directory(), before);
        assert!(known.directory(b"/c").is_none(), "found before the other one was removed");
    }

    #[test]
    fn nothing_is_known_when_a_directory_was_moved() {
        let known = Waypoints::new(1024);
        let before = known.now();
        known.note_link(Path::new("/a"), b"b", before);
        known.note_directory(b"/c", &directory(), before);
        known.moved();
        known.note_link(Path::new("/d"), b"e", before);
        assert_eq!(first(&known, "/", "a", true), None);
        assert_eq!(first(&known, "/", "d", true), None);
        assert!(known.directory(b"/c").is_none() && known.is_moved());
        known.note_link(Path::new("/d"), b"e", known.now());
        assert_eq!(first(&known, "/", "d", true), Some((0, "e".into())), "found since");
        known.removed(Path::new("/where/it/was/before/d"), FileType::Symlink);
        assert_eq!(first(&known, "/", "d", true), None);
    }

    #[test]
    fn what_is_known_is_bounded() {
        let known = Waypoints::new(20);
        for path in ["/a", "/b", "/c"] {
            known.note_directory(path.as_bytes(), &directory(), known.now());
        }
        assert!(known.directory(b"/b").is_none() && known.directory(b"/c").is_some());
        let long = "/long".repeat(PATH_MAX);
        known.note_link(Path::new(&long), b"a", known.now());
        assert_eq!(first(&known, "/", &long[1..], true), None);
        let none = Waypoints::new(7);
        none.note_directory(b"/a", &directory(), none.now());
        assert!(none.directory(b"/a").is_none());
    }
}
