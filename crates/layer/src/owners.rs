//! Whom the files of a tree belong to: the disk says it, or a table beside the tree, where the builder has one id and
//! can give files to nobody.
//!
//! With a table, [`ownership`] says what of a file is on disk. Whoever reads a tree is told what is true by
//! [`correct`](Owners::correct), and whoever makes an entry gives it to its owner by [`give`](Owners::give), which also
//! forgets what was known of an earlier file with the same inode number. A file that is gone is forgotten at once, as
//! another tree may get its number.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use ownership::{DeviceKind, Kind, Record, Table, disk_mode};
use rustix::fs::{AtFlags, Gid, Mode, RawMode, Uid, chmodat, chownat, fchmod, fchown, unlinkat};
use rustix::io::Errno;

use crate::Error;
use crate::error::Context;
use crate::metadata::{Device, FileKind, Inode, Metadata};
use crate::node::{Attributes, Node};
use crate::root::Root;
use crate::walk::{Flow, walk};
use crate::xattr::{self, Xattrs};

/// Whom the files of one tree belong to. All clones are about the same tree and know the same.
#[derive(Debug, Clone, Default)]
pub struct Owners {
    table: Option<Arc<RwLock<Table>>>,
}

impl Owners {
    /// As the disk has it.
    pub fn on_disk() -> Self {
        Self::default()
    }

    /// As `table` has it; it grows with what is written to the tree.
    pub fn in_table(table: Table) -> Self {
        Self { table: Some(Arc::new(RwLock::new(table))) }
    }

