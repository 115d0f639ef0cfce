//! What a `RUN --mount=` means: one type per kind of mount, defaults filled in. How options become one of them,
//! `mount_resolve` says.

use std::collections::BTreeSet;

/// A mount with its options settled. Targets are relative to WORKDIR unless they start with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSpec {
    /// `type=bind`, the default.
    Bind(BindMount),
    /// `type=cache`.
    Cache(CacheMount),
    /// `type=tmpfs`.
    Tmpfs(TmpfsMount),
    /// `type=secret`.
    Secret(SecretMount),
    /// `type=ssh`.
    Ssh(SshMount),
}

/// Files of the context, of a stage, an image or a named context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindMount {
    /// Where the files come from; without it, the context.
    pub from: Option<String>,
    /// The path there; empty for its root.
    pub source: String,
    /// Where they appear; empty for WORKDIR itself.
    pub target: String,
    /// Whether writing is refused. What is written to a writable one is thrown away.
    pub read_only: bool,
    /// How it is mounted.
    pub flags: BTreeSet<MountFlag>,
}

/// A directory that outlives the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheMount {
    /// The name of the cache; by default the target, cleaned.
    pub id: Option<String>,
    /// What a new cache starts with; without it, nothing.
    pub from: Option<String>,
    /// The path there; empty for its root.
    pub source: String,
    /// Where it appears; empty for WORKDIR itself.
    pub target: String,
    /// What other steps may do at the same time.
    pub sharing: Sharing,
    /// Whether writing is refused.
    pub read_only: bool,
    /// Mode of a new cache directory.
    pub mode: u32,
    /// Owner of a new cache directory.
    pub uid: u32,
    /// Group of a new cache directory.
    pub gid: u32,
    /// How it is mounted.
    pub flags: BTreeSet<MountFlag>,
}

/// An empty directory in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TmpfsMount {
    /// Where it appears; empty for WORKDIR itself.
    pub target: String,
    /// Its limit in bytes.
    pub size: Option<u64>,
    /// Its mode.
    pub mode: Option<u32>,
    /// Whether writing is refused.
    pub read_only: bool,
    /// How it is mounted.
    pub flags: BTreeSet<MountFlag>,
}

/// A secret as a file, as an environment variable, or as both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretMount {
    /// The name of the secret.
    pub id: String,
    /// The file, if there is one.
    pub target: Option<String>,
    /// The variable, if there is one.
    pub env: Option<String>,
    /// Whether the step fails without the secret.
    pub required: bool,
    /// Mode of the file.
    pub mode: u32,
    /// Owner of the file.
    pub uid: u32,
    /// Group of the file.
    pub gid: u32,
}

/// The socket of an SSH agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshMount {
    /// The name of the agent.
    pub id: String,
    /// The socket; by default `/run/buildkit/ssh_agent.N`.
    pub target: Option<String>,
    /// Whether the step fails without the agent.
    pub required: bool,
    /// Mode of the socket.
    pub mode: u32,
    /// Owner of the socket.
    pub uid: u32,
    /// Group of the socket.
    pub gid: u32,
}

/// `sharing=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Any number of steps at once.
    #[default]
    Shared,
    /// Each step its own, if another one has it.
    Private,
    /// One step at a time.
    Locked,
}

/// A switch of a mount, as buildah spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MountFlag {
    /// `nosuid`.
    NoSuid,
    /// `noexec`.
    NoExec,
    /// `bind-nonrecursive`.
    NonRecursive,
    /// `no-dereference`: a source that is a symbolic link is mounted itself.
    NoDereference,
    /// `U`: the source is given to the step's user.
    Chown,
    /// `tmpcopyup`: the tmpfs starts with what the target holds.
    CopyUp,
}
