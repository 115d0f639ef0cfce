//! sendmsg(2), sendmmsg(2): the address is in a structure of its own, and may have company.

use rustix::io::Errno;

use super::outcome::Then;
use super::{Rewrite, Rewritten};
use crate::trace::credentials::Capability;
use crate::trace::memory::word;
use crate::trace::tracee::Stopped;

/// The size of `struct msghdr`: address and its length, parts and their number, control data and its length, flags.
const HEADER: usize = 56;

/// Control data that is looked at; there is never more worth looking at.
const CONTROL_MAX: u64 = 4096;

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
        let (mut at, mut is_replaced) = (0, false);
        while let Some(header) = control.get(at..at + CONTROL_HEADER) {
            let length = usize::try_from(word(header, 0)).unwrap_or(usize::MAX);
            let kind = [8, 12].map(|offset| int(header, offset));
            let end = at.saturating_add(length);
            if length < CONTROL_HEADER || end > control.len() {
                // The kernel refuses it.
                break;
            }
            let data = &mut control[at + CONTROL_HEADER..end];
            if kind == [libc::SOL_SOCKET, libc::SCM_CREDENTIALS] && data.len() == 12 {
                self.check_claim([0, 4, 8].map(|offset| int(data, offset)))?;
                let real = [
                    self.task.tgid,
                    rustix::process::getuid().as_raw().cast_signed(),
                    rustix::process::getgid().as_raw().cast_signed(),
                ];
                data.copy_from_slice(&real.map(i32::to_ne_bytes).concat());
                is_replaced = true;
            }
            at = end.next_multiple_of(8);
        }
        Ok(is_replaced)
    }

    fn check_claim(&self, [pid, uid, gid]: [i32; 3]) -> Result<(), Errno> {
        let who = &self.task.credentials;
        let [uid, gid] = [uid, gid].map(i32::cast_unsigned);
        let is_true = (pid == self.task.tgid || who.has(Capability::SYS_ADMIN))
            && ([who.uid, who.euid, who.suid].contains(&uid) || who.has(Capability::SETUID))
            && ([who.gid, who.egid, who.sgid].contains(&gid) || who.has(Capability::SETGID));
        if is_true { Ok(()) } else { Err(Errno::PERM) }
    }
}

fn int(bytes: &[u8], at: usize) -> i32 {
    bytes.get(at..at + 4).and_then(|int| int.try_into().ok()).map_or(0, i32::from_ne_bytes)
}
