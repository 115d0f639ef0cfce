//! Snapshots as overlay mounts: unpacked layers below, a fresh upper directory for each step.
//!
//! A step's upper directory is frozen when the step is over, so its layer is packed while the next step runs on top.
//! Later it becomes an unpacked layer of the store.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use layer::{Adjust, Copier, Owners, Root, overlay_changes};
use oci::ChainId;
use sandbox::{Durability, MountGuard, OverlayXattrs, Upper, mount_overlay};
use store::Store;

use super::{Changes, Driver, Layer, Tree, View, chain, make_dir, unpack};
use crate::error::{Cause, Error};

/// The driver.
pub(crate) struct Overlay(Arc<Shared>);

struct Shared {
    store: Arc<Store>,
    xattrs: OverlayXattrs,
    /// For mount points and upper directories, on the file system of the store.
    dir: PathBuf,
    next: AtomicUsize,
}

impl Overlay {
    /// A driver that works in `dir`, an empty directory on the file system of the store.
    pub(crate) fn new(store: Arc<Store>, xattrs: OverlayXattrs, dir: PathBuf) -> Self {
        Self(Arc::new(Shared { store, xattrs, dir, next: AtomicUsize::new(0) }))
    }
}

impl Shared {
    fn new_dir(&self) -> Result<PathBuf, Error> {
        let dir = self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        make_dir(&dir)?;
        Ok(dir)
    }

    /// The unpacked layers, the topmost first; never empty.
    fn unpacked(&self, layers: &[Layer]) -> Result<Vec<PathBuf>, Error> {
        let mut dirs: Vec<PathBuf> = Vec::new();
        for (layer, chain) in layers.iter().zip(chain(layers)) {
            let dir = match self.store.layer(&chain) {
                Some(dir) => dir,
                None => self.unpack(layer, &chain, &dirs)?,
            };
            dirs.insert(0, dir);
        }
        if dirs.is_empty() {
            let empty = self.new_dir()?.join("empty");
            make_dir(&empty)?;
            dirs.push(empty);
        }
        Ok(dirs)
    }

    fn unpack(&self, layer: &Layer, chain: &ChainId, below: &[PathBuf]) -> Result<PathBuf, Error> {
        let staged = self.store.stage_layer(chain)?;
        if below.is_empty() {
            unpack(&self.store, layer, &open(&staged.root())?)?;
        } else {
            // Through a mount, the kernel makes the whiteouts, and links to lower files work.
            let mounted = Mounted::new(self, below, Some(staged.root()))?;
            unpack(&self.store, layer, &mounted.root)?;
            mounted.unmount()?;
        }
        Ok(staged.commit()?)
    }
}

impl Driver for Overlay {
    fn tree(&self, layers: &[Layer]) -> Result<Box<dyn Tree>, Error> {
        let lower = self.0.unpacked(layers)?;
        Ok(Box::new(Stack {
            shared: Arc::clone(&self.0),
            lower,
            base: layers.len(),
            steps: Vec::new(),
            step: None,
        }))
    }

    fn view(&self, layers: &[Layer]) -> Result<Box<dyn View>, Error> {
        let lower = self.0.unpacked(layers)?;
        Ok(Box::new(Mounted::new(&self.0, &lower, None)?))
    }
}

struct Stack {
    shared: Arc<Shared>,
    /// The topmost first.
    lower: Vec<PathBuf>,
    /// How many layers the tree began with.
    base: usize,
    /// For each finished step the upper directory, if it changed anything.
    steps: Vec<PathBuf>,
    step: Option<(Mounted, PathBuf)>,
}

impl Tree for Stack {
    fn begin(&mut self) -> Result<&Root, Error> {
        let upper = self.shared.new_dir()?.join("fs");
        make_dir(&upper)?;
        let mounted = Mounted::new(&self.shared, &self.lower, Some(upper.clone()))?;
        Ok(&self.step.insert((mounted, upper)).0.root)
    }

    fn finish(&mut self) -> Result<Changes, Error> {
        let (mounted, upper) = self.step.take().expect("invariant: a step is begun before it is finished");
        mounted.unmount()?;
        let below = Mounted::new(&self.shared, &self.lower, None)?;
        let root = open(&upper)?;
        let xattrs = match self.shared.xattrs {
            OverlayXattrs::Trusted => layer::OverlayXattrs::Trusted,
            OverlayXattrs::User => layer::OverlayXattrs::User,
        };
        let found = overlay_changes(&root, &below.root, xattrs);
        let set =
            found.map_err(|source| Cause::Layer { action: "find what the step changed".into(), source })?;
        if !set.is_empty() {
            self.lower.insert(0, upper.clone());
            self.steps.push(upper);
        }
        Ok(Changes { root, set, frozen: true })
    }

    fn close(self: Box<Self>, layers: &[Layer]) -> Result<(), Error> {
        let chain = chain(layers);
        for (upper, chain) in self.steps.iter().zip(chain.iter().skip(self.base)) {
            if self.shared.store.layer(chain).is_none() {
                let staged = self.shared.store.stage_layer(chain)?;
                let target = staged.root();
                let moved = fs::rename(upper, &target);
                moved.map_err(|source| Cause::Io { action: "keep the layer", path: target, source })?;
                staged.commit()?;
            }
        }
        Ok(())
    }
}

/// A mounted stack.
struct Mounted {
    // Dropped first: an open root keeps nothing from being unmounted, but nothing may use it afterwards.
    root: Root,
    guard: MountGuard,
}

impl Mounted {
    /// Mounts `lower` (the topmost first), writable if there is an `upper` directory to write to.
    fn new(shared: &Shared, lower: &[PathBuf], upper: Option<PathBuf>) -> Result<Self, Error> {
        let dir = shared.new_dir()?;
        let target = dir.join("root");
        make_dir(&target)?;
        let mut lower = lower.to_vec();
        let upper = match upper {
            Some(upper) => {
                let work = dir.join("work");
                make_dir(&work)?;
                take_attributes(&lower[0], &upper)?;
                Some(Upper { dir: upper, work, durability: Durability::Synced })
            }
            None => {
                // A mount without an upper directory needs two lower ones.
                let empty = dir.join("empty");
                make_dir(&empty)?;
                lower.push(empty);
                None
            }
        };
        let overlay = sandbox::Overlay { lower, upper, xattrs: shared.xattrs };
        let guard = mount_overlay(&overlay, &target)
            .map_err(|source| Cause::Sandbox { action: "mount the root file system", source })?;
        Ok(Self { root: open(&target)?, guard })
    }

    fn unmount(self) -> Result<(), Error> {
        let Self { root, guard } = self;
        drop(root);
        guard
            .unmount()
            .map_err(|source| Cause::Sandbox { action: "unmount the root file system", source }.into())
    }
}

impl View for Mounted {
    fn root(&self) -> &Root {
        &self.root
    }
}

fn open(path: &Path) -> Result<Root, Error> {
    super::open(path, Owners::on_disk())
}

/// The root of an overlay has the attributes of its upper directory, so a fresh one takes over those below.
fn take_attributes(below: &Path, upper: &Path) -> Result<(), Error> {
    let failed = |source| Cause::Layer { action: "prepare a root file system".into(), source };
    let (from, to) = (open(below)?, open(upper)?);
    let mut copier = Copier::new(&from, &to, Adjust::default());
    copier.copy(Path::new(""), Path::new("")).map_err(failed)?;
    copier.finish().map_err(failed)?;
    Ok(())
}
