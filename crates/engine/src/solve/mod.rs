//! Building: stage after stage, step after step; each taken from the cache or done on a snapshot.

mod link;

use std::collections::BTreeMap;
use std::sync::Arc;

use layer::{Ownership, Root};
use oci::{ChainId, Digest, History};

use crate::Shared;
use crate::base::Bases;
use crate::cache::{Definition, Key, Record, VolumeKey};
use crate::context::Contexts;
use crate::copy::{CopyOp, content, place};
use crate::error::{Cause, Error, Place};
use crate::event::{Event, StepId};
use crate::input::Group;
use crate::options::{BuildOptions, Times};
use crate::pack::Packing;
use crate::plan::{Origin, Plan, PlannedStage, Sourced};
use crate::run::{MountInputs, RunOp};
use crate::secret::Guard;
use crate::snapshot::{Tree, chain};
use crate::stage::State;
use crate::step::{Op, Texts, step};
use crate::users;

/// What BuildKit writes as the comment of each history entry it makes.
const COMMENT: &str = "buildkit.dockerfile.v0";

/// Builds the stages of a plan.
pub(crate) struct Solver<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) options: &'a BuildOptions,
    pub(crate) plan: &'a Plan,
    /// The images that stages start from and copy from.
    pub(crate) bases: Bases,
    /// The directories that they copy from.
    pub(crate) contexts: Contexts,
    /// What keeps the secrets in their place.
    pub(crate) guard: Guard,
    /// The finished stages by their number.
    pub(crate) stages: BTreeMap<usize, State>,
    /// The number of steps, and of those begun.
    pub(crate) total: usize,
    pub(crate) begun: usize,
}

/// A stage that is being built.
struct Progress<'a> {
    stage: &'a PlannedStage,
    state: State,
    /// The root file system, from the first step on that had to be done.
    tree: Option<Box<dyn Tree>>,
    /// The layer of the last step, while it is being packed, with the step's key.
    packing: Option<(Packing, Pending)>,
}

/// What a step reads.
#[derive(Default)]
struct Inputs {
    groups: Vec<Group>,
    mounts: MountInputs,
}

/// What is recorded of a step once its layer is packed.
struct Pending {
    key: Key,
    created: i64,
    /// The step, for errors: the next one runs while the layer is packed.
    place: Place,
}

/// A step that has begun.
struct Begun {
    id: StepId,
    place: Place,
}

