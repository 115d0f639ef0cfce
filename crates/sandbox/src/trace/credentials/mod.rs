//! Who a process of a step believes to be: ids and capabilities, and how system calls change them (credentials(7),
//! capabilities(7)). Pure; nothing of it is known to the kernel.

mod execution;
mod privileges;

use rustix::io::Errno;

use crate::capabilities::CapabilitySet;

pub(super) use self::execution::{FileCapabilities, Privileges};

/// A capability by its number in `linux/capability.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capability(u32);

impl Capability {
    pub(super) const CHOWN: Self = Self(0);
    pub(super) const DAC_OVERRIDE: Self = Self(1);
    pub(super) const DAC_READ_SEARCH: Self = Self(2);
    pub(super) const FOWNER: Self = Self(3);
    pub(super) const FSETID: Self = Self(4);
    pub(super) const KILL: Self = Self(5);
    pub(super) const SETGID: Self = Self(6);
    pub(super) const SETUID: Self = Self(7);
    pub(super) const SETPCAP: Self = Self(8);
    pub(super) const SYS_CHROOT: Self = Self(18);
    pub(super) const SYS_PTRACE: Self = Self(19);
    pub(super) const SYS_ADMIN: Self = Self(21);
    pub(super) const SYS_NICE: Self = Self(23);
    pub(super) const SYS_RESOURCE: Self = Self(24);
    pub(super) const MKNOD: Self = Self(27);
    pub(super) const SETFCAP: Self = Self(31);

    fn bit(self) -> u64 {
        1 << self.0
    }
}

/// The capabilities that file systems look at; they follow the file system's user id.
const OF_FILES: u64 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 9 | 1 << 27 | 1 << 32;

/// Bits of `PR_SET_SECUREBITS`; each has a lock one bit higher.
const NOROOT: u32 = 1;
const NO_SETUID_FIXUP: u32 = 1 << 2;
const KEEP_CAPS: u32 = 1 << 4;

/// "Leave it as it is", and no id.
pub(super) const UNCHANGED: u32 = u32::MAX;

/// How many groups a process can have (limits.h, `NGROUPS_MAX`).
pub(super) const GROUPS_MAX: usize = 65_536;

/// The identity of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) uid: u32,
    pub(super) euid: u32,
    pub(super) suid: u32,
    pub(super) fsuid: u32,
    pub(super) gid: u32,
    pub(super) egid: u32,
    pub(super) sgid: u32,
    pub(super) fsgid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) effective: u64,
    pub(super) permitted: u64,
    pub(super) inheritable: u64,
    pub(super) bounding: u64,
    pub(super) ambient: u64,
    pub(super) securebits: u32,
    pub(super) no_new_privs: bool,
    pub(super) dumpable: u32,
}

impl Credentials {
    /// Root with `capabilities`.
    pub(super) fn root(capabilities: CapabilitySet) -> Self {
        let held = capabilities.bits();
        Self {
            uid: 0,
            euid: 0,
            suid: 0,
            fsuid: 0,
            gid: 0,
            egid: 0,
            sgid: 0,
            fsgid: 0,
            groups: Vec::new(),
            effective: held,
            permitted: held,
            inheritable: 0,
            bounding: held,
            ambient: 0,
            securebits: 0,
            no_new_privs: false,
            dumpable: 1,
        }
    }

    pub(super) fn has(&self, capability: Capability) -> bool {
        self.effective & capability.bit() != 0
    }

    /// Whether this identity may look into a process that has `other` (ptrace(2), "Ptrace access mode checking").
    pub(super) fn may_inspect(&self, other: &Self) -> bool {
        let is_same = [other.uid, other.euid, other.suid].iter().all(|uid| *uid == self.fsuid)
            && [other.gid, other.egid, other.sgid].iter().all(|gid| *gid == self.fsgid);
        let has_no_more = other.permitted & !self.permitted == 0;
        (is_same && has_no_more && other.dumpable == 1) || self.has(Capability::SYS_PTRACE)
    }

