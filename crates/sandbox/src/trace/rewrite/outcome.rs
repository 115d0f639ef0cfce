//! What is to be seen to when a call with other arguments is done: the program finds its registers as it left them, and
//! is told what is true inside.

use libc::user_regs_struct as Registers;
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, FileType, Mode, linkat, openat, statat, unlinkat};
use rustix::io::Errno;

use super::address::{path, with_path};
use super::is_open_as;
use crate::trace::board::Notice;
use crate::trace::kernel;
use crate::trace::memory::{Memory, word};
use crate::trace::place::{FileId, HANDLE, Place};
use crate::trace::sockets::Sockets;
use crate::trace::supervisor::Supervisor;
use crate::trace::tracee::{Gone, Tracee, check};
use crate::trace::walk::Found;

/// A call that is being made with other arguments.
pub(in crate::trace) struct Pending {
    /// At its entry.
    pub(super) registers: Registers,
    pub(super) then: Then,
    /// A descriptor that the thread has for this call only.
    pub(super) handle: Option<u64>,
    /// What the kernel may still read.
    pub(super) _notice: Option<Notice>,
}

/// What is to be seen to when a call is done.
pub(super) enum Then {
    Nothing,
    /// A socket was bound to a temporary name.
    Bound(Bound),
    /// A handle was opened, which must be one of this file.
    Opened(FileId),
    /// The first of several messages was sent; where its length is to be told.
    Sent {
        length_at: u64,
    },
    /// An address was told.
    Named(Told),
    /// The kernel told at `scratch` who the peer is.
    Peer {
        told: Told,
        scratch: u64,
        wants_groups: bool,
    },
}

/// A socket that was bound.
pub(super) struct Bound {
    pub(super) found: Found,
    pub(super) number: u64,
    /// The path as the process gave it.
    pub(super) name: Vec<u8>,
}

/// Where something is told: its bytes and their number, and for how many there is room.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub(super) at: u64,
    pub(super) length_at: u64,
    pub(super) room: u64,
}

impl Told {
    /// Tells as much as there is room for, and a length.
    fn tell(self, memory: Memory, bytes: &[u8], length: usize) -> Result<(), Errno> {
        let room = usize::try_from(self.room).unwrap_or(usize::MAX).min(bytes.len());
        memory.write(self.at, &bytes[..room])?;
        memory.write(self.length_at, &u32::try_from(length).unwrap_or(0).to_ne_bytes())
    }
}

impl Pending {
    /// The thread stands at the end of the call, and at the end of some call afterwards.
    pub(in crate::trace) fn finish(self, supervisor: &Supervisor, tid: i32) -> Result<(), Gone> {
        let gone = |_| Gone(None);
        let tracee = Tracee::new(tid);
        let mut now = tracee.registers().map_err(gone)?;
        let old = &self.registers;
        (now.rdi, now.rsi, now.rdx, now.r10, now.r8, now.r9) =
            (old.rdi, old.rsi, old.rdx, old.r10, old.r8, old.r9);
        // By which the kernel starts it over after a signal.
        now.orig_rax = old.orig_rax;
        let mut superfluous = self.handle;
        if let Ok(value) = check(now.rax) {
            let answer = match self.then {
                Then::Opened(file) if !is_open_as(tid, value, file) => {
                    // It was moved away meanwhile.
                    superfluous = Some(value);
                    Err(Errno::NOENT)
                }
                then => Done { supervisor, tid, memory: tracee.memory(), value }.see_to(then),
            };
            now.rax = answer.unwrap_or_else(|errno| i64::from(-errno.raw_os_error()).cast_unsigned());
        }
        if let Some(fd) = superfluous {
            let mask = kernel::blocked_signals(tid).map_err(gone)?;
            kernel::block_signals(tid, u64::MAX).map_err(gone)?;
            tracee.close(&now, fd)?;
            tracee.set_registers(&now).map_err(gone)?;
            tracee.catch_up();
            return kernel::block_signals(tid, mask).map_err(gone);
        }
        tracee.set_registers(&now).map_err(gone)
    }

    /// The thread ended before it came to the end of the call.
    pub(in crate::trace) fn abandon(self) {
        if let Then::Bound(Bound { found, number, .. }) = self.then {
            // Whether it was made is not known.
            remove_temporary(&found.parent.fd, number);
        }
    }
}

