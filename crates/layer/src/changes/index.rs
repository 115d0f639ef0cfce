//! Changes of a plain directory, found by comparing it with an index of what it was.
//!
//! The kernel sets ctime on every change of an inode and nothing else can, so an entry whose inode, ctime, size and
//! mtime are those of the index is unchanged without looking further. Every other entry is compared like any other, and
//! its content by digest, since what was there before is gone. The clock behind ctime ticks, so the entries with the
//! newest ctimes of the index are never trusted: a change within the same tick would not show.
//!
//! That is why the index holds a digest of every file. [`Index::scan`] reads the whole tree once, on all cores (1 to 2
//! GB/s a core when the pages are in memory); after a step only entries that were touched are read. `chown -R` on a
//! whole tree, which touches everything and changes nothing, is found to have changed nothing.
//!
//! What a table says of an inode is no change of the inode, so it is compared by itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oci::Digest;
use ownership::Table;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::{Change, Changeset, Collector, root_changed};
use crate::Error;
use crate::adjust::Adjust;
use crate::content::Content;
use crate::copy::Copier;
use crate::metadata::{FileKind, Inode, Metadata, Timestamp};
use crate::node::{Node, Opened};
use crate::root::Root;
use crate::walk::{Flow, walk};

/// What a tree was at one moment.
#[derive(Debug, Clone)]
pub struct Index {
    root: Node,
    records: BTreeMap<PathBuf, Record>,
    /// The newest ctime among the records.
    newest: Timestamp,
    /// Whom the files belonged to, if the disk does not say it.
    owners: Table,
}

/// The coarsest tick of a kernel (`CONFIG_HZ=100`).
const TICK_NANOS: i128 = 10_000_000;

#[derive(Debug, Clone)]
struct Record {
    stamp: Stamp,
    node: Node,
    /// For regular files only.
    content: Option<Digest>,
}

/// What cannot stay the same when an inode is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: Inode,
    hard_linked: bool,
    ctime: Timestamp,
    mtime: Timestamp,
    size: u64,
}

impl Index {
    /// Reads a whole tree.
    pub fn scan(root: &Root) -> Result<Self, Error> {
        let entries: Vec<_> = list(root)?.into_iter().collect();
        let record =
            |(path, metadata): (PathBuf, Metadata)| Ok((path.clone(), Record::read(root, &path, &metadata)?));
        let records = entries.into_par_iter().map(record).collect::<Result<_, Error>>()?;
        Self::new(root, records)
    }

    /// What changed in the tree since the index was made, and the index of the tree as it is.
    pub fn changes(&self, root: &Root) -> Result<(Changeset, Self), Error> {
        let mut found = Collector::default();
        let now = Self::new(root, self.update(root, &mut found)?)?;
        if root_changed(&self.root, &now.root) {
            found.changeset.insert(Path::new(""), Change::Present)?;
        }
        for path in self.records.keys().filter(|path| !now.records.contains_key(*path)) {
            if now.is_directory(path.parent().unwrap_or(Path::new(""))) {
                found.removed(path)?;
            }
        }
        Ok((found.finish()?, now))
    }

    /// Gives every name of a file with several a file of its own, as writing to a lower file does in an overlay. Returns
    /// whether there was any.
    ///
    /// A step that then writes through one name, or renames it, changes the same entries as in an overlay. The index
    /// stays valid: nothing that it compares differs.
    pub fn separate_links(&self, root: &Root) -> Result<bool, Error> {
        let mut first: BTreeMap<(u32, u32, u64), &Path> = BTreeMap::new();
        let mut separated = false;
        for (path, record) in self.records.iter().filter(|(_, record)| record.stamp.hard_linked) {
            let Inode { device, number } = record.stamp.inode;
            let Some(source) = first.get(&(device.major, device.minor, number)) else {
                first.insert((device.major, device.minor, number), path);
                continue;
            };
            let parent = path.parent().unwrap_or(Path::new(""));
            let mtime = root.lstat_exact(parent)?.map(|metadata| metadata.mtime);
            let mut copier = Copier::new(root, root, Adjust::default());
            copier.copy(source, path)?;
            copier.finish()?;
            if let Some(mtime) = mtime {
                root.set_mtime(parent, mtime)?;
            }
            separated = true;
        }
        Ok(separated)
    }

    fn new(root: &Root, records: BTreeMap<PathBuf, Record>) -> Result<Self, Error> {
        let newest = records.values().map(|record| record.stamp.ctime).max().unwrap_or_default();
        let owners = root.owners().table().unwrap_or_default();
        Ok(Self { root: root_node(root)?, records, newest, owners })
    }

    /// Whether the clock has ticked since the stamp, so that a later change must show in it.
    fn is_settled(&self, stamp: &Stamp) -> bool {
        self.newest.as_nanos() - stamp.ctime.as_nanos() > TICK_NANOS
    }

    /// The records of the tree as it is; what differs from this index goes to `found`.
    fn update(&self, root: &Root, found: &mut Collector) -> Result<BTreeMap<PathBuf, Record>, Error> {
        let owners = root.owners().table().unwrap_or_default();
        let mut records = BTreeMap::new();
        for (path, metadata) in list(root)? {
            let stamp = Stamp::of(&metadata);
            let is_same = |old: &Record| {
                let inode = stamp.inode.number;
                old.stamp == stamp
                    && self.is_settled(&stamp)
                    && self.owners.record(inode) == owners.record(inode)
            };
            let old = self.records.get(&path);
            let record = match old {
                Some(old) if is_same(old) => old.clone(),
                _ => {
                    let new = Record::read(root, &path, &metadata)?;
                    found.candidate(&path, &metadata, !old.is_some_and(|old| old.equals(&new)))?;
                    new
                }
            };
            records.insert(path, record);
        }
        Ok(records)
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.as_os_str().is_empty()
            || self.records.get(path).is_some_and(|record| record.node.kind == FileKind::Directory)
    }
}

impl Record {
    fn read(root: &Root, path: &Path, metadata: &Metadata) -> Result<Self, Error> {
        let opened = Opened::read(root, path, metadata)?;
        let content = match &opened.file {
            Some(file) => Some(Content { file, metadata: &opened.metadata, path }.digest()?),
            None => None,
        };
        Ok(Self { stamp: Stamp::of(metadata), node: opened.node, content })
    }

    fn equals(&self, other: &Self) -> bool {
        self.node == other.node && self.content == other.content
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let Metadata { inode, ctime, mtime, size, .. } = *metadata;
        Self { inode, hard_linked: metadata.is_hard_linked(), ctime, mtime, size }
    }
}

/// All entries that a layer can hold, in order.
fn list(root: &Root) -> Result<BTreeMap<PathBuf, Metadata>, Error> {
    let mut entries = BTreeMap::new();
    walk(root, Path::new(""), |entry| {
        if entry.metadata.kind != FileKind::Socket {
            entries.insert(entry.path.to_owned(), *entry.metadata);
        }
        Ok::<_, Error>(Flow::Descend)
    })?;
    Ok(entries)
}

fn root_node(root: &Root) -> Result<Node, Error> {
    let path = Path::new("");
    let metadata = root.lstat_exact(path)?.ok_or_else(|| Error::Changed { path: path.to_owned() })?;
    Ok(Opened::read(root, path, &metadata)?.node)
}
