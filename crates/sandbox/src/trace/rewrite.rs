//! System calls that only the process itself can make, with a path in them: the path is replaced by where it leads.
//!
//! The replacement has no links, and is written below the stack, where nothing of the process is. Another thread of it
//! could still exchange it: that gains a socket or a watch that the file system permissions of the builder allow, and no
//! file.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libc::user_regs_struct as Registers;
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::calls::{Call, OFFERED, Opened};
use super::memory::{Memory, RED_ZONE};
use super::permission::{Wish, check};
use super::place::{FileId, Place, real_path};
use super::supervisor::Supervisor;
use super::tasks::Task;
use super::walk::{Found, Last, Walk};
use crate::spec::Network;

/// The longest path of a socket, without a NUL (unix(7)).
const SOCKET_PATH_MAX: usize = 107;

/// The longest address of any kind (`struct sockaddr_storage`).
const ADDRESS_MAX: u64 = 128;

/// The arguments that a call is to be made with.
pub(super) struct Rewritten {
    pub(super) registers: Registers,
    /// What is to be seen to when it is done.
    pub(super) then: Then,
}

/// What is to be seen to when a call is done.
pub(super) enum Then {
    Nothing,
    /// A socket was made: its directory and name.
    Made(Found),
    /// A handle was opened, which must be one of this file.
    Opened(FileId),
}

/// The bytes of an address, and where the socket will be if it is to be made.
type Address = (Vec<u8>, Option<Found>);

/// A call at whose entry a thread stands.
pub(super) struct Rewrite<'a> {
    pub(super) supervisor: &'a Supervisor,
    pub(super) task: &'a Task,
    pub(super) memory: Memory,
    pub(super) registers: Registers,
}

