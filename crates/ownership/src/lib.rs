//! What belongs to whom in a tree where the disk cannot say so, because whoever wrote it has one id and no rights.
//!
//! On disk every file of such a tree belongs to the builder, a device node is an empty file, and permission bits are
//! those that the builder needs itself. The truth stands in a [`Table`] beside the tree, keyed by inode number: so a
//! rename or another name of a file changes nothing. A file without an entry is root's, with the permissions on disk.
//!
//! Two write to it, one after the other: whoever unpacks, copies and packs the tree, and whoever runs steps in it. Both
//! must forget the entry of each file that they make, as inode numbers are used again.
//!
//! Knows nothing of images, archives, processes or system calls.

mod file;
mod record;

use std::collections::BTreeMap;

pub use file::Error;
pub use record::{Device, DeviceKind, Kind, Record, Xattrs, disk_mode};

/// What the disk does not say about the files of one tree, which lies in one file system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    records: BTreeMap<u64, Record>,
}

impl Table {
    /// What is to be known of the file with this inode number, if the disk does not say it.
    pub fn record(&self, inode: u64) -> Option<&Record> {
        self.records.get(&inode)
    }

    /// Notes what is true of a file of kind `kind`, or forgets the file if the disk says all of it.
    ///
    /// The disk must have, or get, the permissions that [`disk_mode`] gives.
    pub fn set(&mut self, inode: u64, kind: Kind, record: Record) {
        if record.is_on_disk(kind) {
            self.records.remove(&inode);
        } else {
            self.records.insert(inode, record);
        }
    }

    /// Forgets a file: it was removed, or it is new.
    pub fn forget(&mut self, inode: u64) {
        self.records.remove(&inode);
    }

    /// Forgets all files but those for which `exists` is true.
    pub fn retain(&mut self, exists: impl Fn(u64) -> bool) {
        self.records.retain(|inode, _| exists(*inode));
    }

    /// Takes over what differs between `from` and `to`, two states of a table.
    pub fn apply(&mut self, from: &Self, to: &Self) {
        for inode in from.records.keys().chain(to.records.keys()) {
            match (from.record(*inode), to.record(*inode)) {
                (old, new) if old == new => {}
                (_, Some(record)) => drop(self.records.insert(*inode, record.clone())),
                (_, None) => self.forget(*inode),
            }
        }
    }

    /// Whether the disk says everything.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_disk_does_not_say_is_kept() {
        let mut table = Table::default();
        let of = |uid, mode| Record { uid, mode, ..Record::default() };
        table.set(1, Kind::File, of(1000, 0o644));
        table.set(2, Kind::File, of(0, 0o644));
        table.set(3, Kind::File, of(0, 0o444));
        table.set(4, Kind::Directory, of(0, 0o1777));
        table.set(5, Kind::Symlink, of(0, 0o777));
        let known =
            |table: &Table| (1..=5).filter(|inode| table.record(*inode).is_some()).collect::<Vec<_>>();
        assert_eq!(known(&table), [1, 3, 4]);
        table.set(1, Kind::File, of(0, 0o600));
        table.forget(4);
        assert_eq!(known(&table), [3]);
        table.retain(|inode| inode != 3);
        assert!(table.is_empty());
    }

    #[test]
    fn two_who_change_a_table_at_once_lose_nothing() {
        let table = |owners: &[(u64, u32)]| {
            let record = |uid: &u32| Record { uid: *uid, ..Record::default() };
            Table { records: owners.iter().map(|(inode, uid)| (*inode, record(uid))).collect() }
        };
        let before = table(&[(1, 1), (2, 2), (3, 3)]);
        let (ours, theirs) = (table(&[(1, 9), (3, 3), (4, 4)]), table(&[(1, 1), (2, 2), (5, 5)]));
        let mut both = theirs;
        both.apply(&before, &ours);
        assert_eq!(both, table(&[(1, 9), (4, 4), (5, 5)]));
    }
}
