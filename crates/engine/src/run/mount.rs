//! The mounts of one RUN: what its cache key knows of them, and what the sandbox is told.

use std::path::{Path, PathBuf};

use containerfile::{MountFlag, MountSpec, TmpfsMount};
use layer::{Owners, Root};
use sandbox::{Access, Content, Limits, MountGuard, SocketServer, TmpfsStart};

use super::bind::{BindInput, keeps_link};
use super::cache_mount::HeldCache;
use super::{RunOp, Surroundings};
use crate::error::{Cause, Error, Place};
use crate::input::Reading;
use crate::plan::Origin;
use crate::solve::Solver;

/// A mount with its variables expanded.
#[derive(Debug)]
pub(crate) struct RunMount {
    /// What it is; targets are absolute, caches have an id.
    pub(crate) spec: MountSpec,
    /// Where its files come from, if they come from anywhere.
    pub(crate) from: Option<Origin>,
    /// How it is written.
    pub(crate) text: String,
    /// Where it is written.
    pub(crate) place: Place,
    /// Where the path is written that its files have in `from`.
    pub(crate) source: Place,
}

/// What was read for the cache key of a RUN: one for each of its mounts that shows files.
#[derive(Default)]
pub(crate) struct MountInputs(Vec<Option<BindInput>>);

/// What a RUN finds in place, and what must live as long as it runs.
#[derive(Default)]
pub(super) struct Mounted {
    /// For the sandbox.
    pub(super) mounts: Vec<sandbox::Mount>,
    /// Variables that are no secret.
    pub(super) env: Vec<(String, String)>,
    /// Variables that are.
    pub(super) secret_env: Vec<(String, Content)>,
    pub(super) overlays: Vec<MountGuard>,
    pub(super) readings: Vec<Reading>,
    pub(super) caches: Vec<HeldCache>,
    /// Whom the files of its binds belong to.
    pub(super) owners: Vec<Owners>,
    /// Agents that its ssh mounts talk to.
    pub(super) agents: Vec<SocketServer>,
    /// Directories of this step alone.
    pub(super) dirs: Vec<PathBuf>,
}

impl Mounted {
    /// Whom all files belong to that the step sees of trees of ours, its root file system aside.
    pub(super) fn owners(&self) -> impl Iterator<Item = &Owners> {
        self.owners.iter().chain(self.caches.iter().map(HeldCache::owners))
    }

    /// Takes away what was made for the step.
    pub(super) fn close(self) -> Result<(), Error> {
        drop((self.overlays, self.readings, self.caches, self.agents));
        for dir in self.dirs {
            let (parent, name) = (dir.parent().unwrap_or(&dir), dir.file_name().unwrap_or_default());
            let removed = Root::open(parent).and_then(|parent| parent.remove_all(Path::new(name)));
            removed
                .map_err(|source| Cause::Layer { action: format!("remove `{}`", dir.display()), source })?;
        }
        Ok(())
    }
}

impl Solver<'_> {
    /// Reads what the key of `op` needs of its mounts.
    pub(crate) fn mount_inputs(&self, op: &RunOp) -> Result<MountInputs, Error> {
        let input = |mount: &RunMount| {
            let input = match (&mount.spec, &mount.from) {
                (MountSpec::Bind(bind), Some(origin)) => {
                    self.bind_input(&bind.source, keeps_link(bind), origin)
                }
                (MountSpec::Cache(cache), Some(origin)) => self.bind_input(&cache.source, false, origin),
                _ => return Ok(None),
            };
            input.map(Some).map_err(|error| error.at(mount.source.clone()))
        };
        op.mounts.iter().map(input).collect::<Result<_, _>>().map(MountInputs)
    }

    /// Makes everything ready that `op` mounts.
    pub(super) fn mount_all(
        &self,
        op: &RunOp,
        inputs: &MountInputs,
        around: &Surroundings<'_>,
    ) -> Result<Mounted, Error> {
        let mut mounted = Mounted::default();
        for volume in &op.volumes {
            self.volume(volume, &mut mounted)?;
        }
        let caches = self.hold_caches(op, around)?;
        for (index, mount) in op.mounts.iter().enumerate() {
            let input = inputs.0.get(index).and_then(Option::as_ref);
            let done = match &mount.spec {
                MountSpec::Bind(bind) => match input {
                    Some(input) => self.bind(bind, input, around, &mut mounted),
                    None => Ok(()),
                },
                MountSpec::Cache(cache) => caches.mount(index, cache, mount, &mut mounted),
                MountSpec::Tmpfs(tmpfs) => {
                    mounted.mounts.push(tmpfs_mount(tmpfs));
                    Ok(())
                }
                MountSpec::Secret(secret) => self.secret(secret, &mut mounted),
                MountSpec::Ssh(ssh) => self.ssh(ssh, &mut mounted),
            };
            done.map_err(|error| error.at(mount.place.clone()))?;
        }
        mounted.caches = caches.into_held();
        Ok(mounted)
    }
}

impl MountInputs {
    /// What the key of `op` says of its mounts: how they are written, and what of them is content.
    pub(crate) fn keys(&self, op: &RunOp) -> Vec<String> {
        let inputs = self.0.iter().map(|input| input.as_ref().map(|input| input.key));
        op.mounts
            .iter()
            .zip(inputs)
            .map(|(mount, key)| match key {
                Some(key) => format!("{} {key}", mount.text),
                None => mount.text.clone(),
            })
            .collect()
    }
}

/// What may be done with a mount.
pub(super) fn limits(read_only: bool, flags: &std::collections::BTreeSet<MountFlag>) -> Limits {
    Limits {
        access: if read_only { Access::ReadOnly } else { Access::ReadWrite },
        nosuid: flags.contains(&MountFlag::NoSuid),
        // As in the root: what a step may open of devices is in /dev.
        nodev: true,
        noexec: flags.contains(&MountFlag::NoExec),
    }
}

fn tmpfs_mount(tmpfs: &TmpfsMount) -> sandbox::Mount {
    sandbox::Mount::Tmpfs {
        target: tmpfs.target.clone().into(),
        size: tmpfs.size,
        mode: tmpfs.mode,
        limits: limits(tmpfs.read_only, &tmpfs.flags),
        start: if tmpfs.flags.contains(&MountFlag::CopyUp) {
            TmpfsStart::CopyOfTarget
        } else {
            TmpfsStart::Empty
        },
    }
}
