//! What can go wrong with a store, in words a user can act on.

use std::io;
use std::path::{Path, PathBuf};

use oci::Digest;
use rustix::io::Errno;

/// Why a store could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A beginning of an image id that several images share.
    #[error("`{prefix}` is the beginning of {matches} image ids")]
    AmbiguousId {
        /// What was asked for.
        prefix: String,
        /// The number of images it fits.
        matches: usize,
    },
    /// Content that is not what its descriptor says.
    #[error("`{path}` is {found}, not {expected}")]
    DigestMismatch {
        /// Where the content was read or written.
        path: PathBuf,
        /// The digest of the descriptor.
        expected: Digest,
        /// The digest of the content.
        found: Digest,
    },
    /// The file system has no room.
    #[error("no space left to write `{path}`{}", room(*.needed, *.free))]
    DiskFull {
        /// What could not be written.
        path: PathBuf,
        /// Its size in bytes, where that is known.
        needed: Option<u64>,
        /// What the file system had left, in bytes.
        free: Option<u64>,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Builds, in this process or another, are using what was to be removed.
    #[error("the store `{path}` is in use by a running build")]
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {operation} `{path}`")]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// An `oci-layout` file of a version that this program does not know.
    #[error("`{path}` is not an OCI image layout of version 1.0.0 but `{found}`")]
    LayoutVersion {
        /// The `oci-layout` file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// Another process kept a lock for longer than anything takes.
    #[error("`{path}` has been locked by another process for {seconds} seconds")]
    Locked {
        /// The locked file.
        path: PathBuf,
        /// How long this process has waited.
        seconds: u64,
    },
    /// A document that does not parse or contradicts itself.
    #[error("cannot read `{path}`")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: oci::Error,
    },
    /// A blob that a document points to and the store does not have.
    #[error("blob {digest} is not in the store `{path}`")]
    MissingBlob {
        /// The blob.
        digest: Digest,
        /// The store.
        path: PathBuf,
    },
    /// An index where a single image is wanted.
    #[error("{digest} is not a single image but `{media_type}`")]
    NotAnImage {
        /// The document.
        digest: Digest,
        /// What it says it is.
        media_type: String,
    },
    /// An archive could not be written to the stream it was meant for.
    #[error("cannot write the image archive")]
    Output {
        /// The stream's answer.
        source: io::Error,
    },
    /// A name that the image layout does not allow.
    #[error("`{name}` cannot be the name of an image in an image layout")]
    RefName {
        /// The name.
        name: String,
    },
    /// Content that has another size than its descriptor says.
    #[error("`{path}` has {found} bytes, not {expected}")]
    SizeMismatch {
        /// Where the content was read or written.
        path: PathBuf,
        /// The size of the descriptor.
        expected: u64,
        /// The size of the content, or what was read of it when it became too large.
        found: u64,
    },
    /// A document that is larger than any honest one.
    #[error("`{path}` has {size} bytes; {limit} are allowed")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A directory that cannot hold a store.
    #[error("cannot write to the store `{path}`")]
    Unwritable {
        /// The directory of the store.
        path: PathBuf,
        /// The operation that failed.
        source: Box<Self>,
    },
}

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::AmbiguousId { .. } => "give more digits of the id",
            Self::DiskFull { .. } => {
                "free space with `builder prune`, or give a larger file system with `--root DIR`"
            }
            Self::InUse { .. } => "wait until the builds that use it have ended",
            Self::LayoutVersion { .. } => "give another directory with `--root DIR`",
            Self::Io { source, .. } if is(source, &[Errno::BUSY]) => "something is still mounted below it",
            Self::Io { source, .. } if is(source, NO_LOCKS) => {
                "this file system has no file locks; give a local one with `--root DIR`"
            }
            Self::Locked { .. } => {
                "look for a builder process that hangs, or give another directory with `--root DIR`"
            }
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } | Self::MissingBlob { .. } => {
                "the store is damaged; pull or build the image again"
            }
            Self::NotAnImage { .. } => {
                "a docker archive holds one platform; use an OCI layout or an OCI archive"
            }
            Self::RefName { .. } => "use letters and digits, with one of `-._:@+/` between them",
            Self::Unwritable { .. } => "give a directory that this user can write to with `--root DIR`",
            Self::Io { .. } | Self::Malformed { .. } | Self::Output { .. } | Self::TooLarge { .. } => {
                return None;
            }
        })
    }

    /// The failure of `operation` on `path`.
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::sized_io(operation, path, None, source)
    }

    /// The failure of `operation` on `path`, which is to hold `needed` bytes.
    pub(crate) fn sized_io(
        operation: &'static str,
        path: &Path,
        needed: Option<u64>,
        source: io::Error,
    ) -> Self {
        // Readers and writers of this crate pass their own errors through `io::Error`.
        let source = match source.downcast::<Self>() {
            Ok(error) => return error,
            Err(source) => source,
        };
        let path = path.to_owned();
        if is(&source, &[Errno::NOSPC, Errno::DQUOT]) {
            let free = path.parent().and_then(free_space);
            Self::DiskFull { path, needed, free, source }
        } else {
            Self::Io { operation, path, source }
        }
    }

    /// `error`, told as a fault of the whole store where the user has chosen an unsuitable directory.
    pub(crate) fn unwritable(store: &Path, error: Self) -> Self {
        const REFUSALS: &[Errno] = &[Errno::ACCESS, Errno::PERM, Errno::ROFS, Errno::NOTDIR, Errno::EXIST];
        match error {
            Self::Io { ref source, .. } if is(source, REFUSALS) => {
                Self::Unwritable { path: store.to_owned(), source: Box::new(error) }
            }
            other => other,
        }
    }

    /// The error as `Read` and `Write` carry it; [`Error::io`] gets it back.
    pub(crate) fn into_io(self) -> io::Error {
        let kind = match &self {
            Self::DiskFull { source, .. } | Self::Io { source, .. } => source.kind(),
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, self)
    }
}

const NO_LOCKS: &[Errno] = &[Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP];

fn is(error: &io::Error, errnos: &[Errno]) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| errnos.contains(&errno))
}

fn free_space(dir: &Path) -> Option<u64> {
    let statistics = rustix::fs::statvfs(dir).ok()?;
    Some(statistics.f_bavail * statistics.f_frsize)
}

fn room(needed: Option<u64>, free: Option<u64>) -> String {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    match (needed, free) {
        (Some(needed), Some(free)) => {
            format!(": it needs {} MiB and {} MiB are free", mib(needed), free >> 20)
        }
        (Some(needed), None) => format!(": it needs {} MiB", mib(needed)),
        (None, Some(free)) => format!(": {} MiB are free", free >> 20),
        (None, None) => String::new(),
    }
}
