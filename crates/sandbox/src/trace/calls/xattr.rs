//! Extended attributes (xattr(7)): `user.*` of files and directories are on disk, all others in the ownership table.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{FileType, XattrFlags};
use rustix::io::Errno;

use super::stat::kind;
use super::{Answer, Call, DONE, Result};
use crate::trace::credentials::Capability;
use crate::trace::permission::{Wish, check};
use crate::trace::place::{Place, name_of};
use crate::trace::walk::Last;

/// xattr(7): the longest name, value and list.
const NAME_MAX: usize = 256;
const SIZE_MAX: usize = 64 << 10;

/// Where an attribute is kept.
#[derive(PartialEq, Eq)]
enum Keeper {
    Disk,
    Table,
}

/// The attribute that gives a program its capabilities.
pub(super) const CAPABILITY: &[u8] = b"security.capability";

/// What somebody wants to do with an attribute.
enum Use<'a> {
    Read,
    Set(&'a [u8]),
    Remove,
}

impl Use<'_> {
    /// Whether this may be done with [`CAPABILITY`]; the kernel looks at the value first.
    fn check_capability(&self, may_write: bool) -> Result<()> {
        /// The sizes of `struct vfs_cap_data` and `struct vfs_ns_cap_data`, with the revisions that they begin with.
        const FORMATS: [(usize, u8); 2] = [(20, 2), (24, 3)];
        match self {
            // The kernel lets everybody do that.
            Self::Read | Self::Set([]) => Ok(()),
            Self::Set(value)
                if !FORMATS
                    .iter()
                    .any(|(size, revision)| value.len() == *size && value.get(3) == Some(revision)) =>
            {
                Err(Errno::INVAL)
            }
            Self::Set(_) | Self::Remove => {
                if may_write {
                    Ok(())
                } else {
                    Err(Errno::PERM)
                }
            }
        }
    }
}

