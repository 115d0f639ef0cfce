//! From a Containerfile to an image: plan → resolve → solve → pack → assemble, and images to and from registries.
//!
//! The way of a build is one direction. `plan` refuses what can be refused and names the stages; `base`
//! pins the images; `solve` takes each step from the `cache` or does it on a `snapshot` (`copy`, `run`);
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
mod copy;
mod error;
mod event;
mod export;
mod fetch;
mod options;
mod pack;
mod parallel;
mod plan;
mod run;
mod scope;
mod snapshot;
mod solve;
mod stage;
mod step;
mod transfer;
mod users;
mod warnings;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use containerfile::{Instruction, Source};
use oci::{Descriptor, Digest, Platform, Reference};
use sandbox::{Cancellation, Choice, IdMap};
use store::{Store, WorkDir};

pub use base::Image;
pub use error::{Cause, Error, IgnoreRule, Place};
pub use event::{Event, Events, Pushed, StepId, Stream};
pub use export::{Output, Target};
pub use options::{BuildOptions, Network, PullPolicy, StorageDriver, Times, Volume};

use base::Base;
use copy::Filter;
use plan::{Origin, Plan, PlannedStage};
use snapshot::Driver;
use snapshot::overlay::Overlay;
use snapshot::vfs::Vfs;
use solve::{Solver, Sourced};

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
    /// What only builds and root file systems need.
    sandboxed: Option<Sandboxed>,
}

