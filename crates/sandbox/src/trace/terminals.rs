//! The terminals of a step: those that it made itself (pts(4)). Others in the same /dev/pts belong to whoever runs the
//! builder, and whoever can open one reads what is typed there.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{CWD, Mode, OFlags, Stat, fstat, major, minor, openat};
use rustix::io::Errno;

use super::kernel;
use super::place::{HANDLE, reopen};
use super::thread_stat::ThreadStat;

/// `/dev/tty`, by its major and minor number.
pub(super) const CONTROLLING: (u32, u32) = (5, 0);
/// `/dev/ptmx`.
pub(super) const MULTIPLEXER: (u32, u32) = (5, 2);

/// The terminals `/dev/pts/N` have these major numbers, one for each so many of them (admin-guide/devices.txt).
const MAJORS: std::ops::RangeInclusive<u32> = 136..=143;
const MINORS: u32 = 256;

/// Handles of terminals, by number. One stays that of its terminal: when that is closed it leads to nothing, whoever has
/// the number then.
#[derive(Debug, Default)]
pub(super) struct Terminals(Mutex<BTreeMap<u32, OwnedFd>>);

impl Terminals {
    /// The step has opened the multiplexer, and so made a terminal: this one.
    pub(super) fn note(&self, master: impl AsFd) -> Result<Stat, Errno> {
        let number = kernel::terminal_of(master)?;
        let handle = openat(CWD, format!("/dev/pts/{number}"), HANDLE, Mode::empty())?;
        let mut terminals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        terminals.retain(|_, handle| fstat(handle).is_ok_and(|stat| stat.st_nlink > 0));
        let stat = fstat(&handle)?;
        terminals.insert(number, handle);
        Ok(stat)
    }

    /// Whether this is the data of a terminal of the step.
    pub(super) fn has(&self, stat: &Stat) -> bool {
        let terminals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own =
            number((major(stat.st_rdev), minor(stat.st_rdev))).and_then(|number| terminals.get(&number));
        own.is_some_and(|handle| fstat(handle).is_ok_and(|own| own.st_nlink > 0))
    }

    /// Opens a terminal of the step.
    pub(super) fn open(&self, number: u32, flags: OFlags) -> Result<OwnedFd, Errno> {
        let terminals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reopen(terminals.get(&number).ok_or(Errno::ACCESS)?, flags)
    }
}

/// The number of the terminal with these device numbers.
pub(super) fn number((major, minor): (u32, u32)) -> Option<u32> {
    MAJORS.contains(&major).then(|| (major - MAJORS.start()) * MINORS + minor)
}

/// The terminal that controls a thread's session (`proc_pid_stat(5)`, field 7); `ENXIO` if there is none.
pub(super) fn controlling(tid: i32) -> Result<u32, Errno> {
    let device = ThreadStat::read(tid).and_then(|stat| stat.field::<i32>(7)).ok_or(Errno::NXIO)?;
    // As the kernel packs them: the minor number around the major one.
    let device = device.cast_unsigned();
    number((device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xf_ff00)).ok_or(Errno::NXIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_numbered_across_majors() {
        let cases =
            [((136, 0), Some(0)), ((136, 255), Some(255)), ((137, 0), Some(256)), ((143, 1), Some(1793))];
        for (device, expected) in cases.into_iter().chain([((4, 1), None), ((5, 0), None), ((144, 0), None)])
        {
            assert_eq!(number(device), expected, "{device:?}");
        }
    }
}
