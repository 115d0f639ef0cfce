//! What can go wrong between a directory tree and a changeset.
//!
//! Paths in errors are paths inside the root they belong to: the user knows `/usr/bin/sudo`, not where the builder
//! keeps the tree that holds it.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// A failure of this crate; the cause, where there is one, is the `source`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on an entry of a tree failed.
    #[error("cannot {operation} `{}`", path.display())]
    Io {
        /// What was attempted, as a verb: "open", "rename".
        operation: &'static str,
        /// The entry, inside its root.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// An entry could not be given to its owner.
    #[error("cannot give `{}` to uid {uid}, gid {gid}", path.display())]
    Chown {
        /// The entry, inside its root.
        path: PathBuf,
        /// The user id it should have had.
        uid: u32,
        /// The group id it should have had.
        gid: u32,
        /// `EPERM` or `EINVAL`: the id is not ours to give, or not mapped in this user namespace.
        source: io::Error,
    },
    /// A device node could not be made.
    #[error("cannot make the device node `{}` ({major}:{minor})", path.display())]
    Device {
        /// The entry, inside its root.
        path: PathBuf,
        /// The device's major number.
        major: u32,
        /// The device's minor number.
        minor: u32,
        /// The kernel's answer.
        source: io::Error,
    },
    /// An extended attribute could not be read or written.
    #[error("cannot {operation} the extended attribute {name} of `{}`", path.display())]
    Xattr {
        /// "read", "list" or "set".
        operation: &'static str,
        /// The attribute's full name.
        name: String,
        /// The entry, inside its root.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The entry exists, but is of another kind than the operation needs.
    #[error("`{}` is not a {expected}", path.display())]
    WrongKind {
        /// The entry, inside its root.
        path: PathBuf,
        /// "directory", "regular file" or "symbolic link".
        expected: &'static str,
    },
    /// A copy would have put a directory over something else, or something else over a directory.
    #[error("cannot replace the {existing} `{}` by a {replacement}", path.display())]
    Replacement {
        /// The destination, inside its root.
        path: PathBuf,
        /// What is there.
        existing: &'static str,
        /// What should have been put there.
        replacement: &'static str,
    },
    /// A file is larger than the reader was told to accept.
    #[error("`{}` is larger than {limit} bytes", path.display())]
    FileTooLarge {
        /// The entry, inside its root.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// A path is longer than the kernel's `PATH_MAX`, so that no other tool could unpack it.
    #[error("the path that begins with `{}` is longer than {limit} bytes", beginning.display())]
    PathTooLong {
        /// The first bytes of the path.
        beginning: PathBuf,
        /// The limit in bytes.
        limit: usize,
    },
    /// Something changed a tree while it was read or removed.
    #[error("`{}` changed while it was being read", path.display())]
    Changed {
        /// The entry, inside its root.
        path: PathBuf,
    },

    /// The archive's bytes could not be read or decompressed.
    #[error("cannot read the archive")]
    ReadArchive {
        /// The reader's error.
        source: io::Error,
    },
    /// The bytes are no tar archive, or a broken one.
    #[error("malformed archive after {entries} entries")]
    Malformed {
        /// The number of entries that were read before.
        entries: u64,
        /// What is wrong.
        source: tar_core::parse::ParseError,
    },
    /// An entry of an archive holds a value that cannot be used.
    #[error("the archive entry `{}` has {problem}", path.display())]
    Entry {
        /// The entry's name in the archive.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The name or the link target of an archive entry climbs out of the archive.
    #[error("the archive entry `{}` points outside of the archive", path.display())]
    Escape {
        /// The offending name.
        path: PathBuf,
    },
    /// A hard link in an archive names something that does not exist.
    #[error("the archive entry `{}` is a hard link to `{}`, which does not exist", path.display(), target.display())]
    LinkTarget {
        /// The entry's name.
        path: PathBuf,
        /// The name it links to.
        target: PathBuf,
    },
    /// An archive has more entries than allowed.
    #[error("the archive has more than {limit} entries")]
    TooManyEntries {
        /// The limit.
        limit: u64,
    },
    /// An archive unpacks to more bytes than allowed.
    #[error("the archive unpacks to more than {limit} bytes")]
    TooManyBytes {
        /// The limit.
        limit: u64,
    },

    /// A name that a layer cannot hold, since `.wh.` marks a removed entry there.
    #[error("`{}` cannot be in a layer: names that begin with `.wh.` mark removed files", path.display())]
    ReservedName {
        /// The entry, inside its root.
        path: PathBuf,
    },
    /// A character device 0:0 in a tree; a layer must not hold what overlay takes for a removed file.
    #[error("`{}` is a character device 0:0, which overlay takes for a removed file", path.display())]
    WhiteoutDevice {
        /// The entry, inside its root.
        path: PathBuf,
    },
    /// An overlay upper directory was written with a feature that hides data elsewhere.
    #[error("`{}` has the overlay attribute {xattr}: its data is not in the upper directory", path.display())]
    OverlayFeature {
        /// The entry, inside the upper directory.
        path: PathBuf,
        /// The attribute's full name.
        xattr: String,
    },
    /// An entry has a value that the tar format cannot express.
    #[error("`{}` cannot be written to a tar archive: {problem}", path.display())]
    Unrepresentable {
        /// The entry, inside its root.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An entry holds what the caller forbids.
    #[error("the {part} of `{}` holds {what}", path.display())]
    Forbidden {
        /// The entry, inside its root. Where the name is the part, it holds what is forbidden.
        path: PathBuf,
        /// "name", "link target", "extended attributes" or "content".
        part: &'static str,
        /// What is forbidden, by the caller's name for it.
        what: String,
    },
    /// The archive could not be compressed or written.
    #[error("cannot write the archive")]
    WriteArchive {
        /// The writer's error.
        source: io::Error,
    },
    /// The kernel, or the pod's filter, has no way to look up a path inside of a directory.
    #[error("cannot look up paths inside of `{}`: openat2 is denied or unknown", path.display())]
    Lookup {
        /// The directory.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The threads that compress could not be started.
    #[error("cannot start {threads} threads to compress")]
    Threads {
        /// The number that was asked for.
        threads: usize,
        /// Why not.
        source: rayon::ThreadPoolBuildError,
    },
}

impl Error {
    /// What the user can do about it, where something can be done.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Chown { .. } => Some(
                "the ids of the image are not usable here: run as root, or give the user more subordinate ids in \
                 /etc/subuid and /etc/subgid",
            ),
            Self::Xattr { operation: "set", name, .. } if name.starts_with("security.") => {
                Some("`builder doctor` tells what denies it; `--isolation trace` keeps it in a table instead")
            }
            Self::Device { .. } => Some(
                "use a store on a file system with user attributes, or `--isolation trace`, which keeps devices in a table",
            ),
            Self::OverlayFeature { .. } => Some("mount the overlay with redirect_dir=off,metacopy=off"),
            Self::Io { source, .. } if is(source, Errno::NOSPC) => {
                Some("the file system of the store is full")
            }
            Self::Io { source, .. } if is(source, Errno::DQUOT) => {
                Some("the disk quota of the store is used up")
            }
            Self::Io { source, .. } if is(source, Errno::ACCESS) => {
                Some("look at owner and mode of it and of the directories above it")
            }
            Self::Lookup { .. } => {
                Some("Linux 5.6 or newer is needed, and a seccomp profile that allows openat2")
            }
            Self::Io { source, .. } if is(source, Errno::NOSYS) => {
                Some("Linux 5.12 or newer is needed, and a seccomp profile that knows its system calls")
            }
            Self::Io { source, .. } if is(source, Errno::MFILE) => {
                Some("raise the limit of open files (ulimit -n)")
            }
            _ => None,
        }
    }

    pub(crate) fn io(operation: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io { operation, path: path.to_owned(), source: source.into() }
    }

    pub(crate) fn entry(path: &Path, problem: &'static str) -> Self {
        Self::Entry { path: path.to_owned(), problem }
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

/// Adds operation and path to the kernel's answer.
pub(crate) trait Context<T> {
    /// `operation` is a verb that reads well between "cannot" and the path.
    fn context(self, operation: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::io(operation, path, source))
    }
}