    /// Nobody may look into a process that has in its memory what another identity knew (prctl(2), `PR_SET_DUMPABLE`).
    pub(super) fn hide_what_was_known_to(&mut self, before: &Self) {
        let acts_as = |who: &Self| (who.euid, who.egid, who.fsuid, who.fsgid);
        if acts_as(self) != acts_as(before) || self.permitted & !before.permitted != 0 {
            self.dumpable = 0;
        }
    }

    /// Whether a group's permissions are those of this process.
    pub(super) fn is_member(&self, gid: u32) -> bool {
        self.fsgid == gid || self.groups.contains(&gid)
    }

    pub(super) fn may_search_all(&self) -> bool {
        self.has(Capability::DAC_OVERRIDE) || self.has(Capability::DAC_READ_SEARCH)
    }

    /// As access(2) sees it: with the real ids, and root's capabilities only if the real user is root.
    pub(super) fn real(&self) -> Self {
        let mut real = Self { fsuid: self.uid, fsgid: self.gid, ..self.clone() };
        if self.securebits & NO_SETUID_FIXUP == 0 {
            real.effective = if self.uid == 0 { self.permitted } else { 0 };
        }
        real
    }

    /// setresuid(2); setuid(2) and setreuid(2) are said in its terms.
    fn set_uids(&mut self, uid: u32, euid: u32, suid: u32) {
        let before = [self.uid, self.euid, self.suid];
        (self.uid, self.euid, self.suid, self.fsuid) = (uid, euid, suid, euid);
        self.fix_capabilities(before);
    }

    /// capabilities(7), "Effect of user ID changes on capabilities".
    fn fix_capabilities(&mut self, before: [u32; 3]) {
        if self.securebits & NO_SETUID_FIXUP != 0 {
            return;
        }
        let now = [self.uid, self.euid, self.suid];
        if before.contains(&0) && !now.contains(&0) {
            if self.securebits & KEEP_CAPS == 0 {
                self.permitted = 0;
                self.effective = 0;
            }
            self.ambient = 0;
        }
        if before[1] == 0 && self.euid != 0 {
            self.effective = 0;
        }
        if before[1] != 0 && self.euid == 0 {
            self.effective = self.permitted;
        }
    }

    pub(super) fn setuid(&mut self, uid: u32) -> Result<(), Errno> {
        check_id(uid)?;
        if self.has(Capability::SETUID) {
            self.set_uids(uid, uid, uid);
        } else if uid == self.uid || uid == self.suid {
            self.set_uids(self.uid, uid, self.suid);
        } else {
            return Err(Errno::PERM);
        }
        Ok(())
    }

    pub(super) fn setreuid(&mut self, uid: u32, euid: u32) -> Result<(), Errno> {
        let new_uid = pick(uid, self.uid);
        let new_euid = pick(euid, self.euid);
        let may = self.has(Capability::SETUID);
        let allowed = [self.uid, self.euid];
        if uid != UNCHANGED && !may && !allowed.contains(&uid) {
            return Err(Errno::PERM);
        }
        if euid != UNCHANGED && !may && !allowed.contains(&euid) && euid != self.suid {
            return Err(Errno::PERM);
        }
        let sets_saved = uid != UNCHANGED || (euid != UNCHANGED && euid != self.uid);
        self.set_uids(new_uid, new_euid, if sets_saved { new_euid } else { self.suid });
        Ok(())
    }

    pub(super) fn setresuid(&mut self, uid: u32, euid: u32, suid: u32) -> Result<(), Errno> {
        let allowed = [self.uid, self.euid, self.suid, UNCHANGED];
        if !self.has(Capability::SETUID) && ![uid, euid, suid].iter().all(|id| allowed.contains(id)) {
            return Err(Errno::PERM);
        }
        self.set_uids(pick(uid, self.uid), pick(euid, self.euid), pick(suid, self.suid));
        Ok(())
    }

