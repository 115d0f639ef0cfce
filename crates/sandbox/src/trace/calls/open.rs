//! open(2) and its like: the file is opened here, and a copy of the descriptor put into the process.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, MemfdFlags, Mode, OFlags, Stat, fstat, memfd_create, openat};
use rustix::io::Errno;

use super::{Answer, Call, Result};
use crate::spec::Access;
use crate::trace::permission::{Wish, check};
use crate::trace::place::{Place, Shown, reopen};
use crate::trace::proc;
use crate::trace::walk::{Bound, Found, Last};

/// As the directory of an openat(2) it stands for the file that the tracer offers.
pub(in crate::trace) const OFFERED: i32 = -0x6275;

/// How often a file may vanish between being seen and being opened.
const ATTEMPTS: u32 = 16;

/// What a call stands for that only the process itself can make.
pub(in crate::trace) enum Opened {
    /// A file, to be offered.
    File { file: OwnedFd, close_on_exec: bool },
    /// A handle of a place, to be opened with these flags.
    Handle(Place, OFlags),
}

/// How a process asks for a file.
pub(super) struct Request {
    pub(super) flags: OFlags,
    /// The permissions of a new file, the umask not yet applied.
    pub(super) mode: u32,
    /// Of openat2(2).
    pub(super) resolve: u64,
}

