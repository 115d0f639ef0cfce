//! What works inside the namespaces of an identity: tried by children that are there, and gone when they end.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::fs::XattrFlags;
use rustix::mount::MountAttrFlags;
use rustix::process::{fchdir, pivot_root};

use crate::denial::Surroundings;
use crate::error::{Attempt, Error};
use crate::facts::{Denial, Detail, Fact, Feature};
use crate::identity::{Identity, fork_as, unshare_mounts};
use crate::mounts::{Depth, attach, clone_tree, new_file_system, open_path};
use crate::overlay::{Durability, Overlay, OverlayXattrs, Upper, mount_overlay};
use crate::process::{self, ask_child};
use crate::sys::{self, Forked};
use crate::wire;

/// What decides how to work, and what is good to know. Those of a group are tried together: namespaces are dear.
const GROUPS: [&[Feature]; 2] = [
    &[Feature::Tmpfs, Feature::Bind, Feature::PivotRoot, Feature::FileCapabilities, Feature::Overlay],
    &[Feature::PidNamespace, Feature::NetworkNamespace, Feature::Proc],
];

type Answers = BTreeMap<Feature, Result<Detail, Error>>;

/// What was found out inside, a group at a time.
#[derive(Debug, Default)]
pub(super) struct Inside([OnceCell<Result<Answers, Error>>; GROUPS.len()]);

impl Inside {
    /// Whether `feature` works; without an identity nothing can be tried.
    pub(super) fn fact(
        &self,
        feature: Feature,
        identity: Option<&Identity>,
        state_dir: &Path,
        around: &Surroundings,
    ) -> Fact {
        let Some(identity) = identity else { return Fact::Denied(untried()) };
        let groups = GROUPS.iter().zip(&self.0);
        let Some((group, known)) = groups.into_iter().find(|(group, _)| group.contains(&feature)) else {
            return Fact::Denied(untried());
        };
        let tried = match known.get_or_init(|| answers(group, identity, state_dir)) {
            Ok(answers) => answers.get(&feature).cloned(),
            Err(error) => Some(Err(error.clone())),
        };
        tried
            .map_or_else(|| Err(untried()), |tried| tried.map_err(|error| explain(feature, error, around)))
            .into()
    }
}

fn untried() -> Denial {
    Denial {
        call: "not tried".to_owned(),
        errno: None,
        why: "no namespace to try it in".to_owned(),
        cure: None,
    }
}

fn explain(feature: Feature, error: Error, around: &Surroundings) -> Denial {
    let denial = around.explain(error);
    let (why, cure) = match feature {
        // The seccomp profile is not to blame where other mounts work: what is visible of /proc is.
        Feature::Proc => (
            "parts of the pod's /proc are masked, so steps see the pod's instead of a new one",
            "in the pod's securityContext set `procMount: Unmasked` (with `hostUsers: false`)",
        ),
        Feature::Overlay => (
            "the file system of the state directory cannot hold an overlay, so files are copied instead",
            "put the state directory (`--root`) on a volume, such as an emptyDir",
        ),
        _ => return denial,
    };
    Denial { why: why.to_owned(), cure: Some(cure.to_owned()), ..denial }
}

/// Each thing is tried by a child of its own, as some filters kill.
fn answers(group: &[Feature], identity: &Identity, state_dir: &Path) -> Result<Answers, Error> {
    let (ours, theirs) = UnixStream::pair().attempt("socketpair", || "start a process".to_owned())?;
    match fork_as(identity)? {
        Forked::Child => {
            drop(ours);
            let tried = group.iter().map(|feature| (*feature, attempt(*feature, state_dir)));
            let sent = wire::send(&theirs, &tried.collect::<Answers>());
            sys::exit_now(i32::from(sent.is_err()));
        }
        Forked::Parent(child) => {
            drop(theirs);
            let answers = wire::receive::<Answers>(&ours).ok().flatten();
            let status = process::wait(child)?;
            let lost = || Error::Lost { process: "probing".to_owned(), signal: status.terminating_signal() };
            answers.ok_or_else(lost)
        }
    }
}

