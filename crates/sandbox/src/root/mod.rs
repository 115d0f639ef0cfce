//! Makes a root file system the root of this process, with what every container has mounted in it.
//!
//! Runs in the init of a step, in a mount namespace which nobody else uses, so that all is gone when the step is.

mod copy_up;
mod dev;
mod file;
mod kernel;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::sched::CloneFlags;
use rustix::mount::{MountAttrFlags, UnmountFlags, unmount};
use rustix::process::{chdir, fchdir, pivot_root};

use crate::error::{Attempt, Error};
use crate::identity::unshare_mounts;
use crate::mount_points::{Kind, Missing, find, make_empty, open_inside, open_link_inside};
use crate::mounts::{Depth, attach, clone_tree, new_file_system, open_path, restrict};
use crate::spec::{Access, Limits, Link, Mount, RunSpec, Source, Submounts, TmpfsStart};

/// Directories that are mounted on in every root file system, in this order.
pub(crate) const DIRECTORIES: [&str; 3] = ["/proc", "/dev", "/sys"];

/// Enters the root file system of `spec`; the old one is out of reach afterwards.
pub(crate) fn enter(spec: &RunSpec) -> Result<(), Error> {
    unshare_mounts(CloneFlags::empty())?;
    let place = open_path(&spec.rootfs)?;
    let name = spec.rootfs.display().to_string();
    // pivot_root(2): the new root must be a mount point, which any directory becomes in this way.
    let root = clone_tree(&place, Depth::One, &name)?;
    restrict(&root, dev::devices_of(spec.protection), Depth::One, &name)?;
    attach(&root, place, &name)?;

    let [proc, dev, sys] = DIRECTORIES;
    kernel::mount_proc(&mount_point(root.as_fd(), Path::new(proc), Kind::Directory)?, spec.protection)?;
    dev::mount(&mount_point(root.as_fd(), Path::new(dev), Kind::Directory)?, spec.protection)?;
    kernel::mount_sys(&mount_point(root.as_fd(), Path::new(sys), Kind::Directory)?, spec.protection)?;
    for mount in &spec.mounts {
        mount_one(root.as_fd(), mount)?;
    }
    pivot(&root)
}

/// The source of a bind mount.
pub(crate) fn open_source(source: &Source) -> Result<OwnedFd, Error> {
    let root = open_path(&source.root)?;
    if source.path.as_os_str().is_empty() {
        return Ok(root);
    }
    let found = match source.link {
        Link::Followed => open_inside(root, &source.path),
        Link::Kept => open_link_inside(root, &source.path),
    };
    found.attempt("openat2", || format!("find `{}` in `{}`", source.path.display(), source.root.display()))
}

/// What is missing here lies in an earlier mount of the step, and needs no removing.
fn mount_point(root: BorrowedFd<'_>, target: &Path, kind: Kind) -> Result<OwnedFd, Error> {
    let doing = || format!("make the mount point `{}`", target.display());
    let found = find(root, target, kind, &mut |directory, name, kind| {
        make_empty(directory, name, kind).attempt("mkdirat", doing).map(|()| Missing::Made)
    })?;
    Ok(found.expect("invariant: what is missing is made or an error"))
}

fn mount_one(root: BorrowedFd<'_>, mount: &Mount) -> Result<(), Error> {
    match mount {
        Mount::Bind { source, target, limits, submounts } => {
            let name = target.display().to_string();
            let source = open_source(source)?;
            let depth = match submounts {
                Submounts::Included => Depth::Recursive,
                Submounts::LeftOut => Depth::One,
            };
            let tree = clone_tree(&source, depth, &name)?;
            let attributes = attributes(*limits);
            if !attributes.is_empty() {
                restrict(&tree, attributes, depth, &name)?;
            }
            attach(tree, mount_point(root, target, Kind::of(source)?)?, &name)
        }
        Mount::Tmpfs { target, size, mode, limits, start } => {
            let options =
                [("mode", mode.map(|mode| format!("{mode:o}"))), ("size", size.map(|size| size.to_string()))];
            let options: Vec<_> =
                options.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?))).collect();
            let always = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
            let name = target.display().to_string();
            let tmpfs = new_file_system("tmpfs", &options, always)?;
            let place = mount_point(root, target, Kind::Directory)?;
            if *start == TmpfsStart::CopyOfTarget {
                copy_up::copy(&place, &tmpfs, *mode, &name)?;
            }
            restrict(&tmpfs, always | attributes(*limits), Depth::One, &name)?;
            attach(tmpfs, place, &name)
        }
        Mount::File { target, content, mode, uid, gid } => {
            let name = target.display().to_string();
            let file = file::new(root, content, &file::Owner { mode: *mode, uid: *uid, gid: *gid }, &name)?;
            attach(file, mount_point(root, target, Kind::File)?, &name)
        }
    }
}

fn attributes(limits: Limits) -> MountAttrFlags {
    let set = |wanted, flag| if wanted { flag } else { MountAttrFlags::empty() };
    set(limits.access == Access::ReadOnly, MountAttrFlags::MOUNT_ATTR_RDONLY)
        | set(limits.nosuid, MountAttrFlags::MOUNT_ATTR_NOSUID)
        | set(limits.nodev, MountAttrFlags::MOUNT_ATTR_NODEV)
        | set(limits.noexec, MountAttrFlags::MOUNT_ATTR_NOEXEC)
}

/// Not chroot(2): that leaves the old root in reach, and CRI-O's seccomp profile denies it.
fn pivot(root: &OwnedFd) -> Result<(), Error> {
    let doing = || "change the root directory".to_owned();
    fchdir(root).attempt("fchdir", doing)?;
    // pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one.
    pivot_root(".", ".").attempt("pivot_root", doing)?;
    unmount(".", UnmountFlags::DETACH).attempt("umount2", doing)?;
    chdir("/").attempt("chdir", doing)
}
