//! /dev: a small file system in memory with the devices that every container has.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, chmodat, makedev, mkdirat, mknodat, openat, symlinkat};
use rustix::mount::MountAttrFlags;

use crate::errno::Errno;
use crate::error::{Attempt, Error};
use crate::machine::{DEVICE_LINKS, DEVICES};
use crate::mounts::{Depth, attach, clone_tree, new_file_system, open_path};

const PLAIN: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Mounts /dev and what belongs in it. All names are looked up in the new mount, never in the image.
pub(super) fn mount(target: &OwnedFd) -> Result<(), Error> {
    let dev = new_file_system("tmpfs", &[("mode", "755"), ("size", "65536k")], PLAIN)?;
    attach(&dev, target, "/dev")?;
    for (name, major, minor) in DEVICES {
        make_node(&dev, name, makedev(major, minor))?;
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

/// Makes a device node where that is allowed, else borrows the machine's.
fn make_node(dev: &OwnedFd, name: &str, number: u64) -> Result<(), Error> {
    let doing = || format!("make `/dev/{name}`");
    let mode = Mode::from_raw_mode(0o666);
    if mknodat(dev, name, FileType::CharacterDevice, mode, number).is_ok() {
        // The umask was applied.
        return chmodat(dev, name, mode, AtFlags::empty()).attempt("fchmodat", doing);
    }
    let file =
        openat(dev, name, OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, mode).attempt("openat", doing)?;
    let host = format!("/dev/{name}");
    let node = clone_tree(open_path(Path::new(&host))?, Depth::One, &host)?;
    attach(node, file, &host)
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
