//! The calls that most themes make, with names and arguments that are short in a line.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Result;
use rustix::thread::CapabilitySet;

pub(crate) fn open(path: &str, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::open(path, flags, Mode::from_raw_mode(0o644))
}

pub(crate) fn openat(dir: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::openat(dir, path, flags, Mode::from_raw_mode(0o644))
}

/// Makes a regular file that is not there yet.
pub(crate) fn create(path: &str, mode: u32) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, Mode::from_raw_mode(mode))
}

pub(crate) fn mkdir(path: &str, mode: u32) -> Result<()> {
    rustix::fs::mkdir(path, Mode::from_raw_mode(mode))
}

pub(crate) fn mkfifo(path: &str, mode: u32) -> Result<()> {
    mknod(path, FileType::Fifo, mode, 0, 0)
}

pub(crate) fn mknod(path: &str, kind: FileType, mode: u32, major: u32, minor: u32) -> Result<()> {
    rustix::fs::mknodat(CWD, path, kind, Mode::from_raw_mode(mode), rustix::fs::makedev(major, minor))
}

pub(crate) fn chmod(path: &str, mode: u32) -> Result<()> {
    rustix::fs::chmod(path, Mode::from_raw_mode(mode))
}

pub(crate) fn fchmod(fd: impl AsFd, mode: u32) -> Result<()> {
    rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))
}

/// `None` is -1: as it is.
pub(crate) fn chown(path: &str, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    rustix::fs::chown(path, uid.map(Uid::from_raw), gid.map(Gid::from_raw))
}

pub(crate) fn lchown(path: &str, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    fchownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
}

pub(crate) fn fchown(fd: impl AsFd, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    rustix::fs::fchown(fd, uid.map(Uid::from_raw), gid.map(Gid::from_raw))
}

pub(crate) fn fchownat(
    dir: impl AsFd,
    path: &str,
    uid: Option<u32>,
    gid: Option<u32>,
    flags: AtFlags,
) -> Result<()> {
    rustix::fs::chownat(dir, path, uid.map(Uid::from_raw), gid.map(Gid::from_raw), flags)
}

/// Its type, mode, owner and so on, without following it.
pub(crate) fn lstat(path: &str) -> Result<Stat> {
    rustix::fs::lstat(path)
}

/// Sets the umask and returns the one before.
#[expect(clippy::unnecessary_wraps, reason = "lines are of results")]
pub(crate) fn umask(mask: u32) -> Result<String> {
    Ok(format!("{:03o}", rustix::process::umask(Mode::from_raw_mode(mask))))
}

/// The effective, permitted and inheritable capabilities as hexadecimal numbers.
pub(crate) fn capget() -> Result<String> {
    let sets = rustix::thread::capabilities(None)?;
    let hex = |set: CapabilitySet| format!("{:x}", set.bits());
    Ok(format!(
        "effective {} permitted {} inheritable {}",
        hex(sets.effective),
        hex(sets.permitted),
        hex(sets.inheritable)
    ))
}

/// The real, effective, saved and file system ids, and the supplementary groups.
pub(crate) fn identity() -> nix::Result<String> {
    use nix::unistd::{Gid, Uid, getgroups, getresgid, getresuid, setfsgid, setfsuid};
    let (uids, gids) = (getresuid()?, getresgid()?);
    // An id that cannot be set: the one there is comes back, and stays.
    let (fsuid, fsgid) = (setfsuid(Uid::from_raw(u32::MAX)), setfsgid(Gid::from_raw(u32::MAX)));
    let groups: Vec<_> = getgroups()?.iter().map(ToString::to_string).collect();
    Ok(format!(
        "uid {}/{}/{}/{fsuid} gid {}/{}/{}/{fsgid} groups [{}]",
        uids.real,
        uids.effective,
        uids.saved,
        gids.real,
        gids.effective,
        gids.saved,
        groups.join(" ")
    ))
}
