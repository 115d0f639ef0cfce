//! `--volume`: directories and files of the machine that every RUN sees.

use sandbox::{Access, Limits, Submounts};

use super::mount::Mounted;
use crate::error::{Cause, Error};
use crate::options::{Volume, VolumeAccess};
use crate::solve::Solver;

impl Solver<'_> {
    /// Mounts the volume.
    pub(super) fn volume(&self, volume: &Volume, mounted: &mut Mounted) -> Result<(), Error> {
        let source = match volume.access {
            VolumeAccess::ReadOnly | VolumeAccess::ReadWrite => volume.source.clone(),
            VolumeAccess::Discarded => self
                .overlay(&volume.source, mounted)?
                .ok_or_else(|| Cause::NoVolumeOverlay { path: volume.source.clone() })?,
        };
        let access = match volume.access {
            VolumeAccess::ReadOnly => Access::ReadOnly,
            VolumeAccess::ReadWrite | VolumeAccess::Discarded => Access::ReadWrite,
        };
        mounted.mounts.push(sandbox::Mount::Bind {
            source: source.into(),
            target: volume.target.clone(),
            limits: Limits {
                access,
                nosuid: volume.limits.nosuid,
                nodev: volume.limits.nodev,
                noexec: volume.limits.noexec,
            },
            submounts: Submounts::Included,
        });
        Ok(())
    }
}
