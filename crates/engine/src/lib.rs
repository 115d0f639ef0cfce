//! From a Containerfile to an image: plan → resolve → solve → pack → assemble, and images to and from registries.
//!
//! The way of a build is one direction. `plan` refuses what can be refused and names the stages; `base`
//! pins the images, those of local files by way of `import`; `solve` takes each step from the `cache` or does it on a `snapshot` (`copy`, `run`);
//! `pack` makes layers of what changed; `assemble` writes config and manifest. `transfer` and `export` take it from
//! there.
//!
//! This is the only crate that knows both Dockerfile and OCI words. It must not print, read the environment, the home
//! directory or the clock, and it spawns, mounts and connects only through `sandbox` and `registry`. Start reading at
//! [`Engine::build`].

mod assemble;
mod base;
mod cache;
mod configure;
mod context;
mod copy;
mod error;
mod event;
mod expansion;
mod export;
mod fetch;
mod import;
mod input;
mod name;
mod options;
pub mod outline;
mod owners;
mod pack;
mod parallel;
mod plan;
mod remote;
mod resolve;
mod run;
mod scope;
mod secret;
mod snapshot;
mod solve;
mod ssh;
mod stage;
mod step;
mod transfer;
mod users;
mod warnings;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oci::{Descriptor, Digest, Platform, Reference};
use sandbox::{Cancellation, Choice, IdMap, Isolation};
use store::{Store, WorkDir};

pub use base::Image;
pub use context::{Fetched, Location};
pub use error::{Cause, Error, IgnoreRule, Place};
pub use event::{Event, Events, Pushed, StepId, Stream};
pub use export::{Output, Target};
pub use name::{ImageName, LocalImage, Selector, Transport};
pub use options::{
    BuildOptions, Entitlement, Files, FlagMount, NamedContext, Network, PullPolicy, Secrets, SshSource,
    StorageDriver, Times, Volume, VolumeAccess, VolumeLimits,
};
pub use secret::Secret;

use base::Bases;
use context::Contexts;
use copy::Filter;
use input::ALL;
use owners::Keeping;
use plan::{Plan, PlannedStage};
use resolve::first_base;
use secret::Guard;
use snapshot::Driver;
use snapshot::overlay::Overlay;
use snapshot::vfs::Vfs;
use solve::Solver;
use warnings::stage_warnings;

/// What a build needs of the machine.
#[derive(Clone)]
pub struct Host {
    /// Where blobs, layers and images are kept.
    pub store: Arc<Store>,
    /// The way to registries.
    pub registry: registry::Client,
    /// The namespaces that this process is in.
    pub choice: Choice,
    /// Where snapshots live.
    pub driver: StorageDriver,
    /// Where events go.
    pub events: Events,
    /// Ends the build early.
    pub cancel: Cancellation,
}

/// Plans a build and tells its warnings, without doing any of it.
///
/// Fails as [`Engine::build`] would before it asks a registry, and if there are warnings. What the images of FROM set is
/// not known, and nothing is said of it.
pub fn check(files: &Files, options: &BuildOptions, events: &Events) -> Result<(), Error> {
    let plan = Plan::new(&files.containerfile, options)?;
    plan.order()?;
    let filter = files.ignore.as_ref().map(Filter::parse).transpose()?.unwrap_or_default();
    let of_stages = stage_warnings(&plan, &Bases::default(), &filter);
    match plan.tell(&[plan.warnings.as_slice(), &of_stages].concat(), events)? {
        0 => Ok(()),
        count => Err(Cause::Warned { count }.into()),
    }
}

/// Builds, pushes, pulls and exports images.
pub struct Engine {
    shared: Arc<Shared>,
}

/// What all parts of a build use.
struct Shared {
    store: Arc<Store>,
    registry: registry::Client,
    events: Events,
    cancel: Cancellation,
    /// Threads that compress.
    threads: usize,
    /// Where directories are made that live as long as the engine, and the number of the next one.
    work: (WorkDir, AtomicUsize),
    /// What only steps and root file systems need.
    sandboxed: Option<Sandboxed>,
}

