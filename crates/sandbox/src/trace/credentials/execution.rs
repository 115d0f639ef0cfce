//! What execve(2) makes of an identity: set-user-ID programs, and programs with capabilities.

use rustix::io::Errno;

use super::{Credentials, KEEP_CAPS, NOROOT};
use crate::capabilities::CapabilitySet;

/// The set-user-ID and set-group-ID owners of a program, and its capabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::trace) struct Privileges {
    pub(in crate::trace) uid: Option<u32>,
    pub(in crate::trace) gid: Option<u32>,
    pub(in crate::trace) capabilities: Option<FileCapabilities>,
}

/// `security.capability` of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::trace) struct FileCapabilities {
    pub(in crate::trace) permitted: u64,
    pub(in crate::trace) inheritable: u64,
    pub(in crate::trace) is_effective: bool,
}

impl FileCapabilities {
    /// Reads the attribute's revisions 2 and 3 (capabilities(7), "File capability extended attribute versioning").
    pub(in crate::trace) fn parse(value: &[u8]) -> Option<Self> {
        let word = |index: usize| {
            let bytes = value.get(index * 4..index * 4 + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let magic = word(0)?;
        if !matches!((magic >> 24, value.len()), (2, 20) | (3, 24)) {
            return None;
        }
        // Of revision 3 are those of one user namespace: that of the id which is its root.
        if word(5).is_some_and(|root| root != 0) {
            return None;
        }
        let wide = |low: usize, high: usize| {
            Some((u64::from(word(high)?) << 32 | u64::from(word(low)?)) & CapabilitySet::ALL.bits())
        };
        Some(Self { permitted: wide(1, 3)?, inheritable: wide(2, 4)?, is_effective: magic & 1 == 1 })
    }
}

impl Credentials {
    /// What execve(2) makes of the identity (capabilities(7), "Transformation of capabilities during `execve()`").
    ///
    /// Returns whether the C library is to distrust its environment (getauxval(3), `AT_SECURE`). `EPERM` for a program
    /// that relies on capabilities which it cannot get ("Safety checking for capability-dumb binaries").
    pub(in crate::trace) fn execute(&mut self, program: &Privileges) -> Result<bool, Errno> {
        if let Some(file) = program.capabilities.filter(|file| file.is_effective)
            && file.permitted & !(file.permitted & self.bounding | file.inheritable & self.inheritable) != 0
        {
            return Err(Errno::PERM);
        }
        let program = if self.no_new_privs { &Privileges::default() } else { program };
        if let Some(uid) = program.uid {
            self.euid = uid;
        }
        if let Some(gid) = program.gid {
            self.egid = gid;
        }
        (self.suid, self.fsuid) = (self.euid, self.euid);
        (self.sgid, self.fsgid) = (self.egid, self.egid);
        let file = self.file_capabilities(program);
        let is_privileged = program.uid.is_some() || program.gid.is_some() || program.capabilities.is_some();
        if is_privileged {
            self.ambient = 0;
        }
        let before = self.permitted;
        self.permitted = self.inheritable & file.inheritable | file.permitted & self.bounding | self.ambient;
        self.effective = if file.is_effective { self.permitted } else { self.ambient };
        self.securebits &= !KEEP_CAPS;
        self.dumpable = u32::from(self.uid == self.euid && self.gid == self.egid);
        let is_root = self.uid == 0;
        let gains = file.is_effective || self.permitted & !(before | self.ambient) != 0;
        Ok(self.uid != self.euid || self.gid != self.egid || (!is_root && gains))
    }

    /// Root's programs have all of them (capabilities(7), "Capabilities and execution of programs by root").
    fn file_capabilities(&self, program: &Privileges) -> FileCapabilities {
        let mut file = program.capabilities.unwrap_or_default();
        if self.securebits & NOROOT == 0 {
            let is_setuid_root_with_capabilities =
                program.capabilities.is_some() && self.uid != 0 && self.euid == 0;
            if (self.uid == 0 || self.euid == 0) && !is_setuid_root_with_capabilities {
                (file.permitted, file.inheritable) = (u64::MAX, u64::MAX);
            }
            if self.euid == 0 {
                file.is_effective = true;
            }
        }
        file
    }
}
