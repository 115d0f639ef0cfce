//! Snapshots as plain directories: one working tree a stage, changed in place, for where nothing can be mounted.
//!
//! What a step changed is found by comparing the tree with an index of what it was. A tree that is no longer changed
//! serves as the source of others.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use layer::{Adjust, Changeset, Copier, Flow, Index, Owners, Root};
use oci::ChainId;
use store::Store;

use super::{Changes, Driver, Layer, Tree, View, chain, make_dir, open, unpack};
use crate::error::{Cause, Error};
use crate::owners::Keeping;

/// The driver.
pub(crate) struct Vfs(Arc<Shared>);

struct Shared {
    store: Arc<Store>,
    dir: PathBuf,
    next: AtomicUsize,
    keeping: Keeping,
    /// Trees that are not changed any more.
    idle: Mutex<HashMap<Option<ChainId>, Place>>,
}

/// Where a tree is, and whom its files belong to.
#[derive(Clone)]
struct Place {
    dir: PathBuf,
    owners: Owners,
}

impl Place {
    fn open(&self) -> Result<Root, Error> {
        open(&self.dir, self.owners.clone())
    }
}

impl Vfs {
    /// A driver that works in `dir`, an empty directory.
    pub(crate) fn new(store: Arc<Store>, dir: PathBuf, keeping: Keeping) -> Self {
        Self(Arc::new(Shared { store, dir, next: AtomicUsize::new(0), keeping, idle: Mutex::default() }))
    }
}

impl Shared {
    fn idle(&self, top: Option<ChainId>) -> Option<Place> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).get(&top).cloned()
    }

    fn keep(&self, top: Option<ChainId>, tree: Place) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).insert(top, tree);
    }

    /// A directory with the layers unpacked into it, or with a copy of a tree that has them.
    fn make(&self, layers: &[Layer]) -> Result<Place, Error> {
        let dir = self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        make_dir(&dir)?;
        let place = Place { dir, owners: self.keeping.owners() };
        let root = place.open()?;
        match self.idle(top(layers)) {
            Some(tree) => copy(&tree.open()?, &root)?,
            None => {
                for layer in layers {
                    unpack(&self.store, layer, &root)?;
                }
            }
        }
        Ok(place)
    }
}

fn top(layers: &[Layer]) -> Option<ChainId> {
    chain(layers).pop()
}

pub(crate) fn copy(from: &Root, to: &Root) -> Result<(), Error> {
    let failed = |source| Cause::Layer { action: "copy a root file system".into(), source };
    let mut copier = Copier::new(from, to, Adjust::default());
    copier.copy(Path::new(""), Path::new("")).map_err(failed)?;
    let walked = layer::walk(from, Path::new(""), |entry| {
        copier.copy(entry.path, entry.path)?;
        Ok::<_, layer::Error>(Flow::Descend)
    });
    walked.and_then(|()| copier.finish()).map_err(failed)?;
    Ok(())
}

impl Driver for Vfs {
    fn tree(&self, layers: &[Layer]) -> Result<Box<dyn Tree>, Error> {
        let place = self.0.make(layers)?;
        let root = place.open()?;
        let index = Index::scan(&root);
        let index =
            index.map_err(|source| Cause::Layer { action: "index the root file system".into(), source })?;
        Ok(Box::new(Working { shared: Arc::clone(&self.0), place, root, index, separated: false }))
    }

    fn view(&self, layers: &[Layer]) -> Result<Box<dyn View>, Error> {
        let place = match self.0.idle(top(layers)) {
            Some(place) => place,
            None => {
                let place = self.0.make(layers)?;
                self.0.keep(top(layers), place.clone());
                place
            }
        };
        Ok(Box::new(Plain(place.open()?)))
    }
}

struct Working {
    shared: Arc<Shared>,
    place: Place,
    root: Root,
    index: Index,
    /// Whether hard links were separated that the layers have: the tree is then not what they unpack to.
    separated: bool,
}

impl Tree for Working {
    fn begin(&mut self) -> Result<&Root, Error> {
        let separated = self.index.separate_links(&self.root);
        self.separated |=
            separated.map_err(|source| Cause::Layer { action: "separate hard links".into(), source })?;
        Ok(&self.root)
    }

    fn finish(&mut self) -> Result<Changes, Error> {
        let found: Result<(Changeset, Index), _> = self.index.changes(&self.root);
        let (set, index) =
            found.map_err(|source| Cause::Layer { action: "find what the step changed".into(), source })?;
        self.index = index;
        Ok(Changes { root: self.place.open()?, set, frozen: false })
    }

    fn close(self: Box<Self>, layers: &[Layer]) -> Result<(), Error> {
        if !self.separated {
            self.shared.keep(top(layers), self.place);
        }
        Ok(())
    }
}

struct Plain(Root);

impl View for Plain {
    fn root(&self) -> &Root {
        &self.0
    }
}
