//! Calls that make, remove and move names: mkdir(2), mknod(2), unlink(2), rename(2), link(2), symlink(2).

use ownership::{Device, DeviceKind, Kind, Record, disk_mode};
use rustix::fs::{
    AtFlags, FileType, Mode, RenameFlags, Stat, fstat, linkat, mkdirat, mknodat, openat, renameat_with,
    symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::stat::kind;
use super::{Call, DONE, Result};
use crate::trace::credentials::Capability;
use crate::trace::permission::{Wish, check, check_removal};
use crate::trace::place::{HANDLE, Place, Shown, is_name, name_of};
use crate::trace::walk::{Found, Last};

impl Call<'_> {
    /// A name that something is to be made at.
    fn new_name(&self, dirfd: i32, path: &[u8], may_be_directory: bool) -> Result<(Found, Stat)> {
        // mkdir(2): a slash at the end means nothing there; elsewhere only a directory could have it.
        let trimmed = if may_be_directory { trim(path) } else { path };
        let found = self.find(dirfd, trimmed, Last::Keep)?;
        if found.entry.is_some() || !is_name(&found.name) {
            return Err(Errno::EXIST);
        }
        if found.wants_directory {
            return Err(Errno::NOENT);
        }
        let directory = self.may_create(&found.parent)?;
        Ok((found, directory))
    }

    /// Notes whose a new entry is.
    fn made(&self, found: &Found, directory: &Stat, mode: u32) -> Result<Place> {
        let fd = openat(&found.parent.fd, &found.name, HANDLE, Mode::empty())?;
        self.belongs_to_caller(&fstat(&fd)?, directory, mode);
        Ok(Place { fd, path: found.path(), mount: found.parent.mount })
    }

    pub(super) fn mkdir(&self, dirfd: i32, path: usize) -> Result {
        let mode = self.uint(path + 1) & 0o1777 & !self.task.directories.umask;
        let (found, directory) = self.new_name(dirfd, &self.path(path)?, true)?;
        let on_disk = Mode::from_raw_mode(disk_mode(Kind::Directory, mode));
        mkdirat(&found.parent.fd, &found.name, on_disk)?;
        self.made(&found, &directory, mode)?;
        DONE
    }

    pub(super) fn symlink(&self, target: usize, (dirfd, path): (i32, usize)) -> Result {
        let target = self.path(target)?;
        if target.is_empty() {
            return Err(Errno::NOENT);
        }
        let (found, directory) = self.new_name(dirfd, &self.path(path)?, false)?;
        symlinkat(target, &found.parent.fd, &found.name)?;
        self.made(&found, &directory, 0o777)?;
        DONE
    }

    pub(super) fn mknod(&self, dirfd: i32, path: usize) -> Result {
        let (mode, device) = (self.uint(path + 1), self.args[path + 2]);
        let kind = match mode & libc::S_IFMT {
            0 => FileType::RegularFile,
            _ => FileType::from_raw_mode(mode),
        };
        let numbers = |kind| {
            let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
            Some(Device { kind, major, minor })
        };
        let device = match kind {
            FileType::RegularFile | FileType::Fifo | FileType::Socket => None,
            FileType::CharacterDevice => numbers(DeviceKind::Char),
            FileType::BlockDevice => numbers(DeviceKind::Block),
            FileType::Directory => return Err(Errno::PERM),
            _ => return Err(Errno::INVAL),
        };
        let path = self.path(path)?;
        let (found, directory) = self.new_name(dirfd, &path, false)?;
        // mknod(2): a character device 0:0 is a whiteout, which anybody may make.
        if device.is_some() && !self.credentials().has(Capability::MKNOD) {
            return Err(Errno::PERM);
        }
        let mode = mode & 0o7777 & !self.task.directories.umask;
        // What stands for a device is an empty file.
        let on_disk = if device.is_some() { FileType::RegularFile } else { kind };
        let permissions = Mode::from_raw_mode(disk_mode(Kind::File, mode));
        mknodat(&found.parent.fd, &found.name, on_disk, permissions, 0)?;
        let place = self.made(&found, &directory, mode)?;
        if device.is_some() {
            let owners = &self.supervisor.owners;
            let record = Record { device, ..owners.record(&place)? };
            owners.change(&place, record)?;
        }
        DONE
    }

    pub(super) fn unlink(&self, dirfd: i32, path: usize, flags: i32) -> Result {
        if flags & !libc::AT_REMOVEDIR != 0 {
            return Err(Errno::INVAL);
        }
        let removes_directory = flags & libc::AT_REMOVEDIR != 0;
        let path = self.path(path)?;
        let found = self.find(dirfd, trim(&path), Last::Keep)?;
        if found.name.is_empty() && found.entry.is_some() {
            return Err(end_of_path(&path, removes_directory));
        }
        let entry = found.entry.as_ref().ok_or(Errno::NOENT)?;
        let disk = entry.stat()?;
        if !removes_directory && path.ends_with(b"/") && kind(disk.st_mode) != FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        self.may_remove(&found, entry)?;
        if removes_directory && kind(disk.st_mode) != FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        if !removes_directory && kind(disk.st_mode) == FileType::Directory {
            return Err(Errno::ISDIR);
        }
        let at = if removes_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        let unlinked = unlinkat(&found.parent.fd, &found.name, at);
        // Some file systems fail when it is done.
        self.supervisor.waypoints.removed(&found.path(), kind(disk.st_mode));
        unlinked?;
        self.removed(&disk);
        DONE
    }

    /// A file that lost a name may have lost its last one.
    fn removed(&self, disk: &Stat) {
        if disk.st_nlink <= 1 || kind(disk.st_mode) == FileType::Directory {
            self.supervisor.owners.lost_name(disk);
        }
    }

    /// Whether an entry may be taken away from where it is.
    fn may_remove(&self, found: &Found, entry: &Place) -> Result<()> {
        let view = &self.supervisor.view;
        if view.shown(found.parent.mount) != Shown::Files {
            return Err(Errno::PERM);
        }
        let directory = self.stat_of(&found.parent)?;
        check_removal(&directory, &self.stat_of(entry)?, self.credentials())?;
        view.check_writable(found.parent.mount)?;
        if view.is_busy(&found.path()) {
            return Err(Errno::BUSY);
        }
        Ok(())
    }

    pub(super) fn rename(&self, old: (i32, usize), new: (i32, usize), flags: u32) -> Result {
        let flags = RenameFlags::from_bits(flags).ok_or(Errno::INVAL)?;
        if flags.contains(RenameFlags::WHITEOUT)
            || flags.contains(RenameFlags::NOREPLACE | RenameFlags::EXCHANGE)
        {
            return Err(Errno::INVAL);
        }
        let (old_path, new_path) = (self.path(old.1)?, self.path(new.1)?);
        let from = self.find(old.0, trim(&old_path), Last::Keep)?;
        let to = self.find(new.0, trim(&new_path), Last::Keep)?;
        if from.name.is_empty() || to.name.is_empty() {
            return Err(Errno::BUSY);
        }
        let source = from.entry.as_ref().ok_or(Errno::NOENT)?;
        let source_stat = source.stat()?;
        let is_directory = kind(source_stat.st_mode) == FileType::Directory;
        let wants_directory = old_path.ends_with(b"/") || new_path.ends_with(b"/");
        if wants_directory && !is_directory {
            return Err(Errno::NOTDIR);
        }
        if from.parent.mount != to.parent.mount {
            return Err(Errno::XDEV);
        }
        self.may_remove(&from, source)?;
        let replaced = match &to.entry {
            Some(_) if flags.contains(RenameFlags::NOREPLACE) => return Err(Errno::EXIST),
            Some(entry) => {
                self.may_remove(&to, entry)?;
                Some(entry.stat()?)
            }
            None if flags.contains(RenameFlags::EXCHANGE) => return Err(Errno::NOENT),
            None => {
                self.may_create(&to.parent)?;
                None
            }
        };
        // A directory that moves gets another `..`, which is a write to it (rename(2), EACCES).
        if is_directory && self.stat_of(&from.parent)?.st_ino != self.stat_of(&to.parent)?.st_ino {
            check(&self.stat_of(source)?, Wish::WRITE, self.credentials())?;
        }
        let renamed = renameat_with(&from.parent.fd, &from.name, &to.parent.fd, &to.name, flags);
        let waypoints = &self.supervisor.waypoints;
        waypoints.removed(&from.path(), kind(source_stat.st_mode));
        if let Some(replaced) = replaced {
            waypoints.removed(&to.path(), kind(replaced.st_mode));
        }
        if is_directory || replaced.is_some_and(|replaced| kind(replaced.st_mode) == FileType::Directory) {
            waypoints.moved();
        }
        renamed?;
        let is_one_file = replaced.is_some_and(|replaced| {
            (replaced.st_dev, replaced.st_ino) == (source_stat.st_dev, source_stat.st_ino)
        });
        if let Some(replaced) = replaced
            && !flags.contains(RenameFlags::EXCHANGE)
            && !is_one_file
        {
            self.removed(&replaced);
        }
        DONE
    }

    pub(super) fn link(&self, old: (i32, usize), new: (i32, usize), flags: i32) -> Result {
        if flags & !(libc::AT_SYMLINK_FOLLOW | libc::AT_EMPTY_PATH) != 0 {
            return Err(Errno::INVAL);
        }
        let old_path = self.path(old.1)?;
        let source = if old_path.is_empty() && flags & libc::AT_EMPTY_PATH != 0 {
            self.file(old.0)?
        } else {
            let last = if flags & libc::AT_SYMLINK_FOLLOW == 0 { Last::Keep } else { Last::Follow };
            self.existing(old.0, &old_path, last)?
        };
        let disk = source.stat()?;
        let (found, _) = self.new_name(new.0, &self.path(new.1)?, false)?;
        if kind(disk.st_mode) == FileType::Directory {
            return Err(Errno::PERM);
        }
        if found.parent.mount != source.mount {
            return Err(Errno::XDEV);
        }
        // The name of a handle leads to the very file, be it a link.
        linkat(rustix::fs::CWD, name_of(&source), &found.parent.fd, &found.name, AtFlags::SYMLINK_FOLLOW)?;
        self.supervisor.owners.got_name(&disk);
        DONE
    }
}

/// Without the slashes at the end.
fn trim(path: &[u8]) -> &[u8] {
    let end =
        path.iter().rposition(|byte| *byte != b'/').map_or(usize::from(!path.is_empty()), |last| last + 1);
    &path[..end]
}

/// Why a path that ends in no name cannot be removed (unlink(2), rmdir(2)).
fn end_of_path(path: &[u8], removes_directory: bool) -> Errno {
    let path = trim(path);
    match removes_directory {
        false => Errno::ISDIR,
        true if path.ends_with(b"..") => Errno::NOTEMPTY,
        true if path.ends_with(b".") => Errno::INVAL,
        true => Errno::BUSY,
    }
}
