//! How a process changes its capabilities: capset(2), and those options of prctl(2) that concern the identity.

use rustix::io::Errno;

use super::{Capability, Credentials, KEEP_CAPS};
use crate::capabilities::CapabilitySet;

/// Further bits of `PR_SET_SECUREBITS`.
const NO_CAP_AMBIENT_RAISE: u32 = 1 << 6;
const ALL_SECUREBITS: u32 = 0xff;

impl Credentials {
    /// capset(2): the rules of capabilities(7), "Programmatically adjusting capability sets".
    pub(in crate::trace) fn capset(
        &mut self,
        effective: u64,
        permitted: u64,
        inheritable: u64,
    ) -> Result<(), Errno> {
        let may_add = self.has(Capability::SETPCAP);
        if !may_add && inheritable & !(self.inheritable | self.permitted) != 0 {
            return Err(Errno::PERM);
        }
        if inheritable & !(self.inheritable | self.bounding) != 0 {
            return Err(Errno::PERM);
        }
        if permitted & !self.permitted != 0 || effective & !permitted != 0 {
            return Err(Errno::PERM);
        }
        self.effective = effective;
        self.permitted = permitted;
        self.inheritable = inheritable;
        self.ambient &= permitted & inheritable;
        Ok(())
    }

    /// The options of prctl(2) that concern the identity.
    pub(in crate::trace) fn prctl(&mut self, option: u32, args: [u64; 4]) -> Result<i64, Errno> {
        let [first, ..] = args;
        match option.cast_signed() {
            libc::PR_GET_DUMPABLE => Ok(self.dumpable.into()),
            libc::PR_SET_DUMPABLE => {
                self.dumpable = u32::try_from(first).ok().filter(|value| *value <= 1).ok_or(Errno::INVAL)?;
                Ok(0)
            }
            libc::PR_GET_KEEPCAPS => Ok(i64::from(self.securebits & KEEP_CAPS != 0)),
            libc::PR_SET_KEEPCAPS => self.keep_capabilities(first),
            libc::PR_CAPBSET_READ => Ok(i64::from(self.bounding & capability_bit(first)? != 0)),
            libc::PR_CAPBSET_DROP => {
                if !self.has(Capability::SETPCAP) {
                    return Err(Errno::PERM);
                }
                self.bounding &= !capability_bit(first)?;
                Ok(0)
            }
            libc::PR_GET_SECUREBITS => Ok(self.securebits.into()),
            libc::PR_SET_SECUREBITS => self.set_securebits(first),
            libc::PR_CAP_AMBIENT => self.change_ambient(args),
            libc::PR_GET_NO_NEW_PRIVS => {
                if args == [0; 4] {
                    Ok(self.no_new_privs.into())
                } else {
                    Err(Errno::INVAL)
                }
            }
            libc::PR_SET_NO_NEW_PRIVS => {
                if args != [1, 0, 0, 0] {
                    return Err(Errno::INVAL);
                }
                self.no_new_privs = true;
                Ok(0)
            }
            _ => Err(Errno::INVAL),
        }
    }

    fn keep_capabilities(&mut self, keep: u64) -> Result<i64, Errno> {
        if keep > 1 {
            return Err(Errno::INVAL);
        }
        if self.securebits & KEEP_CAPS << 1 != 0 {
            return Err(Errno::PERM);
        }
        self.securebits = self.securebits & !KEEP_CAPS | if keep == 1 { KEEP_CAPS } else { 0 };
        Ok(0)
    }

    fn set_securebits(&mut self, bits: u64) -> Result<i64, Errno> {
        let locks = self.securebits & 0xaa;
        let locked = locks >> 1 | locks;
        let bits = u32::try_from(bits).ok().filter(|bits| bits & !ALL_SECUREBITS == 0).ok_or(Errno::PERM)?;
        if !self.has(Capability::SETPCAP) || (bits ^ self.securebits) & locked != 0 {
            return Err(Errno::PERM);
        }
        self.securebits = bits;
        Ok(0)
    }

    fn change_ambient(&mut self, [action, capability, ..]: [u64; 4]) -> Result<i64, Errno> {
        let action = i32::try_from(action).map_err(|_| Errno::INVAL)?;
        if action == libc::PR_CAP_AMBIENT_CLEAR_ALL {
            self.ambient = 0;
            return Ok(0);
        }
        let bit = capability_bit(capability)?;
        match action {
            libc::PR_CAP_AMBIENT_IS_SET => return Ok(i64::from(self.ambient & bit != 0)),
            libc::PR_CAP_AMBIENT_LOWER => self.ambient &= !bit,
            libc::PR_CAP_AMBIENT_RAISE => {
                let is_held = self.permitted & self.inheritable & bit != 0;
                if !is_held || self.securebits & NO_CAP_AMBIENT_RAISE != 0 {
                    return Err(Errno::PERM);
                }
                self.ambient |= bit;
            }
            _ => return Err(Errno::INVAL),
        }
        Ok(0)
    }
}

fn capability_bit(number: u64) -> Result<u64, Errno> {
    let known = u64::from(CapabilitySet::ALL.bits().count_ones());
    if number < known { Ok(1 << number) } else { Err(Errno::INVAL) }
}
