//! What the kernel and the pod allow, as data; knows nothing of how it is found out or shown.

use std::cell::OnceCell;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::capabilities::Held;
use crate::errno::Errno;
use crate::id_map::IdMap;
use crate::identity::Identity;
use crate::overlay::OverlayXattrs;

/// One thing that the sandbox can make use of; prints as the name of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Feature {
    /// A mount namespace without a user namespace: root with `SYS_ADMIN`.
    RealRoot,
    /// A user namespace with all ids of this one, its map written by this process.
    OwnMap,
    /// A user namespace with subordinate ids, its map written by newuidmap(1).
    SubordinateMap,
    /// A user namespace with one id.
    SingleMap,
    /// Mounting a tmpfs.
    Tmpfs,
    /// Bind mounts.
    Bind,
    /// A new pid namespace.
    PidNamespace,
    /// A new network namespace, which `--network=none` needs.
    NetworkNamespace,
    /// Mounting a new /proc.
    Proc,
    /// Changing the root directory.
    PivotRoot,
    /// Giving capabilities to a file in the state directory.
    FileCapabilities,
    /// Overlay mounts on the state directory.
    Overlay,
    /// Tracing a child.
    Ptrace,
    /// Loading a seccomp filter.
    SeccompFilter,
    /// Answering system calls of a child.
    SeccompNotify,
    /// Tracing a child and answering it, with access to its memory and its table of files.
    Supervision,
    /// Landlock.
    Landlock,
}

impl Feature {
    /// All of them, in the order in which they build on each other.
    pub const ALL: [Self; 17] = [
        Self::RealRoot,
        Self::OwnMap,
        Self::SubordinateMap,
        Self::SingleMap,
        Self::Tmpfs,
        Self::Bind,
        Self::PidNamespace,
        Self::NetworkNamespace,
        Self::Proc,
        Self::PivotRoot,
        Self::FileCapabilities,
        Self::Overlay,
        Self::Ptrace,
        Self::SeccompFilter,
        Self::SeccompNotify,
        Self::Supervision,
        Self::Landlock,
    ];
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RealRoot => "real root",
            Self::OwnMap => "user namespace with own id map",
            Self::SubordinateMap => "user namespace with newuidmap",
            Self::SingleMap => "user namespace with one id",
            Self::Tmpfs => "tmpfs mount",
            Self::Bind => "bind mount",
            Self::PidNamespace => "pid namespace",
            Self::NetworkNamespace => "network namespace",
            Self::Proc => "new /proc mount",
            Self::PivotRoot => "pivot_root",
            Self::FileCapabilities => "capabilities of files",
            Self::Overlay => "overlay on the state directory",
            Self::Ptrace => "ptrace",
            Self::SeccompFilter => "seccomp filter",
            Self::SeccompNotify => "seccomp user notification",
            Self::Supervision => "supervision of a child",
            Self::Landlock => "Landlock",
        })
    }
}

/// Whether a feature works here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It was tried and works.
    Allowed(Detail),
    /// It was tried and does not work, or was not tried for a known reason.
    Denied(Denial),
}

impl Fact {
    /// The reason if it does not work.
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Allowed(_) => None,
            Self::Denied(denial) => Some(denial),
        }
    }

    /// Whether it works.
    pub fn is_allowed(&self) -> bool {
        self.denial().is_none()
    }
}

impl From<Result<Detail, Denial>> for Fact {
    fn from(tried: Result<Detail, Denial>) -> Self {
        match tried {
            Ok(detail) => Self::Allowed(detail),
            Err(denial) => Self::Denied(denial),
        }
    }
}

/// What there is of something that works; prints as a few words, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detail {
    /// Nothing to add.
    None,
    /// Every id that there is.
    AllIds,
    /// So many ids.
    Ids(u64),
    /// Which extended attributes an overlay uses.
    Overlay(OverlayXattrs),
    /// The version of an interface.
    Abi(u32),
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::AllIds => f.write_str("all ids"),
            Self::Ids(number) => write!(f, "{number} ids"),
            Self::Overlay(OverlayXattrs::Trusted) => f.write_str("trusted.overlay.* attributes"),
            Self::Overlay(OverlayXattrs::User) => f.write_str("user.overlay.* attributes"),
            Self::Abi(version) => write!(f, "ABI {version}"),
        }
    }
}

/// What was denied, by whom as far as that can be told, and what to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// The system call, file or program that said no: `unshare(CLONE_NEWUSER)`.
    pub call: String,
    /// Its answer, if it was a kernel call that was made.
    pub errno: Option<Errno>,
    /// The likely reason; completes the call to a sentence if that was made.
    pub why: String,
    /// What to change in the pod's securityContext or on the node, if that is known.
    pub cure: Option<String>,
}

impl Denial {
    /// In a few words, for the first line of a build: `unshare denied by seccomp`.
    pub fn brief(&self) -> String {
        let name = self.call.split('(').next().unwrap_or_default();
        let colon = if self.errno.is_some() { "" } else { ":" };
        format!("{name}{colon} {}", self.why)
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno {
            Some(errno) => write!(f, "{}: {errno}; {}", self.call, self.why),
            None => write!(f, "{}: {}", self.call, self.why),
        }
    }
}

/// The seccomp state of this process (seccomp(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// No filter.
    Disabled,
    /// A filter is loaded, as by `seccompProfile: RuntimeDefault`.
    Filtered,
}

/// Finds out whether a feature works.
pub(crate) trait TryOut: fmt::Debug {
    /// Tries it; `facts` tells of others that it builds on.
    fn try_out(&self, facts: &Facts, feature: Feature) -> Fact;
}

/// What [`crate::probe`] finds out: the state of this process at once, and each feature when it is first asked for.
#[derive(Debug)]
pub struct Facts {
    /// Kernel release, for bug reports only: nothing is decided by it.
    pub kernel: String,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Capabilities.
    pub held: Held,
    /// Ids that exist in this namespace.
    pub id_map: IdMap,
    /// Whether executed programs can gain privileges no more (`allowPrivilegeEscalation: false`).
    pub no_new_privs: bool,
    /// Seccomp state.
    pub seccomp: Seccomp,
    /// As whom to work, the best first, and the feature that it takes; or what makes trying pointless.
    pub(crate) ways: [(Feature, Result<Identity, Denial>); 4],
    pub(crate) trial: Box<dyn TryOut>,
    pub(crate) known: [OnceCell<Fact>; Feature::ALL.len()],
}

impl Facts {
    /// Whether a feature works; tried on the first call, which must come before [`crate::enter`], and while the process
    /// has a single thread.
    pub fn fact(&self, feature: Feature) -> &Fact {
        self.known[feature as usize].get_or_init(|| self.trial.try_out(self, feature))
    }

    /// Why a feature does not work, if it does not.
    pub fn denial(&self, feature: Feature) -> Option<&Denial> {
        self.fact(feature).denial()
    }

    /// The best identity that works, if any.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        let mut ways = self.ways.iter().filter_map(|(feature, way)| Some((feature, way.as_ref().ok()?)));
        ways.find(|(feature, _)| self.fact(**feature).is_allowed()).map(|(_, identity)| identity)
    }

    /// Which extended attributes an overlay on the state directory uses, if there can be one.
    pub(crate) fn overlay_xattrs(&self) -> Option<OverlayXattrs> {
        match self.fact(Feature::Overlay) {
            Fact::Allowed(Detail::Overlay(xattrs)) => Some(*xattrs),
            _ => None,
        }
    }
}