    pub(super) fn setgid(&mut self, gid: u32) -> Result<(), Errno> {
        check_id(gid)?;
        if self.has(Capability::SETGID) {
            (self.gid, self.egid, self.sgid, self.fsgid) = (gid, gid, gid, gid);
        } else if gid == self.gid || gid == self.sgid {
            (self.egid, self.fsgid) = (gid, gid);
        } else {
            return Err(Errno::PERM);
        }
        Ok(())
    }

    pub(super) fn setregid(&mut self, gid: u32, egid: u32) -> Result<(), Errno> {
        let may = self.has(Capability::SETGID);
        let allowed = [self.gid, self.egid];
        if gid != UNCHANGED && !may && !allowed.contains(&gid) {
            return Err(Errno::PERM);
        }
        if egid != UNCHANGED && !may && !allowed.contains(&egid) && egid != self.sgid {
            return Err(Errno::PERM);
        }
        let sets_saved = gid != UNCHANGED || (egid != UNCHANGED && egid != self.gid);
        self.gid = pick(gid, self.gid);
        self.egid = pick(egid, self.egid);
        self.fsgid = self.egid;
        if sets_saved {
            self.sgid = self.egid;
        }
        Ok(())
    }

    pub(super) fn setresgid(&mut self, gid: u32, egid: u32, sgid: u32) -> Result<(), Errno> {
        let allowed = [self.gid, self.egid, self.sgid, UNCHANGED];
        if !self.has(Capability::SETGID) && ![gid, egid, sgid].iter().all(|id| allowed.contains(id)) {
            return Err(Errno::PERM);
        }
        self.gid = pick(gid, self.gid);
        self.egid = pick(egid, self.egid);
        self.sgid = pick(sgid, self.sgid);
        self.fsgid = self.egid;
        Ok(())
    }

    /// setfsuid(2), which tells the old id whatever happens.
    pub(super) fn setfsuid(&mut self, fsuid: u32) -> u32 {
        let before = self.fsuid;
        let allowed = [self.uid, self.euid, self.suid, self.fsuid];
        if fsuid != UNCHANGED && (self.has(Capability::SETUID) || allowed.contains(&fsuid)) {
            self.fsuid = fsuid;
            if self.securebits & NO_SETUID_FIXUP == 0 {
                if before == 0 && fsuid != 0 {
                    self.effective &= !OF_FILES;
                }
                if before != 0 && fsuid == 0 {
                    self.effective |= self.permitted & OF_FILES;
                }
            }
        }
        before
    }

    /// setfsgid(2).
    pub(super) fn setfsgid(&mut self, fsgid: u32) -> u32 {
        let before = self.fsgid;
        let allowed = [self.gid, self.egid, self.sgid, self.fsgid];
        if fsgid != UNCHANGED && (self.has(Capability::SETGID) || allowed.contains(&fsgid)) {
            self.fsgid = fsgid;
        }
        before
    }

    pub(super) fn setgroups(&mut self, groups: Vec<u32>) -> Result<(), Errno> {
        if !self.has(Capability::SETGID) {
            return Err(Errno::PERM);
        }
        if groups.contains(&UNCHANGED) {
            return Err(Errno::INVAL);
        }
        self.groups = groups;
        // The kernel keeps them in order, and tells them so.
        self.groups.sort_unstable();
        Ok(())
    }
}

fn check_id(id: u32) -> Result<(), Errno> {
    if id == UNCHANGED { Err(Errno::INVAL) } else { Ok(()) }
}

