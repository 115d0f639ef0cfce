//! Calls that change what a file is: chmod(2), chown(2), utimensat(2), truncate(2).

use ownership::Record;
use rustix::fs::{FileType, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, ftruncate};
use rustix::io::Errno;

use super::stat::kind;
use super::xattr::CAPABILITY;
use super::{Call, DONE, Result};
use crate::trace::credentials::{Capability, UNCHANGED};
use crate::trace::memory::word;
use crate::trace::permission::{Wish, check, check_owner};
use crate::trace::place::{Place, Shown, flags_of, name_of, reopen};
use crate::trace::walk::Last;

impl Call<'_> {
    pub(super) fn chmod(&self, dirfd: i32, path: usize, mode: u32, flags: i32) -> Result {
        if flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) != 0 {
            return Err(Errno::INVAL);
        }
        self.change_mode(&self.find_or_file(dirfd, path, flags)?, mode)
    }

    pub(super) fn fchmod(&self) -> Result {
        self.change_mode(&self.opened(self.int(0))?, self.uint(1))
    }

    /// An open file that is no mere handle (open(2), `O_PATH`).
    pub(super) fn opened(&self, fd: i32) -> Result<Place> {
        let place = self.file(fd)?;
        let is_handle = flags_of(self.task.tid, fd).contains(OFlags::PATH);
        if is_handle { Err(Errno::BADF) } else { Ok(place) }
    }

    fn change_mode(&self, place: &Place, mode: u32) -> Result {
        let stat = if self.is_terminal(place)? { self.stat_of(place)? } else { self.changeable(place)? };
        if kind(stat.st_mode) == FileType::Symlink {
            return Err(Errno::OPNOTSUPP);
        }
        check_owner(&stat, self.credentials())?;
        let mut mode = mode & 0o7777;
        let who = self.credentials();
        // chmod(2): who is not of the group cannot give its rights away.
        if mode & libc::S_ISGID != 0 && !who.is_member(stat.st_gid) && !who.has(Capability::FSETID) {
            mode &= !libc::S_ISGID;
        }
        self.set_record(place, Record { mode, ..self.supervisor.owners.record(place)? })?;
        DONE
    }

    /// Whether it is one of the step's terminals, which are given to who logs in.
    fn is_terminal(&self, place: &Place) -> Result<bool> {
        let is_shown = self.supervisor.view.shown(place.mount) == Shown::Device;
        Ok(is_shown && self.supervisor.terminals.has(&place.stat()?))
    }

    /// Makes `record` true of a file; of a terminal only as the step sees it.
    fn set_record(&self, place: &Place, record: Record) -> Result<()> {
        let owners = &self.supervisor.owners;
        if self.is_terminal(place)? {
            owners.note(&place.stat()?, record);
            return Ok(());
        }
        owners.change(place, record)
    }

    /// What is true of a file whose attributes may be changed at all.
    pub(super) fn changeable(&self, place: &Place) -> Result<Stat> {
        let view = &self.supervisor.view;
        view.check_writable(place.mount)?;
        if view.shown(place.mount) != Shown::Files {
            return Err(Errno::PERM);
        }
        self.stat_of(place)
    }

    pub(super) fn chown(&self, dirfd: i32, path: usize, flags: i32) -> Result {
        if flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) != 0 {
            return Err(Errno::INVAL);
        }
        let place = self.find_or_file(dirfd, path, flags)?;
        self.change_owner(&place, self.uint(path + 1), self.uint(path + 2))
    }

    pub(super) fn fchown(&self) -> Result {
        self.change_owner(&self.opened(self.int(0))?, self.uint(1), self.uint(2))
    }

    fn change_owner(&self, place: &Place, uid: u32, gid: u32) -> Result {
        let view = &self.supervisor.view;
        view.check_writable(place.mount)?;
        let stat = self.stat_of(place)?;
        let who = self.credentials();
        if !who.has(Capability::CHOWN) {
            let is_owner = who.fsuid == stat.st_uid;
            let may_give = uid == UNCHANGED || (is_owner && uid == stat.st_uid);
            let takes_group = gid == stat.st_gid || who.is_member(gid);
            if !may_give || !(gid == UNCHANGED || (is_owner && takes_group)) {
                return Err(Errno::PERM);
            }
        }
        if matches!(view.shown(place.mount), Shown::Proc | Shown::Sys) {
            return Err(Errno::PERM);
        }
        if view.shown(place.mount) == Shown::Device && !self.is_terminal(place)? {
            // As if it had been done: nobody asks again, and the machine's own node is not ours to change.
            return DONE;
        }
        let owners = &self.supervisor.owners;
        let mut record = owners.record(place)?;
        record.uid = if uid == UNCHANGED { record.uid } else { uid };
        record.gid = if gid == UNCHANGED { record.gid } else { gid };
        if kind(stat.st_mode) != FileType::Directory && kind(stat.st_mode) != FileType::Symlink {
            record.mode = without_special_bits(record.mode);
            record.xattrs.remove(CAPABILITY);
            if record.mode != stat.st_mode & 0o7777 {
                check_owner(&stat, who)?;
            }
        }
        self.set_record(place, record)?;
        if view.shown(place.mount) != Shown::Device {
            touch(place);
        }
        DONE
    }

    /// Takes from a file what does not outlast a change of its content: its capabilities and, if the caller has no
    /// right to keep them, the set-user-ID and set-group-ID bits (capabilities(7), `CAP_FSETID`).
    ///
    /// The kernel does so at write(2), which is not stopped: here it is done for who opens the file for writing.
    pub(super) fn lose_privileges(&self, place: &Place) -> Result<()> {
        let owners = &self.supervisor.owners;
        let before = owners.record(place)?;
        let mut after = before.clone();
        if !self.credentials().has(Capability::FSETID) {
            after.mode = without_special_bits(after.mode);
        }
        after.xattrs.remove(CAPABILITY);
        if after == before { Ok(()) } else { owners.change(place, after) }
    }

    pub(super) fn utime(&self) -> Result {
        let path = self.path(0)?;
        let times = if self.args[1] == 0 {
            None
        } else {
            let [access, modification] = self.memory.words(self.args[1])?;
            let seconds = |word: u64| Timespec { tv_sec: word.cast_signed(), tv_nsec: 0 };
            Some([seconds(access), seconds(modification)])
        };
        self.change_times(&self.existing(libc::AT_FDCWD, &path, Last::Follow)?, times)
    }

    pub(super) fn utimes(&self, dirfd: i32, path: usize) -> Result {
        let place = if self.args[path] == 0 {
            self.file(dirfd)?
        } else {
            self.existing(dirfd, &self.path(path)?, Last::Follow)?
        };
        let times = if self.args[path + 1] == 0 {
            None
        } else {
            let words: [u64; 4] = self.memory.words(self.args[path + 1])?;
            let words = words.map(u64::cast_signed);
            if !(0..1_000_000).contains(&words[1]) || !(0..1_000_000).contains(&words[3]) {
                return Err(Errno::INVAL);
            }
            let time = |secs, micros: i64| Timespec { tv_sec: secs, tv_nsec: micros * 1000 };
            Some([time(words[0], words[1]), time(words[2], words[3])])
        };
        self.change_times(&place, times)
    }

    pub(super) fn utimensat(&self) -> Result {
        let flags = self.int(3);
        if flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) != 0 {
            return Err(Errno::INVAL);
        }
        let times = if self.args[2] == 0 {
            None
        } else {
            let mut bytes = [0; 32];
            self.memory.read(self.args[2], &mut bytes)?;
            let time = |index| Timespec {
                tv_sec: word(&bytes, index).cast_signed(),
                tv_nsec: word(&bytes, index + 1).cast_signed(),
            };
            let times = [time(0), time(2)];
            let is_valid = |time: &Timespec| {
                (0..1_000_000_000).contains(&time.tv_nsec) || [UTIME_NOW, UTIME_OMIT].contains(&time.tv_nsec)
            };
            if !times.iter().all(is_valid) {
                return Err(Errno::INVAL);
            }
            Some(times)
        };
        let place = if self.args[1] == 0 {
            if flags != 0 {
                return Err(Errno::INVAL);
            }
            self.opened(self.int(0))?
        } else {
            self.find_or_file(self.int(0), 1, flags)?
        };
        self.change_times(&place, times)
    }

    /// utimensat(2), "Permissions requirements".
    fn change_times(&self, place: &Place, times: Option<[Timespec; 2]>) -> Result {
        let times = times.unwrap_or([Timespec { tv_sec: 0, tv_nsec: UTIME_NOW }; 2]);
        let all = |value| times.iter().all(|time| time.tv_nsec == value);
        if all(UTIME_OMIT) {
            return DONE;
        }
        if self.supervisor.view.shown(place.mount) == Shown::Device {
            return DONE;
        }
        let stat = self.changeable(place)?;
        let by_owner = check_owner(&stat, self.credentials());
        if all(UTIME_NOW) {
            by_owner.or_else(|_| check(&stat, Wish::WRITE, self.credentials()))?;
        } else {
            by_owner?;
        }
        let [last_access, last_modification] = times;
        set_times(place, &Timestamps { last_access, last_modification })?;
        DONE
    }

    pub(super) fn truncate(&self) -> Result {
        let length = u64::try_from(self.args[1].cast_signed()).map_err(|_| Errno::INVAL)?;
        let path = self.path(0)?;
        let place = self.existing(libc::AT_FDCWD, &path, Last::Follow)?;
        match kind(self.stat_of(&place)?.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(Errno::ISDIR),
            _ => return Err(Errno::INVAL),
        }
        let stat = self.changeable(&place)?;
        check(&stat, Wish::WRITE, self.credentials())?;
        ftruncate(reopen(&place, OFlags::WRONLY)?, length)?;
        self.lose_privileges(&place)?;
        DONE
    }
}

/// chown(2): both bits go, but a set-group-ID bit without execution by the group was a lock.
fn without_special_bits(mode: u32) -> u32 {
    let is_lock = mode & libc::S_IXGRP == 0;
    mode & !libc::S_ISUID & if is_lock { u32::MAX } else { !libc::S_ISGID }
}

/// A change in the table shows in ctime too: chown(2) to nobody else sets it.
fn touch(place: &Place) {
    // Of use to backups, and to nobody if it fails.
    let _ = rustix::fs::chownat(&place.fd, "", None, None, rustix::fs::AtFlags::EMPTY_PATH);
}

/// Of the very file that a handle is of, be it a link.
fn set_times(place: &Place, times: &Timestamps) -> Result<()> {
    let flags = rustix::fs::AtFlags::EMPTY_PATH | rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    match rustix::fs::utimensat(&place.fd, "", times, flags) {
        // Before Linux 5.8 there was no empty path; the name of a handle leads to all but links.
        Err(Errno::NOENT | Errno::INVAL) => {
            rustix::fs::utimensat(rustix::fs::CWD, name_of(place), times, rustix::fs::AtFlags::empty())
        }
        answer => answer,
    }
}
