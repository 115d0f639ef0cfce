//! /proc and /sys: the kernel's own file systems, with what concerns the whole machine hidden or read-only.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Dir, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use rustix::io::Errno as Os;
use rustix::mount::MountAttrFlags;

use crate::errno::Errno;
use crate::error::{Attempt, Error};
use crate::machine::{HIDDEN_IN_PROC, HIDDEN_IN_SYS};
use crate::mount_points::Kind;
use crate::mounts::{Depth, attach, clone_tree, new_file_system, open_path, restrict};
use crate::spec::Protection;

const READ_ONLY_IN_PROC: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// What no kernel file system needs.
const PLAIN: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Mounts /proc: a new one of this pid namespace, or where the kernel refuses that the one we see.
pub(super) fn mount_proc(target: &OwnedFd, protection: Protection) -> Result<(), Error> {
    let (proc, depth) = match new_file_system("proc", &[], PLAIN) {
        // mount_namespaces(7): where parts of /proc are covered, as in most pods, a new one would uncover them.
        Err(Error::Refused { errno: Errno::PERM | Errno::ACCES, .. }) => {
            (visible("/proc")?, Depth::Recursive)
        }
        new => (new?, Depth::One),
    };
    attach(&proc, target, "/proc")?;
    if protection == Protection::Unmasked {
        return Ok(());
    }
    for path in READ_ONLY_IN_PROC {
        make_read_only(&proc, path, depth)?;
    }
    mask_all(&proc, "/proc", &HIDDEN_IN_PROC)?;
    if depth == Depth::Recursive { hide_processes(&proc) } else { Ok(()) }
}

/// Mounts what we see of /sys, read-only if it is to be protected; a new one would need a network namespace of our own.
pub(super) fn mount_sys(target: &OwnedFd, protection: Protection) -> Result<(), Error> {
    let sys = match visible("/sys") {
        Err(Error::Refused { errno: Errno::NOENT, .. }) => return Ok(()),
        seen => seen?,
    };
    if protection == Protection::Unmasked {
        return attach(&sys, target, "/sys");
    }
    restrict(&sys, PLAIN | MountAttrFlags::MOUNT_ATTR_RDONLY, Depth::Recursive, "/sys")?;
    attach(&sys, target, "/sys")?;
    mask_all(&sys, "/sys", &HIDDEN_IN_SYS)
}

fn visible(path: &str) -> Result<OwnedFd, Error> {
    clone_tree(open_path(Path::new(path))?, Depth::Recursive, path)
}

/// Looks a path up in a mount of ours, never in the image; none if the kernel does not have it.
fn inside(mount: &OwnedFd, path: &str) -> Result<Option<OwnedFd>, Error> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(mount, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
        Ok(found) => Ok(Some(found)),
        Err(Os::NOENT | Os::NOTDIR | Os::ACCESS) => Ok(None),
        Err(errno) => Err(Errno::from(errno)).attempt("openat2", || format!("find `{path}` to restrict it")),
    }
}

fn make_read_only(mount: &OwnedFd, path: &str, depth: Depth) -> Result<(), Error> {
    let Some(target) = inside(mount, path)? else { return Ok(()) };
    let copy = clone_tree(&target, depth, path)?;
    restrict(&copy, PLAIN | MountAttrFlags::MOUNT_ATTR_RDONLY, depth, path)?;
    attach(copy, target, path)
}

/// The processes that we see are none of the step's; some belong to the same user, who may write to files of theirs.
///
/// A cover goes with its process. This one has none, as it still looks at itself.
fn hide_processes(proc: &OwnedFd) -> Result<(), Error> {
    let doing = || "list the processes in `/proc`".to_owned();
    let own = readlinkat(proc, "self", Vec::new()).attempt("readlink", doing)?;
    let opened =
        openat(proc, ".", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).attempt("open", doing)?;
    for entry in Dir::new(opened).attempt("getdents64", doing)? {
        let entry = entry.attempt("getdents64", doing)?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_digit()) || name.as_bytes() == own.as_bytes() {
            continue;
        }
        let Some(target) = inside(proc, name)? else { continue };
        match attach(empty_directory()?, target, &format!("/proc/{name}")) {
            // It ended meanwhile.
            Err(Error::Refused { errno: Errno::NOENT, .. }) => {}
            answer => answer?,
        }
    }
    Ok(())
}

/// Nothing can be made in it.
fn empty_directory() -> Result<OwnedFd, Error> {
    let empty = [("size", "0"), ("nr_inodes", "1")];
    new_file_system("tmpfs", &empty, PLAIN | MountAttrFlags::MOUNT_ATTR_RDONLY)
}

/// A directory is covered by an empty one, a file by /dev/null of the machine, whatever the image has there.
fn mask_all(mount: &OwnedFd, name: &str, paths: &[&str]) -> Result<(), Error> {
    let null = openat(CWD, "/dev/null", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .attempt("open", || "open `/dev/null`".to_owned())?;
    for path in paths {
        let Some(target) = inside(mount, path)? else { continue };
        let cover = match Kind::of(&target)? {
            Kind::Directory => empty_directory()?,
            Kind::File => {
                let null = clone_tree(null.as_fd(), Depth::One, "/dev/null")?;
                // Else the step, who is root, could change the mode of the machine's own node.
                restrict(&null, MountAttrFlags::MOUNT_ATTR_RDONLY, Depth::One, "/dev/null")?;
                null
            }
        };
        attach(cover, target, &format!("{name}/{path}"))?;
    }
    Ok(())
}
