//! Where a walk need not go name by name: over links that are known, and to what the kernel looks up at once.

use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::place::{Place, real_path};
use super::straight::Straight;
use super::walk::{Bound, Last, Progress, Walk};
use super::waypoints::Link;

impl Walk<'_> {
    /// Whether several names may be looked up at once: only for who may search every directory, as nobody's rights are
    /// looked at on the way.
    fn is_free(&self) -> bool {
        matches!(self.bound, Bound::None) && !self.no_links && self.credentials.may_search_all()
    }

    /// Puts what the first known link on the way says in its place; whether there is one.
    pub(super) fn follow_known(&self, progress: &mut Progress, last: Last) -> Result<bool, Errno> {
        if !self.is_free() || progress.at.mount.is_some() {
            return Ok(false);
        }
        let leads_on = last == Last::Follow || progress.wants_directory;
        let found = self.waypoints.first_link(&progress.at.path, &progress.rest, leads_on);
        let Some(Link { position, target }) = found.filter(|_| self.is_true(&progress.at)) else {
            return Ok(false);
        };
        let before = progress.rest.split_off(progress.rest.len() - position);
        progress.rest.pop();
        self.count_link(progress)?;
        self.push(progress, &target)?;
        if target.first() != Some(&b'/') {
            progress.rest.extend(before);
        }
        Ok(true)
    }

    /// What is left of a path, if the kernel may look it up.
    pub(super) fn straight<'p>(&'p self, progress: &'p Progress) -> Option<Straight<'p>> {
        if !self.is_free() {
            return None;
        }
        let (at, names) = (&progress.at, &progress.rest);
        let view = (self.view, self.waypoints);
        // From the root more is known, and `..` leads above where a path begins.
        let since = self.waypoints.now();
        let is_below = names.len() > 1 && !Arc::ptr_eq(at, self.view.root()) && self.is_at_root();
        if is_below && self.is_true(at) {
            return Straight::from_root(view, at, names, progress.wants_directory, since);
        }
        // A process with a root of its own does not get above that, which the kernel does not know of.
        let may_end = !self.is_at_root() && names.iter().any(|name| name == "..");
        if may_end { None } else { Straight::new(view, at, names, progress.wants_directory, since) }
    }

    /// Whether a directory of the root is where its path says.
    pub(super) fn is_true(&self, at: &Arc<Place>) -> bool {
        let is_as_found = |at: &Place| {
            at.is_there()
                && (!self.waypoints.is_moved()
                    || real_path(at).is_ok_and(|real| {
                        real.strip_prefix(self.view.host())
                            .is_ok_and(|below| Path::new("/").join(below) == at.path)
                    }))
        };
        // What is no directory has the path of the root.
        let is_elsewhere = at.mount.is_none() && at.path.as_os_str() != "/";
        Arc::ptr_eq(at, self.view.root()) || (is_elsewhere && is_as_found(at))
    }

    /// Whether the process has the root of the view.
    fn is_at_root(&self) -> bool {
        self.task.directories.root.path.as_os_str() == "/"
    }
}