    /// The table as it is now, if there is one.
    pub fn table(&self) -> Option<Table> {
        self.table.as_ref().map(|table| table.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Takes `table` in the place of the one that there is; without one, nothing is taken.
    pub fn replace(&self, table: Table) {
        self.change(|known| *known = table);
    }

    pub(crate) fn is_in_table(&self) -> bool {
        self.table.is_some()
    }

    /// What is true of the file of which the disk says `metadata`.
    pub(crate) fn correct(&self, mut metadata: Metadata) -> Metadata {
        self.look_up(metadata.inode, |record| {
            let Some(record) = record else {
                (metadata.uid, metadata.gid) = (0, 0);
                return;
            };
            (metadata.uid, metadata.gid) = (record.uid, record.gid);
            if metadata.kind != FileKind::Symlink {
                metadata.mode = record.mode;
            }
            if let Some(device) = record.device {
                metadata.kind = match device.kind {
                    DeviceKind::Char => FileKind::CharDevice,
                    DeviceKind::Block => FileKind::BlockDevice,
                };
                metadata.device = Device { major: device.major, minor: device.minor };
            }
        });
        metadata
    }

    /// Adds the extended attributes that a layer carries and the disk does not have.
    pub(crate) fn complete(&self, xattrs: &mut Xattrs, inode: Inode) {
        self.look_up(inode, |record| {
            let kept = record.iter().flat_map(|record| &record.xattrs);
            let kept = kept.map(|(name, value)| (OsString::from_vec(name.clone()), value.clone()));
            xattrs.extend(kept.filter(|(name, _)| xattr::is_carried(name)));
        });
    }

    /// Gives an open file or directory its owner, its permissions and its extended attributes.
    pub(crate) fn give(&self, file: impl AsFd, to: &Attributes, path: &Path) -> Result<(), Error> {
        if !self.is_in_table() {
            fchown(&file, Some(Uid::from_raw(to.uid)), Some(Gid::from_raw(to.gid)))
                .map_err(|errno| chown_failed(to, path, errno))?;
            // chown(2) clears set-id bits and capabilities, so both come after it.
            fchmod(&file, Mode::from_raw_mode(to.mode)).context("set the mode of", path)?;
            return xattr::set_all(&file, &to.xattrs, path);
        }
        let on_disk = Metadata::read(&file, c"").context("read the metadata of", path)?;
        let kind = on_disk.kind.on_disk();
        fchmod(&file, own_mode(kind, to.mode)).context("set the mode of", path)?;
        let is_for_disk = |name: &OsStr| name.as_bytes().starts_with(b"user.");
        let (plain, kept) = to.xattrs.clone().into_iter().partition(|(name, _)| is_for_disk(name));
        xattr::set_all(&file, &plain, path)?;
        self.note(&on_disk, record(to, kept, None));
        Ok(())
    }

    /// Gives an entry that cannot be opened its owner and its permissions: a link, pipe or device.
    pub(crate) fn give_at(
        &self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        node: &Node,
        path: &Path,
    ) -> Result<(), Error> {
        let to = &node.attributes;
        let set_mode = |mode| chmodat(parent, name, mode, AtFlags::empty()).context("set the mode of", path);
        if !self.is_in_table() {
            let (uid, gid) = (Uid::from_raw(to.uid), Gid::from_raw(to.gid));
            chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| chown_failed(to, path, errno))?;
            return match node.kind {
                FileKind::Symlink => Ok(()),
                _ => set_mode(Mode::from_raw_mode(to.mode)),
            };
        }
        let on_disk = Metadata::read(parent, name).context("read the metadata of", path)?;
        let kind = on_disk.kind.on_disk();
        if kind != Kind::Symlink {
            set_mode(own_mode(kind, to.mode))?;
        }
        self.note(&on_disk, record(to, Xattrs::new(), device_of(node)));
        Ok(())
    }

    /// Removes an entry with `flags` of unlinkat(2), and forgets a file that had no other name.
    pub(crate) fn unlink(
        &self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        flags: AtFlags,
    ) -> rustix::io::Result<()> {
        let known = if self.is_in_table() { Some(Metadata::read(parent, name)?) } else { None };
        unlinkat(parent, name, flags)?;
        if let Some(gone) = known.filter(|metadata| !metadata.is_hard_linked()) {
            self.change(|table| table.forget(gone.inode.number));
        }
        Ok(())
    }

    fn look_up(&self, inode: Inode, look: impl FnOnce(Option<&Record>)) {
        if let Some(table) = &self.table {
            look(table.read().unwrap_or_else(PoisonError::into_inner).record(inode.number));
        }
    }

    fn note(&self, on_disk: &Metadata, record: Record) {
        self.change(|table| table.set(on_disk.inode.number, on_disk.kind.on_disk(), record));
    }

    fn change(&self, change: impl FnOnce(&mut Table)) {
        if let Some(table) = &self.table {
            change(&mut table.write().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Root {
    /// Drops what is known of the owners of files that are no longer in the tree.
    pub fn forget_removed(&self) -> Result<(), Error> {
        if !self.owners().is_in_table() {
            return Ok(());
        }
        let mut inodes = HashSet::new();
        inodes.extend(self.lstat(Path::new(""))?.map(|metadata| metadata.inode.number));
        walk(self, Path::new(""), |entry| {
            inodes.insert(entry.metadata.inode.number);
            Ok::<_, Error>(Flow::Descend)
        })?;
        self.owners().change(|table| table.retain(|inode| inodes.contains(&inode)));
        Ok(())
    }
}

fn own_mode(kind: Kind, mode: RawMode) -> Mode {
    Mode::from_raw_mode(disk_mode(kind, mode))
}

fn record(to: &Attributes, xattrs: Xattrs, device: Option<ownership::Device>) -> Record {
    let xattrs = xattrs.into_iter().map(|(name, value)| (name.into_vec(), value)).collect();
    Record { uid: to.uid, gid: to.gid, mode: to.mode, device, xattrs }
}

fn device_of(node: &Node) -> Option<ownership::Device> {
    let kind = match node.kind {
        FileKind::CharDevice => DeviceKind::Char,
        FileKind::BlockDevice => DeviceKind::Block,
        _ => return None,
    };
    let Device { major, minor } = node.device;
    Some(ownership::Device { kind, major, minor })
}

fn chown_failed(to: &Attributes, path: &Path, errno: Errno) -> Error {
    Error::Chown { path: path.to_owned(), uid: to.uid, gid: to.gid, source: errno.into() }
}
