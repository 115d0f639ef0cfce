//! What starts the containers of a node: the two that people have, and what they do to a container that asks for nothing.

use serde_json::Value;

/// A container runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// Its `RuntimeDefault` filter refuses with EPERM what it does not know.
    Containerd,
    /// Its `RuntimeDefault` filter answers ENOSYS to what it does not know.
    Crio,
}

impl Runtime {
    /// The capabilities that a container may hold by default.
    pub fn capabilities(self) -> &'static [&'static str] {
        match self {
            Self::Containerd => &[
                "CAP_AUDIT_WRITE",
                "CAP_CHOWN",
                "CAP_DAC_OVERRIDE",
                "CAP_FOWNER",
                "CAP_FSETID",
                "CAP_KILL",
                "CAP_MKNOD",
                "CAP_NET_BIND_SERVICE",
                "CAP_NET_RAW",
                "CAP_SETFCAP",
                "CAP_SETGID",
                "CAP_SETPCAP",
                "CAP_SETUID",
                "CAP_SYS_CHROOT",
            ],
            Self::Crio => &[
                "CAP_CHOWN",
                "CAP_DAC_OVERRIDE",
                "CAP_FOWNER",
                "CAP_FSETID",
                "CAP_KILL",
                "CAP_NET_BIND_SERVICE",
                "CAP_SETGID",
                "CAP_SETPCAP",
                "CAP_SETUID",
            ],
        }
    }

    /// The `RuntimeDefault` filter, in the form of `fixtures/pods`.
    pub(super) fn filter(self) -> Value {
        let text = match self {
            Self::Containerd => include_str!("../../../../fixtures/pods/containerd.json"),
            Self::Crio => include_str!("../../../../fixtures/pods/crio.json"),
        };
        serde_json::from_str(text).expect("a filter is JSON")
    }
}
