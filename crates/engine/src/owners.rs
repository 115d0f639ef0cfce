//! Whether the disk can say whom the files of root file systems belong to, and what a step is told where it cannot.
//!
//! With one id, each tree has a table of its own beside it. A step sees several trees: its root file system, and what is
//! mounted there for it. All lie in the file system of the store, where no two files have one inode number, so one table
//! tells the step of all of them.

use std::path::{Path, PathBuf};

use layer::{Owners, Root};
use ownership::Table;
use sandbox::Identity;

use crate::Shared;
use crate::error::{Cause, Error};

/// Where it stands whom files belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// On disk.
    Disk,
    /// In tables.
    Tables,
}

impl Keeping {
    /// What somebody who is `identity` has to do.
    pub(crate) fn of(identity: &Identity) -> Self {
        match identity {
            Identity::Single(_) => Self::Tables,
            Identity::Root(_) | Identity::Mapped { .. } => Self::Disk,
        }
    }

    /// The owners of a tree that is about to be made.
    pub(crate) fn owners(self) -> Owners {
        match self {
            Self::Disk => Owners::on_disk(),
            Self::Tables => Owners::in_table(Table::default()),
        }
    }
}

impl Shared {
    /// Writes what is known of the trees that a step sees; none if the disk says all of it.
    pub(crate) fn step_table<'a>(
        &self,
        trees: impl Iterator<Item = &'a Owners>,
    ) -> Result<Option<StepTable>, Error> {
        let host = self.host()?;
        if host.keeping == Keeping::Disk {
            return Ok(None);
        }
        let table = union(trees);
        if host.emulates_owners {
            return StepTable::write(self.new_dir("ownership")?, &table).map(Some);
        }
        if table.is_empty() {
            return Ok(None);
        }
        let reason = host.reason.clone().unwrap_or_default();
        Err(Cause::UnseenOwners { reason }.into())
    }
}

/// What all of these trees know.
fn union<'a>(trees: impl Iterator<Item = &'a Owners>) -> Table {
    let mut all = Table::default();
    for table in trees.filter_map(Owners::table) {
        all.apply(&Table::default(), &table);
    }
    all
}

/// The table that one step is told, in a file.
#[derive(Debug)]
pub(crate) struct StepTable {
    dir: PathBuf,
}

impl StepTable {
    fn write(dir: PathBuf, table: &Table) -> Result<Self, Error> {
        let step = Self { dir };
        table.save(&step.path())?;
        Ok(step)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.join("table")
    }

    /// What it says now of the files in `tree`, which then knows it as well.
    pub(crate) fn tell(&self, tree: &Root) -> Result<(), Error> {
        tree.owners().replace(Table::load(&self.path())?);
        let forgotten = tree.forget_removed();
        forgotten.map_err(|source| {
            Cause::Layer { action: "look for the files that a step has removed".into(), source }.into()
        })
    }

    /// Takes it away.
    pub(crate) fn remove(self) -> Result<(), Error> {
        let failed = |path: &Path, source| Cause::Io { action: "remove", path: path.to_owned(), source };
        std::fs::remove_file(self.path()).map_err(|source| failed(&self.path(), source))?;
        std::fs::remove_dir(&self.dir).map_err(|source| failed(&self.dir, source).into())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use ownership::{Kind, Record};

    use super::*;

    /// A step that gives the file at `path` to `uid`.
    pub(crate) fn give(step: &StepTable, path: &Path, uid: u32) {
        let mut table = Table::load(&step.path()).unwrap();
        let record = Record { uid, ..Record::of_disk(0o644) };
        table.set(fs::metadata(path).unwrap().ino(), Kind::File, record);
        table.save(&step.path()).unwrap();
    }

    /// The table of a step that sees these trees.
    pub(crate) fn seen<'a>(dir: &Path, trees: impl Iterator<Item = &'a Root>) -> StepTable {
        let dir = dir.join("step");
        fs::create_dir(&dir).unwrap();
        StepTable::write(dir, &union(trees.map(Root::owners))).unwrap()
    }

    fn uid(root: &Root, path: &str) -> u32 {
        root.lstat(Path::new(path)).unwrap().unwrap().uid
    }

    #[test]
    fn each_tree_learns_of_its_own_files() {
        let dir = tempfile::tempdir().unwrap();
        let trees = ["one", "two"].map(|name| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("f"), name).unwrap();
            Root::open_with(path, Keeping::Tables.owners()).unwrap()
        });
        let first = seen(dir.path(), trees.iter());
        give(&first, &dir.path().join("one/f"), 1);
        give(&first, &dir.path().join("two/f"), 2);
        for tree in &trees {
            first.tell(tree).unwrap();
        }
        first.remove().unwrap();
        assert_eq!(trees.each_ref().map(|tree| uid(tree, "f")), [1, 2]);
        // What another step does to one tree changes nothing in the other.
        let second = seen(dir.path(), trees.iter());
        fs::remove_file(dir.path().join("two/f")).unwrap();
        second.tell(&trees[1]).unwrap();
        assert!(trees[1].owners().table().unwrap().is_empty());
        assert_eq!(uid(&trees[0], "f"), 1);
    }
}
