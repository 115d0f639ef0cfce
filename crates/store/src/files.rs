//! How the store makes and reads its files: modes that other users can read, renamed into place, bounded.
//!
//! Knows nothing of what the files mean.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
use tempfile::NamedTempFile;

use crate::Error;

/// Whether a file must survive a power cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It can be made again.
    Lazy,
    /// It is on the disk before it gets its name.
    Synced,
}

/// Makes `path` and its missing parents; `path` itself with `mode` if it is made.
pub(crate) fn create_dir(path: &Path, mode: u32) -> Result<(), Error> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let parents = DirBuilder::new().recursive(true).mode(0o755).create(parent);
        parents.map_err(|source| Error::io("create", parent, source))?;
    }
    match fs::create_dir(path) {
        // The umask may have taken away what other users need.
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode))
            .map_err(|source| Error::io("set the mode of", path, source)),
        Err(_) if path.is_dir() => Ok(()),
        Err(source) => Err(Error::io("create", path, source)),
    }
}

/// Makes a new directory in `parent` that only this user can enter.
pub(crate) fn create_private_dir(parent: &Path, prefix: &str) -> Result<PathBuf, Error> {
    let made = tempfile::Builder::new()
        .prefix(prefix)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)
        .map_err(|source| Error::io("create a directory in", parent, source))?;
    Ok(made.keep())
}

/// Makes a file without a lasting name in `dir`; it is removed unless it is [persisted](persist).
pub(crate) fn create_temporary(dir: &Path) -> Result<NamedTempFile, Error> {
    NamedTempFile::new_in(dir).map_err(|source| Error::io("create a file in", dir, source))
}

/// Gives `temporary` the name `target` in one step, replacing what had it.
pub(crate) fn persist(temporary: NamedTempFile, target: &Path, durability: Durability) -> Result<(), Error> {
    let file = temporary.as_file();
    let named = |operation| move |source| Error::io(operation, target, source);
    file.set_permissions(Permissions::from_mode(0o644)).map_err(named("set the mode of"))?;
    if durability == Durability::Synced {
        file.sync_all().map_err(named("write"))?;
    }
    temporary.persist(target).map_err(|error| Error::io("rename a file to", target, error.error))?;
    match target.parent() {
        Some(parent) if durability == Durability::Synced => {
            File::open(parent).and_then(|dir| dir.sync_all()).map_err(named("write"))
        }
        _ => Ok(()),
    }
}

/// Writes `target` by way of a file in `temporaries`, which must be on the same file system.
pub(crate) fn replace(
    temporaries: &Path,
    target: &Path,
    durability: Durability,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), Error> {
    let mut temporary = create_temporary(temporaries)?;
    write(temporary.as_file_mut()).map_err(|source| Error::io("write", target, source))?;
    persist(temporary, target, durability)
}

/// The content of `path`, which must not exceed `limit` bytes; `None` if there is no such file.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::io("open", path, source)),
    };
    let mut content = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut content);
    let size = read.map_err(|source| Error::io("read", path, source))? as u64;
    if size > limit {
        return Err(Error::TooLarge { path: path.to_owned(), size, limit });
    }
    Ok(Some(content))
}

/// The entries of `dir` in the order of their names; none if there is no such directory.
pub(crate) fn sorted_entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::io("list", dir, source);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut paths: Vec<_> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(failed)?;
    paths.sort();
    Ok(paths)
}

/// The digest whose hexadecimal digits are the last element of `path`.
pub(crate) fn digest_named(path: &Path) -> Option<oci::Digest> {
    format!("sha256:{}", path.file_name()?.to_str()?).parse().ok()
}

/// Notes that `path` is used now, in its modification time; only prune looks at it, so a refusal is no matter.
pub(crate) fn touch(path: &Path) {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    let _ = utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW);
}
