//! A parsed Containerfile → which stages are built, in which order, from what.
//!
//! Everything that can be refused without asking a registry or touching a disk is refused here. Names become
//! [`Origin`]s; stages that the target does not need are left out. What ONBUILD triggers of base images add is adopted
//! once those images are known.

mod check;
mod order;
mod origin;
mod planner;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use containerfile::{CheckOptions, Containerfile, Diagnostic, Escape, Source, Statement};
use oci::Platform;

pub(crate) use check::check;
pub(crate) use origin::{Names, Origin};

use crate::error::{Cause, Error, Place};
use crate::event::{Event, Events};
use crate::options::{BuildOptions, Entitlement};
use crate::scope::{Globals, Scope};
use crate::warnings::{check_options, is_buildkits, warnings};
use planner::{Draft, Planner};
use sources::{Known, Reader};

/// An instruction and the text that it stands in: the Containerfile, or the config of a base image.
#[derive(Debug, Clone)]
pub(crate) struct Sourced {
    pub(crate) statement: Statement,
    pub(crate) source: Arc<Source>,
}

/// A stage that will be built.
#[derive(Debug)]
pub(crate) struct PlannedStage {
    /// Its number in the Containerfile.
    pub(crate) index: usize,
    /// Its name, or its number as text.
    pub(crate) name: String,
    /// What it starts from.
    pub(crate) base: Origin,
    /// Where its base is written.
    pub(crate) base_place: Place,
    /// The platform of its base.
    pub(crate) platform: Platform,
    /// What its instructions copy and mount from, and where each is written.
    pub(crate) sources: Vec<(Origin, Place)>,
    /// The instructions, those first that its base has left for it.
    pub(crate) statements: Vec<Sourced>,
}

impl PlannedStage {
    /// The number of its steps: the files of a directory that it starts from are one.
    pub(crate) fn steps(&self) -> usize {
        self.statements.len() + usize::from(matches!(self.base, Origin::Named(_)))
    }

    fn needs(&self) -> BTreeSet<usize> {
        stages(std::iter::once(&self.base).chain(self.sources.iter().map(|(origin, _)| origin)))
    }
}

/// The stages among `origins`.
fn stages<'a>(origins: impl Iterator<Item = &'a Origin>) -> BTreeSet<usize> {
    origins.filter_map(|origin| if let Origin::Stage(index) = origin { Some(*index) } else { None }).collect()
}

/// What will be done.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The text.
    pub(crate) source: Arc<Source>,
    /// Warnings about the text and what it is built with.
    pub(crate) warnings: Vec<Diagnostic>,
    /// Which rules speak, and how loudly.
    check: CheckOptions,
    /// The escape character of the text.
    pub(crate) escape: Escape,
    /// Variables outside of stages.
    pub(crate) globals: Globals,
    /// What `--from` can name.
    pub(crate) names: Names,
    /// The number of the stage that becomes the image.
    pub(crate) target: usize,
    /// The needed stages by their number.
    pub(crate) stages: BTreeMap<usize, PlannedStage>,
    /// What instructions may do beyond the usual.
    allow: BTreeSet<Entitlement>,
    /// Those that nothing has needed yet. What is wrong with them is nobody's concern.
    spare: BTreeMap<usize, Draft>,
}

impl Plan {
    /// Plans what `options` ask for.
    pub(crate) fn new(source: &Arc<Source>, options: &BuildOptions) -> Result<Self, Error> {
        let source = Arc::clone(source);
        let syntax = |diagnostics| Cause::Syntax { source_text: Arc::clone(&source), diagnostics };
        let file = containerfile::parse(&source).map_err(syntax)?;
        let names = Names::new(&file.stages, &options.contexts);
        let target = target(&file, &names, options.target.as_deref())?;
        let stage_name = file.stages[target].name.as_ref().map_or("", |name| &name.value);
        let escape = file.directives.escape;
        let globals = Globals::new(
            &options.build_args,
            &options.platform,
            stage_name,
            &file.global_args,
            escape,
            &source,
        )
        .map_err(|diagnostic| syntax(vec![diagnostic]))?;
        let spare = Planner { source: &source, escape, globals: &globals, names: &names, options }
            .drafts(&file.stages);
        let check = check_options(&file, &options.build_args).map_err(Cause::BadCheck)?;
        let unset = BTreeMap::new();
        let defaults =
            Globals::new(&unset, &options.platform, stage_name, &file.global_args, escape, &source).ok();
        let warnings = warnings(&file, &options.build_args, &globals, defaults.as_ref(), &check);
        let stages = BTreeMap::new();
        let allow = options.allow.clone();
        let mut plan = Self { source, warnings, check, escape, globals, names, target, stages, allow, spare };
        plan.need(target)?;
        Ok(plan)
    }

