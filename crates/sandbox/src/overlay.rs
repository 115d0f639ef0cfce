//! Overlay mounts: several read-only trees and a writable one seen as one. Knows nothing of layers or images.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::io::Errno as Os;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, mount,
};
use serde::{Deserialize, Serialize};

use crate::error::{Attempt, Error};
use crate::mounts::{Depth, MountGuard, attach, clone_tree, open_path, proc_path, restrict};

/// mount(2) takes a page of options.
const OPTION_LINE: usize = 4096;

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
    /// Whether it outlives this machine's next crash.
    pub durability: Durability,
}

/// Whether what is written to an overlay reaches the disk when its writer asks for that, and when it is unmounted.
///
/// The kernel waits for everything else on that file system as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It does.
    Synced,
    /// It need not: nobody wants it after a crash.
    Volatile,
}

/// Mounts an overlay on `target`, an existing directory, until the guard is dropped.
///
/// Up to about 200 lower trees work on every kernel, up to 500 from Linux 6.7 on.
pub fn mount_overlay(overlay: &Overlay, target: &Path) -> Result<MountGuard, Error> {
    let doing = || format!("mount an overlay on `{}`", target.display());
    let layers = Layers::open(overlay)?;
    let place = open_path(target)?;
    let options = layers.options(overlay.xattrs);
    let line = layers.option_line(&options);
    let mount = if let ([only], None) = (&layers.lower[..], &layers.upper) {
        // The kernel wants two trees or more.
        let tree = clone_tree(only, Depth::One, "a tree")?;
        restrict(&tree, MountAttrFlags::MOUNT_ATTR_RDONLY, Depth::One, "a tree")?;
        tree
    } else if line.as_bytes().len() < OPTION_LINE {
        mount("overlay", target, "overlay", MountFlags::empty(), Some(line.as_c_str()))
            .attempt("mount", doing)?;
        return open_path(target).map(MountGuard::new);
    } else {
        layers.configure(&options).map_err(|(call, errno)| refused(doing(), call, errno))?
    };
    attach(&mount, place, &target.display().to_string())?;
    Ok(MountGuard::new(mount))
}

fn refused(doing: String, call: &str, errno: Os) -> Error {
    Error::Refused { doing, call: call.to_owned(), errno: errno.into() }
}

/// The directories, open: their paths in /proc need no escaping, and stay short.
struct Layers {
    lower: Vec<OwnedFd>,
    upper: Option<(OwnedFd, OwnedFd, Durability)>,
}

/// An option with its value, or a flag without.
type MountOption = (&'static str, Option<String>);

impl Layers {
    fn open(overlay: &Overlay) -> Result<Self, Error> {
        let lower = overlay.lower.iter().map(|dir| open_path(dir)).collect::<Result<_, _>>()?;
        let upper = match &overlay.upper {
            Some(upper) => Some((open_path(&upper.dir)?, open_path(&upper.work)?, upper.durability)),
            None => None,
        };
        Ok(Self { lower, upper })
    }

    fn options(&self, xattrs: OverlayXattrs) -> Vec<MountOption> {
        let mut options = Vec::new();
        if let Some((upper, work, durability)) = &self.upper {
            options.push(("upperdir", Some(proc_path(upper))));
            options.push(("workdir", Some(proc_path(work))));
            if *durability == Durability::Volatile {
                options.push(("volatile", None));
            }
        }
        if xattrs == OverlayXattrs::User {
            options.push(("userxattr", None));
        }
        // The kernel's defaults for these are a matter of its configuration.
        for (key, value) in [("redirect_dir", "nofollow"), ("metacopy", "off"), ("index", "off")] {
            options.push((key, Some(value.to_owned())));
        }
        options
    }

    /// All in one line, as mount(2) takes them.
    fn option_line(&self, options: &[MountOption]) -> CString {
        let lower: Vec<_> = self.lower.iter().map(proc_path).collect();
        let mut line = format!("lowerdir={}", lower.join(":"));
        for (key, value) in options {
            line.push(',');
            line.push_str(key);
            line.extend(value.iter().flat_map(|value| ["=", value]));
        }
        CString::new(line).expect("invariant: made of numbers and literals")
    }

    /// One call for each; on failure with the call's name.
    fn configure(&self, options: &[MountOption]) -> Result<OwnedFd, (&'static str, Os)> {
        let named = |call| move |errno| (call, errno);
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(named("fsopen"))?;
        for dir in &self.lower {
            fsconfig_set_string(&context, "lowerdir+", proc_path(dir))
                .map_err(named("fsconfig(lowerdir+)"))?;
        }
        for (key, value) in options {
            match value {
                Some(value) => fsconfig_set_string(&context, *key, value),
                None => fsconfig_set_flag(&context, *key),
            }
            .map_err(named("fsconfig"))?;
        }
        fsconfig_create(&context).map_err(named("fsconfig"))?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map_err(named("fsmount"))
    }
}
