//! What works inside the namespaces of an identity: tried in one child that is there, and gone when it ends.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::mount::MountAttrFlags;
use rustix::process::{fchdir, pivot_root};
use serde::{Deserialize, Serialize};

use super::into_fact;
use crate::denial::Surroundings;
use crate::error::{Attempt, Error};
use crate::facts::{Denial, Fact};
use crate::identity::{Identity, fork_as};
use crate::mounts::{Depth, attach, clone_tree, new_file_system, open_path};
use crate::overlay::{Overlay, OverlayXattrs, Upper, mount_overlay};
use crate::process::{self, ask_child};
use crate::sys::{self, Forked};
use crate::wire;

/// What was found out inside.
pub(super) struct Inside {
    pub(super) tmpfs: Fact,
    pub(super) bind: Fact,
    pub(super) pid_namespace: Fact,
    pub(super) network_namespace: Fact,
    pub(super) proc: Fact,
    pub(super) pivot_root: Fact,
    pub(super) overlay: Fact,
    pub(super) overlay_xattrs: Option<OverlayXattrs>,
}

/// The child's answers.
#[derive(Serialize, Deserialize)]
struct Answers {
    tmpfs: Result<(), Error>,
    bind: Result<(), Error>,
    pid_namespace: Result<(), Error>,
    network_namespace: Result<(), Error>,
    proc: Result<(), Error>,
    pivot_root: Result<(), Error>,
    overlay: Result<OverlayXattrs, Error>,
}

impl Inside {
    /// Without an identity nothing can be tried.
    pub(super) fn probe(identity: Option<&Identity>, state_dir: &Path, around: &Surroundings) -> Self {
        let Some(identity) = identity else { return Self::untried() };
        match answers(identity, state_dir) {
            Ok(answers) => Self::from_answers(answers, around),
            Err(error) => {
                let denied = Fact::Denied(around.explain(error));
                Self { bind: denied.clone(), tmpfs: denied, ..Self::untried() }
            }
        }
    }

    fn untried() -> Self {
        let untried = || {
            Fact::Denied(Denial {
                call: "not tried".to_owned(),
                errno: None,
                why: "no namespace to try it in".to_owned(),
                cure: None,
            })
        };
        Self {
            tmpfs: untried(),
            bind: untried(),
            pid_namespace: untried(),
            network_namespace: untried(),
            proc: untried(),
            pivot_root: untried(),
            overlay: untried(),
            overlay_xattrs: None,
        }
    }

    fn from_answers(answers: Answers, around: &Surroundings) -> Self {
        let fact = |answer: Result<(), Error>| {
            into_fact(answer.map(|()| String::new()).map_err(|error| around.explain(error)))
        };
        Self {
            tmpfs: fact(answers.tmpfs),
            bind: fact(answers.bind),
            pid_namespace: fact(answers.pid_namespace),
            network_namespace: fact(answers.network_namespace),
            proc: into_fact(
                answers.proc.map(|()| String::new()).map_err(|error| without_new_proc(error, around)),
            ),
            pivot_root: fact(answers.pivot_root),
            overlay_xattrs: answers.overlay.as_ref().ok().copied(),
            overlay: into_fact(answers.overlay.map(named).map_err(|error| without_overlay(error, around))),
        }
    }
}

fn named(xattrs: OverlayXattrs) -> String {
    match xattrs {
        OverlayXattrs::Trusted => "trusted.overlay.* attributes".to_owned(),
        OverlayXattrs::User => "user.overlay.* attributes".to_owned(),
    }
}

/// The seccomp profile is not to blame where other mounts work: what is visible of /proc is.
fn without_new_proc(error: Error, around: &Surroundings) -> Denial {
    Denial {
        why: "parts of the pod's /proc are masked, so steps see the pod's instead of a new one".to_owned(),
        cure: Some(
            "in the pod's securityContext set `procMount: Unmasked` (with `hostUsers: false`)".to_owned(),
        ),
        ..around.explain(error)
    }
}

fn without_overlay(error: Error, around: &Surroundings) -> Denial {
    Denial {
        why: "the file system of the state directory cannot hold an overlay, so files are copied instead"
            .to_owned(),
        cure: Some("put the state directory (`--root`) on a volume, such as an emptyDir".to_owned()),
        ..around.explain(error)
    }
}