fn attempt(feature: Feature, state_dir: &Path) -> Result<Detail, Error> {
    let tried = match feature {
        Feature::Tmpfs => ask_child(|| new_file_system("tmpfs", &[], MountAttrFlags::empty()).map(drop)),
        Feature::Bind => ask_child(try_bind),
        Feature::PivotRoot => ask_child(|| try_pivot(state_dir)),
        Feature::FileCapabilities => try_file_capabilities(state_dir),
        Feature::PidNamespace => ask_child(|| unshared(CloneFlags::CLONE_NEWPID, "unshare(CLONE_NEWPID)")),
        Feature::NetworkNamespace => {
            ask_child(|| unshared(CloneFlags::CLONE_NEWNET, "unshare(CLONE_NEWNET)"))
        }
        Feature::Proc => ask_child(try_proc),
        _ => return try_overlay(state_dir).map(Detail::Overlay),
    };
    tried.map(|()| Detail::None)
}

fn unshared(flag: CloneFlags, call: &str) -> Result<(), Error> {
    unshare(flag).attempt(call, || "create a namespace".to_owned())
}

fn try_bind() -> Result<(), Error> {
    clone_tree(open_path(Path::new("/dev/null"))?, Depth::One, "/dev/null").map(drop)
}

/// A new /proc shows a pid namespace, so there must be one.
fn try_proc() -> Result<(), Error> {
    unshared(CloneFlags::CLONE_NEWPID, "unshare(CLONE_NEWPID)")?;
    ask_child(|| new_file_system("proc", &[], MountAttrFlags::empty()).map(drop))
}

fn try_pivot(state_dir: &Path) -> Result<(), Error> {
    unshare_mounts(CloneFlags::empty())?;
    let name = state_dir.display().to_string();
    let place = open_path(state_dir)?;
    let root = clone_tree(&place, Depth::Recursive, &name)?;
    attach(&root, place, &name)?;
    let doing = || "change the root directory".to_owned();
    fchdir(&root).attempt("fchdir", doing)?;
    pivot_root(".", ".").attempt("pivot_root", doing)
}

/// A name in the state directory for something that is removed again.
fn trial_path(state_dir: &Path) -> PathBuf {
    state_dir.join(format!(".probe-{}", std::process::id()))
}

fn try_file_capabilities(state_dir: &Path) -> Result<(), Error> {
    /// `cap_net_raw=ep`, as setcap(8) writes it (capabilities(7), "File capability extended attribute versioning").
    const NET_RAW: [u8; 20] = *b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let file = trial_path(state_dir);
    let doing = || format!("give capabilities to `{}`", file.display());
    let result = ask_child(|| {
        fs::write(&file, "").attempt("openat", doing)?;
        rustix::fs::setxattr(&file, "security.capability", &NET_RAW, XattrFlags::empty())
            .attempt("setxattr", doing)
    });
    // What could not be made cannot be removed either.
    drop(fs::remove_file(&file));
    result
}

/// Trusted attributes first: where they work they do everywhere below as well.
fn try_overlay(state_dir: &Path) -> Result<OverlayXattrs, Error> {
    let trusted = overlay_works(state_dir, OverlayXattrs::Trusted);
    trusted.or_else(|_| overlay_works(state_dir, OverlayXattrs::User))
}

/// Mounting alone proves little: marks may still be impossible, so a deleted and recreated directory must be empty.
fn overlay_works(state_dir: &Path, xattrs: OverlayXattrs) -> Result<OverlayXattrs, Error> {
    let trial = trial_path(state_dir);
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
        let upper =
            Upper { dir: self.upper.clone(), work: self.work.clone(), durability: Durability::Volatile };
        let overlay = Overlay { lower: vec![self.lower.clone()], upper: Some(upper), xattrs };
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
