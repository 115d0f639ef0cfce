//! Path lookup as `path_resolution(7)` has it, in the view of a step and by the rights that its process believes to have.
//!
//! One component after the other is opened as a handle: no link is ever followed by the kernel, so nothing leads out.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, Stat, openat, readlinkat};
use rustix::io::Errno;

use super::credentials::Credentials;
use super::owners::Owners;
use super::permission::{Wish, check};
use super::place::{FileId, HANDLE, Place, Shown, View};
use super::proc::{self, Magic};
use super::supervisor::Supervisor;
use super::tasks::{Task, Tasks};
use super::waypoints::{Moment, Waypoints};
use crate::mount_points::LINKS;

/// The longest name of one file (limits.h).
const NAME_MAX: usize = 255;

/// What a lookup does with a link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// It stands for what it points to.
    Follow,
    /// It is meant itself.
    Keep,
}

/// What a path leads to.
#[derive(Debug)]
pub(super) struct Found {
    /// The directory of the last name.
    pub(super) parent: Arc<Place>,
    /// The last name; empty if the path ends in `.`, `..` or is the root.
    pub(super) name: OsString,
    /// What is there.
    pub(super) entry: Option<Place>,
    /// Whether the path ends in a slash, so that only a directory is meant.
    pub(super) wants_directory: bool,
}

impl Found {
    /// What is there, or `ENOENT`.
    pub(super) fn existing(self) -> Result<Place, Errno> {
        self.entry.ok_or(Errno::NOENT)
    }

    /// The path of the name, whether it exists or not.
    pub(super) fn path(&self) -> PathBuf {
        self.parent.path.join(&self.name)
    }
}

/// Who looks something up, and where.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    pub(super) view: &'a View,
    pub(super) owners: &'a Owners,
    pub(super) task: &'a Task,
    pub(super) tasks: &'a Tasks,
    pub(super) waypoints: &'a Waypoints,
    /// By whose rights: the effective ones, or for access(2) the real ones.
    pub(super) credentials: &'a Credentials,
    /// Whether links of any kind are an error (openat2(2), `RESOLVE_NO_SYMLINKS`).
    pub(super) no_links: bool,
    /// Whether links of /proc to open files are an error (`RESOLVE_NO_MAGICLINKS`).
    pub(super) no_magic: bool,
    /// How far the lookup may go.
    pub(super) bound: Bound<'a>,
}

