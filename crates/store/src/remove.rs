//! Removes directory trees of any depth and any modes, and never anything that is mounted in them.
//!
//! A step can leave a tree that `std::fs::remove_dir_all` stumbles over: directories without permissions, a hundred
//! thousand levels, overlay's work directory. Every non-empty directory met is moved to the top of the tree first, so
//! that two descriptors suffice and no path gets long. The kernel refuses to move or remove a mount point (EBUSY),
//! which is what keeps the content of a forgotten mount safe. Nothing is created: it works on a full disk.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chmodat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use crate::Error;

/// Removes the directory `path` with all that is in it, and returns the bytes of disk that this has freed.
///
/// It is no error if parts of the tree, or all of it, vanish meanwhile.
pub(crate) fn remove_tree(path: &Path) -> Result<u64, Error> {
    remove(path).map_err(|errno| Error::io("remove", path, errno.into()))
}

fn remove(path: &Path) -> Result<u64, Errno> {
    let Some(dir) = open_dir(CWD, path)? else { return Ok(0) };
    let mut top = Top { dir: dir.try_clone().map_err(|_| Errno::MFILE)?, moved: 0, freed: 0 };
    while top.remove_entries(&dir, Place::Top)? {}
    gone(unlinkat(CWD, path, AtFlags::REMOVEDIR))?;
    Ok(top.freed)
}

/// The root of the tree that is removed, to which directories are moved.
struct Top {
    dir: OwnedFd,
    moved: u64,
    freed: u64,
}

/// Where a directory whose entries are removed is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is the top.
    Top,
    /// It is an entry of the top.
    Below,
}

impl Top {
    /// Removes what `dir` lists, or moves it to the top; whether there was anything.
    fn remove_entries(&mut self, dir: &OwnedFd, place: Place) -> Result<bool, Errno> {
        let mut seen = false;
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                seen = true;
                self.remove_entry(dir.as_fd(), name, place)?;
            }
        }
        Ok(seen)
    }

    fn remove_entry(&mut self, dir: BorrowedFd<'_>, name: &CStr, place: Place) -> Result<(), Errno> {
        let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            stat => stat?,
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return match unlinkat(dir, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY | Errno::EXIST) if place == Place::Top => self.remove_dir(name),
                Err(Errno::NOTEMPTY | Errno::EXIST) => self.move_up(dir, name),
                result => gone(result),
            };
        }
        gone(unlinkat(dir, name, AtFlags::empty()))?;
        if stat.st_nlink <= 1 {
            self.freed += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        }
        Ok(())
    }

    /// Removes a directory that is an entry of the top.
    fn remove_dir(&mut self, name: &CStr) -> Result<(), Errno> {
        let Some(dir) = open_dir(self.dir.as_fd(), name)? else { return Ok(()) };
        // readdir(3) may pass over entries of a directory that is changed meanwhile.
        while self.remove_entries(&dir, Place::Below)? {}
        gone(unlinkat(&self.dir, name, AtFlags::REMOVEDIR))
    }

    fn move_up(&mut self, from: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
        loop {
            self.moved += 1;
            let target = format!(".removed-{}", self.moved);
            match renameat(from, name, &self.dir, &target) {
                // rename(2): a directory must be writable to get another parent.
                Err(Errno::ACCESS) => {
                    gone(chmodat(from, name, Mode::RWXU, AtFlags::empty()))?;
                    return gone(renameat(from, name, &self.dir, &target));
                }
                // The tree has an entry of this name.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                result => return gone(result),
            }
        }
    }
}

/// Opens a directory for the removal of its entries; `None` if it is not there.
fn open_dir<P: rustix::path::Arg + Copy>(from: BorrowedFd<'_>, name: P) -> Result<Option<OwnedFd>, Errno> {
    const FLAGS: OFlags =
        OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    match chmodat(from, name, Mode::RWXU, AtFlags::empty())
        .and_then(|()| openat(from, name, FLAGS, Mode::empty()))
    {
        Err(Errno::NOENT) => Ok(None),
        opened => opened.map(Some),
    }
}

/// What is not there need not be removed.
fn gone(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}
