//! Extended attributes of open files: which ones a layer carries, reading and setting them.
//!
//! `user.*` and `security.capability` belong to the image. Labels (`security.selinux`), `trusted.*`, access control
//! lists and overlay's own bookkeeping belong to the machine, and never leave it or come from outside.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{XattrFlags, fgetxattr, fgetxattr_query, flistxattr, flistxattr_query, fsetxattr};
use rustix::io::Errno;

use crate::Error;
use crate::stand_in;

/// Extended attributes by full name.
pub type Xattrs = BTreeMap<OsString, Vec<u8>>;

/// xattr(7): no list of names and no value is larger than 64 KiB, so that two attempts always suffice.
const MAX_SIZE: usize = 64 * 1024;

/// Whether an attribute of this name travels with the image.
pub(crate) fn is_carried(name: &OsStr) -> bool {
    let is_ours = name == stand_in::ATTRIBUTE;
    let name = name.as_bytes();
    name == b"security.capability"
        || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay.") && !is_ours)
}

/// The attributes of `file` that travel with the image; `path` is for messages.
///
/// A file system without attributes has none.
pub(crate) fn read_carried(file: &File, path: &Path) -> Result<Xattrs, Error> {
    let mut xattrs = Xattrs::new();
    for name in list(file, path)? {
        if is_carried(&name)
            && let Some(value) = read(file, &name, path)?
        {
            xattrs.insert(name, value);
        }
    }
    Ok(xattrs)
}

/// The value of one attribute, `None` when it is not there.
pub(crate) fn read(file: impl AsFd, name: &OsStr, path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let value = fgetxattr_query(&file, name).and_then(|size| {
        let mut value = vec![0; size.min(MAX_SIZE)];
        let read = if size == 0 { 0 } else { fgetxattr(&file, name, &mut value[..])? };
        value.truncate(read);
        Ok(value)
    });
    match value {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(failure("read", name, path, errno)),
    }
}

/// Sets all of `xattrs`.
pub(crate) fn set_all(file: impl AsFd, xattrs: &Xattrs, path: &Path) -> Result<(), Error> {
    for (name, value) in xattrs {
        fsetxattr(&file, name.as_os_str(), value, XattrFlags::empty())
            .map_err(|errno| failure("set", name, path, errno))?;
    }
    Ok(())
}

fn list(file: &File, path: &Path) -> Result<Vec<OsString>, Error> {
    let list = flistxattr_query(file).and_then(|size| {
        if size == 0 {
            return Ok(Vec::new());
        }
        let mut list = vec![0; size.min(MAX_SIZE)];
        let read = flistxattr(file, &mut list[..])?;
        list.truncate(read);
        Ok(list)
    });
    match list {
        Ok(list) => {
            Ok(list.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(os_string).collect())
        }
        Err(Errno::OPNOTSUPP) => Ok(Vec::new()),
        Err(errno) => Err(failure("list", OsStr::new("(all)"), path, errno)),
    }
}

fn os_string(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}

fn failure(operation: &'static str, name: &OsStr, path: &Path, errno: Errno) -> Error {
    let name = name.to_string_lossy().into_owned();
    Error::Xattr { operation, name, path: path.to_owned(), source: errno.into() }
}
