//! What the kernel and the pod allow, as data; knows nothing of how it is found out or shown.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::capabilities::Held;
use crate::errno::Errno;
use crate::id_map::IdMap;
use crate::identity::Identity;
use crate::overlay::OverlayXattrs;

/// Whether one thing that the sandbox can make use of works here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// It was tried and works.
    Allowed {
        /// What there is: a version, a number of ids, a path; empty if there is nothing to add.
        detail: String,
    },
    /// It was tried and does not work, or was not tried for a known reason.
    Denied(Denial),
}

impl Fact {
    /// The reason if it does not work.
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Allowed { .. } => None,
            Self::Denied(denial) => Some(denial),
        }
    }

    /// Whether it works.
    pub fn is_allowed(&self) -> bool {
        self.denial().is_none()
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

/// Everything that [`crate::probe`] found out.
#[derive(Clone, Debug)]
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

    /// A mount namespace without a user namespace: root with `SYS_ADMIN`.
    pub real_root: Fact,
    /// A user namespace with all ids of this one, its map written by this process.
    pub own_map: Fact,
    /// A user namespace with subordinate ids, its map written by newuidmap(1).
    pub subordinate_map: Fact,
    /// A user namespace with one id.
    pub single_map: Fact,

    /// Mounting a tmpfs.
    pub tmpfs: Fact,
    /// Bind mounts.
    pub bind: Fact,
    /// A new pid namespace.
    pub pid_namespace: Fact,
    /// A new network namespace, which `--network=none` needs.
    pub network_namespace: Fact,
    /// Mounting a new /proc.
    pub proc: Fact,
    /// Changing the root directory.
    pub pivot_root: Fact,
    /// Overlay mounts on the state directory.
    pub overlay: Fact,
    /// Which extended attributes such an overlay uses.
    pub overlay_xattrs: Option<OverlayXattrs>,

    /// Tracing a child.
    pub ptrace: Fact,
    /// Loading a seccomp filter.
    pub seccomp_filter: Fact,
    /// Answering system calls of a child.
    pub seccomp_notify: Fact,
    /// Tracing a child and answering it, with access to its memory and its table of files.
    pub supervision: Fact,
    /// Landlock.
    pub landlock: Fact,

    /// The best identity that works, if any.
    pub(crate) identity: Option<Identity>,
}

impl Facts {
    /// Every fact with its name, in the order in which they build on each other.
    pub fn named(&self) -> [(&'static str, &Fact); 16] {
        [
            ("real root", &self.real_root),
            ("user namespace with own id map", &self.own_map),
            ("user namespace with newuidmap", &self.subordinate_map),
            ("user namespace with one id", &self.single_map),
            ("tmpfs mount", &self.tmpfs),
            ("bind mount", &self.bind),
            ("pid namespace", &self.pid_namespace),
            ("network namespace", &self.network_namespace),
            ("new /proc mount", &self.proc),
            ("pivot_root", &self.pivot_root),
            ("overlay on the state directory", &self.overlay),
            ("ptrace", &self.ptrace),
            ("seccomp filter", &self.seccomp_filter),
            ("seccomp user notification", &self.seccomp_notify),
            ("supervision of a child", &self.supervision),
            ("Landlock", &self.landlock),
        ]
    }
}
