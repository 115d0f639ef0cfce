//! What the kernel does not know of the sockets of a step: the paths that they were bound to, and as whom their processes
//! acted (unix(7)). Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::credentials::Credentials;

/// Sockets whose names are known, at most; the oldest is forgotten first.
const NAMES_MAX: usize = 65_536;

/// Processes that are remembered, at most, before those that ended are forgotten.
const PROCESSES_MAX: usize = 4096;

/// How the name begins in its directory that a socket is bound to first. What the kernel says of it ends in its number.
const TEMPORARY: &str = ".socket-";

/// The directory through which the kernel finds an open file of the thread that makes a call.
pub(super) const OPEN_FILES: &str = "/proc/thread-self/fd/";

/// What is known of the sockets of one step.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    names: Mutex<Names>,
    /// As whom a process last did what the other end of a socket is told.
    peers: Mutex<BTreeMap<i32, Arc<Credentials>>>,
}

#[derive(Debug, Default)]
struct Names {
    by_number: BTreeMap<u64, Vec<u8>>,
    next: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sockets {
    /// A number for a socket that is to be bound.
    pub(super) fn number(&self) -> u64 {
        let mut names = lock(&self.names);
        names.next += 1;
        names.next
    }

    /// The name in its directory that socket `number` has until it is bound.
    pub(super) fn temporary(number: u64) -> String {
        format!("{TEMPORARY}{number}")
    }

    /// Socket `number` was bound to the path `name`, as its process put it.
    pub(super) fn bound(&self, number: u64, name: Vec<u8>) {
        let mut names = lock(&self.names);
        names.by_number.insert(number, name);
        if names.by_number.len() > NAMES_MAX {
            names.by_number.pop_first();
        }
    }

    /// Whether any socket has a name that the kernel does not know.
    pub(super) fn have_names(&self) -> bool {
        !lock(&self.names).by_number.is_empty()
    }

    /// The path that a socket was bound to whose name is `path` to the kernel.
    pub(super) fn name(&self, path: &[u8]) -> Option<Vec<u8>> {
        let (_, name) = std::str::from_utf8(path).ok()?.strip_prefix(OPEN_FILES)?.split_once('/')?;
        let number = name.strip_prefix(TEMPORARY)?.parse().ok()?;
        lock(&self.names).by_number.get(&number).cloned()
    }

    /// Process `tgid` does as `who` what the other end of a socket will be told: it connects, listens, or makes a pair.
    pub(super) fn act(&self, tgid: i32, who: &Arc<Credentials>, processes: impl FnOnce() -> BTreeSet<i32>) {
        let mut peers = lock(&self.peers);
        peers.insert(tgid, Arc::clone(who));
        if peers.len() > PROCESSES_MAX {
            let alive = processes();
            peers.retain(|tgid, _| alive.contains(tgid));
        }
    }

    /// As whom a process did so, even if it has ended.
    pub(super) fn peer(&self, tgid: i32) -> Option<Arc<Credentials>> {
        lock(&self.peers).get(&tgid).cloned()
    }

    /// A new process has this number.
    pub(super) fn forget(&self, tgid: i32) {
        lock(&self.peers).remove(&tgid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_sockets_were_bound_to() {
        let sockets = Sockets::default();
        let numbers = [sockets.number(), sockets.number()];
        assert!(!sockets.have_names());
        for (number, name) in numbers.into_iter().zip([b"run/a", b"run/b"]) {
            sockets.bound(number, name.to_vec());
        }
        assert!(sockets.have_names());
        let name = |number| sockets.name(format!("/proc/thread-self/fd/9/.socket-{number}").as_bytes());
        assert_eq!(name(numbers[0]).as_deref(), Some(&b"run/a"[..]));
        assert_eq!(name(numbers[1]).as_deref(), Some(&b"run/b"[..]));
        assert_eq!(name(0), None);
        assert_eq!(sockets.name(b"/run/.socket-1"), None);
    }
}