impl Solver<'_> {
    /// Builds one stage; those it needs must be built.
    pub(crate) fn stage(&mut self, stage: &PlannedStage) -> Result<(), Error> {
        let mut progress = Progress { stage, state: self.start(stage), tree: None, packing: None };
        if let Origin::Named(name) = &stage.base {
            self.fill(&mut progress, name)?;
        }
        let result = stage.statements.iter().try_for_each(|sourced| self.statement(&mut progress, sourced));
        // Also after a failure: the steps that were done need not be done again.
        let settled = self.settle(&mut progress).and_then(|()| close(&mut progress));
        result.and(settled)?;
        self.stages.insert(stage.index, progress.state);
        Ok(())
    }

    /// What the stage begins with.
    fn start(&self, stage: &PlannedStage) -> State {
        let mut state = match &stage.base {
            Origin::Stage(index) => return State::stage(&self.stages[index]),
            Origin::Scratch | Origin::Context | Origin::Named(_) => State::scratch(&stage.platform),
            Origin::Image(reference) => {
                let base = self.bases.of(reference, &stage.platform);
                let base = base.expect("invariant: the images of a plan were resolved");
                State::image(base.config.value(), base.layers.clone())
            }
        };
        state.config.config.labels.retain(|name, _| !self.options.unset_labels.contains(name));
        for (name, value) in &self.options.env {
            state.set_env(name, value);
        }
        state
    }

    /// The first layer of a stage that starts from a directory: all that is in it.
    fn fill(&mut self, progress: &mut Progress<'_>, name: &str) -> Result<(), Error> {
        let stage = progress.stage;
        let begun = self.begin(stage, &format!("FROM {name}"), stage.base_place.clone());
        let op = Op::Copy(Box::new(CopyOp::everything(stage.base.clone(), &begun.place)));
        let cached = self.operation(progress, &op, format!("FROM {name} # buildkit"), &begun);
        self.end(begun, cached)
    }

    /// Tells that the next step begins.
    fn begin(&mut self, stage: &PlannedStage, text: &str, place: Place) -> Begun {
        self.begun += 1;
        let (stage, stage_name) = (stage.index, stage.name.clone());
        let id = StepId { stage, stage_name, number: self.begun, total: self.total };
        self.shared.event(Event::StepStarted { step: id.clone(), text: self.guard.mask.text(text) });
        Begun { id, place }
    }

    /// Tells that it has ended, or fails where it stands.
    fn end(&self, begun: Begun, cached: Result<bool, Error>) -> Result<(), Error> {
        let cached = cached.map_err(|error| error.at(begun.place))?;
        self.shared.event(Event::StepFinished { step: begun.id, cached });
        Ok(())
    }

    fn statement(&mut self, progress: &mut Progress<'_>, sourced: &Sourced) -> Result<(), Error> {
        self.shared.check_cancelled()?;
        let Sourced { statement, source } = sourced;
        let texts = Texts::new(self.plan, source, progress.stage.index);
        let begun = self.begin(progress.stage, &statement.text, texts.place(statement.span));
        let step = step(&statement.instruction, &mut progress.state, &texts, self.options);
        let cached = step.and_then(|step| {
            let Some(created_by) = step.created_by else { return Ok(false) };
            match step.op {
                None => self.configure(progress, created_by),
                Some(mut op) => {
                    self.numeric_owner(&mut op, progress)?;
                    self.operation(progress, &op, created_by, &begun)
                }
            }
        });
        self.end(begun, cached)
    }

    /// A step that changed the config alone. The cache remembers when that was first done.
    fn configure(&self, progress: &mut Progress<'_>, created_by: String) -> Result<bool, Error> {
        let mut config = progress.state.config.clone();
        config.history.clear();
        config.created = None;
        let config = Digest::of(&oci::to_json(&(config, &created_by)));
        let key = Key::new(&Definition::Configure { config }, self.options);
        // The config stands for all that came before but the layers, which need not be known for a time.
        let cached = self.shared.cached(key, None)?.filter(|_| !self.options.no_cache);
        let created = match &cached {
            Some(record) => record.created,
            None => {
                let record = Record { created: self.options.now, layer: None };
                self.shared.remember(key, None, &record)?;
                record.created
            }
        };
        self.history(progress, created_by, created, true);
        Ok(cached.is_some())
    }

    /// A step that changes the root file system.
    fn operation(
        &self,
        progress: &mut Progress<'_>,
        op: &Op,
        created_by: String,
        begun: &Begun,
    ) -> Result<bool, Error> {
        let inputs = match op {
            Op::Copy(op) => Inputs { groups: self.groups(op)?, ..Inputs::default() },
            Op::Run(op) => Inputs { mounts: self.mount_inputs(op)?, ..Inputs::default() },
            Op::Workdir { .. } => Inputs::default(),
        };
        let key = Key::new(&definition(op, &progress.state, &inputs)?, self.options);
        if !self.options.no_cache && self.shared.may_be_cached(key)? {
            self.settle(progress)?;
            let parent = if op.is_independent() { None } else { chain(&progress.state.layers).pop() };
            if let Some(record) = self.shared.cached(key, parent)? {
                close(progress)?;
                let is_empty = record.layer.is_none();
                progress.state.layers.extend(record.layer);
                self.history(progress, created_by, record.created, is_empty);
                return Ok(true);
            }
        }
        if op.is_independent() {
            let layer = self.independent(op, &inputs, progress, &begun.id)?;
            self.shared.remember(key, None, &Record { created: self.options.now, layer: layer.clone() })?;
            self.history(progress, created_by, self.options.now, layer.is_none());
            progress.state.layers.extend(layer);
            return Ok(false);
        }
        let changes = {
            let mut tree = match progress.tree.take() {
                Some(tree) => tree,
                None => self.tree(progress)?,
            };
            let done = tree.begin().and_then(|root| self.perform(op, &inputs, root, progress, &begun.id));
            // After a failure the tree is of no further use, and what it held before is in the store.
            done?;
            let changes = tree.finish()?;
            progress.tree = Some(tree);
            changes
        };
        self.settle(progress)?;
        let pending = Pending { key, created: self.options.now, place: begun.place.clone() };
        let is_empty = changes.set.is_empty();
        if is_empty {
            let parent = chain(&progress.state.layers).pop();
            self.shared.remember(key, parent, &Record { created: pending.created, layer: None })?;
        } else {
            progress.packing =
                Some((Packing::start(self.shared, changes, self.options, &self.guard)?, pending));
        }
        self.history(progress, created_by, self.options.now, is_empty);
        Ok(false)
    }

    fn perform(
        &self,
        op: &Op,
        inputs: &Inputs,
        root: &Root,
        progress: &Progress<'_>,
        id: &StepId,
    ) -> Result<(), Error> {
        match op {
            Op::Workdir { path, place } => {
                let (uid, gid) = users::owner_of_workdir(root, &progress.state.config.config.user)?;
                let ownership = Ownership { uid, gid, mode: 0o755 };
                let made = root.create_dir_all(path.as_ref(), &ownership);
                made.map(drop).map_err(|source| {
                    let action = format!("make the directory `{path}`");
                    Error::from(Cause::Layer { action, source }).at(place.clone())
                })
            }
            Op::Copy(op) => {
                let owner = op.owner.as_ref().map(|owner| owner.ids(root)).transpose()?;
                place(op, &inputs.groups, root, owner, self.options.now)
            }
            Op::Run(op) => self.run(op, &inputs.mounts, root, id),
        }
    }

    fn tree(&self, progress: &mut Progress<'_>) -> Result<Box<dyn Tree>, Error> {
        self.settle(progress)?;
        self.shared.fetch(&progress.state.layers)?;
        self.shared.host()?.driver.tree(&progress.state.layers)
    }

    /// Waits for the layer that is being packed; it is part of the stage, and remembered, afterwards.
    fn settle(&self, progress: &mut Progress<'_>) -> Result<(), Error> {
        let Some((packing, pending)) = progress.packing.take() else { return Ok(()) };
        let layer = packing.wait().map_err(|error| error.at(pending.place))?;
        let parent: Option<ChainId> = chain(&progress.state.layers).pop();
        let record = Record { created: pending.created, layer: Some(layer.clone()) };
        self.shared.remember(pending.key, parent, &record)?;
        progress.state.layers.push(layer);
        Ok(())
    }

    fn history(&self, progress: &mut Progress<'_>, created_by: String, created: i64, empty_layer: bool) {
        let seconds = match self.options.times {
            Times::Actual => created,
            Times::Clamp(seconds) | Times::Force(seconds) => seconds,
        };
        let created = Some(crate::assemble::rfc3339(seconds));
        progress.state.config.created.clone_from(&created);
        progress.state.config.history.push(History {
            created,
            created_by: Some(created_by),
            comment: Some(COMMENT.to_owned()),
            empty_layer,
            ..History::default()
        });
    }
}