fn answers(identity: &Identity, state_dir: &Path) -> Result<Answers, Error> {
    let (ours, theirs) =
        std::os::unix::net::UnixStream::pair().attempt("socketpair", || "start a process".to_owned())?;
    match fork_as(identity)? {
        Forked::Child => {
            drop(ours);
            let sent = wire::send(&theirs, &try_all(state_dir));
            sys::exit_now(i32::from(sent.is_err()));
        }
        Forked::Parent(child) => {
            drop(theirs);
            let answers = wire::receive(&ours).ok().flatten();
            let status = process::wait(child)?;
            let lost = || Error::Lost { process: "probing".to_owned(), signal: status.terminating_signal() };
            answers.ok_or_else(lost)
        }
    }
}

fn try_all(state_dir: &Path) -> Answers {
    let unshared = |flag, call: &'static str| {
        ask_child(move || unshare(flag).attempt(call, || "create a namespace".to_owned()))
    };
    Answers {
        tmpfs: ask_child(|| new_file_system("tmpfs", &[], MountAttrFlags::empty()).map(drop)),
        bind: ask_child(try_bind),
        pid_namespace: unshared(CloneFlags::CLONE_NEWPID, "unshare(CLONE_NEWPID)"),
        network_namespace: unshared(CloneFlags::CLONE_NEWNET, "unshare(CLONE_NEWNET)"),
        proc: ask_child(try_proc),
        pivot_root: ask_child(|| try_pivot(state_dir)),
        overlay: try_overlay(state_dir),
    }
}

fn try_bind() -> Result<(), Error> {
    clone_tree(open_path(Path::new("/dev/null"))?, Depth::One, "/dev/null").map(drop)
}

/// A new /proc shows a pid namespace, so there must be one.
fn try_proc() -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWPID).attempt("unshare(CLONE_NEWPID)", || "create a namespace".to_owned())?;
    ask_child(|| new_file_system("proc", &[], MountAttrFlags::empty()).map(drop))
}

fn try_pivot(state_dir: &Path) -> Result<(), Error> {
    crate::identity::unshare_mounts(CloneFlags::empty())?;
    let name = state_dir.display().to_string();
    let place = open_path(state_dir)?;
    let root = clone_tree(&place, Depth::Recursive, &name)?;
    attach(&root, place, &name)?;
    let doing = || "change the root directory".to_owned();
    fchdir(&root).attempt("fchdir", doing)?;
    pivot_root(".", ".").attempt("pivot_root", doing)
}

/// Trusted attributes first: where they work they do everywhere below as well.
fn try_overlay(state_dir: &Path) -> Result<OverlayXattrs, Error> {
    let trusted = overlay_works(state_dir, OverlayXattrs::Trusted);
    trusted.or_else(|_| overlay_works(state_dir, OverlayXattrs::User))
}

/// Mounting alone proves little: marks may still be impossible, so a deleted and recreated directory must be empty.
fn overlay_works(state_dir: &Path, xattrs: OverlayXattrs) -> Result<OverlayXattrs, Error> {
    let trial = state_dir.join(format!(".overlay-probe-{}", std::process::id()));
    let result = ask_child(|| Trial::make(&trial)?.run(xattrs));
    // It has few entries, all of our making; what could not be made cannot be removed either.
    drop(fs::remove_dir_all(&trial));
    result.map(|()| xattrs)
}

/// Directories for an overlay with something to hide in the lower one.
struct Trial {
    lower: PathBuf,
    upper: PathBuf,
    work: PathBuf,
    merged: PathBuf,
}

impl Trial {
    fn make(dir: &Path) -> Result<Self, Error> {
        let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| dir.join(name));
        for path in [&lower.join("d/e"), &upper, &work, &merged] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .attempt("mkdir", || format!("make `{}`", path.display()))?;
        }
        Ok(Self { lower, upper, work, merged })
    }

    fn run(&self, xattrs: OverlayXattrs) -> Result<(), Error> {
        let overlay = Overlay {
            lower: vec![self.lower.clone()],
            upper: Some(Upper { dir: self.upper.clone(), work: self.work.clone() }),
            xattrs,
        };
        let mount = mount_overlay(&overlay, &self.merged)?;
        let doing = || "use an overlay".to_owned();
        let dir = self.merged.join("d");
        fs::remove_dir(dir.join("e")).attempt("rmdir", doing)?;
        fs::remove_dir(&dir).attempt("rmdir", doing)?;
        let whiteout = fs::symlink_metadata(self.upper.join("d")).attempt("lstat", doing)?;
        fs::create_dir(&dir).attempt("mkdir", doing)?;
        let left = fs::read_dir(&dir).attempt("readdir", doing)?.count();
        mount.unmount()?;
        if whiteout.file_type().is_char_device() && left == 0 {
            return Ok(());
        }
        Err(crate::Errno::INVAL).attempt("mkdir", doing)
    }
}
