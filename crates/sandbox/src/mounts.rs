//! Making mounts and putting them in place, by descriptors only: no path of an image is walked here.

use std::path::Path;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};

use crate::error::{Attempt, Error};
use crate::sys;

/// Whether the mounts below a directory come along with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The one mount only.
    One,
    /// Also those below; required where they came from a more privileged namespace (`mount_namespaces(7)`).
    Recursive,
}

/// Opens a trusted path of ours for use as the source or target of a mount.
pub(crate) fn open_path(path: &Path) -> Result<OwnedFd, Error> {
    openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .attempt("open", || format!("open `{}`", path.display()))
}

/// Makes a copy of the mount at `source`, attached nowhere: the first half of a bind mount.
pub(crate) fn clone_tree(source: impl AsFd, depth: Depth, name: &str) -> Result<OwnedFd, Error> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if depth == Depth::Recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(source, "", flags).attempt("open_tree", || format!("bind `{name}`"))
}

/// Makes a new file system of type `kind`, attached nowhere.
pub(crate) fn new_file_system(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Error> {
    let doing = || format!("mount {kind}");
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).attempt("fsopen", doing)?;
    // Programs look for file systems by this name in /proc/mounts.
    for (key, value) in [("source", kind)].iter().chain(options) {
        fsconfig_set_string(&context, *key, *value)
            .attempt("fsconfig", || format!("mount {kind} with {key}={value}"))?;
    }
    fsconfig_create(&context).attempt("fsconfig", doing)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).attempt("fsmount", doing)
}

/// Adds attributes to a mount, such as read-only.
pub(crate) fn restrict(
    mount: impl AsFd,
    attributes: MountAttrFlags,
    depth: Depth,
    name: &str,
) -> Result<(), Error> {
    sys::add_mount_attributes(mount, attributes, depth == Depth::Recursive)
        .attempt("mount_setattr", || format!("restrict the mount of `{name}`"))
}

/// Attaches a mount on `target`, which is a directory or a file as the mount is.
pub(crate) fn attach(mount: impl AsFd, target: impl AsFd, name: &str) -> Result<(), Error> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", target, "", flags).attempt("move_mount", || format!("mount on `{name}`"))
}

/// A mount that is taken away when this is dropped.
#[derive(Debug)]
pub struct MountGuard(Option<OwnedFd>);

impl MountGuard {
    /// Guards an attached mount, which is found again by its descriptor wherever its path leads by then.
    pub(crate) fn new(mount: OwnedFd) -> Self {
        Self(Some(mount))
    }

    /// Takes the mount away at once, also while files in it are still open, and reports what goes wrong.
    pub fn unmount(mut self) -> Result<(), Error> {
        self.detach().attempt("umount2", || "unmount".to_owned())
    }

    /// The descriptor is closed as well: an overlay's upper directory is free for the next mount only then.
    fn detach(&mut self) -> rustix::io::Result<()> {
        self.0.take().map_or(Ok(()), |mount| unmount(proc_path(&mount), UnmountFlags::DETACH))
    }
}

impl Drop for MountGuard {
    fn drop(&mut self) {
        // What stays mounted vanishes with the mount namespace of this process.
        let _ = self.detach();
    }
}

/// A short path to an open file, free of characters that mount options would have to escape.
pub(crate) fn proc_path(file: impl AsFd) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}
