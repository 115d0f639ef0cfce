//! What to run and where, as plain data; serializable, since a child process reads it.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::capabilities::CapabilitySet;

/// One command in a root file system.
///
/// /proc, /sys and /dev are always there and need no mount.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunSpec {
    /// The root file system: a directory, written to in place.
    #[serde(with = "os_path")]
    pub rootfs: PathBuf,
    /// Mounts on top of it, made in this order; a later one may lie inside an earlier one.
    pub mounts: Vec<Mount>,
    /// Program and arguments; a program without `/` is searched for in the `PATH` of `env`. Not empty.
    pub argv: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Working directory inside the root; must exist.
    #[serde(with = "os_path")]
    pub cwd: PathBuf,
    /// User id inside.
    pub uid: u32,
    /// Group id inside.
    pub gid: u32,
    /// Supplementary group ids inside. Where only one id exists they cannot be set and are left out.
    pub groups: Vec<u32>,
    /// Upper limit of what the command and its children can ever hold; a user other than root starts with none.
    pub capabilities: CapabilitySet,
    /// What the command sees of the network.
    pub network: Network,
    /// What hostname(1) prints.
    pub hostname: String,
}

/// What a step sees of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// The network of the builder.
    Host,
    /// A loopback interface of its own and nothing else.
    None,
}

/// A mount inside the root file system.
///
/// Targets are resolved inside the root: no link of an image leads out of it. Mount points that are missing are made,
/// and removed after the step without a trace in the times of their directories.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Mount {
    /// A directory or file that exists elsewhere.
    Bind {
        /// What to mount.
        source: Source,
        /// Where, inside the root.
        #[serde(with = "os_path")]
        target: PathBuf,
        /// Whether the step may write to it.
        access: Access,
    },
    /// A new, empty file system in memory.
    Tmpfs {
        /// Where, inside the root.
        #[serde(with = "os_path")]
        target: PathBuf,
        /// Limit in bytes; half of the memory without it.
        size: Option<u64>,
        /// Permissions of its root directory.
        mode: u32,
    },
}

/// What a bind mount shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    /// A path of ours, trusted.
    #[serde(with = "os_path")]
    pub root: PathBuf,
    /// A path inside `root` that a user chose: no link and no `..` in it leads out. Empty for `root` itself.
    #[serde(with = "os_path")]
    pub path: PathBuf,
}

impl From<PathBuf> for Source {
    fn from(root: PathBuf) -> Self {
        Self { root, path: PathBuf::new() }
    }
}

/// Whether a step may write to a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// It may not.
    ReadOnly,
    /// It may.
    ReadWrite,
}

/// How a step's command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It returned this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// The status as a shell would report it: 128 + n for signal n.
    pub fn status(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }

    /// Whether the command succeeded.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

/// Which of its two outputs a command wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// serde refuses paths that are not UTF-8, but takes such strings of the operating system.
mod os_path {
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        OsString::deserialize(from).map(PathBuf::from)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn a_path_of_any_bytes_reaches_the_child() {
        let strange = PathBuf::from(OsString::from_vec(b"/a\xff\n".to_vec()));
        let text = serde_json::to_string(&Source::from(strange.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Source>(&text).unwrap().root, strange);
    }

    #[test]
    fn a_signal_counts_from_128() {
        assert_eq!(Exit::Signal(9).status(), 137);
        assert_eq!(Exit::Code(3).status(), 3);
        assert!(!Exit::Signal(0).is_success());
    }
}
