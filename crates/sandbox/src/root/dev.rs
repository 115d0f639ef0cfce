//! /dev: a small file system in memory with the devices that every container has.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, chmodat, makedev, mkdirat, mknodat, openat, symlinkat};
use rustix::mount::MountAttrFlags;

use crate::errno::Errno;
use crate::error::{Attempt, Error};
use crate::machine::{DEVICE_LINKS, DEVICES};
use crate::mounts::{Depth, attach, clone_tree, new_file_system, open_path, restrict};
use crate::spec::Protection;

const PLAIN: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Mounts /dev and what belongs in it. All names are looked up in the new mount, never in the image.
///
/// A step that may make nodes could make that of a disk: in a protected one, only these can be opened.
pub(super) fn mount(target: &OwnedFd, protection: Protection) -> Result<(), Error> {
    let nodes = new_file_system("tmpfs", &[], PLAIN)?;
    // Only what is attached can be shown elsewhere; the next one covers it.
    attach(&nodes, target, "/dev")?;
    let attributes = PLAIN | devices_of(protection);
    let dev = new_file_system("tmpfs", &[("mode", "755"), ("size", "65536k")], attributes)?;
    attach(&dev, target, "/dev")?;
    for (name, major, minor) in DEVICES {
        show_node(&dev, &nodes, name, makedev(major, minor))?;
    }
    for (name, link) in DEVICE_LINKS {
        symlinkat(link, &dev, name).attempt("symlinkat", || format!("make `/dev/{name}`"))?;
    }
    mount_below(&dev, "pts", new_devpts()?)?;
    let shm = [("mode", "1777"), ("size", "65536k")];
    mount_below(&dev, "shm", new_file_system("tmpfs", &shm, PLAIN | MountAttrFlags::MOUNT_ATTR_NODEV)?)?;
    match new_file_system("mqueue", &[], PLAIN | MountAttrFlags::MOUNT_ATTR_NODEV) {
        Ok(mqueue) => mount_below(&dev, "mqueue", mqueue),
        // Not every kernel has message queues, and no build needs them.
        Err(_) => Ok(()),
    }
}

/// Whether device nodes can be opened in the files of a step.
pub(super) fn devices_of(protection: Protection) -> MountAttrFlags {
    match protection {
        Protection::Masked => MountAttrFlags::MOUNT_ATTR_NODEV,
        Protection::Unmasked => MountAttrFlags::empty(),
    }
}

/// Shows a device node, which is made in `nodes` where that is allowed, and else borrowed from the machine.
fn show_node(dev: &OwnedFd, nodes: &OwnedFd, name: &str, number: u64) -> Result<(), Error> {
    let doing = || format!("make `/dev/{name}`");
    let mode = Mode::from_raw_mode(0o666);
    let path = format!("/dev/{name}");
    let node = if mknodat(nodes, name, FileType::CharacterDevice, mode, number).is_ok() {
        // The umask was applied.
        chmodat(nodes, name, mode, AtFlags::empty()).attempt("fchmodat", doing)?;
        let made =
            openat(nodes, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).attempt("openat", doing)?;
        clone_tree(made, Depth::One, &path)?
    } else {
        let node = clone_tree(open_path(Path::new(&path))?, Depth::One, &path)?;
        // Else the step, who may be its owner, could change the mode of the machine's own node.
        restrict(&node, MountAttrFlags::MOUNT_ATTR_RDONLY, Depth::One, &path)?;
        node
    };
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    attach(node, openat(dev, name, flags, mode).attempt("openat", doing)?, &path)
}

/// gid 5 is `tty` in all images; with a single id it does not exist.
fn new_devpts() -> Result<OwnedFd, Error> {
    let options = [("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")];
    match new_file_system("devpts", &options, PLAIN) {
        Err(Error::Refused { errno: Errno::INVAL, .. }) => new_file_system("devpts", &options[..2], PLAIN),
        answer => answer,
    }
}

fn mount_below(dev: &OwnedFd, name: &str, mount: OwnedFd) -> Result<(), Error> {
    let doing = || format!("make `/dev/{name}`");
    mkdirat(dev, name, Mode::from_raw_mode(0o755)).attempt("mkdirat", doing)?;
    let target = openat(dev, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).attempt("openat", doing)?;
    attach(mount, target, &format!("/dev/{name}"))
}
