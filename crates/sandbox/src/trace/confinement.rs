//! What the kernel itself keeps a step from (landlock(7)), should the filter and the supervisor ever be passed by.

use std::os::fd::{AsFd, OwnedFd};

use super::landlock::Ruleset;
use super::place::{MountPoint, Shown};
use crate::error::{Attempt, Error};
use crate::spec::Access;
use crate::sys;

/// Access rights of landlock(7), "Filesystem actions", by the version that brought them.
const EXECUTE: u64 = 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const MAKE_SOCK: u64 = 1 << 9;
const FIRST: u64 = (1 << 13) - 1;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;

/// landlock(7), "Scope flags": abstract sockets and signals end at the border.
const SCOPES: u64 = 1 << 0 | 1 << 1;

/// A domain in which files of the root and of what is mounted can be read and executed, and sockets made; nothing else.
/// None where the kernel has no Landlock.
pub(super) fn prepare(root: &OwnedFd, mounts: &[MountPoint]) -> Result<Option<Ruleset>, Error> {
    let doing = || "confine a step".to_owned();
    let Ok(version) = sys::landlock_abi() else { return Ok(None) };
    let mut files = FIRST;
    for (since, right) in [(2, REFER), (3, TRUNCATE)] {
        if version >= since {
            files |= right;
        }
    }
    let scopes = if version >= 6 { SCOPES } else { 0 };
    let ruleset = Ruleset::new(files, scopes).attempt("landlock_create_ruleset", doing)?;
    let below = EXECUTE | READ_FILE | READ_DIR | MAKE_SOCK;
    ruleset.allow(root.as_fd(), below).attempt("landlock_add_rule", doing)?;
    for mount in mounts.iter().filter(|mount| mount.shown == Shown::Files) {
        // A rule for a file may hold only what can be done to one.
        let sockets = if mount.limits.access == Access::ReadWrite { MAKE_SOCK } else { 0 };
        let rights = EXECUTE | READ_FILE | if mount.is_dir { READ_DIR | sockets } else { 0 };
        // What lies in memory only cannot be named in a rule, and needs none.
        let _ = ruleset.allow(mount.fd.as_fd(), rights);
    }
    Ok(Some(ruleset))
}
