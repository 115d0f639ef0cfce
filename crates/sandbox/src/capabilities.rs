//! Sets of capabilities (capabilities(7)) and what this process holds.

use std::fmt;

use rustix::thread::CapabilitySet as Kernel;
use serde::{Deserialize, Serialize};

use crate::error::{Attempt, Error};

/// Names of `linux/capability.h`, by number.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A set of capabilities; prints as `CHOWN DAC_OVERRIDE …`, or `none`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// No capability.
    pub const NONE: Self = Self(0);

    /// Every one that there is: what of them is permitted, a step gets.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// The 14 that containerd, Docker and BuildKit give to root in a container.
    pub const DEFAULT: Self = Self(
        Kernel::CHOWN.bits()
            | Kernel::DAC_OVERRIDE.bits()
            | Kernel::FSETID.bits()
            | Kernel::FOWNER.bits()
            | Kernel::MKNOD.bits()
            | Kernel::NET_RAW.bits()
            | Kernel::SETGID.bits()
            | Kernel::SETUID.bits()
            | Kernel::SETFCAP.bits()
            | Kernel::SETPCAP.bits()
            | Kernel::NET_BIND_SERVICE.bits()
            | Kernel::SYS_CHROOT.bits()
            | Kernel::KILL.bits()
            | Kernel::AUDIT_WRITE.bits(),
    );

    /// What root must hold to build without a user namespace of its own.
    pub(crate) const OF_REAL_ROOT: Self = Self(
        Kernel::SYS_ADMIN.bits()
            | Kernel::CHOWN.bits()
            | Kernel::DAC_OVERRIDE.bits()
            | Kernel::FOWNER.bits()
            | Kernel::SETUID.bits()
            | Kernel::SETGID.bits(),
    );

    /// What of its rights the supervisor of a traced step uses: it does for the step what the builder may do with files,
    /// and nothing that the kernel lets only root do.
    pub(crate) const OF_SUPERVISOR: Self =
        Self(Kernel::DAC_OVERRIDE.bits() | Kernel::DAC_READ_SEARCH.bits() | Kernel::FOWNER.bits());

    /// What a process must hold to write an id map of ids that are not its own (`user_namespaces(7)`).
    pub(crate) const TO_MAP_IDS: Self =
        Self(Kernel::SETUID.bits() | Kernel::SETGID.bits() | Kernel::SETFCAP.bits());

    /// One bit for each, by number.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// Whether all of `other` are in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those in both sets.
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those of this set that are not in `other`.
    pub fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the set has no member.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn numbers(self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(move |number| self.0 >> number & 1 == 1)
    }
}

impl fmt::Display for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (position, number) in self.numbers().enumerate() {
            let space = if position == 0 { "" } else { " " };
            match NAMES.get(number as usize) {
                Some(name) => write!(f, "{space}{name}")?,
                None => write!(f, "{space}{number}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

/// The capability sets of this thread that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// What it may do now.
    pub effective: CapabilitySet,
    /// What a program that it executes may gain at most.
    pub bounding: CapabilitySet,
}

/// Reads what this thread holds.
pub(crate) fn held() -> Result<Held, Error> {
    let sets = rustix::thread::capabilities(None).attempt("capget", || "read capabilities".to_owned())?;
    Ok(Held { effective: CapabilitySet(sets.effective.bits()), bounding: bounding() })
}

/// The kernel answers EINVAL above its last capability.
fn bounding() -> CapabilitySet {
    let present = (0..u64::BITS)
        .map(|number| 1 << number)
        .take_while(|bit| {
            rustix::thread::capability_is_in_bounding_set(Kernel::from_bits_retain(*bit)).is_ok()
        })
        .filter(|bit| {
            rustix::thread::capability_is_in_bounding_set(Kernel::from_bits_retain(*bit)) == Ok(true)
        });
    CapabilitySet(present.fold(0, |set, bit: u64| set | bit))
}

/// Removes everything but `kept` from the bounding set, for good.
pub(crate) fn limit_bounding(kept: CapabilitySet) -> Result<(), Error> {
    for number in bounding().difference(kept).numbers() {
        rustix::thread::remove_capability_from_bounding_set(Kernel::from_bits_retain(1 << number))
            .attempt("prctl(PR_CAPBSET_DROP)", || "drop capabilities".to_owned())?;
    }
    Ok(())
}

/// Makes `set` (what of it is permitted) the whole of what this thread can do; nothing stays inheritable or ambient.
pub(crate) fn hold_only(set: CapabilitySet) -> Result<(), Error> {
    let doing = || "set capabilities".to_owned();
    let permitted = rustix::thread::capabilities(None).attempt("capget", doing)?.permitted;
    let kept = Kernel::from_bits_retain(set.0) & permitted;
    rustix::thread::clear_ambient_capability_set().attempt("prctl(PR_CAP_AMBIENT)", doing)?;
    let sets =
        rustix::thread::CapabilitySets { effective: kept, permitted: kept, inheritable: Kernel::empty() };
    rustix::thread::set_capabilities(None, sets).attempt("capset", doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_fourteen_of_docker() {
        assert_eq!(CapabilitySet::DEFAULT.numbers().count(), 14);
        assert_eq!(
            CapabilitySet::DEFAULT.to_string(),
            "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT \
             MKNOD AUDIT_WRITE SETFCAP"
        );
        assert_eq!(CapabilitySet::NONE.to_string(), "none");
    }

    #[test]
    fn real_root_always_holds_more_than_a_step() {
        // The rule that keeps a step from reading its supervisors through /proc (ptrace(2)).
        assert!(!CapabilitySet::DEFAULT.contains(CapabilitySet::OF_REAL_ROOT));
    }
}
