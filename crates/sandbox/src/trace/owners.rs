//! Whose the files are that a step sees: what the disk says, corrected by the ownership table.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ownership::{Device, DeviceKind, Kind, Record, Table, disk_mode};
use rustix::fs::{FileType, Mode, Stat, Statx, fstat, makedev};
use rustix::io::Errno;

use super::place::{Place, name_of};

/// What is known of the files of one file system.
#[derive(Debug, Default)]
struct Known {
    table: Table,
    /// Files without a name, which somebody may have open; they are gone when the step is.
    nameless: BTreeSet<u64>,
}

impl Known {
    /// What is known of a file that has so many names.
    fn record(&self, inode: u64, names: u64) -> Option<&Record> {
        // Else its number was used again, for a file that another step made.
        let is_the_same = names == 0 || !self.nameless.contains(&inode);
        self.table.record(inode).filter(|_| is_the_same)
    }

    /// What is still true when the step is over.
    fn lasting(&self) -> Table {
        let mut table = self.table.clone();
        table.retain(|inode| !self.nameless.contains(&inode));
        table
    }
}

/// The owners of all files that a step can reach.
///
/// One table for each file system, as inode numbers mean something only there; that of the root is read from a file
/// and written back.
#[derive(Debug)]
pub(super) struct Owners {
    tables: Mutex<BTreeMap<u64, Known>>,
    /// The ids that everything of ours has on disk.
    uid: u32,
    gid: u32,
    /// The file system of the root, and where its table is kept.
    root: u64,
    file: Option<PathBuf>,
}

impl Owners {
    /// Reads the table of the file system of `root`.
    pub(super) fn load(root: impl AsFd, file: Option<PathBuf>) -> Result<Self, ownership::Error> {
        let table = file.as_deref().map_or_else(|| Ok(Table::default()), Table::load)?;
        let root = fstat(root).map_or(0, |stat| stat.st_dev);
        Ok(Self {
            tables: Mutex::new(BTreeMap::from([(root, Known { table, nameless: BTreeSet::new() })])),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            root,
            file,
        })
    }

    /// Writes the table of the root back.
    pub(super) fn save(&self) -> Result<(), ownership::Error> {
        match (&self.file, self.tables().get(&self.root)) {
            (Some(file), Some(known)) => known.lasting().save(file),
            _ => Ok(()),
        }
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<u64, Known>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is true of an open file.
    pub(super) fn stat(&self, file: impl AsFd) -> Result<Stat, Errno> {
        Ok(self.correct(fstat(file)?))
    }

    /// What is true of a file with this data.
    pub(super) fn correct(&self, mut stat: Stat) -> Stat {
        match self.tables().get(&stat.st_dev).and_then(|known| known.record(stat.st_ino, stat.st_nlink)) {
            Some(record) => {
                stat.st_uid = record.uid;
                stat.st_gid = record.gid;
                stat.st_mode = type_of(record.device, stat.st_mode) | record.mode;
                if let Some(device) = record.device {
                    stat.st_rdev = makedev(device.major, device.minor);
                }
            }
            None => {
                stat.st_uid = self.seen_uid(stat.st_dev, stat.st_uid);
                stat.st_gid = self.seen_gid(stat.st_dev, stat.st_gid);
            }
        }
        stat
    }

    /// As [`Self::correct`], for the other structure that says the same.
    pub(super) fn correct_statx(&self, mut statx: Statx) -> Statx {
        let device = makedev(statx.stx_dev_major, statx.stx_dev_minor);
        match self.tables().get(&device).and_then(|known| known.record(statx.stx_ino, statx.stx_nlink.into()))
        {
            Some(record) => {
                statx.stx_uid = record.uid;
                statx.stx_gid = record.gid;
                let mode = type_of(record.device, statx.stx_mode.into()) | record.mode;
                statx.stx_mode = u16::try_from(mode).unwrap_or(statx.stx_mode);
                if let Some(device) = record.device {
                    statx.stx_rdev_major = device.major;
                    statx.stx_rdev_minor = device.minor;
                }
            }
            None => {
                statx.stx_uid = self.seen_uid(device, statx.stx_uid);
                statx.stx_gid = self.seen_gid(device, statx.stx_gid);
            }
        }
        statx
    }

    /// What is ours on disk is root's to the step.
    fn seen_uid(&self, device: u64, uid: u32) -> u32 {
        if uid == self.uid || device == self.root { 0 } else { uid }
    }

    fn seen_gid(&self, device: u64, gid: u32) -> u32 {
        if gid == self.gid || device == self.root { 0 } else { gid }
    }

    /// All that is true of an open file.
    pub(super) fn record(&self, file: impl AsFd) -> Result<Record, Errno> {
        let stat = fstat(file)?;
        let tables = self.tables();
        let known =
            tables.get(&stat.st_dev).and_then(|known| known.record(stat.st_ino, stat.st_nlink)).cloned();
        drop(tables);
        Ok(known.unwrap_or_else(|| {
            let stat = self.correct(stat);
            Record { uid: stat.st_uid, gid: stat.st_gid, ..Record::of_disk(stat.st_mode) }
        }))
    }

    /// Makes `record` true of an existing file: as far as the disk can hold it there, else in the table.
    pub(super) fn change(&self, place: &Place, record: Record) -> Result<(), Errno> {
        let stat = place.stat()?;
        let kind = kind_of(&stat);
        let wanted = disk_mode(kind, record.mode);
        if kind != Kind::Symlink && stat.st_mode & 0o7777 != wanted {
            // chmod(2) takes no handle, but the name of one.
            rustix::fs::chmod(name_of(place), Mode::from_raw_mode(wanted))?;
        }
        self.note(&stat, record);
        Ok(())
    }

    /// Makes `record` true of a file that was just made with the permissions that the disk needs.
    pub(super) fn note(&self, stat: &Stat, record: Record) {
        let mut tables = self.tables();
        let known = tables.entry(stat.st_dev).or_default();
        known.table.set(stat.st_ino, kind_of(stat), record);
        if stat.st_nlink == 0 {
            known.nameless.insert(stat.st_ino);
        } else {
            known.nameless.remove(&stat.st_ino);
        }
    }

    /// A file lost its last name: what is known of it counts for those who have it open.
    pub(super) fn lost_name(&self, stat: &Stat) {
        self.tables().entry(stat.st_dev).or_default().nameless.insert(stat.st_ino);
    }

    /// A file got a name, which it may not have had before (open(2), `O_TMPFILE`).
    pub(super) fn got_name(&self, stat: &Stat) {
        if let Some(known) = self.tables().get_mut(&stat.st_dev) {
            known.nameless.remove(&stat.st_ino);
        }
    }
}

/// The kind that a file has on disk.
pub(super) fn kind_of(stat: &Stat) -> Kind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    }
}

/// The type bits of a mode.
fn type_of(device: Option<Device>, on_disk: u32) -> u32 {
    match device.map(|device| device.kind) {
        Some(DeviceKind::Char) => libc::S_IFCHR,
        Some(DeviceKind::Block) => libc::S_IFBLK,
        None => on_disk & libc::S_IFMT,
    }
}
