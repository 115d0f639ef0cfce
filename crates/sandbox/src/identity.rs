//! As whom the builder works, and how it becomes that: namespaces entered by a forked child.

use std::fmt;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use crate::error::{Attempt, Error};
use crate::id_map::{self, Extent, IdMap};
use crate::process::{self, Life};
use crate::sys::{self, Forked};
use crate::wire;

/// The ids that the builder and its steps can use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// Root with `SYS_ADMIN`, be it of the machine or of a namespace that the kubelet made.
    Root(IdMap),
    /// Root of a new user namespace with many ids.
    Mapped {
        /// The ids.
        map: IdMap,
        /// Who writes the map.
        writer: MapWriter,
    },
    /// Root of a new user namespace with one id: files can belong to nobody else.
    Single(IdMap),
}

/// Who writes the id map of a new user namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MapWriter {
    /// This process, which holds `SETUID`, `SETGID` and `SETFCAP`.
    OwnCapabilities,
    /// newuidmap(1) and newgidmap(1).
    Helpers {
        /// Path of newuidmap.
        newuidmap: PathBuf,
        /// Path of newgidmap.
        newgidmap: PathBuf,
    },
}

impl Identity {
    /// The ids that exist.
    pub fn map(&self) -> &IdMap {
        match self {
            Self::Root(map) | Self::Single(map) | Self::Mapped { map, .. } => map,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(map) if map.is_initial() => f.write_str("root"),
            Self::Root(map) => write!(f, "root ({} ids)", map.len()),
            Self::Mapped { map, writer: MapWriter::OwnCapabilities } if map.is_initial() => {
                f.write_str("mapped (own capabilities, all ids)")
            }
            Self::Mapped { map, writer: MapWriter::OwnCapabilities } => {
                write!(f, "mapped (own capabilities, {} ids)", map.len())
            }
            Self::Mapped { map, .. } => write!(f, "mapped (newuidmap, {} ids)", map.len()),
            Self::Single(_) => f.write_str("single"),
        }
    }
}

/// Enters a mount namespace of our own, in which nothing is shared with the one around it.
pub(crate) fn unshare_mounts(further: CloneFlags) -> Result<(), Error> {
    let call = if further.contains(CloneFlags::CLONE_NEWUSER) {
        "unshare(CLONE_NEWUSER)"
    } else {
        "unshare(CLONE_NEWNS)"
    };
    unshare(further | CloneFlags::CLONE_NEWNS).attempt(call, || "create a namespace".to_owned())?;
    keep_mounts_private()
}

/// Stops mounts and unmounts from reaching any other namespace, or coming from one.
pub(crate) fn keep_mounts_private() -> Result<(), Error> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .attempt("mount(MS_PRIVATE)", || "keep mounts private".to_owned())
}

/// Forks a child which is `identity`, in a mount namespace of its own, and ends with this process.
///
/// In the parent the child is known to have arrived.
pub(crate) fn fork_as(identity: &Identity) -> Result<Forked, Error> {
    let (ours, theirs) = UnixStream::pair().attempt("socketpair", || "start a process".to_owned())?;
    let life = Life::of_this_process()?;
    match sys::fork()? {
        Forked::Child => {
            drop(ours);
            let arrived = become_identity(identity, &theirs).and_then(|()| life.bind());
            let failed = arrived.is_err();
            if wire::send(&theirs, &arrived).is_err() || failed {
                sys::exit_now(1);
            }
            Ok(Forked::Child)
        }
        Forked::Parent(child) => {
            drop(theirs);
            match accompany(child, identity, &ours) {
                Ok(()) => Ok(Forked::Parent(child)),
                Err(error) => process::kill(child).and(Err(error)),
            }
        }
    }
}

