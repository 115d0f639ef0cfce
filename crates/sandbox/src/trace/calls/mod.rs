//! The system calls that the supervisor carries out itself, by theme. Each is what its page in section 2 of the manual
//! says, for a process that believes to be who its credentials say.

mod attributes;
mod device;
mod directory;
mod identity;
mod ipc;
mod names;
mod open;
mod open_how;
mod process;
mod stat;
mod xattr;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use libc::c_long;
use rustix::fs::Stat;
use rustix::io::Errno;

use super::credentials::Credentials;
use super::kernel::{Listener, Notification};
use super::memory::Memory;
use super::place::{Place, open_file};
use super::supervisor::Supervisor;
use super::tasks::Task;
use super::walk::{Found, Last, Walk};

pub(super) use self::open::{OFFERED, Opened};

/// How a call ends.
pub(super) enum Answer {
    /// With a value.
    Value(i64),
    /// With a new descriptor.
    File { file: OwnedFd, close_on_exec: bool },
    /// In the kernel, as it stands.
    Proceed,
    /// Somebody else answers it.
    Later,
}

type Result<T = Answer> = std::result::Result<T, Errno>;

/// Done, with nothing to say.
const DONE: Result = Ok(Answer::Value(0));

/// A system call that waits.
pub(super) struct Call<'a> {
    supervisor: &'a Supervisor,
    /// Where the call waits, and as which; none for one that stands at a stop of the tracer's.
    waiting: Option<(&'a Arc<Listener>, u64)>,
    number: c_long,
    args: [u64; 6],
    task: Task,
    memory: Memory,
}

/// fchmodat2(2), which libc has no number for.
const FCHMODAT2: c_long = 452;

/// Carries one call out.
pub(super) fn carry_out(
    supervisor: &Supervisor,
    listener: &Arc<Listener>,
    notification: &Notification,
) -> Result {
    let Notification { id, tid, number, args } = *notification;
    let task = supervisor.tasks.task(tid).ok_or(Errno::PERM)?;
    let waiting = Some((listener, id));
    Call { supervisor, waiting, number, args, task, memory: Memory::of(tid) }.dispatch()
}

impl<'a> Call<'a> {
    /// A call at whose entry a thread stands that is traced.
    pub(super) fn stopped(supervisor: &'a Supervisor, task: Task, number: c_long, args: [u64; 6]) -> Self {
        let memory = Memory::of(task.tid);
        Self { supervisor, waiting: None, number, args, task, memory }
    }

    /// The value with which a call ends that nobody else can answer.
    pub(super) fn answer_stopped(&self) -> Result<i64> {
        match self.dispatch()? {
            Answer::Value(value) => Ok(value),
            Answer::File { .. } | Answer::Proceed | Answer::Later => Err(Errno::NOSYS),
        }
    }

    fn dispatch(&self) -> Result {
        match self.number {
            libc::SYS_open | libc::SYS_openat | libc::SYS_creat => self.open(),
            libc::SYS_stat => self.stat_at(libc::AT_FDCWD, 0, 1, 0),
            libc::SYS_lstat => self.stat_at(libc::AT_FDCWD, 0, 1, libc::AT_SYMLINK_NOFOLLOW),
            libc::SYS_fstat => self.fstat(),
            libc::SYS_newfstatat => self.stat_at(self.int(0), 1, 2, self.int(3)),
            libc::SYS_statx => self.statx(),
            libc::SYS_access => self.access(libc::AT_FDCWD, 0, 0),
            libc::SYS_faccessat => self.access(self.int(0), 1, 0),
            libc::SYS_faccessat2 => self.access(self.int(0), 1, self.int(3)),
            libc::SYS_readlink => self.readlink(libc::AT_FDCWD, 0),
            libc::SYS_readlinkat => self.readlink(self.int(0), 1),
            libc::SYS_statfs => self.statfs(),
            libc::SYS_mkdir => self.mkdir(libc::AT_FDCWD, 0),
            libc::SYS_mkdirat => self.mkdir(self.int(0), 1),
            libc::SYS_mknod => self.mknod(libc::AT_FDCWD, 0),
            libc::SYS_mknodat => self.mknod(self.int(0), 1),
            libc::SYS_rmdir => self.unlink(libc::AT_FDCWD, 0, libc::AT_REMOVEDIR),
            libc::SYS_unlink => self.unlink(libc::AT_FDCWD, 0, 0),
            libc::SYS_unlinkat => self.unlink(self.int(0), 1, self.int(2)),
            libc::SYS_rename => self.rename((libc::AT_FDCWD, 0), (libc::AT_FDCWD, 1), 0),
            libc::SYS_renameat => self.rename((self.int(0), 1), (self.int(2), 3), 0),
            libc::SYS_renameat2 => self.rename((self.int(0), 1), (self.int(2), 3), self.uint(4)),
            libc::SYS_link => self.link((libc::AT_FDCWD, 0), (libc::AT_FDCWD, 1), 0),
            libc::SYS_linkat => self.link((self.int(0), 1), (self.int(2), 3), self.int(4)),
            libc::SYS_symlink => self.symlink(0, (libc::AT_FDCWD, 1)),
            libc::SYS_symlinkat => self.symlink(0, (self.int(1), 2)),
            libc::SYS_chmod => self.chmod(libc::AT_FDCWD, 0, self.uint(1), 0),
            libc::SYS_fchmod => self.fchmod(),
            libc::SYS_fchmodat => self.chmod(self.int(0), 1, self.uint(2), 0),
            FCHMODAT2 => self.chmod(self.int(0), 1, self.uint(2), self.int(3)),
            libc::SYS_chown => self.chown(libc::AT_FDCWD, 0, 0),
            libc::SYS_lchown => self.chown(libc::AT_FDCWD, 0, libc::AT_SYMLINK_NOFOLLOW),
            libc::SYS_fchownat => self.chown(self.int(0), 1, self.int(4)),
            libc::SYS_fchown => self.fchown(),
            libc::SYS_utime => self.utime(),
            libc::SYS_utimes => self.utimes(libc::AT_FDCWD, 0),
            libc::SYS_futimesat => self.utimes(self.int(0), 1),
            libc::SYS_utimensat => self.utimensat(),
            libc::SYS_truncate => self.truncate(),
            libc::SYS_setxattr | libc::SYS_lsetxattr | libc::SYS_fsetxattr => self.setxattr(),
            libc::SYS_getxattr | libc::SYS_lgetxattr | libc::SYS_fgetxattr => self.getxattr(),
            libc::SYS_listxattr | libc::SYS_llistxattr | libc::SYS_flistxattr => self.listxattr(),
            libc::SYS_removexattr | libc::SYS_lremovexattr | libc::SYS_fremovexattr => self.removexattr(),
            libc::SYS_chdir => self.chdir(),
            libc::SYS_fchdir => self.fchdir(),
            libc::SYS_getcwd => self.getcwd(),
            libc::SYS_chroot => self.chroot(),
            libc::SYS_umask => self.umask(),
            libc::SYS_unshare => self.unshare(),
            libc::SYS_mount | libc::SYS_umount2 | libc::SYS_pivot_root => Err(Errno::PERM),
            _ => self.of_processes(),
        }
    }

