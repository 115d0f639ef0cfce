//! System calls that only the process itself can make, with a path or an address in them.
//!
//! The process is given a pointer to [the board](super::board), where no other thread of it can exchange what we checked,
//! and names there that nobody can lead elsewhere: a file is opened as a handle by a call of ours (openat2(2), without
//! links) that the thread makes first, and is then named by its descriptor, as `/proc/thread-self/fd/N`. Another thread
//! may put some other file of the step there: one that the step has anyway, and in a directory that is to be read only,
//! Landlock lets nobody make a socket. A socket is bound beside its name, and linked there afterwards.
//!
//! Holding all others who share the memory would not do: the kernel writes to it for them, and for threads that die.
//! Making the call for the process would tell the other end of a socket that we are the peer.

mod address;
mod message;
mod outcome;

use std::cell::Cell;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libc::user_regs_struct as Registers;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::board::Notice;
use super::calls::{Call, OFFERED, Opened};
use super::kernel::{self, Resume, Status};
use super::memory::{Memory, RED_ZONE};
use super::permission::{Wish, check};
use super::place::{FileId, Place, open_file, real_path};
use super::sockets::OPEN_FILES;
use super::supervisor::Supervisor;
use super::tasks::Task;
use super::tracee::{Gone, Stopped, SystemCall, Tracee, call_of};
use super::walk::{Found, Last, Walk};

pub(super) use self::outcome::Pending;
use self::outcome::Then;

/// The arguments that a call is to be made with.
struct Rewritten {
    registers: Registers,
    /// What they point to.
    notice: Option<Notice>,
    /// What is to be seen to when it is done.
    then: Then,
}

/// A call at whose entry a thread stands, until it makes one of ours.
pub(super) struct Rewrite<'a> {
    supervisor: &'a Supervisor,
    task: &'a Task,
    tracee: &'a Tracee,
    memory: Memory,
    registers: Registers,
    /// What the thread did instead, at the end of which it stands.
    instead: Cell<Option<Instead>>,
}

/// A handle was opened.
#[derive(Clone, Copy)]
struct Instead {
    fd: Option<u64>,
    /// The signals that the thread had blocked before; now it is all.
    mask: u64,
}

impl<'a> Rewrite<'a> {
    pub(super) fn new(
        supervisor: &'a Supervisor,
        task: &'a Task,
        tracee: &'a Tracee,
        registers: Registers,
    ) -> Self {
        let memory = tracee.memory();
        Self { supervisor, task, tracee, memory, registers, instead: Cell::default() }
    }

    /// Lets the thread make the call with the arguments that it is to be made with; returns what is to be done at its
    /// end, if anything.
    pub(super) fn carry_out(&self) -> Result<Option<Pending>, Gone> {
        let rewritten = match self.rewrite() {
            Ok(Some(rewritten)) => rewritten,
            Ok(None) => return self.resume(Resume::Freely).map(|()| None),
            Err(Stopped::Errno(errno)) => {
                self.fail(errno)?;
                return self.resume(Resume::Freely).map(|()| None);
            }
            Err(Stopped::Gone(gone)) => return Err(gone),
        };
        let gone = |_| Gone(None);
        let instead = self.instead.get();
        if let Some(Instead { mask, .. }) = instead {
            self.tracee.enter_again(&self.registers, call_of(&self.registers))?;
            kernel::block_signals(self.task.tid, mask).map_err(gone)?;
            self.tracee.run_to(Resume::ToSystemCall, Status::is_of_filter)?;
            self.tracee.catch_up();
        }
        let Rewritten { registers, notice, then } = rewritten;
        self.tracee.set_registers(&registers).map_err(gone)?;
        self.resume(Resume::ToSystemCall)?;
        let handle = instead.and_then(|instead| instead.fd);
        Ok(Some(Pending { registers: self.registers, then, handle, _notice: notice }))
    }

    fn resume(&self, how: Resume) -> Result<(), Gone> {
        kernel::resume(self.task.tid, how, 0).map_err(|_| Gone(None))
    }

    /// The call ends without having been made.
    fn fail(&self, errno: Errno) -> Result<(), Gone> {
        let gone = |_| Gone(None);
        let instead = self.instead.get();
        if let Some(fd) = instead.and_then(|instead| instead.fd) {
            self.tracee.close(&self.registers, fd)?;
        }
        self.tracee.fail(self.registers, errno).map_err(gone)?;
        let Some(Instead { mask, .. }) = instead else { return Ok(()) };
        self.tracee.catch_up();
        kernel::block_signals(self.task.tid, mask).map_err(gone)
    }

    /// With what arguments the call is to be made; none if it may be made as it is.
    fn rewrite(&self) -> Result<Option<Rewritten>, Stopped> {
        let Registers { rsi, rdx, r10, r8, r9, .. } = self.registers;
        match self.registers.orig_rax.cast_signed() {
            libc::SYS_inotify_add_watch => self.watch().map(Some),
            libc::SYS_bind => self.bind().map(Some),
            libc::SYS_connect => {
                self.addressed(rsi, rdx, |own, at, length| (own.rsi, own.rdx) = (at, length)).map(Some)
            }
            libc::SYS_sendto => {
                self.addressed(r8, r9, |own, at, length| (own.r8, own.r9) = (at, length)).map(Some)
            }
            libc::SYS_sendmsg => self.message().map(Some),
            libc::SYS_sendmmsg => self.messages().map(Some),
            libc::SYS_getsockname | libc::SYS_getpeername | libc::SYS_accept | libc::SYS_accept4 => {
                Ok(self.named(rsi, rdx))
            }
            libc::SYS_recvfrom => Ok(self.named(r8, r9)),
            libc::SYS_getsockopt => self.peer(rdx, r10, r8).map(Some),
            libc::SYS_open | libc::SYS_openat | libc::SYS_openat2 => self.open().map(Some),
            _ => Err(Errno::NOSYS.into()),
        }
    }