/// The child's part: each message is answered by [`accompany`].
fn become_identity(identity: &Identity, parent: &UnixStream) -> Result<(), Error> {
    match identity {
        Identity::Root(_) => unshare_mounts(CloneFlags::empty()),
        Identity::Single(map) => {
            unshare_mounts(CloneFlags::CLONE_NEWUSER)?;
            // user_namespaces(7): without SETGID in the parent namespace, gid_map needs "deny" first.
            write_proc("/proc/self/setgroups", "deny")?;
            write_proc("/proc/self/uid_map", &id_map::render(&map.uids))?;
            write_proc("/proc/self/gid_map", &id_map::render(&map.gids))?;
            become_root()
        }
        Identity::Mapped { .. } => {
            unshare_mounts(CloneFlags::CLONE_NEWUSER)?;
            let waiting = || "wait for the id map".to_owned();
            wire::send(parent, &Ok::<(), Error>(())).attempt("write", waiting)?;
            if wire::receive::<()>(parent).attempt("read", waiting)?.is_none() {
                sys::exit_now(1);
            }
            let doing = || "drop supplementary groups".to_owned();
            rustix::thread::set_thread_groups(&[]).attempt("setgroups", doing)?;
            become_root()
        }
    }
}

/// The parent's part: writes the maps when they are wanted.
fn accompany(child: Pid, identity: &Identity, stream: &UnixStream) -> Result<(), Error> {
    if let Identity::Mapped { map, writer } = identity {
        report_of(child, stream)?;
        write_maps(child, map, writer)?;
        wire::send(stream, &()).attempt("write", || "answer a process".to_owned())?;
    }
    report_of(child, stream)
}

fn report_of(child: Pid, stream: &UnixStream) -> Result<(), Error> {
    let lost = || Error::Lost { process: format!("namespace ({child})"), signal: None };
    wire::receive::<Result<(), Error>>(stream).ok().flatten().unwrap_or_else(|| Err(lost()))
}

fn become_root() -> Result<(), Error> {
    use rustix::process::{Gid, Uid};
    let doing = || "become root of the user namespace".to_owned();
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).attempt("setresgid", doing)?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).attempt("setresuid", doing)
}

fn write_maps(child: Pid, map: &IdMap, writer: &MapWriter) -> Result<(), Error> {
    match writer {
        MapWriter::OwnCapabilities => {
            write_proc(&format!("/proc/{child}/uid_map"), &id_map::render(&map.uids))?;
            write_proc(&format!("/proc/{child}/gid_map"), &id_map::render(&map.gids))
        }
        MapWriter::Helpers { newuidmap, newgidmap } => {
            call_helper(newuidmap, child, &map.uids)?;
            call_helper(newgidmap, child, &map.gids)
        }
    }
}

/// The kernel takes a map in a single write only.
fn write_proc(path: &str, text: &str) -> Result<(), Error> {
    let name = path.rsplit('/').next().unwrap_or(path);
    fs::write(path, text).attempt(&format!("write {name}"), || "map ids".to_owned())
}

/// newuidmap(1): `newuidmap PID (INSIDE OUTSIDE LENGTH)…`.
fn call_helper(program: &Path, child: Pid, extents: &[Extent]) -> Result<(), Error> {
    let failed = |message: String| Error::IdMapHelper { program: program.display().to_string(), message };
    #[expect(clippy::disallowed_methods, reason = "the sandbox is where processes are spawned")]
    let mut command = std::process::Command::new(program);
    command.env_clear().arg(child.to_string());
    for Extent { inside, outside, len } in extents {
        command.args([inside, outside, len].map(ToString::to_string));
    }
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(failed(if said.is_empty() { output.status.to_string() } else { said }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_says_what_it_has() {
        let kubelet = IdMap {
            uids: vec![Extent { inside: 0, outside: 1_000_000, len: 65536 }],
            gids: vec![Extent { inside: 0, outside: 1_000_000, len: 65536 }],
        };
        let helpers = MapWriter::Helpers {
            newuidmap: "/usr/bin/newuidmap".into(),
            newgidmap: "/usr/bin/newgidmap".into(),
        };
        let subordinate = IdMap::subordinate((1000, 1000), &[(100_000, 65536)], &[(100_000, 65536)]);
        let table = [
            (Identity::Root(kubelet.clone()), "root (65536 ids)"),
            (
                Identity::Mapped { map: kubelet.unchanged(), writer: MapWriter::OwnCapabilities },
                "mapped (own capabilities, 65536 ids)",
            ),
            (Identity::Mapped { map: subordinate, writer: helpers }, "mapped (newuidmap, 65537 ids)"),
            (Identity::Single(IdMap::single(1000, 1000)), "single"),
        ];
        for (identity, text) in table {
            assert_eq!(identity.to_string(), text);
        }
    }
}