/// What a step does, in the form that its key is made of.
fn definition<'a>(op: &'a Op, state: &'a State, inputs: &Inputs) -> Result<Definition<'a>, Error> {
    let user = &state.config.config.user;
    Ok(match op {
        Op::Workdir { path, .. } => Definition::Workdir { path, user },
        Op::Copy(op) => Definition::Copy {
            destination: &op.destination,
            owner: op.owner.as_ref().map(|owner| owner.text.as_str()),
            chmod: op.chmod.as_ref().map(ToString::to_string),
            link: op.link,
            content: content(&inputs.groups, op)?,
        },
        Op::Run(op) => run_definition(op, &inputs.mounts),
    })
}

fn run_definition<'a>(op: &'a RunOp, inputs: &MountInputs) -> Definition<'a> {
    Definition::Run {
        argv: &op.argv,
        script: op.script.as_ref(),
        env: &op.env,
        cwd: &op.cwd,
        user: &op.user,
        network: op.network,
        hosts: &op.hosts,
        hostname: op.hostname.as_deref(),
        volumes: op.volumes.iter().map(VolumeKey::new).collect(),
        mounts: inputs.keys(op),
        is_insecure: op.is_insecure,
    }
}

/// Gives up the tree: the next step, if it has to be done, begins with a new one.
fn close(progress: &mut Progress<'_>) -> Result<(), Error> {
    progress.tree.take().map_or(Ok(()), |tree| tree.close(&progress.state.layers))
}
