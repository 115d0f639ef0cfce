//! What to run and where, as plain data; serializable, since a child process reads it.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::capabilities::CapabilitySet;
use crate::choice::Isolation;

/// One command in a root file system.
///
/// /proc, /sys and /dev are always there and need no mount.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunSpec {
    /// How the command is kept apart.
    pub isolation: Isolation,
    /// The root file system: a directory, written to in place.
    #[serde(with = "os_path")]
    pub rootfs: PathBuf,
    /// The ownership table of the root file system, where the disk does not say whom files belong to: read before the
    /// command and written after it.
    ///
    /// It is about all files of the file system that the root lies in, so that of bind mounts from there is in it, too.
    /// In isolation namespaces a supervisor carries out the step's calls if there is one, as in isolation trace.
    #[serde(with = "os_path::option")]
    pub ownership: Option<PathBuf>,
    /// Mounts on top of it, made in this order; a later one may lie inside an earlier one.
    pub mounts: Vec<Mount>,
    /// Program and arguments; a program without `/` is searched for in the `PATH` of `env`. Not empty.
    pub argv: Vec<OsString>,
    /// The environment.
    pub env: Vec<(String, String)>,
    /// Variables whose values nobody else may see; they win over those of `env`.
    pub secret_env: Vec<(String, Content)>,
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
    /// What the command may do to the kernel.
    pub protection: Protection,
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

/// Whether the parts of /proc and /sys that concern the whole machine are hidden or read-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protection {
    /// They are.
    Masked,
    /// They are as the builder sees them.
    Unmasked,
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
        /// What may be done with it.
        limits: Limits,
        /// Whether what is mounted below the source comes along.
        submounts: Submounts,
    },
    /// A new file system in memory.
    Tmpfs {
        /// Where, inside the root.
        #[serde(with = "os_path")]
        target: PathBuf,
        /// Limit in bytes; half of the memory without it.
        size: Option<u64>,
        /// Permissions of its root directory; without them 1777 (tmpfs(5)), or those of what it is a copy of.
        mode: Option<u32>,
        /// What may be done with it; set-user-ID programs and devices never work in it.
        limits: Limits,
        /// What is in it at the start.
        start: TmpfsStart,
    },
    /// A read-only file that exists in memory only, is never swapped out, and vanishes with the step.
    File {
        /// Where, inside the root.
        #[serde(with = "os_path")]
        target: PathBuf,
        /// All of it.
        content: Content,
        /// Its permissions.
        mode: u32,
        /// Its owner inside.
        uid: u32,
        /// Its group inside.
        gid: u32,
    },
}

impl Mount {
    /// A bind mount with all that is mounted below it.
    pub fn bind(source: impl Into<Source>, target: impl Into<PathBuf>, access: Access) -> Self {
        let limits = Limits { access, ..Limits::default() };
        Self::Bind { source: source.into(), target: target.into(), limits, submounts: Submounts::Included }
    }
}

/// Bytes that `Debug` does not show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content(Vec<u8>);

impl Content {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Content(***)")
    }
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
    /// What is mounted if the path ends in a symbolic link.
    pub link: Link,
}

impl From<PathBuf> for Source {
    fn from(root: PathBuf) -> Self {
        Self { root, path: PathBuf::new(), link: Link::Followed }
    }
}

/// What a path stands for that ends in a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Link {
    /// For what the link leads to.
    Followed,
    /// For the link.
    Kept,
}

/// Whether what is mounted below a directory is part of a bind mount of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Submounts {
    /// It is.
    Included,
    /// It is not; refused where those mounts came from a more privileged namespace (`mount_namespaces(7)`).
    LeftOut,
}

/// What a file system in memory begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TmpfsStart {
    /// Nothing.
    Empty,
    /// What is in the directory that it is mounted on, whose owner and time it takes as well.
    CopyOfTarget,
}

/// What a step may do with a mount (mount(8), "FILESYSTEM-INDEPENDENT MOUNT OPTIONS").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Whether it may write to it.
    pub access: Access,
    /// Whether set-user-ID bits and file capabilities are ignored.
    pub nosuid: bool,
    /// Whether device nodes cannot be opened.
    pub nodev: bool,
    /// Whether programs cannot be executed.
    pub noexec: bool,
}

impl Default for Limits {
    /// Everything may be done.
    fn default() -> Self {
        Self { access: Access::ReadWrite, nosuid: false, nodev: false, noexec: false }
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

    /// The same for a path that may be missing.
    pub(super) mod option {
        use super::{Deserialize, Deserializer, OsString, PathBuf, Serialize, Serializer};

        pub(in super::super) fn serialize<'a, S: Serializer>(
            path: impl Into<Option<&'a PathBuf>>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            path.into().map(|path| path.as_os_str()).serialize(to)
        }

        pub(in super::super) fn deserialize<'de, D>(from: D) -> Result<Option<PathBuf>, D::Error>
        where
            D: Deserializer<'de>,
        {
            Ok(Option::<OsString>::deserialize(from)?.map(PathBuf::from))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Maybe(#[serde(with = "os_path::option")] Option<PathBuf>);

    #[test]
    fn a_path_of_any_bytes_reaches_the_child() {
        let strange = PathBuf::from(OsString::from_vec(b"/a\xff\n".to_vec()));
        let text = serde_json::to_string(&Source::from(strange.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Source>(&text).unwrap().root, strange);
        for path in [Some(strange), None] {
            let text = serde_json::to_string(&Maybe(path.clone())).unwrap();
            assert_eq!(serde_json::from_str::<Maybe>(&text).unwrap().0, path);
        }
    }

    #[test]
    fn content_is_not_shown() {
        let content = Content::from(b"hunter2".to_vec());
        assert_eq!(format!("{content:?}"), "Content(***)");
        assert_eq!(content.bytes(), b"hunter2");
    }

    #[test]
    fn a_signal_counts_from_128() {
        assert_eq!(Exit::Signal(9).status(), 137);
        assert_eq!(Exit::Code(3).status(), 3);
        assert!(!Exit::Signal(0).is_success());
    }
}