impl Call<'_> {
    pub(super) fn open(&self) -> Result {
        let (dirfd, path, flags, mode) = match self.number {
            libc::SYS_open => (libc::AT_FDCWD, 0, self.int(1), self.uint(2)),
            libc::SYS_creat => {
                (libc::AT_FDCWD, 0, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, self.uint(1))
            }
            _ => (self.int(0), 1, self.int(2), self.uint(3)),
        };
        if dirfd == OFFERED
            && let Some((file, close_on_exec)) = self.supervisor.tasks.take_offer(self.task.tid)
        {
            return Ok(Answer::File { file, close_on_exec });
        }
        let flags = OFlags::from_bits_retain(flags.cast_unsigned());
        self.open_path(dirfd, &self.path(path)?, &Request { flags, mode, resolve: 0 })
    }

    /// A call that cannot be answered with a descriptor from here: openat2(2), or any with `O_PATH`.
    pub(in crate::trace) fn open_stopped(&self) -> Result<Opened> {
        let (dirfd, path, request) = match self.number {
            libc::SYS_openat2 => (self.int(0), 1, self.open_how()?),
            number => {
                let (dirfd, path) =
                    if number == libc::SYS_open { (libc::AT_FDCWD, 0) } else { (self.int(0), 1) };
                let flags = OFlags::from_bits_retain(self.uint(path + 1));
                (dirfd, path, Request { flags, mode: 0, resolve: 0 })
            }
        };
        let path = self.path(path)?;
        if !request.flags.contains(OFlags::PATH) {
            return match self.open_path(dirfd, &path, &request)? {
                Answer::File { file, close_on_exec } => Ok(Opened::File { file, close_on_exec }),
                // Nobody waits for a pipe by this call.
                _ => Err(Errno::NOSYS),
            };
        }
        let last = if request.flags.contains(OFlags::NOFOLLOW) { Last::Keep } else { Last::Follow };
        let place = self.lookup(dirfd, &path, last, request.resolve)?.existing()?;
        let is_directory = FileType::from_raw_mode(place.stat()?.st_mode) == FileType::Directory;
        if request.flags.contains(OFlags::DIRECTORY) && !is_directory {
            return Err(Errno::NOTDIR);
        }
        Ok(Opened::Handle(place, request.flags & (OFlags::PATH | OFlags::CLOEXEC | OFlags::DIRECTORY)))
    }

    /// Looks a path up within the bounds of openat2(2).
    fn lookup(&self, dirfd: i32, path: &[u8], last: Last, resolve: u64) -> Result<Found> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        let mut walk = self.walk();
        walk.no_links = resolve & libc::RESOLVE_NO_SYMLINKS != 0;
        walk.no_magic = resolve & libc::RESOLVE_NO_MAGICLINKS != 0;
        let directory;
        if resolve & (libc::RESOLVE_IN_ROOT | libc::RESOLVE_BENEATH) != 0 {
            // Here an absolute path begins at the directory too.
            directory = self.start(dirfd, b".")?;
            let in_root = resolve & libc::RESOLVE_IN_ROOT != 0;
            walk.bound = if in_root { Bound::InRoot(&directory) } else { Bound::Beneath(&directory) };
            return walk.find(&directory, path, last);
        }
        walk.find(&self.start(dirfd, path)?, path, last)
    }

    fn open_path(&self, dirfd: i32, path: &[u8], request: &Request) -> Result {
        let flags = request.flags;
        let last = if flags.contains(OFlags::NOFOLLOW) || flags.contains(OFlags::CREATE | OFlags::EXCL) {
            Last::Keep
        } else {
            Last::Follow
        };
        for _ in 0..ATTEMPTS {
            let found = self.lookup(dirfd, path, last, request.resolve)?;
            if flags.contains(OFlags::TMPFILE) {
                return self.open_unnamed(&found.existing()?, request);
            }
            let creates = flags.contains(OFlags::CREATE);
            let answer = match &found.entry {
                Some(_) if creates && flags.contains(OFlags::EXCL) => Err(Errno::EXIST),
                Some(entry) => self.open_existing(entry, request),
                None if !creates => Err(Errno::NOENT),
                None => self.create(&found, request),
            };
            match answer {
                // Somebody else made it in the meantime.
                Err(Errno::EXIST) if !flags.contains(OFlags::EXCL) => {}
                answer => return answer,
            }
        }
        Err(Errno::EXIST)
    }

    fn open_existing(&self, entry: &Place, request: &Request) -> Result {
        let flags = request.flags;
        let view = &self.supervisor.view;
        let disk = entry.stat()?;
        let stat = self.stat_of(entry)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if flags.contains(OFlags::DIRECTORY) && kind != FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        if kind == FileType::Symlink {
            return Err(Errno::LOOP);
        }
        let wish = wish(flags);
        if kind == FileType::Directory && (wish != Wish::READ || flags.contains(OFlags::CREATE)) {
            return Err(Errno::ISDIR);
        }
        check(&stat, wish, self.credentials())?;
        let writes = wish != Wish::READ;
        if writes && matches!(kind, FileType::RegularFile | FileType::Directory) {
            view.check_writable(entry.mount)?;
        }
        if flags.contains(OFlags::NOATIME) {
            crate::trace::permission::check_owner(&stat, self.credentials())?;
        }
        match kind {
            FileType::CharacterDevice | FileType::BlockDevice => self.open_device(entry, &disk, &stat, flags),
            FileType::Socket => Err(Errno::NXIO),
            FileType::Fifo if !flags.contains(OFlags::NONBLOCK) => self.open_pipe(entry, flags),
            _ if view.shown(entry.mount) == Shown::Proc => self.open_proc(entry, flags, writes),
            _ => {
                let file = reopen(entry, plain(flags))?;
                if writes && view.shown(entry.mount) == Shown::Files {
                    self.lose_privileges(entry)?;
                }
                let is_readable = !writes && kind == FileType::RegularFile;
                let file =
                    if is_readable { view.copies().open_to_map(entry, file, plain(flags))? } else { file };
                Ok(given(file, flags))
            }
        }
    }

    /// Waits for the other end of a named pipe, which must not keep others waiting.
    fn open_pipe(&self, entry: &Place, flags: OFlags) -> Result {
        let handle = rustix::io::fcntl_dupfd_cloexec(entry, 3)?;
        let Some(waiting) = self.waiting else { return Ok(Answer::Later) };
        let close_on_exec = flags.contains(OFlags::CLOEXEC);
        let open = move || reopen(&handle, plain(flags));
        self.supervisor.pipes.wait(waiting, self.task.tid, close_on_exec, open)?;
        Ok(Answer::Later)
    }

    fn open_proc(&self, entry: &Place, flags: OFlags, writes: bool) -> Result {
        if writes && !proc::is_writable(&entry.path) {
            return Err(Errno::ROFS);
        }
        proc::check_inside(&entry.path, &self.task, &self.supervisor.tasks)?;
        let content = if writes {
            None
        } else {
            proc::content(&entry.path, &self.supervisor.tasks, &self.supervisor.view)?
        };
        let file = match content {
            Some(content) => file_of(&content)?,
            None => reopen(entry, plain(flags))?,
        };
        Ok(given(file, flags))
    }

    fn create(&self, found: &Found, request: &Request) -> Result {
        if found.wants_directory {
            return Err(Errno::ISDIR);
        }
        let directory = self.may_create(&found.parent)?;
        let mode = request.mode & 0o7777 & !self.task.directories.umask;
        let flags = plain(request.flags) | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // What the disk needs is not masked: the supervisor's own umask is zero.
        let on_disk = Mode::from_raw_mode(ownership::disk_mode(ownership::Kind::File, mode));
        let file = openat(&found.parent.fd, &found.name, flags, on_disk)?;
        self.belongs_to_caller(&fstat(&file)?, &directory, mode);
        Ok(given(file, request.flags))
    }

    /// `O_TMPFILE`: a file without a name in `directory`.
    fn open_unnamed(&self, directory: &Place, request: &Request) -> Result {
        let stat = self.may_create(directory)?;
        let mode = request.mode & 0o7777 & !self.task.directories.umask;
        let on_disk = Mode::from_raw_mode(ownership::disk_mode(ownership::Kind::File, mode));
        let name = crate::trace::place::name_of(directory);
        // With it the file never gets a name.
        let excl = request.flags & OFlags::EXCL;
        let flags = plain(request.flags) | excl | OFlags::CLOEXEC;
        let file = openat(rustix::fs::CWD, name, flags, on_disk)?;
        self.belongs_to_caller(&fstat(&file)?, &stat, mode);
        Ok(given(file, request.flags))
    }
}