/// How far a lookup may go (openat2(2)).
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound<'a> {
    /// To everything that the process sees.
    None,
    /// The directory is the root (`RESOLVE_IN_ROOT`).
    InRoot(&'a Arc<Place>),
    /// What leads out of the directory is an error (`RESOLVE_BENEATH`).
    Beneath(&'a Arc<Place>),
}

/// A lookup in progress.
pub(super) struct Progress {
    pub(super) at: Arc<Place>,
    /// Names still to look up, the next one last.
    pub(super) rest: Vec<OsString>,
    links: u32,
    pub(super) wants_directory: bool,
}

impl<'a> Walk<'a> {
    /// A lookup that may go everywhere, by the effective rights of `task`.
    pub(super) fn new(supervisor: &'a Supervisor, task: &'a Task) -> Self {
        Self {
            view: &supervisor.view,
            owners: &supervisor.owners,
            task,
            tasks: &supervisor.tasks,
            waypoints: &supervisor.waypoints,
            credentials: &task.credentials,
            no_links: false,
            no_magic: false,
            bound: Bound::None,
        }
    }

    /// Looks `path` up from `start`, or from the root of the process if it begins with a slash.
    pub(super) fn find(&self, start: &Arc<Place>, path: &[u8], last: Last) -> Result<Found, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        let mut progress =
            Progress { at: Arc::clone(start), rest: Vec::new(), links: 0, wants_directory: false };
        self.push(&mut progress, path)?;
        // From the beginning and behind each link, what is left may be a path that the kernel can look up at once.
        loop {
            while self.follow_known(&mut progress, last)? {}
            if let Some(straight) = self.straight(&progress)
                && let Some(found) = straight.find(last)?
            {
                return Ok(found);
            }
            if let Some(found) = self.walk_to_link(&mut progress, last)? {
                return Ok(found);
            }
        }
    }

    /// As [`Self::find`], for what must be there.
    pub(super) fn existing(&self, start: &Arc<Place>, path: &[u8], last: Last) -> Result<Place, Errno> {
        self.find(start, path, last)?.existing()
    }

    pub(super) fn count_link(&self, progress: &mut Progress) -> Result<(), Errno> {
        if self.no_links {
            return Err(Errno::LOOP);
        }
        progress.links += 1;
        if progress.links > LINKS { Err(Errno::LOOP) } else { Ok(()) }
    }

    /// Goes on name by name, until one is a link that is followed; returns something if the path ends before.
    fn walk_to_link(&self, progress: &mut Progress, last: Last) -> Result<Option<Found>, Errno> {
        let links = progress.links;
        while progress.links == links {
            let Some(name) = progress.rest.pop() else {
                // The path ended in `.` or `..`, or is the root.
                let entry = Some(progress.at.duplicate()?);
                let wants_directory = progress.wants_directory;
                let parent = Arc::clone(&progress.at);
                return Ok(Some(Found { parent, name: OsString::new(), entry, wants_directory }));
            };
            let is_last = progress.rest.is_empty();
            match name.as_bytes() {
                b"." => self.check_search(&progress.at)?,
                b".." => {
                    self.check_search(&progress.at)?;
                    progress.at = self.parent(&progress.at)?;
                }
                _ => {
                    if let Some(found) = self.step(progress, name, is_last, last)? {
                        return Ok(Some(found));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Looks up one name; returns something if it was the last one.
    fn step(
        &self,
        progress: &mut Progress,
        name: OsString,
        is_last: bool,
        last: Last,
    ) -> Result<Option<Found>, Errno> {
        if name.len() > NAME_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        self.check_search(&progress.at)?;
        let follows = !is_last || last == Last::Follow || progress.wants_directory;
        let since = self.waypoints.now();
        let entry = match self.enter(&progress.at, &name) {
            Ok(entry) => entry,
            Err(Errno::NOENT) if is_last => return Ok(Some(self.ended(progress, name, None))),
            Err(errno) => return Err(errno),
        };
        let kind = FileType::from_raw_mode(entry.stat()?.st_mode);
        if kind == FileType::Symlink && follows {
            return self.follow(progress, &entry, since).map(|()| None);
        }
        if is_last {
            if progress.wants_directory && kind != FileType::Directory {
                return Err(Errno::NOTDIR);
            }
            return Ok(Some(self.ended(progress, name, Some(entry))));
        }
        if kind != FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        progress.at = Arc::new(entry);
        Ok(None)
    }

    #[expect(clippy::unused_self, reason = "one of the steps of a walk")]
    fn ended(&self, progress: &Progress, name: OsString, entry: Option<Place>) -> Found {
        let wants_directory = progress.wants_directory;
        Found { parent: Arc::clone(&progress.at), name, entry, wants_directory }
    }

    /// Goes on where a link leads.
    fn follow(&self, progress: &mut Progress, link: &Place, since: Moment) -> Result<(), Errno> {
        self.count_link(progress)?;
        match self.magic(link)? {
            Some(Magic::Text(text)) => self.push(progress, &text),
            Some(Magic::Place(_)) if self.no_magic => Err(Errno::LOOP),
            Some(Magic::Place(place)) => {
                progress.at = Arc::new(place);
                Ok(())
            }
            None => {
                let target = readlinkat(&link.fd, "", Vec::new())?.into_bytes();
                if link.mount.is_none() && self.is_true(&progress.at) {
                    self.waypoints.note_link(&link.path, &target, since);
                }
                self.push(progress, &target)
            }
        }
    }

    /// Puts the names of `path` before those that are left.
    pub(super) fn push(&self, progress: &mut Progress, path: &[u8]) -> Result<(), Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        if path[0] == b'/' {
            progress.at = self.root()?;
        }
        let is_end = progress.rest.is_empty();
        let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        let names: Vec<_> = names.map(|name| OsString::from_vec(name.to_vec())).collect();
        if is_end && path.ends_with(b"/") {
            progress.wants_directory = true;
        }
        progress.rest.extend(names.into_iter().rev());
        Ok(())
    }

    /// Where an absolute path begins.
    fn root(&self) -> Result<Arc<Place>, Errno> {
        match self.bound {
            Bound::None => Ok(Arc::clone(&self.task.directories.root)),
            Bound::InRoot(root) => Ok(Arc::clone(root)),
            Bound::Beneath(_) => Err(Errno::XDEV),
        }
    }

    /// The entry `name` of a directory, or what is mounted there.
    fn enter(&self, at: &Place, name: &OsStr) -> Result<Place, Errno> {
        let path = at.path.join(name);
        if let Some(mounted) = self.view.mounted_at(&path)? {
            return Ok(mounted);
        }
        if self.view.shown(at.mount) == Shown::Proc
            && let Some(first) = proc::stand_in(&path, self.tasks)
        {
            return self.enter(at, OsStr::new(&first.to_string()));
        }
        if matches!(self.view.shown(at.mount), Shown::Proc | Shown::Sys) {
            proc::check_visible(&path, self.tasks)?;
        }
        let fd = openat(&at.fd, name, HANDLE, Mode::empty())?;
        Ok(Place { fd, path, mount: at.mount })
    }

    /// What a link of /proc leads to, whose text is not meant literally.
    fn magic(&self, link: &Place) -> Result<Option<Magic>, Errno> {
        if self.view.shown(link.mount) == Shown::Proc {
            return proc::magic(link, self.task, self.tasks, self.view);
        }
        Ok(None)
    }

    /// The directory above; above the root is the root.
    pub(super) fn parent(&self, at: &Arc<Place>) -> Result<Arc<Place>, Errno> {
        let id = FileId::from(&at.stat()?);
        let root = match self.bound {
            Bound::None => &self.task.directories.root,
            Bound::Beneath(root) if FileId::from(&root.stat()?) == id => return Err(Errno::XDEV),
            Bound::InRoot(root) | Bound::Beneath(root) => root,
        };
        let root = Arc::clone(root);
        if (at.mount.is_none() && self.view.is_root(id)) || FileId::from(&root.stat()?) == id {
            return Ok(root);
        }
        if let Some(mount) = self.view.mount_of(at.mount, id) {
            let above = mount.target.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes().to_vec();
            // Canonical paths have no links.
            let found = Walk { no_links: true, ..*self }.find_canonical(&above)?;
            return Ok(Arc::new(found));
        }
        let fd = openat(&at.fd, "..", HANDLE | OFlags::DIRECTORY, Mode::empty())?;
        self.view.place_above(at, fd).map(Arc::new)
    }

    /// Looks up a path of ours from the root of the view.
    fn find_canonical(&self, path: &[u8]) -> Result<Place, Errno> {
        let mut at = self.view.root().duplicate()?;
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            at = self.enter(&at, OsStr::from_bytes(name))?;
        }
        Ok(at)
    }

    /// What is true of a place.
    pub(super) fn stat(&self, place: &Place) -> Result<Stat, Errno> {
        let mut stat = self.owners.stat(place)?;
        if let Some(owner) = self.owner_in_proc(place, stat.st_mode) {
            (stat.st_uid, stat.st_gid) = owner;
        }
        Ok(stat)
    }

    /// Whose a place is, if it is of a process.
    pub(super) fn owner_in_proc(&self, place: &Place, mode: u32) -> Option<(u32, u32)> {
        let is_in_proc = self.view.shown(place.mount) == Shown::Proc;
        is_in_proc.then(|| proc::owner(&place.path, mode, self.task, self.tasks)).flatten()
    }

    /// Whether names may be looked up in a directory.
    fn check_search(&self, at: &Place) -> Result<(), Errno> {
        if self.credentials.may_search_all() {
            return Ok(());
        }
        let stat = self.stat(at)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        check(&stat, Wish::EXECUTE, self.credentials)
    }
}
