//! stat(2) in all its forms, access(2), readlink(2), statfs(2).

use rustix::fs::{AtFlags, CWD, FileType, Stat, StatxFlags, statfs, statx};
use rustix::io::Errno;

use super::{Answer, Call, DONE, Result};
use crate::spec::Access;
use crate::trace::kernel::bytes_of;
use crate::trace::permission::{Wish, check};
use crate::trace::place::{Place, Shown, name_of};
use crate::trace::proc;
use crate::trace::walk::Last;

impl Call<'_> {
    pub(super) fn fstat(&self) -> Result {
        let stat = self.stat_of_file(self.int(0))?;
        self.write(1, bytes_of(&stat))?;
        DONE
    }

    /// What is true of an open file; where it is matters in /proc alone.
    fn stat_of_file(&self, fd: i32) -> Result<Stat> {
        if fd < 0 {
            return Err(Errno::BADF);
        }
        let name = format!("/proc/{}/fd/{fd}", self.task.tid);
        let stat = match rustix::fs::statat(CWD, name, AtFlags::empty()) {
            Err(Errno::NOENT) => return Err(Errno::BADF),
            stat => stat?,
        };
        if self.supervisor.view.is_of_processes(&stat) {
            return self.stat_of(&self.file(fd)?);
        }
        let stat = match self.supervisor.view.copies().original(&stat) {
            Some(original) => rustix::fs::fstat(&*original)?,
            None => stat,
        };
        Ok(self.supervisor.owners.correct(stat))
    }

    pub(super) fn stat_at(&self, dirfd: i32, path: usize, result: usize, flags: i32) -> Result {
        const KNOWN: i32 = libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT;
        if flags & !KNOWN != 0 {
            return Err(Errno::INVAL);
        }
        let stat = match self.path_if_any(path, flags)? {
            // This is how the C library makes an fstat(2).
            None if dirfd != libc::AT_FDCWD => self.stat_of_file(dirfd)?,
            path => self.stat_of(&self.path_or_file(dirfd, path.as_deref(), flags)?)?,
        };
        self.write(result, bytes_of(&stat))?;
        DONE
    }

    pub(super) fn statx(&self) -> Result {
        const KNOWN: i32 = libc::AT_EMPTY_PATH
            | libc::AT_SYMLINK_NOFOLLOW
            | libc::AT_NO_AUTOMOUNT
            | libc::AT_STATX_FORCE_SYNC
            | libc::AT_STATX_DONT_SYNC;
        let flags = self.int(2);
        let mask = StatxFlags::from_bits_retain(self.uint(3));
        let both = libc::AT_STATX_FORCE_SYNC | libc::AT_STATX_DONT_SYNC;
        if flags & !KNOWN != 0
            || flags & both == both
            || self.uint(3) & libc::STATX__RESERVED.cast_unsigned() != 0
        {
            return Err(Errno::INVAL);
        }
        let place = self.find_or_file(self.int(0), 1, flags)?;
        let statx = statx(&place, c"", AtFlags::EMPTY_PATH, mask)?;
        let mut statx = self.supervisor.owners.correct_statx(statx);
        if let Some(owner) = self.walk().owner_in_proc(&place, statx.stx_mode.into()) {
            (statx.stx_uid, statx.stx_gid) = owner;
        }
        self.write(4, bytes_of(&statx))?;
        DONE
    }

    pub(super) fn access(&self, dirfd: i32, path: usize, flags: i32) -> Result {
        let wish = self.uint(path + 1);
        let known = libc::AT_EACCESS | libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW;
        if wish & !7 != 0 || flags & !known != 0 {
            return Err(Errno::INVAL);
        }
        // access(2) goes by the real ids, on the whole way.
        let real = self.credentials().real();
        let who = if flags & libc::AT_EACCESS == 0 { &real } else { self.credentials() };
        let place = if flags & libc::AT_EMPTY_PATH != 0 {
            self.find_or_file(dirfd, path, flags)?
        } else {
            let path = self.path(path)?;
            let last = if flags & libc::AT_SYMLINK_NOFOLLOW == 0 { Last::Follow } else { Last::Keep };
            let mut walk = self.walk();
            walk.credentials = who;
            walk.existing(&self.start(dirfd, &path)?, &path, last)?
        };
        let stat = self.stat_of(&place)?;
        if wish & 2 != 0 && self.is_read_only(&place) && kind(stat.st_mode) != FileType::CharacterDevice {
            return Err(Errno::ROFS);
        }
        check(&stat, Wish::of_bits(wish), who)?;
        DONE
    }

    fn is_read_only(&self, place: &Place) -> bool {
        self.supervisor.view.limits(place.mount).access == Access::ReadOnly
    }

    pub(super) fn readlink(&self, dirfd: i32, path: usize) -> Result {
        let size = self.int(path + 2);
        if size <= 0 {
            return Err(Errno::INVAL);
        }
        let name = self.path(path)?;
        let place = if name.is_empty() {
            if dirfd == libc::AT_FDCWD {
                return Err(Errno::NOENT);
            }
            self.file(dirfd)?
        } else {
            self.existing(dirfd, &name, Last::Keep)?
        };
        if kind(place.stat()?.st_mode) != FileType::Symlink {
            return Err(if name.is_empty() { Errno::NOENT } else { Errno::INVAL });
        }
        let view = &self.supervisor.view;
        let mut text = if view.shown(place.mount) == Shown::Proc {
            proc::link_text(&place, &self.task, &self.supervisor.tasks, view)?
        } else {
            rustix::fs::readlinkat(&place.fd, "", Vec::new())?.into_bytes()
        };
        text.truncate(usize::try_from(size).unwrap_or(0));
        self.write(path + 1, &text)?;
        Ok(Answer::Value(i64::try_from(text.len()).unwrap_or(0)))
    }

    pub(super) fn statfs(&self) -> Result {
        let path = self.path(0)?;
        let place = self.existing(libc::AT_FDCWD, &path, Last::Follow)?;
        let found = statfs(name_of(&place))?;
        self.write(1, bytes_of(&found))?;
        DONE
    }
}

pub(super) fn kind(mode: u32) -> FileType {
    FileType::from_raw_mode(mode)
}
