//! What one open store holds against other processes: a shared lock, and a directory of its own below `work/`.
//!
//! Two kinds of locks keep processes apart. `lock` is held shared by every session, so that [`crate::Store::prune`],
//! which takes it exclusively, never removes what a build counts on. `work/NAME/lock` is held exclusively by the
//! session whose directory `work/NAME` is: a directory whose lock is free belongs to a dead process and is removed by
//! the next session. Locks vanish with their process, however it dies.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::lock::{self, Mode};
use crate::{Error, files, remove};

/// The presence of this process in a store; everything under way holds it by an `Arc`.
#[derive(Debug)]
pub(crate) struct Session {
    dir: PathBuf,
    shared: File,
    shared_path: PathBuf,
    // Held for its lock.
    _own: File,
}

impl Session {
    /// Enters the store in `root`, waiting for a prune to end, and clears up after dead sessions.
    pub(crate) fn begin(root: &Path) -> Result<Self, Error> {
        let shared_path = root.join("lock");
        let shared = open_lock(&shared_path)?;
        lock::lock(&shared, &shared_path, Mode::Shared)?;
        let work = root.join("work");
        files::create_dir(&work, 0o700)?;
        remove_stale(&work)?;
        loop {
            let dir = files::create_private_dir(&work, "")?;
            // Another process may have taken the directory for a dead one before it was locked.
            if let Some(own) = claim(&dir)? {
                return Ok(Self { dir, shared, shared_path, _own: own });
            }
        }
    }

    /// The directory for what this process has under way, on the file system of the store.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Keeps every other session out while `critical` runs; [`Error::InUse`] if there is one.
    pub(crate) fn exclusively<T>(
        &mut self,
        root: &Path,
        critical: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let alone = lock::try_lock(&self.shared, &self.shared_path, Mode::Exclusive)?;
        let result = if alone { critical() } else { Err(Error::InUse { path: root.to_owned() }) };
        lock::lock(&self.shared, &self.shared_path, Mode::Shared)?;
        result
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // What cannot be removed now is removed by a later session, which tells nobody either.
        drop(remove::remove_tree(&self.dir));
    }
}

/// Removes the directories of dead sessions, as far as this user may.
fn remove_stale(work: &Path) -> Result<(), Error> {
    for dir in files::sorted_entries(work)? {
        if let Ok(Some(_own)) = claim(&dir) {
            drop(remove::remove_tree(&dir));
        }
    }
    Ok(())
}

/// Takes the lock of the session directory `dir`; `None` if its session lives or the directory is gone.
fn claim(dir: &Path) -> Result<Option<File>, Error> {
    let path = dir.join("lock");
    let file = match open_lock(&path) {
        Ok(file) => file,
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !lock::try_lock(&file, &path, Mode::Exclusive)? {
        return Ok(None);
    }
    // The lock counts only if it is still the one that others find under this name.
    let inode = |metadata: io::Result<std::fs::Metadata>| metadata.ok().map(|m| (m.dev(), m.ino()));
    let ours = inode(file.metadata());
    Ok((inode(path.symlink_metadata()) == ours).then_some(file))
}

fn open_lock(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .map_err(|source| Error::io("open", path, source))
}
