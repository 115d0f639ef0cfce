//! open(2) of devices: the harmless ones that every machine has, and the terminals that the step made itself.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, major, minor, openat};
use rustix::io::Errno;

use super::open::{given, plain};
use super::{Call, Result};
use crate::trace::owners::kind_of;
use crate::trace::place::{Place, Shown, reopen};
use crate::trace::terminals::{self, CONTROLLING, MULTIPLEXER};

impl Call<'_> {
    /// A device node of the image is an empty file on disk; the harmless ones that every machine has are opened there.
    pub(super) fn open_device(&self, entry: &Place, disk: &Stat, stat: &Stat, flags: OFlags) -> Result {
        let view = &self.supervisor.view;
        if view.limits(entry.mount).nodev {
            return Err(Errno::ACCESS);
        }
        let file = if kind_of(disk) == ownership::Kind::File {
            open_harmless(stat, flags)?
        } else if view.shown(entry.mount) == Shown::Device {
            self.open_shown(entry, stat, flags)?
        } else {
            return Err(Errno::ACCESS);
        };
        Ok(given(file, flags))
    }

    /// The machine's own node, which is shown on purpose; but of its terminals the step has its own alone.
    fn open_shown(&self, entry: &Place, stat: &Stat, flags: OFlags) -> Result<OwnedFd> {
        let terminals = &self.supervisor.terminals;
        let number = (major(stat.st_rdev), minor(stat.st_rdev));
        if number == CONTROLLING {
            return terminals.open(terminals::controlling(self.task.tid)?, plain(flags));
        }
        if let Some(terminal) = terminals::number(number) {
            return terminals.open(terminal, plain(flags));
        }
        if number != MULTIPLEXER {
            return reopen(entry, plain(flags));
        }
        let master = match reopen(entry, plain(flags)) {
            // The one among the terminals may be for nobody; this is the same.
            Err(Errno::ACCESS) => openat(CWD, "/dev/ptmx", plain(flags) | OFlags::CLOEXEC, Mode::empty()),
            master => master,
        }?;
        // What is known of its inode number is of a terminal that was closed.
        self.supervisor.owners.lost_name(&terminals.note(&master)?);
        Ok(master)
    }
}

fn open_harmless(stat: &Stat, flags: OFlags) -> Result<OwnedFd> {
    let is_char = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    let name: &CStr = match (major(stat.st_rdev), minor(stat.st_rdev)) {
        (1, 3) if is_char => c"/dev/null",
        (1, 5) if is_char => c"/dev/zero",
        (1, 7) if is_char => c"/dev/full",
        (1, 8) if is_char => c"/dev/random",
        (1, 9) if is_char => c"/dev/urandom",
        _ => return Err(Errno::NXIO),
    };
    openat(CWD, name, plain(flags) | OFlags::CLOEXEC, Mode::empty())
}
