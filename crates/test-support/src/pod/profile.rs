//! The security contexts in which a build must work, from `privileged` to the standard `restricted`.
//!
//! Each is what a kubelet asks of its runtime for a pod that people really have. Knows nothing of the form in which a
//! runtime is asked.

use super::runtime::Runtime;

/// The security context of a pod.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// By which tests and documents name it.
    pub name: &'static str,
    /// The pods that have it, in the words of their manifests.
    pub meaning: &'static str,
    /// What starts the containers.
    pub runtime: Runtime,
    /// `runAsUser`.
    pub uid: u32,
    /// `runAsGroup`.
    pub gid: u32,
    /// What the process may hold.
    pub capabilities: Capabilities,
    /// `seccompProfile`.
    pub seccomp: Seccomp,
    /// Whether the pod has a user namespace of its own: `hostUsers: false`.
    pub user_namespace: bool,
    /// `allowPrivilegeEscalation`; without it, setuid programs such as newuidmap(1) have no effect.
    pub escalation: bool,
    /// `readOnlyRootFilesystem`.
    pub read_only: bool,
}

/// The capabilities of a container: what its process may hold. Root holds them, everyone else none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capabilities {
    /// `privileged: true`: all that the test itself could hold, writable kernel files, and no path masked.
    Privileged,
    /// Those that the runtime gives to everyone, and these of `capabilities.add`.
    DefaultAnd(&'static [&'static str]),
    /// None: `capabilities.drop` is `ALL`.
    Dropped,
}

/// The filter over the system calls of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seccomp {
    /// None.
    Unconfined,
    /// The default of the runtime.
    RuntimeDefault,
}

const ROOT: Profile = Profile {
    name: "root",
    meaning: "no securityContext, on containerd: what a pod is by default",
    runtime: Runtime::Containerd,
    uid: 0,
    gid: 0,
    capabilities: Capabilities::DefaultAnd(&[]),
    seccomp: Seccomp::Unconfined,
    user_namespace: false,
    escalation: true,
    read_only: false,
};

const ROOT_CRIO: Profile = Profile {
    name: "root-crio",
    meaning: "OpenShift's task buildah: root with the capabilities of CRI-O and SETFCAP, seccomp Unconfined",
    runtime: Runtime::Crio,
    capabilities: Capabilities::DefaultAnd(&["CAP_SETFCAP"]),
    ..ROOT
};

const NONROOT: Profile = Profile {
    name: "nonroot",
    meaning: "runAsUser 1000, allowPrivilegeEscalation false, seccomp Unconfined",
    uid: 1000,
    gid: 1000,
    escalation: false,
    ..ROOT
};

const RESTRICTED: Profile = Profile {
    name: "restricted",
    meaning: "the Pod Security Standard restricted: runAsUser 1000, capabilities drop ALL, no escalation, RuntimeDefault",
    capabilities: Capabilities::Dropped,
    seccomp: Seccomp::RuntimeDefault,
    ..NONROOT
};

impl Profile {
    /// Every profile, from the most to the least allowed.
    pub const ALL: [Self; 14] = [
        Self {
            name: "privileged",
            meaning: "privileged: true, as root",
            capabilities: Capabilities::Privileged,
            ..ROOT
        },
        ROOT,
        Self {
            name: "root-seccomp",
            meaning: "root with RuntimeDefault of containerd",
            seccomp: Seccomp::RuntimeDefault,
            ..ROOT
        },
        ROOT_CRIO,
        Self {
            name: "root-crio-seccomp",
            meaning: "the task buildah with RuntimeDefault of CRI-O",
            seccomp: Seccomp::RuntimeDefault,
            ..ROOT_CRIO
        },
        Self {
            name: "root-nocaps",
            meaning: "root, capabilities drop ALL, RuntimeDefault of containerd",
            capabilities: Capabilities::Dropped,
            seccomp: Seccomp::RuntimeDefault,
            ..ROOT
        },
        Self {
            name: "userns",
            meaning: "hostUsers: false, RuntimeDefault of containerd",
            seccomp: Seccomp::RuntimeDefault,
            user_namespace: true,
            ..ROOT
        },
        Self {
            name: "userns-crio",
            meaning: "OpenShift's task buildah-ns: the task buildah in a user namespace of CRI-O",
            user_namespace: true,
            ..ROOT_CRIO
        },
        Self {
            name: "userns-crio-seccomp",
            meaning: "the task buildah-ns with RuntimeDefault of CRI-O",
            seccomp: Seccomp::RuntimeDefault,
            user_namespace: true,
            ..ROOT_CRIO
        },
        Self {
            name: "nonroot-setuid",
            meaning: "runAsUser 1000 that may escalate: newuidmap works; seccomp Unconfined",
            escalation: true,
            ..NONROOT
        },
        NONROOT,
        Self {
            name: "restricted-crio",
            meaning: "OpenShift's restricted-v2: a random uid of group 0, otherwise restricted, RuntimeDefault of CRI-O",
            runtime: Runtime::Crio,
            uid: 1_000_680_000,
            gid: 0,
            ..RESTRICTED
        },
        RESTRICTED,
        Self {
            name: "restricted-ro",
            meaning: "restricted, and readOnlyRootFilesystem",
            read_only: true,
            ..RESTRICTED
        },
    ];

    /// The profile of this name; panics if there is none.
    #[track_caller]
    pub fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|profile| profile.name == name);
        found.unwrap_or_else(|| panic!("no profile of a pod is named `{name}`"))
    }

    /// The capabilities that the process may hold; `None` where it is all that the test itself could.
    pub fn bounding_set(&self) -> Option<Vec<&'static str>> {
        match self.capabilities {
            Capabilities::Privileged => None,
            Capabilities::DefaultAnd(more) => Some([self.runtime.capabilities(), more].concat()),
            Capabilities::Dropped => Some(Vec::new()),
        }
    }

    /// Whether it is `privileged: true`.
    pub fn is_privileged(&self) -> bool {
        self.capabilities == Capabilities::Privileged
    }
}