fn pick(id: u32, old: u32) -> u32 {
    if id == UNCHANGED { old } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Credentials {
        Credentials::root(CapabilitySet::DEFAULT)
    }

    fn user(uid: u32) -> Credentials {
        let mut who = root();
        who.setgid(uid).unwrap();
        who.setuid(uid).unwrap();
        who
    }

    #[test]
    fn who_is_root_no_more_has_no_rights() {
        let who = user(1000);
        assert_eq!([who.uid, who.euid, who.suid, who.fsuid], [1000; 4]);
        assert_eq!((who.permitted, who.effective), (0, 0));
        assert_eq!(who.bounding, CapabilitySet::DEFAULT.bits());
        assert_eq!(who.clone().setuid(0), Err(Errno::PERM));
        assert_eq!(who.clone().setgroups(vec![1]), Err(Errno::PERM));
        assert_eq!(who.clone().setresuid(UNCHANGED, 1000, UNCHANGED), Ok(()));
        assert_eq!(who.clone().setreuid(0, UNCHANGED), Err(Errno::PERM));
    }

    #[test]
    fn rights_come_back_with_the_saved_id() {
        let mut who = root();
        who.setresuid(UNCHANGED, 1000, 0).unwrap();
        assert_eq!((who.effective, who.permitted), (0, CapabilitySet::DEFAULT.bits()));
        who.setresuid(UNCHANGED, 0, UNCHANGED).unwrap();
        assert_eq!(who.effective, CapabilitySet::DEFAULT.bits());
        // Only those that file systems look at follow their own id.
        who.setfsuid(1000);
        assert!(!who.has(Capability::DAC_OVERRIDE) && who.has(Capability::SETUID));
        assert_eq!(who.setfsuid(0), 1000);
        assert!(who.has(Capability::DAC_OVERRIDE));
    }

    #[test]
    fn capabilities_can_be_kept() {
        let mut who = root();
        who.prctl(libc::PR_SET_KEEPCAPS.unsigned_abs(), [1, 0, 0, 0]).unwrap();
        who.setuid(1000).unwrap();
        assert_eq!((who.effective, who.permitted), (0, CapabilitySet::DEFAULT.bits()));
        who.capset(who.permitted, who.permitted, 0).unwrap();
        assert!(who.has(Capability::SETUID));
        assert_eq!(who.capset(0, u64::MAX, 0), Err(Errno::PERM));
    }

    #[test]
    fn programs_can_make_somebody_else_of_their_user() {
        let mut who = user(1000);
        let setuid = Privileges { uid: Some(0), ..Privileges::default() };
        assert!(who.execute(&setuid).unwrap(), "the environment is not to be trusted");
        assert_eq!([who.uid, who.euid, who.suid], [1000, 0, 0]);
        assert_eq!(who.effective, CapabilitySet::DEFAULT.bits());
        let mut careful = user(1000);
        careful.no_new_privs = true;
        assert!(!careful.execute(&setuid).unwrap());
        assert_eq!(careful, Credentials { no_new_privs: true, ..user(1000) });
        let mut root = root();
        assert!(!root.execute(&Privileges::default()).unwrap());
        assert_eq!(root.effective, CapabilitySet::DEFAULT.bits());
    }

    #[test]
    fn capabilities_of_programs_are_read() {
        // cap_net_raw=ep, as setcap(8) writes it.
        let value = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let file = FileCapabilities::parse(&value).unwrap();
        assert_eq!(file, FileCapabilities { permitted: 1 << 13, inheritable: 0, is_effective: true });
        assert_eq!(FileCapabilities::parse(&value[..19]), None);
        let mut who = user(1000);
        who.execute(&Privileges { capabilities: Some(file), ..Privileges::default() }).unwrap();
        assert_eq!((who.effective, who.permitted), (1 << 13, 1 << 13));
        let beyond = FileCapabilities { permitted: CapabilitySet::ALL.bits(), ..file };
        let executed =
            |file| user(1000).execute(&Privileges { capabilities: Some(file), ..Privileges::default() });
        assert_eq!(executed(beyond), Err(Errno::PERM), "it would not notice that it lacks some");
        assert_eq!(executed(FileCapabilities { is_effective: false, ..beyond }), Ok(true));
    }
}
