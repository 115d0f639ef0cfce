//! sendmsg(2), sendmmsg(2): the address is in a structure of its own, and may have company.

use rustix::io::Errno;

use super::outcome::Then;
use super::{Rewrite, Rewritten};
use crate::trace::credentials::Capability;
use crate::trace::filter;
use crate::trace::kernel::bytes_of;
use crate::trace::memory::word;
use crate::trace::tracee::Stopped;

/// The size of `struct msghdr`: address and its length, parts and their number, control data and its length, flags.
pub(super) const HEADER: usize = 56;

/// Control data that is looked at; there is never more worth looking at.
pub(super) const CONTROL_MAX: u64 = 4096;

/// Longer addresses are cut off by the kernel (`struct sockaddr_storage`).
const ADDRESS_MAX: u64 = 128;

/// Before the data of a control message: its length with this, its level and its type (cmsg(3)).
const CONTROL_HEADER: usize = 16;

impl Rewrite<'_> {
    pub(super) fn message(&self) -> Result<Rewritten, Stopped> {
        self.send(self.registers.rsi, self.registers.rdx, Then::Nothing)
    }

    /// The first one; of how many were sent the call tells, and it may be less than all.
    pub(super) fn messages(&self) -> Result<Rewritten, Stopped> {
        let (at, flags) = (self.registers.rsi, self.registers.r10);
        if self.registers.rdx & u64::from(u32::MAX) == 0 {
            return Ok(Rewritten { registers: self.registers, notice: None, then: Then::Nothing });
        }
        self.send(at, flags, Then::Sent { length_at: at + HEADER as u64 })
    }

    fn send(&self, at: u64, flags: u64, then: Then) -> Result<Rewritten, Stopped> {
        let mut header = vec![0; HEADER];
        self.memory.read(at, &mut header)?;
        let [name, length, control, control_length] = [0, 1, 4, 5].map(|index| word(&header, index));
        let length = length & u64::from(u32::MAX);
        if length > i32::MAX.unsigned_abs().into() {
            return Err(Errno::INVAL.into());
        }
        let address = if name == 0 || length == 0 {
            Vec::new()
        } else {
            self.real_address(self.read_address(name, length.min(ADDRESS_MAX))?)?
        };
        let mut notice = self.supervisor.board.take()?;
        let address_at = if address.is_empty() { 0 } else { notice.add(&address)? };
        header[..8].copy_from_slice(&address_at.to_ne_bytes());
        header[8..16].copy_from_slice(&(address.len() as u64).to_ne_bytes());
        if control != 0 && (1..=CONTROL_MAX).contains(&control_length) {
            let mut data = vec![0; usize::try_from(control_length).unwrap_or(0)];
            self.memory.read(control, &mut data)?;
            if self.replace_credentials(&mut data)? {
                header[32..40].copy_from_slice(&notice.add(&data)?.to_ne_bytes());
            }
        }
        let mut registers = self.registers;
        registers.orig_rax = libc::SYS_sendmsg.cast_unsigned();
        (registers.rsi, registers.rdx) = (notice.add(&header)?, flags);
        Ok(Rewritten { registers, notice: Some(notice), then })
    }

    /// `SCM_CREDENTIALS` (unix(7)): who the process says that it is, it must be, and to the kernel it is we.
    fn replace_credentials(&self, control: &mut [u8]) -> Result<bool, Errno> {
        let mut claim = None;
        for_credentials(control, |said| {
            self.check_claim(said)?;
            claim = Some([said[1], said[2]]);
            let real = [rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw()];
            Ok([self.task.tgid.cast_unsigned(), real[0], real[1]])
        })?;
        if claim.is_some() {
            self.supervisor.note_peer(self.task, claim);
        }
        Ok(claim.is_some())
    }

    fn check_claim(&self, [pid, uid, gid]: [u32; 3]) -> Result<(), Errno> {
        let who = &self.task.credentials;
        let is_true = (pid == self.task.tgid.cast_unsigned() || who.has(Capability::SYS_ADMIN))
            && ([who.uid, who.euid, who.suid].contains(&uid) || who.has(Capability::SETUID))
            && ([who.gid, who.egid, who.sgid].contains(&gid) || who.has(Capability::SETGID));
        if is_true { Ok(()) } else { Err(Errno::PERM) }
    }

    /// setsockopt(2), `SO_PASSCRED`: from now on what the process receives is looked at when it is there.
    pub(super) fn receive_credentials(&self) -> Result<Option<Rewritten>, Stopped> {
        if !self.supervisor.tasks.needs_receiving(self.task.tid) {
            return Ok(None);
        }
        let mut notice = self.supervisor.board.take()?;
        let filter = filter::receiving();
        let program: Vec<u8> = filter.iter().flat_map(bytes_of).copied().collect();
        // `struct sock_fprog`: a number, and behind a gap, where so many instructions are.
        let header = [filter.len() as u64, notice.add(&program)?].map(u64::to_ne_bytes).concat();
        let header = notice.add(&header)?;
        let [load, flags] = [libc::SECCOMP_SET_MODE_FILTER.into(), libc::SECCOMP_FILTER_FLAG_TSYNC];
        // Where it cannot be loaded, the ids are those that the kernel knows.
        match self.make_instead((libc::SYS_seccomp, [load, flags, header, 0, 0, 0])) {
            Ok(_) | Err(Stopped::Errno(_)) => {}
            Err(gone) => return Err(gone),
        }
        Ok(Some(Rewritten { registers: self.registers, notice: None, then: Then::Nothing }))
    }
}

/// Puts in place of all credentials in control data what `replace` makes of them: process, user and group.
pub(super) fn for_credentials(
    control: &mut [u8],
    mut replace: impl FnMut([u32; 3]) -> Result<[u32; 3], Errno>,
) -> Result<(), Errno> {
    let mut at = 0;
    while let Some(header) = control.get(at..at + CONTROL_HEADER) {
        let length = usize::try_from(word(header, 0)).unwrap_or(usize::MAX);
        let kind = [8, 12].map(|offset| int(header, offset).cast_signed());
        let end = at.saturating_add(length);
        if length < CONTROL_HEADER || end > control.len() {
            // The kernel refuses it.
            break;
        }
        let data = &mut control[at + CONTROL_HEADER..end];
        if kind == [libc::SOL_SOCKET, libc::SCM_CREDENTIALS] && data.len() == 12 {
            let replaced = replace([0, 4, 8].map(|offset| int(data, offset)))?;
            data.copy_from_slice(&replaced.map(u32::to_ne_bytes).concat());
        }
        at = end.next_multiple_of(8);
    }
    Ok(())
}

fn int(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|int| int.try_into().ok()).map_or(0, u32::from_ne_bytes)
}
