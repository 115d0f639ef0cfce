//! Fills a new file system in memory with what the directory below it holds: directories, files and links with owner,
//! mode and time. Extended attributes and special files stay behind.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, chownat, fchmod, fchown,
    fstat, futimens, mkdirat, openat, readlinkat, statat, symlinkat,
};

use crate::errno::Errno;
use crate::error::{Attempt, Error};

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const CREATE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Copies the directory `from` with what is in it to the empty directory `to`; `name` is for messages.
///
/// `to` takes the owner and time of `from`, and its mode unless there is one for it.
/// A tree deeper than this process may open files ends with an error.
pub(super) fn copy(from: &OwnedFd, to: &OwnedFd, mode: Option<u32>, name: &str) -> Result<(), Error> {
    let top = Level::open(from, OsStr::new("."), to, OsStr::new(".")).map(|mut top| {
        top.stat.st_mode = mode.unwrap_or(top.stat.st_mode);
        top
    });
    top.and_then(copy_levels).attempt("copy", || format!("fill the mount on `{name}`"))
}

/// A directory that is being copied.
struct Level {
    from: OwnedFd,
    to: OwnedFd,
    stat: Stat,
    /// What is left to copy.
    names: Vec<CString>,
}

impl Level {
    fn open(from: &OwnedFd, name: &OsStr, to: &OwnedFd, new: &OsStr) -> Result<Self, Errno> {
        let from = openat(from, name, DIRECTORY, Mode::empty())?;
        let to = openat(to, new, DIRECTORY, Mode::empty())?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&from)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        Ok(Self { stat: fstat(&from)?, from, to, names })
    }
}

fn copy_levels(top: Level) -> Result<(), Errno> {
    let mut levels = vec![top];
    while let Some(level) = levels.last_mut() {
        match level.names.pop() {
            Some(name) => {
                let below = copy_entry(level, OsStr::from_bytes(name.as_bytes()))?;
                levels.extend(below);
            }
            None => {
                // Last, as each new entry changes its time.
                set_attributes(&level.to, &level.stat)?;
                levels.pop();
            }
        }
    }
    Ok(())
}

/// Copies one entry; what is in a directory is left to do.
fn copy_entry(level: &Level, name: &OsStr) -> Result<Option<Level>, Errno> {
    let Level { from, to, .. } = level;
    let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(to, name, Mode::RWXU)?;
            return Level::open(from, name, to, name).map(Some);
        }
        FileType::RegularFile => {
            let mut source = File::from(openat(from, name, READ, Mode::empty())?);
            let copy = openat(to, name, CREATE, Mode::RUSR | Mode::WUSR)?;
            let mut copy = File::from(copy);
            std::io::copy(&mut source, &mut copy).map_err(Errno::from)?;
            set_attributes(&OwnedFd::from(copy), &stat)?;
        }
        FileType::Symlink => {
            symlinkat(readlinkat(from, name, Vec::new())?, to, name)?;
            let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
            chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        _ => {}
    }
    Ok(None)
}

fn set_attributes(file: &OwnedFd, stat: &Stat) -> Result<(), Errno> {
    fchown(file, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    // chown(2) clears set-id bits.
    fchmod(file, Mode::from_raw_mode(stat.st_mode))?;
    let time = |seconds, nanoseconds: u64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds.cast_signed() };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    };
    Ok(futimens(file, &times)?)
}
