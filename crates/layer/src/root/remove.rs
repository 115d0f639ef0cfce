//! Removing a tree of any depth and shape with two open directories at a time.

use std::ffi::{OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, chmodat};
use rustix::io::Errno;

use crate::Error;
use crate::descent::Descent;
use crate::error::Context;
use crate::owners::Owners;

const OPERATION: &str = "remove";

/// Removes the entry `name` of `parent`, whose files belong to `owners`, and all below it; nothing there is no error.
/// `path` is for messages.
pub(crate) fn remove_entry(
    owners: &Owners,
    parent: BorrowedFd<'_>,
    name: &OsStr,
    path: &Path,
) -> Result<(), Error> {
    match owners.unlink(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => remove_dir(owners, parent, name, path),
        Err(errno) => Err(Error::io(OPERATION, path, errno)),
    }
}

fn remove_dir(owners: &Owners, parent: BorrowedFd<'_>, name: &OsStr, path: &Path) -> Result<(), Error> {
    match owners.unlink(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Err(errno) => return Err(Error::io(OPERATION, path, errno)),
    }
    make_writable(parent, name, path)?;
    let mut descent = Descent::start(parent, name, path)?;
    // One frame per open level: the directory's name in its parent, and what is still to be removed in it.
    let mut frames = vec![(name.to_owned(), descent.names(path)?)];
    while let Some((name, names)) = frames.last_mut() {
        if let Some(entry) = names.pop() {
            if let Some(inner) = remove_or_enter(owners, &mut descent, &entry, path)? {
                frames.push((entry, inner));
            }
            continue;
        }
        let name = std::mem::take(name);
        frames.pop();
        match descent.leave(path)? {
            Some(above) => owners.unlink(above, &name, AtFlags::REMOVEDIR).context(OPERATION, path)?,
            None => owners.unlink(parent, &name, AtFlags::REMOVEDIR).context(OPERATION, path)?,
        }
    }
    Ok(())
}

/// Removes `entry` of the current directory, or enters it and returns the names in it.
fn remove_or_enter(
    owners: &Owners,
    descent: &mut Descent,
    entry: &OsStr,
    path: &Path,
) -> Result<Option<Vec<OsString>>, Error> {
    match owners.unlink(descent.current(), entry, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(None),
        Err(Errno::ISDIR) => {
            make_writable(descent.current(), entry, path)?;
            descent.enter(entry, path)?;
            descent.names(path).map(Some)
        }
        Err(errno) => Err(Error::io(OPERATION, path, errno)),
    }
}

/// The owner of a directory may have taken its own permission to write in it; root needs none.
fn make_writable(parent: BorrowedFd<'_>, name: &OsStr, path: &Path) -> Result<(), Error> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    match chmodat(parent, name, Mode::RWXU, AtFlags::empty()) {
        Ok(()) | Err(Errno::PERM) => Ok(()),
        Err(errno) => Err(Error::io(OPERATION, path, errno)),
    }
}
