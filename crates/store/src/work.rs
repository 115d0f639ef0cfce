//! Directories for a build's working trees, gone when the build is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::session::Session;
use crate::{Error, Store, files, remove};

impl Store {
    /// Makes an empty directory for this process alone, on the file system of the store.
    pub fn work_dir(&self) -> Result<WorkDir, Error> {
        let path = files::create_private_dir(self.session.dir(), "build-")?;
        Ok(WorkDir { path, _session: Arc::clone(&self.session) })
    }
}

/// A directory that is removed with all its content when it is dropped, or after the death of its process.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    _session: Arc<Session>,
}

impl WorkDir {
    /// Where it is; mode 0700.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it; unlike dropping, this tells what could not be removed.
    ///
    /// What is mounted in it is never touched: it makes the removal fail.
    pub fn close(self) -> Result<(), Error> {
        remove::remove_tree(&self.path).map(drop)
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // A rest is removed with the session, or by the next one.
        drop(remove::remove_tree(&self.path));
    }
}
