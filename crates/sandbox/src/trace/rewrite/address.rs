//! Addresses of sockets: connect(2), bind(2), sendto(2), and the names that the kernel tells (unix(7)).

use libc::user_regs_struct as Registers;
use rustix::fs::FileType;
use rustix::io::Errno;

use super::outcome::{Bound, Then, Told};
use super::{Rewrite, Rewritten};
use crate::spec::Network;
use crate::trace::memory::word;
use crate::trace::permission::{Wish, check};
use crate::trace::sockets::Sockets;
use crate::trace::tracee::Stopped;
use crate::trace::walk::Last;

/// The longest address of any kind (`struct sockaddr_storage`).
const ADDRESS_MAX: usize = 128;

/// An address of a local socket with its family: the longest one that the kernel takes.
const UNIX_MAX: usize = size_of::<libc::sockaddr_un>();

/// Where a path begins in such an address.
const PATH: usize = 2;

impl Rewrite<'_> {
    /// A call with an address at `at`; `set` puts another one into its registers.
    pub(super) fn addressed(
        &self,
        at: u64,
        length: u64,
        set: impl FnOnce(&mut Registers, u64, u64),
    ) -> Result<Rewritten, Stopped> {
        let mut registers = self.registers;
        let address = self.read_address(at, length)?;
        let address = self.real_address(address)?;
        let mut notice = self.supervisor.board.take()?;
        let at = notice.add(&address)?;
        set(&mut registers, at, address.len() as u64);
        Ok(Rewritten { registers, notice: Some(notice), then: Then::Nothing })
    }

    /// The bytes of an address; `EINVAL` as from the kernel.
    pub(super) fn read_address(&self, at: u64, length: u64) -> Result<Vec<u8>, Errno> {
        let length = usize::try_from(length & u64::from(u32::MAX)).unwrap_or(usize::MAX);
        if length > ADDRESS_MAX {
            return Err(Errno::INVAL);
        }
        let mut address = vec![0; length];
        self.memory.read(at, &mut address)?;
        Ok(address)
    }

    /// The address by which the kernel finds the socket that an address means.
    pub(super) fn real_address(&self, address: Vec<u8>) -> Result<Vec<u8>, Stopped> {
        match family(&address) {
            Some(libc::AF_UNIX) => self.supervisor.note_peer(self.task),
            Some(family) => self.check_network(family, &address[PATH..])?,
            None => {}
        }
        let Some(path) = path(&address)? else { return Ok(address) };
        let place = self.find(path, Last::Follow)?.existing()?;
        let stat = self.supervisor.owners.stat(&place)?;
        check(&stat, Wish::WRITE, &self.task.credentials)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
            return Err(Errno::CONNREFUSED.into());
        }
        Ok(with_path(self.handle(&place)?.as_bytes()))
    }

    /// bind(2): first to another name in the same directory, as the kernel may find the right one too long.
    pub(super) fn bind(&self) -> Result<Rewritten, Stopped> {
        let mut registers = self.registers;
        let mut address = self.read_address(registers.rsi, registers.rdx)?;
        let mut then = Then::Nothing;
        if let Some(path) = path(&address)? {
            let found = self.find(path, Last::Keep)?;
            if found.entry.is_some() {
                return Err(Errno::ADDRINUSE.into());
            }
            if found.wants_directory {
                return Err(Errno::NOENT.into());
            }
            let directory = self.supervisor.owners.stat(&found.parent)?;
            check(&directory, Wish::WRITE.and(Wish::EXECUTE), &self.task.credentials)?;
            self.supervisor.view.check_writable(found.parent.mount)?;
            let number = self.supervisor.sockets.number();
            let name = path.to_vec();
            let parent = self.handle(&found.parent)?;
            address = with_path(format!("{parent}/{}", Sockets::temporary(number)).as_bytes());
            then = Then::Bound(Bound { found, number, name });
        } else if let Some(family) = family(&address) {
            self.check_network(family, &address[PATH..])?;
        }
        let mut notice = self.supervisor.board.take()?;
        (registers.rsi, registers.rdx) = (notice.add(&address)?, address.len() as u64);
        Ok(Rewritten { registers, notice: Some(notice), then })
    }

    /// A call that tells an address, for which there is room at `at`; it is corrected if any may be wrong.
    pub(super) fn named(&self, at: u64, length_at: u64) -> Option<Rewritten> {
        if !self.supervisor.sockets.have_names() {
            return None;
        }
        let mut room = [0; 8];
        // What cannot be read, the kernel refuses better.
        self.memory.read(length_at, &mut room[..4]).ok()?;
        let then = Then::Named(Told { at, length_at, room: word(&room, 0) });
        Some(Rewritten { registers: self.registers, notice: None, then })
    }

    /// getsockopt(2), about the peer: the kernel is asked which process that is.
    pub(super) fn peer(&self, option: u64, at: u64, length_at: u64) -> Result<Rewritten, Stopped> {
        let mut room = [0; 8];
        self.memory.read(length_at, &mut room[..4])?;
        let mut registers = self.registers;
        let ucred = [0_u32, 0, 0, 12].map(u32::to_ne_bytes).concat();
        let scratch = self.place(&ucred)?;
        registers.rdx = libc::SO_PEERCRED.unsigned_abs().into();
        (registers.r10, registers.r8) = (scratch, scratch + 12);
        let told = Told { at, length_at, room: word(&room, 0) };
        let wants_groups = option & u64::from(u32::MAX) == u64::from(libc::SO_PEERGROUPS.unsigned_abs());
        Ok(Rewritten { registers, notice: None, then: Then::Peer { told, scratch, wants_groups } })
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
}

fn family(address: &[u8]) -> Option<i32> {
    let family = address.get(..PATH)?;
    Some(i32::from(u16::from_ne_bytes([family[0], family[1]])))
}

/// The path in an address; none if it is of another kind, abstract or nothing.
pub(super) fn path(address: &[u8]) -> Result<Option<&[u8]>, Errno> {
    if family(address) != Some(libc::AF_UNIX) {
        return Ok(None);
    }
    if address.len() > UNIX_MAX {
        return Err(Errno::INVAL);
    }
    let path = &address[PATH..];
    let path = &path[..path.iter().position(|byte| *byte == 0).unwrap_or(path.len())];
    Ok(Some(path).filter(|path| !path.is_empty()))
}

/// The address of the local socket at `path`.
pub(super) fn with_path(path: &[u8]) -> Vec<u8> {
    let [low, high] = u16::try_from(libc::AF_UNIX).unwrap_or(0).to_ne_bytes();
    [&[low, high], path, b"\0"].concat()
}