struct Sandboxed {
    driver: Box<dyn Driver>,
    /// Whether overlay can be mounted in the work directory, whatever the driver does.
    overlay: Option<sandbox::OverlayXattrs>,
    keeping: Keeping,
    /// That of steps, or what they fail with.
    isolation: Result<Isolation, sandbox::Error>,
    /// Whether steps see what a table says, and not what is on disk.
    emulates_owners: bool,
    /// Why there are no more ids, if there is one only.
    reason: Option<String>,
    ids: IdMap,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Engine").field("store", &self.shared.store.dir()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Host").field("store", &self.store.dir()).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that can do everything. The process must have entered the namespaces of `host.choice`.
    ///
    /// Fails if `host.driver` is overlay and nothing of that kind can be mounted on the store's file system, or there is
    /// only one id.
    pub fn new(host: Host) -> Result<Self, Error> {
        let mut shared = Shared::new(host.store, host.registry, host.events, host.cancel)?;
        let dir = shared.new_dir("snapshots")?;
        let store = Arc::clone(&shared.store);
        let overlay = host.choice.overlay;
        let keeping = Keeping::of(&host.choice.identity);
        let wanted = match host.driver {
            StorageDriver::Auto => StorageDriver::best(&host.choice),
            driver => driver,
        };
        let driver: Box<dyn Driver> = match (wanted, overlay) {
            (StorageDriver::Overlay, _) if keeping == Keeping::Tables => {
                return Err(Cause::OverlayWithOneId.into());
            }
            (StorageDriver::Overlay, None) => return Err(Cause::NoOverlay.into()),
            (StorageDriver::Overlay, Some(xattrs)) => Box::new(Overlay::new(store, xattrs, dir)),
            (StorageDriver::Auto | StorageDriver::Vfs, _) => Box::new(Vfs::new(store, dir, keeping)),
        };
        let sandbox::Choice { isolation, identity, emulates_owners, reason, .. } = host.choice;
        let ids = identity.map().clone();
        shared.sandboxed =
            Some(Sandboxed { driver, overlay, keeping, isolation, emulates_owners, reason, ids });
        Ok(Self { shared: Arc::new(shared) })
    }

    /// An engine for images and contexts as they are: it pushes, pulls, fetches and exports archives, and needs no
    /// namespaces for it.
    pub fn without_sandbox(
        store: Arc<Store>,
        registry: registry::Client,
        events: Events,
        cancel: Cancellation,
    ) -> Result<Self, Error> {
        Ok(Self { shared: Arc::new(Shared::new(store, registry, events, cancel)?) })
    }

    /// Builds the image that `files` and `options` describe. It is complete in the store afterwards, and has no name yet.
    ///
    /// After an error, steps that were done are remembered.
    pub fn build(&self, files: &Files, options: &BuildOptions) -> Result<Image, Error> {
        let mut plan = Plan::new(&files.containerfile, options)?;
        plan.tell(&plan.warnings, &self.shared.events)?;
        let guard = Guard::new(options)?;
        let mut contexts = Contexts::open(files)?;
        let bases = self.shared.resolve_all(&mut plan, options, &contexts)?;
        let order = plan.order()?;
        let filter = contexts.main.as_ref().map_or(&ALL, |context| &context.filter);
        plan.tell(&stage_warnings(&plan, &bases, filter), &self.shared.events)?;
        self.shared.open_named(&mut contexts, &plan, options)?;
        let total = plan.stages.values().map(PlannedStage::steps).sum();
        let base = first_base(&plan, &bases).cloned();
        let stages = BTreeMap::new();
        let mut solver = Solver {
            shared: &self.shared,
            options,
            plan: &plan,
            bases,
            contexts,
            guard,
            stages,
            total,
            begun: 0,
        };
        for index in order {
            solver.stage(&plan.stages[&index])?;
        }
        let image = self.shared.assemble(&solver.stages[&plan.target], base.as_ref(), options)?;
        self.shared.check_cancelled()?;
        Ok(image)
    }

    /// Gives an image of the store these names; without any it is kept as it is.
    pub fn name(&self, image: &Image, names: &[Reference]) -> Result<(), Error> {
        self.shared.name(image, names)
    }

    /// The manifest and config of an image in the store.
    pub fn inspect(&self, image: &Descriptor) -> Result<Image, Error> {
        base::image_in(&self.shared.store, image, &image.digest.to_string())
    }

    /// Pushes an image of the store. Returns the manifest's digest, which the registry has confirmed.
    pub fn push(&self, image: &Descriptor, to: &Reference) -> Result<Digest, Error> {
        self.shared.push(&self.inspect(image)?, to)
    }

    /// Pulls an image with all its layers into the store and names it there.
    pub fn pull(&self, reference: &Reference, platform: &Platform) -> Result<Image, Error> {
        self.shared.pull(reference, platform)
    }

    /// Writes an image of the store to a file or directory.
    pub fn export(&self, image: &Descriptor, output: &Output, names: &[Reference]) -> Result<(), Error> {
        self.shared.export(image, output, names)
    }
}

impl Shared {
    fn new(
        store: Arc<Store>,
        registry: registry::Client,
        events: Events,
        cancel: Cancellation,
    ) -> Result<Self, Error> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let work = (store.work_dir()?, AtomicUsize::new(0));
        Ok(Self { store, registry, events, cancel, threads, work, sandboxed: None })
    }

    fn event(&self, event: Event) {
        (self.events)(event);
    }

    fn check_cancelled(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() { Err(Cause::Cancelled.into()) } else { Ok(()) }
    }

    fn host(&self) -> Result<&Sandboxed, Error> {
        self.sandboxed.as_ref().ok_or_else(|| Cause::NotEntered.into())
    }

    /// An empty directory that lives as long as the engine.
    fn new_dir(&self, name: &str) -> Result<PathBuf, Error> {
        let (work, next) = &self.work;
        let number = next.fetch_add(1, Ordering::Relaxed);
        let dir = work.path().join(format!("{name}-{number}"));
        std::fs::create_dir(&dir).map_err(|source| Cause::Io {
            action: "make the directory",
            path: dir.clone(),
            source,
        })?;
        Ok(dir)
    }
}