    fn find(&self, path: &[u8], last: Last) -> Result<Found, Errno> {
        Walk::new(self.supervisor, self.task).find(&self.task.directories.cwd, path, last)
    }

    /// Puts `bytes` below the stack, for what nobody is kept from changing; returns where.
    fn place(&self, bytes: &[u8]) -> Result<u64, Errno> {
        let below = self.registers.rsp.checked_sub(RED_ZONE + bytes.len() as u64);
        let at = below.ok_or(Errno::FAULT)? & !15;
        self.memory.write(at, bytes)?;
        Ok(at)
    }

    /// A file is offered, and asked for by another call; a handle is opened where it really is.
    fn open(&self) -> Result<Rewritten, Stopped> {
        let (number, args) = call_of(&self.registers);
        let call = Call::stopped(self.supervisor, self.task.clone(), number, args);
        let mut registers = self.registers;
        match call.open_stopped()? {
            Opened::File { file, close_on_exec } => {
                self.supervisor.tasks.offer(self.task.tid, file, close_on_exec);
                registers.orig_rax = libc::SYS_openat.cast_unsigned();
                registers.rdi = i64::from(OFFERED).cast_unsigned();
                // Without O_PATH, with which the filter would stop it again.
                registers.rdx = 0;
                Ok(Rewritten { registers, notice: None, then: Then::Nothing })
            }
            Opened::Handle(place, flags) => {
                let mut notice = self.supervisor.board.take()?;
                let (number, args) = self.opening(&mut notice, &place, flags)?;
                registers.orig_rax = number.cast_unsigned();
                [registers.rdi, registers.rsi, registers.rdx, registers.r10, ..] = args;
                let then = Then::Opened(FileId::from(&place.stat()?));
                Ok(Rewritten { registers, notice: Some(notice), then })
            }
        }
    }

    /// The call that opens a handle of `place`, and of nothing that lies elsewhere than it did: there are no links.
    fn opening(&self, notice: &mut Notice, place: &Place, flags: OFlags) -> Result<SystemCall, Errno> {
        let flags = flags | OFlags::PATH | OFlags::NOFOLLOW;
        // `struct open_how` of openat2(2): flags, mode, resolve.
        let how = [flags.bits().into(), 0, libc::RESOLVE_NO_SYMLINKS];
        let how: Vec<u8> = how.into_iter().flat_map(u64::to_ne_bytes).collect();
        let size = how.len() as u64;
        let [how, name] = [notice.add(&how)?, notice.add(&self.short_name(place)?)?];
        let here = i64::from(libc::AT_FDCWD).cast_unsigned();
        Ok((libc::SYS_openat2, [here, name, how, size, 0, 0]))
    }

    /// Has the thread open a handle of `place`; returns by what name the kernel then finds it.
    fn handle(&self, place: &Place) -> Result<String, Stopped> {
        let tid = self.task.tid;
        let mut notice = self.supervisor.board.take()?;
        let call = self.opening(&mut notice, place, OFlags::CLOEXEC)?;
        let file = FileId::from(&place.stat()?);
        let mask = kernel::blocked_signals(tid)?;
        kernel::block_signals(tid, u64::MAX)?;
        self.instead.set(Some(Instead { fd: None, mask }));
        let fd = self.tracee.call(&self.registers, call)?;
        self.instead.set(Some(Instead { fd: Some(fd), mask }));
        // Else it was moved away meanwhile, and something else is there.
        if is_open_as(tid, fd, file) { Ok(format!("{OPEN_FILES}{fd}")) } else { Err(Errno::NOENT.into()) }
    }

    fn watch(&self) -> Result<Rewritten, Stopped> {
        let keep_link = u64::from(libc::IN_DONT_FOLLOW);
        let last = if self.registers.rdx & keep_link == 0 { Last::Follow } else { Last::Keep };
        let path = self.memory.path(self.registers.rsi)?;
        let place = self.find(&path, last)?.existing()?;
        check(&self.supervisor.owners.stat(&place)?, Wish::READ, &self.task.credentials)?;
        let name = [self.handle(&place)?.as_bytes(), b"\0"].concat();
        let mut notice = self.supervisor.board.take()?;
        let mut registers = self.registers;
        registers.rsi = notice.add(&name)?;
        // The handle may be of a link, and is named by one.
        registers.rdx &= !keep_link;
        Ok(Rewritten { registers, notice: Some(notice), then: Then::Nothing })
    }

    /// A path for the kernel, which believes the process to be in the root directory of the step; with its NUL.
    fn short_name(&self, place: &Place) -> Result<Vec<u8>, Errno> {
        let real = real_path(&place.fd)?;
        let short = match real.strip_prefix(self.supervisor.view.host()) {
            Ok(below) if below.as_os_str().is_empty() => Path::new("."),
            Ok(below) => below,
            Err(_) => &real,
        };
        Ok([short.as_os_str().as_bytes(), b"\0"].concat())
    }
}

/// Whether a descriptor of a thread is one of this very file.
fn is_open_as(tid: i32, fd: u64, file: FileId) -> bool {
    let Ok(fd) = i32::try_from(fd) else { return false };
    open_file(tid, fd).and_then(rustix::fs::fstat).is_ok_and(|stat| FileId::from(&stat) == file)
}