/// Removes the first name of a socket, if it is there; never anything else, which somebody else made.
fn remove_temporary(directory: impl AsFd, number: u64) {
    let name = Sockets::temporary(number);
    let found = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW);
    if found.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket) {
        let _ = unlinkat(directory, name, AtFlags::empty());
    }
}

/// A call that succeeded.
struct Done<'a> {
    supervisor: &'a Supervisor,
    tid: i32,
    memory: Memory,
    value: u64,
}

impl Done<'_> {
    /// What the call returns.
    fn see_to(&self, then: Then) -> Result<u64, Errno> {
        match then {
            Then::Nothing | Then::Opened(_) => {}
            Then::Bound(bound) => self.link(bound)?,
            Then::Sent { length_at } => {
                let length = u32::try_from(self.value).unwrap_or(u32::MAX);
                self.memory.write(length_at, &length.to_ne_bytes())?;
                return Ok(1);
            }
            Then::Named(told) => self.correct_name(told)?,
            Then::Peer { told, scratch, wants_groups } => self.tell_peer(told, scratch, wants_groups)?,
        }
        Ok(self.value)
    }

    /// Gives a socket its name, and its owner: who bound it (unix(7), "Pathname socket ownership and permissions").
    fn link(&self, Bound { found, number, name }: Bound) -> Result<(), Errno> {
        let directory = &found.parent.fd;
        let temporary = Sockets::temporary(number);
        let linked = linkat(directory, &temporary, directory, &found.name, AtFlags::empty());
        remove_temporary(directory, number);
        linked.map_err(|errno| if errno == Errno::EXIST { Errno::ADDRINUSE } else { errno })?;
        self.supervisor.sockets.bound(number, name);
        let Some(task) = self.supervisor.tasks.task(self.tid) else { return Ok(()) };
        let fd = openat(directory, &found.name, HANDLE, Mode::empty())?;
        let place = Place { fd, path: found.path(), mount: found.parent.mount };
        let record = ownership::Record {
            uid: task.credentials.fsuid,
            gid: task.credentials.fsgid,
            ..ownership::Record::of_disk(0o777 & !task.directories.umask)
        };
        // It exists and can be used, whatever its permissions are said to be.
        let _ = self.supervisor.owners.change(&place, record);
        Ok(())
    }

    /// The kernel told the name that a socket was bound to first.
    fn correct_name(&self, told: Told) -> Result<(), Errno> {
        let mut length = [0; 8];
        self.memory.read(told.length_at, &mut length[..4])?;
        let length = usize::try_from(word(&length, 0).min(told.room)).unwrap_or(0);
        let mut address = vec![0; length.min(size_of::<libc::sockaddr_un>())];
        self.memory.read(told.at, &mut address)?;
        // What is cut off is no name any more, or none of these.
        let Ok(Some(path)) = path(&address) else { return Ok(()) };
        let Some(name) = self.supervisor.sockets.name(path) else { return Ok(()) };
        let address = with_path(&name);
        told.tell(self.memory, &address, address.len())
    }

    /// Who the peer is inside. Somebody outside is root, and no process that could be named.
    fn tell_peer(&self, told: Told, scratch: u64, wants_groups: bool) -> Result<(), Errno> {
        let mut ucred = [0; 12];
        self.memory.read(scratch, &mut ucred)?;
        let pid = i32::from_ne_bytes([ucred[0], ucred[1], ucred[2], ucred[3]]);
        let has_peer = pid != 0 || ucred[4..8] != [0xff; 4];
        let Supervisor { sockets, tasks, .. } = self.supervisor;
        let who = sockets.peer(pid).or_else(|| tasks.task(pid).map(|task| task.credentials));
        let who = who.as_deref();
        if wants_groups {
            let groups = who.map_or(&[][..], |who| &who.groups);
            let groups: Vec<u8> = groups.iter().flat_map(|gid| gid.to_ne_bytes()).collect();
            if !has_peer {
                return Err(Errno::NODATA);
            }
            if told.room < groups.len() as u64 {
                told.tell(self.memory, &[], groups.len())?;
                return Err(Errno::RANGE);
            }
            return told.tell(self.memory, &groups, groups.len());
        }
        if has_peer {
            let [pid, uid, gid] = match who {
                Some(who) => [pid.cast_unsigned(), who.euid, who.egid],
                None => [0; 3],
            };
            ucred.copy_from_slice(&[pid, uid, gid].map(u32::to_ne_bytes).concat());
        }
        let length = usize::try_from(told.room).unwrap_or(usize::MAX).min(ucred.len());
        told.tell(self.memory, &ucred, length)
    }
}