impl Call<'_> {
    /// The file that the first argument of any of these calls names.
    fn attributed(&self) -> Result<Place> {
        match self.number {
            libc::SYS_fsetxattr | libc::SYS_fgetxattr | libc::SYS_flistxattr | libc::SYS_fremovexattr => {
                self.opened(self.int(0))
            }
            libc::SYS_lsetxattr | libc::SYS_lgetxattr | libc::SYS_llistxattr | libc::SYS_lremovexattr => {
                self.existing(libc::AT_FDCWD, &self.path(0)?, Last::Keep)
            }
            _ => self.existing(libc::AT_FDCWD, &self.path(0)?, Last::Follow),
        }
    }

    fn attribute_name(&self) -> Result<Vec<u8>> {
        let name = self.memory.string(self.args[1], NAME_MAX, Errno::RANGE)?;
        if name.is_empty() { Err(Errno::RANGE) } else { Ok(name) }
    }

    /// Where an attribute is, if the caller may do with it what it wants to.
    fn keeper(&self, place: &Place, name: &[u8], wanted: &Use<'_>) -> Result<Keeper> {
        let writes = !matches!(wanted, Use::Read);
        if writes {
            self.changeable(place)?;
        }
        let who = self.credentials();
        let is_admin = who.has(Capability::SYS_ADMIN);
        match name.iter().position(|byte| *byte == b'.').map(|dot| name.split_at(dot + 1)) {
            Some((b"user.", rest)) => {
                let stat = self.stat_of(place)?;
                if !matches!(kind(stat.st_mode), FileType::RegularFile | FileType::Directory) {
                    return Err(if writes { Errno::PERM } else { Errno::NODATA });
                }
                check(&stat, if writes { Wish::WRITE } else { Wish::READ }, who)?;
                if rest.is_empty() { Err(Errno::INVAL) } else { Ok(Keeper::Disk) }
            }
            Some((b"trusted.", _)) if !is_admin => Err(if writes { Errno::PERM } else { Errno::NODATA }),
            Some((b"security.", b"capability")) => {
                wanted.check_capability(who.has(Capability::SETFCAP)).map(|()| Keeper::Table)
            }
            Some((b"security.", _)) if writes && !is_admin => Err(Errno::PERM),
            Some((b"trusted." | b"security.", b"")) => Err(Errno::INVAL),
            Some((b"trusted." | b"security.", _)) => Ok(Keeper::Table),
            _ => Err(Errno::OPNOTSUPP),
        }
    }

    pub(super) fn setxattr(&self) -> Result {
        let place = self.attributed()?;
        let flags = XattrFlags::from_bits(self.uint(4)).ok_or(Errno::INVAL)?;
        let name = self.attribute_name()?;
        let size =
            usize::try_from(self.args[3]).ok().filter(|size| *size <= SIZE_MAX).ok_or(Errno::TOOBIG)?;
        let mut value = vec![0; size];
        if size > 0 {
            self.memory.read(self.args[2], &mut value)?;
        }
        if self.keeper(&place, &name, &Use::Set(&value))? == Keeper::Disk {
            rustix::fs::setxattr(name_of(&place), OsStr::from_bytes(&name), &value, flags)?;
            return DONE;
        }
        let owners = &self.supervisor.owners;
        let mut record = owners.record(&place)?;
        match record.xattrs.contains_key(&name) {
            true if flags.contains(XattrFlags::CREATE) => return Err(Errno::EXIST),
            false if flags.contains(XattrFlags::REPLACE) => return Err(Errno::NODATA),
            _ => {}
        }
        record.xattrs.insert(name, value);
        owners.change(&place, record)?;
        DONE
    }

    pub(super) fn getxattr(&self) -> Result {
        let place = self.attributed()?;
        let name = self.attribute_name()?;
        let value = match self.keeper(&place, &name, &Use::Read)? {
            Keeper::Disk => {
                let mut value = vec![0; SIZE_MAX];
                let size = rustix::fs::getxattr(name_of(&place), OsStr::from_bytes(&name), &mut value[..])?;
                value.truncate(size);
                value
            }
            Keeper::Table => {
                self.supervisor.owners.record(&place)?.xattrs.remove(&name).ok_or(Errno::NODATA)?
            }
        };
        self.give(&value, 2)
    }

    pub(super) fn listxattr(&self) -> Result {
        let place = self.attributed()?;
        let mut list = vec![0; SIZE_MAX];
        let is_link = kind(place.stat()?.st_mode) == FileType::Symlink;
        let size =
            if is_link { 0 } else { rustix::fs::listxattr(name_of(&place), &mut list[..]).unwrap_or(0) };
        let on_disk = list[..size].split(|byte| *byte == 0).filter(|name| name.starts_with(b"user."));
        let noted = self.supervisor.owners.record(&place)?.xattrs;
        let sees_trusted = self.credentials().has(Capability::SYS_ADMIN);
        let noted =
            noted.keys().map(Vec::as_slice).filter(|name| sees_trusted || !name.starts_with(b"trusted."));
        let mut names = Vec::new();
        for name in on_disk.chain(noted) {
            names.extend_from_slice(name);
            names.push(0);
        }
        self.give(&names, 1)
    }

    pub(super) fn removexattr(&self) -> Result {
        let place = self.attributed()?;
        let name = self.attribute_name()?;
        if self.keeper(&place, &name, &Use::Remove)? == Keeper::Disk {
            rustix::fs::removexattr(name_of(&place), OsStr::from_bytes(&name))?;
            return DONE;
        }
        let owners = &self.supervisor.owners;
        let mut record = owners.record(&place)?;
        record.xattrs.remove(&name).ok_or(Errno::NODATA)?;
        owners.change(&place, record)?;
        DONE
    }

    /// Fills a buffer whose size is in the argument behind it; a size of zero asks for the size.
    fn give(&self, value: &[u8], buffer: usize) -> Result {
        let size = self.args[buffer + 1];
        let length = value.len() as u64;
        if size != 0 {
            if size < length {
                return Err(Errno::RANGE);
            }
            self.write(buffer, value)?;
        }
        Ok(Answer::Value(length.cast_signed()))
    }
}
