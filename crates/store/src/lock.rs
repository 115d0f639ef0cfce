//! Locks between processes, and between threads that open the same file: flock(2) with a limit to the waiting.

use std::fs::File;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::Error;

/// The longest that anything holds a lock is far below this; a process that exceeds it hangs.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(10);

/// Who else may hold the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Other shared holders.
    Shared,
    /// Nobody.
    Exclusive,
}

/// Locks `file`, which is open at `path`, until it is closed or locked in another mode.
pub(crate) fn lock(file: &File, path: &Path, mode: Mode) -> Result<(), Error> {
    let mut waited = Duration::ZERO;
    while !try_lock(file, path, mode)? {
        if waited >= PATIENCE {
            return Err(Error::Locked { path: path.to_owned(), seconds: PATIENCE.as_secs() });
        }
        sleep(PAUSE);
        waited += PAUSE;
    }
    Ok(())
}

/// Locks `file` if that can be done at once.
///
/// On refusal a lock that `file` had before is gone as well (flock(2): a conversion is not atomic).
pub(crate) fn try_lock(file: &File, path: &Path, mode: Mode) -> Result<bool, Error> {
    let operation = match mode {
        Mode::Shared => FlockOperation::NonBlockingLockShared,
        Mode::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    match flock(file, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(errno) => Err(Error::io("lock", path, errno.into())),
    }
}