struct Sandboxed {
    driver: Box<dyn Driver>,
    ids: IdMap,
    work: WorkDir,
    next: AtomicUsize,
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
    /// Fails if `host.driver` is overlay and nothing of that kind can be mounted on the store's file system.
    pub fn new(host: Host) -> Result<Self, Error> {
        let work = host.store.work_dir()?;
        let dir = work.path().join("snapshots");
        std::fs::create_dir(&dir).map_err(|source| Cause::Io {
            action: "make the directory",
            path: dir.clone(),
            source,
        })?;
        let store = Arc::clone(&host.store);
        let driver: Box<dyn Driver> = match (host.driver, host.choice.overlay) {
            (StorageDriver::Auto | StorageDriver::Overlay, Some(xattrs)) => {
                Box::new(Overlay::new(store, xattrs, dir))
            }
            (StorageDriver::Overlay, None) => return Err(Cause::NoOverlay.into()),
            (StorageDriver::Auto | StorageDriver::Vfs, _) => Box::new(Vfs::new(store, dir)),
        };
        let ids = host.choice.identity.map().clone();
        let sandboxed = Sandboxed { driver, ids, work, next: AtomicUsize::new(0) };
        let shared = Shared {
            sandboxed: Some(sandboxed),
            ..Shared::new(host.store, host.registry, host.events, host.cancel)
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// An engine for images as they are: it pushes, pulls and exports archives, and needs no namespaces for it.
    pub fn without_sandbox(
        store: Arc<Store>,
        registry: registry::Client,
        events: Events,
        cancel: Cancellation,
    ) -> Self {
        Self { shared: Arc::new(Shared::new(store, registry, events, cancel)) }
    }

    /// Builds the image that `options` describe. It is complete in the store afterwards, and has no name yet.
    ///
    /// After an error, steps that were done are remembered.
    pub fn build(&self, options: &BuildOptions) -> Result<Image, Error> {
        let plan = Plan::new(options)?;
        for diagnostic in &plan.warnings {
            let source = Arc::clone(&plan.source);
            self.shared.event(Event::Warning { source, diagnostic: diagnostic.clone() });
        }
        let filter = options.ignore.as_ref().map(Filter::parse).transpose()?.unwrap_or_default();
        let bases = self.shared.resolve_all(&plan, options)?;
        let statements: Vec<_> =
            plan.stages.iter().map(|stage| statements(stage, &plan, &bases)).collect::<Result<_, _>>()?;
        let total = statements.iter().map(Vec::len).sum();
        let base = first_base(&plan, &bases);
        let mut solver = Solver {
            shared: &self.shared,
            options,
            plan: &plan,
            bases,
            filter,
            stages: BTreeMap::new(),
            total,
            begun: 0,
        };
        for (stage, statements) in plan.stages.iter().zip(&statements) {
            solver.stage(stage, statements)?;
        }
        let target = plan.stages.last().expect("invariant: a plan has its target");
        let image = self.shared.assemble(&solver.stages[&target.index], base.as_ref(), options)?;
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
    fn new(store: Arc<Store>, registry: registry::Client, events: Events, cancel: Cancellation) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { store, registry, events, cancel, threads, sandboxed: None }
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

    /// Pins every image that a needed stage starts from or copies from.
    fn resolve_all(&self, plan: &Plan, options: &BuildOptions) -> Result<BTreeMap<String, Base>, Error> {
        let mut bases = BTreeMap::new();
        for stage in &plan.stages {
            let own = match &stage.base {
                Origin::Image(reference) => Some((reference.clone(), stage.base_place.clone())),
                _ => None,
            };
            for (reference, place) in own.into_iter().chain(stage.images.iter().cloned()) {
                let name = reference.to_string();
                if let std::collections::btree_map::Entry::Vacant(entry) = bases.entry(name) {
                    let base = self.resolve(&reference, &options.platform, options.pull);
                    entry.insert(base.map_err(|error| error.at(place))?);
                }
            }
        }
        Ok(bases)
    }
}

impl Sandboxed {
    /// An empty directory that lives as long as the engine.
    fn new_dir(&self, name: &str) -> Result<PathBuf, Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let dir = self.work.path().join(format!("{name}-{number}"));
        std::fs::create_dir(&dir).map_err(|source| Cause::Io {
            action: "make the directory",
            path: dir.clone(),
            source,
        })?;
        Ok(dir)
    }
}

/// The instructions of a stage, those first that its base has left for it (Dockerfile reference, "ONBUILD").
fn statements(
    stage: &PlannedStage,
    plan: &Plan,
    bases: &BTreeMap<String, Base>,
) -> Result<Vec<Sourced>, Error> {
    let mut statements = Vec::new();
    for (text, name) in triggers(stage, plan, bases) {
        let source = Arc::new(Source::new(format!("ONBUILD trigger of {name}"), text));
        let statement = containerfile::parse_onbuild_trigger(&source)
            .map_err(|diagnostics| Cause::Syntax { source_text: Arc::clone(&source), diagnostics })?;
        if matches!(&statement.instruction, Instruction::Copy(copy) if copy.from.is_some()) {
            let what = "`COPY --from` in an ONBUILD trigger".to_owned();
            return Err(Error::from(Cause::Unsupported { what }).at(stage.base_place.clone()));
        }
        plan::check(&statement.instruction).map_err(|error| error.at(stage.base_place.clone()))?;
        statements.push(Sourced { statement, source });
    }
    let own = stage.statements.iter();
    statements.extend(
        own.map(|statement| Sourced { statement: statement.clone(), source: Arc::clone(&plan.source) }),
    );
    Ok(statements)
}

fn triggers(stage: &PlannedStage, plan: &Plan, bases: &BTreeMap<String, Base>) -> Vec<(String, String)> {
    match &stage.base {
        Origin::Scratch => Vec::new(),
        Origin::Image(reference) => {
            let base = &bases[&reference.to_string()];
            let triggers = base.config.value().config.on_build.iter();
            triggers.map(|text| (text.clone(), reference.to_string())).collect()
        }
        Origin::Stage(index) => {
            let parent = plan.stages.iter().find(|stage| stage.index == *index);
            let statements = parent.map_or([].as_slice(), |parent| &parent.statements);
            let onbuild = statements.iter().filter_map(|statement| match &statement.instruction {
                Instruction::Onbuild(onbuild) => Some(onbuild.text.clone()),
                _ => None,
            });
            onbuild.map(|text| (text, parent.map_or("", |parent| &parent.name).to_owned())).collect()
        }
    }
}

/// The image below all stages that the target is built on.
fn first_base(plan: &Plan, bases: &BTreeMap<String, Base>) -> Option<Base> {
    let mut stage = plan.stages.last()?;
    loop {
        match &stage.base {
            Origin::Scratch => return None,
            Origin::Image(reference) => return bases.get(&reference.to_string()).cloned(),
            Origin::Stage(index) => stage = plan.stages.iter().find(|stage| stage.index == *index)?,
        }
    }
}
