//! Directories that steps find again in the next build: `cache-mounts/KEY/N/fs/`, each with room for a table of what
//! belongs to whom in it, `N/ownership`.
//!
//! N counts those who each want one of their own at the same time; all others use 0. `N/lock` is held by whoever uses
//! the directory, and vanishes with its process; it says which process that is. The modification time of `N` tells when
//! it was last used. Only prune, while no store is open, removes one. What is in `fs` belongs to steps and is never
//! looked at here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::Digest;
use rustix::io::Errno;

use crate::lock::{self, Mode};
use crate::session::Session;
use crate::{Error, Store, files, remove};

/// Processes beyond this number wait for each other.
const OWN_LIMIT: u32 = 1000;
/// The file beside a directory that says what belongs to whom in it.
const OWNERSHIP: &str = "ownership";

/// Who else may use a cache directory at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheSharing {
    /// Everyone who shares it.
    Shared,
    /// Nobody: they wait.
    Exclusive,
    /// Nobody: they get another directory.
    Own,
}

/// What became of the wish for a cache directory.
#[derive(Debug)]
pub enum CacheMount {
    /// It is there and may be used.
    Ready(HeldCacheMount),
    /// There is none yet: it must be made first.
    Missing(StagedCacheMount),
    /// Another one has it.
    Taken {
        /// Its process id, as it sees it.
        by: Option<u32>,
    },
}

impl Store {
    /// The cache directory `key`, if it can be used at once; notes that it is used.
    pub fn cache_mount(&self, key: &Digest, sharing: CacheSharing) -> Result<CacheMount, Error> {
        let (mode, count) = match sharing {
            CacheSharing::Shared => (Mode::Shared, 1),
            CacheSharing::Exclusive => (Mode::Exclusive, 1),
            CacheSharing::Own => (Mode::Exclusive, OWN_LIMIT),
        };
        let mut holder = None;
        for number in 0..count {
            let place = dir(self.dir()).join(key.hex()).join(number.to_string());
            let path = place.join("lock");
            let file = match OpenOptions::new().read(true).write(true).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return self.stage_cache_mount(place).map(CacheMount::Missing);
                }
                Err(source) => return Err(Error::io("open", &path, source)),
            };
            if lock::try_lock(&file, &path, mode)? {
                files::touch(&place);
                write_holder(&file);
                let session = Arc::clone(&self.session);
                let held = HeldCacheMount { root: place.join("fs"), _lock: file, _session: session };
                return Ok(CacheMount::Ready(held));
            }
            holder = holder_of(&path);
        }
        Ok(CacheMount::Taken { by: holder })
    }

    fn stage_cache_mount(&self, target: PathBuf) -> Result<StagedCacheMount, Error> {
        let dir = files::create_private_dir(self.session.dir(), "cache-mount-")?;
        let staged = StagedCacheMount { dir, target, _session: Arc::clone(&self.session) };
        files::create_dir(&staged.root(), 0o755)?;
        let lock = staged.dir.join("lock");
        File::create_new(&lock).map_err(|source| Error::io("create", &lock, source))?;
        Ok(staged)
    }
}

/// The directory of all cache directories in the store `root`.
pub(crate) fn dir(root: &Path) -> PathBuf {
    root.join("cache-mounts")
}

/// A cache directory in use.
#[derive(Debug)]
pub struct HeldCacheMount {
    root: PathBuf,
    // Held for its lock.
    _lock: File,
    _session: Arc<Session>,
}

impl HeldCacheMount {
    /// The directory itself. What is in it was written by steps and must not be trusted.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where its ownership table is kept, if it needs one.
    pub fn ownership(&self) -> PathBuf {
        self.root.with_file_name(OWNERSHIP)
    }
}

/// A cache directory in the making; dropped without a commit, it is removed.
#[derive(Debug)]
pub struct StagedCacheMount {
    dir: PathBuf,
    target: PathBuf,
    _session: Arc<Session>,
}

impl StagedCacheMount {
    /// The empty directory, of mode 0755, that steps will see.
    pub fn root(&self) -> PathBuf {
        self.dir.join("fs")
    }

    /// Where its ownership table is kept, if it needs one.
    pub fn ownership(&self) -> PathBuf {
        self.dir.join(OWNERSHIP)
    }

    /// Puts it into the store. If another process was faster, its directory stays and this one is removed.
    pub fn commit(self) -> Result<(), Error> {
        if let Some(parent) = self.target.parent() {
            files::create_dir(parent, 0o700)?;
        }
        match fs::rename(&self.dir, &self.target) {
            Err(source) if !was_faster(&source) => {
                Err(Error::io("rename a cache directory to", &self.target, source))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for StagedCacheMount {
    fn drop(&mut self) {
        // A rest is removed with the session.
        drop(remove::remove_tree(&self.dir));
    }
}

fn was_faster(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOTEMPTY | Errno::EXIST))
}

/// For messages only, so that it may fail.
fn write_holder(mut lock: &File) {
    drop(lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id())));
}

fn holder_of(lock: &Path) -> Option<u32> {
    const LIMIT: u64 = 16;
    let text = files::read_bounded(lock, LIMIT).ok().flatten()?;
    str::from_utf8(&text).ok()?.parse().ok()
}
