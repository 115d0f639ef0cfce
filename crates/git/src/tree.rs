//! Files as they are left: moved to their place, with modes and times that do not depend on the machine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use crate::Error;
use crate::error::io_error;

/// Moves what is in `from` into `to`.
pub(crate) fn move_entries(from: &Path, to: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(from).map_err(io_error("read", from))? {
        let name = entry.map_err(io_error("read", from))?.file_name();
        let (old, new) = (from.join(&name), to.join(&name));
        fs::rename(&old, &new).map_err(io_error("move", &old))?;
    }
    Ok(())
}

/// Gives everything in and with `dir` its mode and the time `seconds` since 1970. Links are not followed.
pub(crate) fn settle(dir: &Path, seconds: i64) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(io_error("read", dir))? {
        let path = entry.map_err(io_error("read", dir))?.path();
        let metadata = fs::symlink_metadata(&path).map_err(io_error("read", &path))?;
        if metadata.is_dir() {
            settle(&path, seconds)?;
            continue;
        }
        if metadata.is_file() {
            let is_executable = metadata.permissions().mode() & 0o100 != 0;
            set_mode(&path, if is_executable { 0o755 } else { 0o644 })?;
        }
        set_time(&path, seconds)?;
    }
    set_mode(dir, 0o755)?;
    set_time(dir, seconds)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(io_error("set the mode of", path))
}

fn set_time(path: &Path, seconds: i64) -> Result<(), Error> {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| io_error("set the time of", path)(errno.into()))
}