impl Call<'_> {
    /// Whether the process may make something in a directory; returns what is true of that.
    pub(super) fn may_create(&self, directory: &Place) -> Result<Stat> {
        let view = &self.supervisor.view;
        let stat = self.stat_of(directory)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        if view.shown(directory.mount) != Shown::Files {
            return Err(if view.limits(directory.mount).access == Access::ReadOnly {
                Errno::ROFS
            } else {
                Errno::ACCESS
            });
        }
        check(&stat, Wish::WRITE.and(Wish::EXECUTE), self.credentials())?;
        view.check_writable(directory.mount)?;
        Ok(stat)
    }

    /// A new file is the caller's, and of its directory's group where that is wished (inode(7), set-group-ID).
    pub(super) fn belongs_to_caller(&self, new: &Stat, directory: &Stat, mode: u32) {
        let who = self.credentials();
        let inherits = directory.st_mode & libc::S_ISGID != 0;
        let gid = if inherits { directory.st_gid } else { who.fsgid };
        let mut mode = mode;
        if inherits && FileType::from_raw_mode(new.st_mode) == FileType::Directory {
            mode |= libc::S_ISGID;
        } else if mode & libc::S_ISGID != 0
            && !who.is_member(gid)
            && !who.has(crate::trace::credentials::Capability::FSETID)
        {
            mode &= !libc::S_ISGID;
        }
        let record = ownership::Record { uid: who.fsuid, gid, ..ownership::Record::of_disk(mode) };
        self.supervisor.owners.note(new, record);
    }
}

pub(super) fn given(file: OwnedFd, flags: OFlags) -> Answer {
    Answer::File { file, close_on_exec: flags.contains(OFlags::CLOEXEC) }
}

/// What somebody wants who opens a file so.
fn wish(flags: OFlags) -> Wish {
    let access = match flags.bits() & libc::O_ACCMODE.cast_unsigned() {
        0 => Wish::READ,
        1 => Wish::WRITE,
        _ => Wish::READ.and(Wish::WRITE),
    };
    if flags.contains(OFlags::TRUNC) { access.and(Wish::WRITE) } else { access }
}

/// The flags that remain when the file was found and may be opened.
pub(super) fn plain(flags: OFlags) -> OFlags {
    flags - (OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC)
}

/// A file in memory.
fn file_of(content: &[u8]) -> Result<OwnedFd> {
    let file = memfd_create(c"proc", MemfdFlags::CLOEXEC)?;
    let mut written = 0;
    while written < content.len() {
        written += rustix::io::pwrite(&file, &content[written..], written as u64)?;
    }
    reopen(file, OFlags::RDONLY)
}
