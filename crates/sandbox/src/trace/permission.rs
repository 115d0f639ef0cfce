//! What an emulated identity may do to a file (`path_resolution(7)`, "Permissions"; capabilities(7)).

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::credentials::{Capability, Credentials};

/// What somebody wants to do to a file: bits as in one digit of its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish(u32);

impl Wish {
    pub(super) const EXECUTE: Self = Self(1);
    pub(super) const WRITE: Self = Self(2);
    pub(super) const READ: Self = Self(4);

    pub(super) fn of_bits(bits: u32) -> Self {
        Self(bits & 7)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// `EACCES` if the file with this (true) data may not be used as wished.
pub(super) fn check(stat: &Stat, wish: Wish, who: &Credentials) -> Result<(), Errno> {
    let mode = stat.st_mode;
    let granted = if who.fsuid == stat.st_uid {
        mode >> 6 & 7
    } else if who.is_member(stat.st_gid) {
        mode >> 3 & 7
    } else {
        mode & 7
    };
    if wish.0 & !granted == 0 {
        return Ok(());
    }
    let is_dir = FileType::from_raw_mode(mode) == FileType::Directory;
    if who.has(Capability::DAC_OVERRIDE) && (is_dir || !wish.has(Wish::EXECUTE) || mode & 0o111 != 0) {
        return Ok(());
    }
    let only_reads = !wish.has(Wish::WRITE) && (is_dir || !wish.has(Wish::EXECUTE));
    if who.has(Capability::DAC_READ_SEARCH) && only_reads {
        return Ok(());
    }
    Err(Errno::ACCESS)
}

/// `EPERM` if somebody is neither the owner of a file nor may act as such.
pub(super) fn check_owner(stat: &Stat, who: &Credentials) -> Result<(), Errno> {
    if who.fsuid == stat.st_uid || who.has(Capability::FOWNER) { Ok(()) } else { Err(Errno::PERM) }
}

/// Whether the entry with `entry`'s data may be removed from, or replaced in, a directory (unlink(2), sticky bit).
pub(super) fn check_removal(directory: &Stat, entry: &Stat, who: &Credentials) -> Result<(), Errno> {
    check(directory, Wish::WRITE.and(Wish::EXECUTE), who)?;
    let is_sticky = directory.st_mode & libc::S_ISVTX != 0;
    if is_sticky && who.fsuid != entry.st_uid && who.fsuid != directory.st_uid && !who.has(Capability::FOWNER)
    {
        return Err(Errno::PERM);
    }
    Ok(())
}