    fn credentials(&self) -> &Credentials {
        &self.task.credentials
    }

    #[expect(clippy::cast_possible_truncation, reason = "the kernel looks at this half only")]
    fn uint(&self, argument: usize) -> u32 {
        self.args[argument] as u32
    }

    fn int(&self, argument: usize) -> i32 {
        self.uint(argument).cast_signed()
    }

    fn path(&self, argument: usize) -> Result<Vec<u8>> {
        self.memory.path(self.args[argument])
    }

    /// What was read belongs to this call only as long as it waits.
    fn check_alive(&self) -> Result<()> {
        let is_alive = self.waiting.is_none_or(|(listener, id)| listener.is_waiting(id));
        if is_alive { Ok(()) } else { Err(Errno::INTR) }
    }

    fn write(&self, argument: usize, bytes: &[u8]) -> Result<()> {
        self.check_alive()?;
        self.memory.write(self.args[argument], bytes)
    }

    fn walk(&self) -> Walk<'_> {
        Walk::new(self.supervisor, &self.task)
    }

    /// Where a relative path begins.
    fn start(&self, dirfd: i32, path: &[u8]) -> Result<Arc<Place>> {
        if dirfd == libc::AT_FDCWD || path.first() == Some(&b'/') {
            return Ok(Arc::clone(&self.task.directories.cwd));
        }
        let place = self.file(dirfd)?;
        if rustix::fs::FileType::from_raw_mode(place.stat()?.st_mode) != rustix::fs::FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        Ok(Arc::new(place))
    }

    /// What must be there.
    fn existing(&self, dirfd: i32, path: &[u8], last: Last) -> Result<Place> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        self.walk().existing(&self.start(dirfd, path)?, path, last)
    }

    fn find(&self, dirfd: i32, path: &[u8], last: Last) -> Result<Found> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        self.walk().find(&self.start(dirfd, path)?, path, last)
    }

    /// The path in an argument; or with `AT_EMPTY_PATH` and an empty one, the file `dirfd` itself.
    fn find_or_file(&self, dirfd: i32, path: usize, flags: i32) -> Result<Place> {
        self.path_or_file(dirfd, self.path_if_any(path, flags)?.as_deref(), flags)
    }

    fn path_or_file(&self, dirfd: i32, path: Option<&[u8]>, flags: i32) -> Result<Place> {
        match path {
            Some(path) => {
                let last = if flags & libc::AT_SYMLINK_NOFOLLOW == 0 { Last::Follow } else { Last::Keep };
                self.existing(dirfd, path, last)
            }
            None if dirfd == libc::AT_FDCWD => self.task.directories.cwd.duplicate(),
            None => self.file(dirfd),
        }
    }

    /// The path in an argument; none if that is empty, and may be.
    fn path_if_any(&self, path: usize, flags: i32) -> Result<Option<Vec<u8>>> {
        let is_empty_allowed = flags & libc::AT_EMPTY_PATH != 0;
        if self.args[path] == 0 && is_empty_allowed {
            return Ok(None);
        }
        Ok(Some(self.path(path)?).filter(|path| !(path.is_empty() && is_empty_allowed)))
    }

    /// An open file of the process, of whatever kind.
    fn file(&self, fd: i32) -> Result<Place> {
        let file = open_file(self.task.tid, fd)?;
        self.check_alive()?;
        self.supervisor.view.place_of(file)
    }

    /// What is true of a place.
    fn stat_of(&self, place: &Place) -> Result<Stat> {
        self.walk().stat(place)
    }
}
