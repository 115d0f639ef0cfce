//! Overlay mounts: several read-only trees and a writable one seen as one. Knows nothing of layers or images.

use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno as Os;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen, mount,
};
use serde::{Deserialize, Serialize};

use crate::error::{Attempt, Error};
use crate::mounts::{Depth, MountGuard, attach, clone_tree, open_path, proc_path, restrict};

/// Where an overlay keeps its marks (opaque directories) in the upper directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OverlayXattrs {
    /// `trusted.overlay.*`: root of the initial user namespace.
    Trusted,
    /// `user.overlay.*`: root of any other user namespace.
    User,
}

/// The directories of an overlay mount.
///
/// Renaming a directory of a lower tree fails with `EXDEV`, as programs expect, instead of leaving a redirect behind;
/// so a lower tree and the upper directory together are the whole truth.
#[derive(Clone, Debug)]
pub struct Overlay {
    /// Read-only trees, the topmost first; at least one.
    pub lower: Vec<PathBuf>,
    /// Where changes go; without it the mount is read-only.
    pub upper: Option<Upper>,
    /// As [`crate::Choice::overlay`] says.
    pub xattrs: OverlayXattrs,
}

/// The writable part of an overlay.
#[derive(Clone, Debug)]
pub struct Upper {
    /// The changes.
    pub dir: PathBuf,
    /// An empty directory on the same file system, for the kernel's use.
    pub work: PathBuf,
}

/// Mounts an overlay on `target`, an existing directory, until the guard is dropped.
pub fn mount_overlay(overlay: &Overlay, target: &Path) -> Result<MountGuard, Error> {
    let place = open_path(target)?;
    let name = target.display().to_string();
    let layers = Layers::open(overlay)?;
    // The kernel wants two trees or more.
    let mount = match (&layers.lower[..], &layers.upper) {
        ([only], None) => {
            let tree = clone_tree(only, Depth::One, &name)?;
            restrict(&tree, MountAttrFlags::MOUNT_ATTR_RDONLY, Depth::One, &name)?;
            tree
        }
        _ => match layers.mount(overlay.xattrs, &name)? {
            Some(mount) => mount,
            None => return layers.mount_by_option_string(overlay.xattrs, target),
        },
    };
    attach(&mount, place, &name)?;
    Ok(MountGuard::new(mount))
}

/// The directories, open: their paths in /proc need no escaping, and stay short.
struct Layers {
    lower: Vec<OwnedFd>,
    upper: Option<(OwnedFd, OwnedFd)>,
}

impl Layers {
    fn open(overlay: &Overlay) -> Result<Self, Error> {
        let lower = overlay.lower.iter().map(|dir| open_path(dir)).collect::<Result<_, _>>()?;
        let upper = match &overlay.upper {
            Some(upper) => Some((open_path(&upper.dir)?, open_path(&upper.work)?)),
            None => None,
        };
        Ok(Self { lower, upper })
    }

    /// Up to 500 lower trees, one call each; none if the kernel is older than that way (6.7).
    fn mount(&self, xattrs: OverlayXattrs, name: &str) -> Result<Option<OwnedFd>, Error> {
        let doing = || format!("mount an overlay on `{name}`");
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).attempt("fsopen", doing)?;
        for (position, dir) in self.lower.iter().enumerate() {
            match fsconfig_set_string(&context, "lowerdir+", proc_path(dir)) {
                Err(Os::INVAL) if position == 0 => return Ok(None),
                answer => answer.attempt("fsconfig(lowerdir)", doing)?,
            }
        }
        for (key, value) in self.options(xattrs) {
            // A flag has no value, and is set in the same way by the kernel.
            let set = if value.is_empty() {
                rustix::mount::fsconfig_set_flag(&context, key)
            } else {
                fsconfig_set_string(&context, key, value)
            };
            set.attempt(&format!("fsconfig({key})"), doing)?;
        }
        fsconfig_create(&context).attempt("fsconfig", doing)?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
            .attempt("fsmount", doing)
            .map(Some)
    }

    /// All options in one page: about 200 lower trees.
    fn mount_by_option_string(&self, xattrs: OverlayXattrs, target: &Path) -> Result<MountGuard, Error> {
        let lower: Vec<_> = self.lower.iter().map(proc_path).collect();
        let mut options = format!("lowerdir={}", lower.join(":"));
        for (key, value) in self.options(xattrs) {
            let equals = if value.is_empty() { "" } else { "=" };
            options = format!("{options},{key}{equals}{value}");
        }
        let options = std::ffi::CString::new(options).expect("invariant: made of numbers and literals");
        mount("overlay", target, "overlay", MountFlags::empty(), Some(options.as_c_str()))
            .attempt("mount", || format!("mount an overlay on `{}`", target.display()))?;
        open_path(target).map(MountGuard::new)
    }

    fn options(&self, xattrs: OverlayXattrs) -> Vec<(&'static str, String)> {
        let mut options = Vec::new();
        if let Some((upper, work)) = &self.upper {
            options.push(("upperdir", proc_path(upper.as_fd())));
            options.push(("workdir", proc_path(work.as_fd())));
        }
        if xattrs == OverlayXattrs::User {
            options.push(("userxattr", String::new()));
        }
        // The kernel's defaults are a matter of its configuration.
        options.push(("redirect_dir", "nofollow".to_owned()));
        options.push(("metacopy", "off".to_owned()));
        options.push(("index", "off".to_owned()));
        options
    }
}
