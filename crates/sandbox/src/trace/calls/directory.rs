//! Where a process is: chdir(2), getcwd(2), chroot(2), umask(2). The kernel's own notion of it never changes.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::stat::kind;
use super::{Answer, Call, DONE, Result};
use crate::trace::credentials::Capability;
use crate::trace::permission::{Wish, check};
use crate::trace::place::{Place, real_path};
use crate::trace::walk::Last;

impl Call<'_> {
    pub(super) fn chdir(&self) -> Result {
        let path = self.path(0)?;
        self.go_to(self.existing(libc::AT_FDCWD, &path, Last::Follow)?)
    }

    pub(super) fn fchdir(&self) -> Result {
        self.go_to(self.file(self.int(0))?)
    }

    fn go_to(&self, place: Place) -> Result {
        self.check_enterable(&place)?;
        self.supervisor.tasks.change_directories(self.task.tid, |own| own.cwd = Arc::new(place));
        DONE
    }

    fn check_enterable(&self, place: &Place) -> Result<()> {
        let stat = self.stat_of(place)?;
        if kind(stat.st_mode) != FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        check(&stat, Wish::EXECUTE, self.credentials())
    }

    pub(super) fn getcwd(&self) -> Result {
        let cwd = &self.task.directories.cwd;
        if cwd.stat()?.st_nlink == 0 {
            return Err(Errno::NOENT);
        }
        // It may have been moved since it was entered.
        let (path, _) = self.supervisor.view.path_of(&real_path(&cwd.fd)?).ok_or(Errno::NOENT)?;
        let root = &self.task.directories.root.path;
        let shown = match path.strip_prefix(root) {
            Ok(below) => Path::new("/").join(below),
            Err(_) => Path::new("(unreachable)").join(path.strip_prefix("/").unwrap_or(&path)),
        };
        let mut bytes = shown.as_os_str().as_bytes().to_vec();
        if bytes.len() > 1 && bytes.ends_with(b"/") {
            bytes.pop();
        }
        bytes.push(0);
        let length = bytes.len() as u64;
        if self.args[1] < length {
            return Err(Errno::RANGE);
        }
        self.write(0, &bytes)?;
        Ok(Answer::Value(length.cast_signed()))
    }

    pub(super) fn chroot(&self) -> Result {
        let path = self.path(0)?;
        let place = self.existing(libc::AT_FDCWD, &path, Last::Follow)?;
        self.check_enterable(&place)?;
        if !self.credentials().has(Capability::SYS_CHROOT) {
            return Err(Errno::PERM);
        }
        self.supervisor.tasks.change_directories(self.task.tid, |own| own.root = Arc::new(place));
        DONE
    }

    #[expect(clippy::unnecessary_wraps, reason = "one of the calls")]
    pub(super) fn umask(&self) -> Result {
        let umask = self.uint(0) & 0o777;
        let before = self
            .supervisor
            .tasks
            .change_directories(self.task.tid, |own| std::mem::replace(&mut own.umask, umask));
        Ok(Answer::Value(before.unwrap_or(0).into()))
    }

    /// Only what concerns the process alone; there are no further namespaces.
    pub(super) fn unshare(&self) -> Result {
        let flags = self.int(0);
        if flags & !(libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SYSVSEM) != 0 {
            return Err(Errno::PERM);
        }
        if flags & libc::CLONE_FS != 0 {
            self.supervisor.tasks.separate_directories(self.task.tid);
        }
        Ok(Answer::Proceed)
    }
}