impl Rewrite<'_> {
    /// With what arguments the call is to be made; none if it may be made as it is.
    pub(super) fn rewrite(&self) -> Result<Option<Rewritten>, Errno> {
        let Registers { rsi, rdx, r8, r9, .. } = self.registers;
        match self.registers.orig_rax.cast_signed() {
            libc::SYS_inotify_add_watch => self.watch().map(Some),
            libc::SYS_bind => {
                self.address(rsi, rdx, true, |own, at, length| (own.rsi, own.rdx) = (at, length))
            }
            libc::SYS_connect => {
                self.address(rsi, rdx, false, |own, at, length| (own.rsi, own.rdx) = (at, length))
            }
            libc::SYS_sendto => {
                self.address(r8, r9, false, |own, at, length| (own.r8, own.r9) = (at, length))
            }
            libc::SYS_sendmsg => self.message(),
            libc::SYS_sendmmsg => self.messages(),
            libc::SYS_open | libc::SYS_openat | libc::SYS_openat2 => self.open().map(Some),
            _ => Err(Errno::NOSYS),
        }
    }

    fn find(&self, path: &[u8], last: Last) -> Result<Found, Errno> {
        Walk::new(self.supervisor, self.task).find(&self.task.directories.cwd, path, last)
    }

    /// Puts `bytes` below the stack; returns where.
    fn place(&self, bytes: &[u8]) -> Result<u64, Errno> {
        let below = self.registers.rsp.checked_sub(RED_ZONE + bytes.len() as u64);
        let at = below.ok_or(Errno::FAULT)? & !15;
        self.memory.write(at, bytes)?;
        Ok(at)
    }

    /// A file is offered, and asked for by another call; a handle is opened where it really is.
    fn open(&self) -> Result<Rewritten, Errno> {
        let own = &self.registers;
        let args = [own.rdi, own.rsi, own.rdx, own.r10, own.r8, own.r9];
        let call = Call::stopped(self.supervisor, self.task.clone(), own.orig_rax.cast_signed(), args);
        let mut registers = self.registers;
        registers.orig_rax = libc::SYS_openat.cast_unsigned();
        match call.open_stopped()? {
            Opened::File { file, close_on_exec } => {
                self.supervisor.tasks.offer(self.task.tid, file, close_on_exec);
                registers.rdi = i64::from(OFFERED).cast_unsigned();
                // Without O_PATH, with which the filter would stop it again.
                registers.rdx = 0;
                Ok(Rewritten { registers, then: Then::Nothing })
            }
            Opened::Handle(place, flags) => {
                let mut name = self.short_name(&place)?;
                name.push(0);
                registers.rdi = i64::from(libc::AT_FDCWD).cast_unsigned();
                registers.rsi = self.place(&name)?;
                registers.rdx = (flags | OFlags::NOFOLLOW).bits().into();
                registers.r10 = 0;
                Ok(Rewritten { registers, then: Then::Opened(FileId::from(&place.stat()?)) })
            }
        }
    }

    fn watch(&self) -> Result<Rewritten, Errno> {
        let mask = self.registers.rdx;
        let keeps_link = mask & u64::from(libc::IN_DONT_FOLLOW) != 0;
        let path = self.memory.path(self.registers.rsi)?;
        let place = self.find(&path, if keeps_link { Last::Keep } else { Last::Follow })?.existing()?;
        check(&self.supervisor.owners.stat(&place)?, Wish::READ, &self.task.credentials)?;
        let mut name = real_path(&place.fd)?.into_os_string().into_encoded_bytes();
        name.push(0);
        let mut registers = self.registers;
        registers.rsi = self.place(&name)?;
        Ok(Rewritten { registers, then: Then::Nothing })
    }

    /// A call with an address at `at`; `set` puts another one into its registers.
    fn address(
        &self,
        at: u64,
        length: u64,
        binds: bool,
        set: impl FnOnce(&mut Registers, u64, u64),
    ) -> Result<Option<Rewritten>, Errno> {
        let Some((address, makes)) = self.new_address(at, length, binds)? else { return Ok(None) };
        let mut registers = self.registers;
        let at = self.place(&address)?;
        set(&mut registers, at, address.len() as u64);
        Ok(Some(Rewritten { registers, then: makes.map_or(Then::Nothing, Then::Made) }))
    }

    /// The address by which the kernel finds the socket that an address means; none if it is the same.
    fn new_address(&self, at: u64, length: u64, binds: bool) -> Result<Option<Address>, Errno> {
        let length = usize::try_from(length & u64::from(u32::MAX)).unwrap_or(usize::MAX);
        if at == 0 || length < 2 || length > usize::try_from(ADDRESS_MAX).unwrap_or(0) {
            return Ok(None);
        }
        let mut address = vec![0; length];
        self.memory.read(at, &mut address)?;
        let family = i32::from(u16::from_ne_bytes([address[0], address[1]]));
        if family != libc::AF_UNIX {
            return self.check_network(family, &address[2..]).map(|()| None);
        }
        let path = &address[2..];
        let path = &path[..path.iter().position(|byte| *byte == 0).unwrap_or(path.len())];
        if path.is_empty() {
            // An abstract name, or none.
            return Ok(None);
        }
        let (real, makes) = if binds { self.new_socket(path)? } else { (self.socket(path)?, None) };
        let mut address = address[..2].to_vec();
        if real.len() > SOCKET_PATH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        address.extend_from_slice(&real);
        address.push(0);
        Ok(Some((address, makes)))
    }

    fn socket(&self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        let place = self.find(path, Last::Follow)?.existing()?;
        let stat = self.supervisor.owners.stat(&place)?;
        check(&stat, Wish::WRITE, &self.task.credentials)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
            return Err(Errno::CONNREFUSED);
        }
        self.short_name(&place)
    }

    fn new_socket(&self, path: &[u8]) -> Result<(Vec<u8>, Option<Found>), Errno> {
        let found = self.find(path, Last::Keep)?;
        if found.entry.is_some() {
            return Err(Errno::ADDRINUSE);
        }
        let directory = self.supervisor.owners.stat(&found.parent)?;
        check(&directory, Wish::WRITE.and(Wish::EXECUTE), &self.task.credentials)?;
        self.supervisor.view.check_writable(found.parent.mount)?;
        let mut name = self.short_name(&found.parent)?;
        name.push(b'/');
        name.extend_from_slice(found.name.as_bytes());
        Ok((name, Some(found)))
    }

    /// A path for the kernel, which believes the process to be in the root directory of the step.
    fn short_name(&self, place: &Place) -> Result<Vec<u8>, Errno> {
        let real = real_path(&place.fd)?;
        let short = match real.strip_prefix(self.supervisor.view.host()) {
            Ok(below) if below.as_os_str().is_empty() => Path::new("."),
            Ok(below) => below,
            Err(_) => &real,
        };
        Ok(short.as_os_str().as_bytes().to_vec())
    }

    /// Without a network there is none but the loopback interface.
    fn check_network(&self, family: i32, rest: &[u8]) -> Result<(), Errno> {
        const MAPPED_V4: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
        if self.supervisor.network == Network::Host {
            return Ok(());
        }
        // Behind the family come the port, and for IPv6 the flow (ip(7), ipv6(7)).
        let is_loopback = match family {
            libc::AF_INET => matches!(rest.get(2), Some(127 | 0) | None),
            libc::AF_INET6 => {
                let host = rest.get(6..22).unwrap_or_default();
                let is_v6 = host.len() == 16 && host[..15] == [0; 15] && host[15] <= 1;
                is_v6 || (host.starts_with(&MAPPED_V4) && host.get(12) == Some(&127))
            }
            _ => true,
        };
        if is_loopback { Ok(()) } else { Err(Errno::NETUNREACH) }
    }

    /// sendmsg(2): the address is in a structure of its own.
    fn message(&self) -> Result<Option<Rewritten>, Errno> {
        /// The size of `struct msghdr`, which begins with the address and its length.
        const HEADER: usize = 56;
        let mut header = vec![0; HEADER];
        self.memory.read(self.registers.rsi, &mut header)?;
        let [name, length] = [0, 1].map(|index| super::memory::word(&header, index));
        let Some((address, _)) = self.new_address(name, length, false)? else { return Ok(None) };
        let address_length = u32::try_from(address.len()).unwrap_or(0);
        let at = self.place(&[vec![0; HEADER], address].concat())?;
        header[..8].copy_from_slice(&(at + HEADER as u64).to_ne_bytes());
        header[8..12].copy_from_slice(&address_length.to_ne_bytes());
        self.memory.write(at, &header)?;
        let mut registers = self.registers;
        registers.rsi = at;
        Ok(Some(Rewritten { registers, then: Then::Nothing }))
    }

    /// sendmmsg(2): as many of them as there are; none to a socket in the file system.
    fn messages(&self) -> Result<Option<Rewritten>, Errno> {
        const HEADER: u64 = 64;
        let count = (self.registers.rdx & u64::from(u32::MAX)).min(1024);
        for index in 0..count {
            let [name, length] = self.memory.words(self.registers.rsi + index * HEADER)?;
            if self.new_address(name, length, false)?.is_some() {
                return Err(Errno::OPNOTSUPP);
            }
        }
        Ok(None)
    }
}