    /// Sends an event for each of `warnings` that is not switched off, and returns how many there were.
    ///
    /// Fails where the file wants warnings to be errors.
    pub(crate) fn tell(&self, warnings: &[Diagnostic], events: &Events) -> Result<usize, Error> {
        let speaks = |warning: &&Diagnostic| warning.code.is_none_or(|code| self.check.speaks(code));
        let told: Vec<_> = warnings.iter().filter(speaks).collect();
        for diagnostic in &told {
            let source = Arc::clone(&self.source);
            events(Event::Warning { source, diagnostic: (*diagnostic).clone() });
        }
        let fatal = told.iter().filter(|warning| warning.code.is_some_and(is_buildkits)).count();
        if self.check.error && fatal > 0 {
            Err(Cause::Warned { count: fatal }.into())
        } else {
            Ok(told.len())
        }
    }

    /// What the needed stages start from, copy from and mount from.
    pub(crate) fn origins(&self) -> impl Iterator<Item = (&Origin, &Place)> {
        self.stages.values().flat_map(|stage| {
            let sources = stage.sources.iter().map(|(origin, place)| (origin, place));
            std::iter::once((&stage.base, &stage.base_place)).chain(sources)
        })
    }

    /// The numbers of the needed stages, each after those it needs.
    pub(crate) fn order(&self) -> Result<Vec<usize>, Error> {
        let needs = self.stages.iter().map(|(index, stage)| (*index, stage.needs())).collect();
        order::ordered(&order::reachable(self.target, &needs), &needs).map_err(|index| {
            let stage = &self.stages[&index];
            Error::from(Cause::Cycle { stage: stage.name.clone() }).at(stage.base_place.clone())
        })
    }

    /// Puts the ONBUILD triggers of its base before the instructions of stage `index`. `env` is the environment of the
    /// base image. Returns what the triggers copy and mount from.
    pub(crate) fn adopt(
        &mut self,
        index: usize,
        triggers: Vec<Sourced>,
        env: &[String],
    ) -> Result<Vec<(Origin, Place)>, Error> {
        let Some(stage) = self.stages.get_mut(&index) else { return Ok(Vec::new()) };
        let place = &stage.base_place;
        let known = Known { scope: Scope::of_image(env), is_open: true };
        let mut reader = Reader::new(self.escape, &self.globals, &self.names, index, Some(known));
        for trigger in &triggers {
            check(&trigger.statement.instruction, &self.allow).map_err(|error| error.at(place.clone()))?;
            reader.read(trigger);
        }
        Error::all(reader.errors)?;
        let mut sources = reader.sources;
        for (_, source_place) in &mut sources {
            source_place.clone_from(place);
        }
        stage.sources.extend(sources.iter().cloned());
        stage.statements.splice(0..0, triggers);
        for index in stages(sources.iter().map(|(origin, _)| origin)) {
            self.need(index)?;
        }
        Ok(sources)
    }

    /// Makes stage `index` and all that it needs part of the plan. Tells everything that is wrong with them.
    fn need(&mut self, index: usize) -> Result<(), Error> {
        let mut pending = vec![index];
        let mut wrong = BTreeMap::new();
        while let Some(index) = pending.pop() {
            let Some(draft) = self.spare.remove(&index) else { continue };
            pending.extend(draft.needs);
            match draft.stage {
                Ok(stage) => drop(self.stages.insert(index, stage)),
                Err(errors) => drop(wrong.insert(index, errors)),
            }
        }
        Error::all(wrong.into_values().flatten().collect())
    }
}

fn target(file: &Containerfile, names: &Names, wanted: Option<&str>) -> Result<usize, Error> {
    let count = file.stages.len();
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else { return Ok(count - 1) };
    let numbered = || wanted.parse().ok().filter(|index| *index < count);
    names.stage(wanted, count).or_else(numbered).ok_or_else(|| names.unknown(wanted))
}
