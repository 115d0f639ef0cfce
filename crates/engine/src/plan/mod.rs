//! A parsed Containerfile → which stages are built, in which order, from what.
//!
//! Everything that can be refused without asking a registry or touching a disk is refused here. Names become
//! [`Origin`]s; stages that the target does not need are left out. What ONBUILD triggers of base images add is adopted
//! once those images are known.

mod check;
mod order;
mod origin;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use containerfile::{CheckOptions, Containerfile, Diagnostic, Escape, Source, Span, Stage, Statement, Word};
use oci::Platform;

pub(crate) use check::check;
pub(crate) use origin::{Names, Origin};

use crate::error::{Cause, Error, Place};
use crate::event::{Event, Events};
use crate::options::{BuildOptions, Entitlement};
use crate::scope::{Globals, Scope};
use crate::warnings::{check_options, is_buildkits, warnings};
use sources::Reader;

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
        let origins = std::iter::once(&self.base).chain(self.sources.iter().map(|(origin, _)| origin));
        origins
            .filter_map(|origin| if let Origin::Stage(index) = origin { Some(*index) } else { None })
            .collect()
    }
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
    /// Those that nothing has needed yet, with what is wrong with them.
    spare: BTreeMap<usize, Result<PlannedStage, Error>>,
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
        let globals =
            Globals::new(&options.build_args, &options.platform, stage_name, &file.global_args, escape)
                .map_err(|diagnostic| syntax(vec![diagnostic]))?;
        let spare =
            Planner { source: &source, escape, globals: &globals, names: &names, options }.stages(&file);
        let check = check_options(&file, &options.build_args).map_err(Cause::BadCheck)?;
        let unset = BTreeMap::new();
        let defaults = Globals::new(&unset, &options.platform, stage_name, &file.global_args, escape).ok();
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
        let is_on = |warning: &&Diagnostic| !warning.code.is_some_and(|code| self.check.skip.contains(code));
        let told: Vec<_> = warnings.iter().filter(is_on).collect();
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
        let mut scope = Scope::of_image(env);
        let mut sources = Vec::new();
        for trigger in &triggers {
            check(&trigger.statement.instruction, &self.allow).map_err(|error| error.at(place.clone()))?;
            let mut reader = Reader {
                source: &trigger.source,
                escape: self.escape,
                globals: &self.globals,
                names: &self.names,
                stage: index,
            };
            sources.extend(reader.sources(&trigger.statement, &mut scope)?);
        }
        for (_, source_place) in &mut sources {
            source_place.clone_from(place);
        }
        stage.sources.extend(sources.iter().cloned());
        stage.statements.splice(0..0, triggers);
        for (origin, _) in &sources {
            if let Origin::Stage(needed) = origin {
                self.need(*needed)?;
            }
        }
        Ok(sources)
    }

    /// Makes stage `index` and all that it needs part of the plan.
    fn need(&mut self, index: usize) -> Result<(), Error> {
        let mut pending = vec![index];
        while let Some(index) = pending.pop() {
            let Some(stage) = self.spare.remove(&index) else { continue };
            let stage = stage?;
            for Sourced { statement, source } in &stage.statements {
                let place = Place { source: Arc::clone(source), span: statement.span, label: None };
                check(&statement.instruction, &self.allow).map_err(|error| error.at(place))?;
            }
            pending.extend(stage.needs());
            self.stages.insert(index, stage);
        }
        Ok(())
    }
}

fn target(file: &Containerfile, names: &Names, wanted: Option<&str>) -> Result<usize, Error> {
    let count = file.stages.len();
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else { return Ok(count - 1) };
    let numbered = || wanted.parse().ok().filter(|index| *index < count);
    names.stage(wanted, count).or_else(numbered).ok_or_else(|| names.unknown(wanted))
}

/// Plans the stages of a text, one by one.
struct Planner<'a> {
    source: &'a Arc<Source>,
    escape: Escape,
    globals: &'a Globals,
    names: &'a Names,
    options: &'a BuildOptions,
}

impl Planner<'_> {
    /// All stages: which of them are needed is known from the target on, and what is wrong with the others is nobody's
    /// concern.
    fn stages(&self, file: &Containerfile) -> BTreeMap<usize, Result<PlannedStage, Error>> {
        let mut scopes: BTreeMap<usize, Scope> = BTreeMap::new();
        let mut planned = BTreeMap::new();
        for (index, stage) in file.stages.iter().enumerate() {
            let base = self.base(stage, index);
            let mut scope = match &base {
                Ok(Origin::Stage(parent)) => scopes.get(parent).cloned().unwrap_or_default(),
                _ => Scope::default(),
            };
            let rest = self.sources(stage, index, &mut scope);
            scopes.insert(index, scope);
            planned.insert(index, base.and_then(|base| self.stage(stage, index, base, rest?)));
        }
        planned
    }

    fn stage(
        &self,
        stage: &Stage,
        index: usize,
        base: Origin,
        sources: Vec<(Origin, Place)>,
    ) -> Result<PlannedStage, Error> {
        if let Some(after) = stage.from.after.first() {
            let what = "`FROM --after`".to_owned();
            return Err(Error::from(Cause::Unsupported { what }).at(self.place(after.span())));
        }
        let sourced =
            |statement: &Statement| Sourced { statement: statement.clone(), source: Arc::clone(self.source) };
        Ok(PlannedStage {
            index,
            name: stage.name.as_ref().map_or_else(|| index.to_string(), |name| name.value.clone()),
            base,
            base_place: self.place(stage.from.image.span()),
            platform: self.platform(stage)?,
            sources,
            statements: stage.instructions.iter().map(sourced).collect(),
        })
    }

    fn platform(&self, stage: &Stage) -> Result<Platform, Error> {
        let wanted = &self.options.platform;
        let Some(word) = &stage.from.platform else { return Ok(wanted.clone()) };
        let text = self.expand(word)?;
        text.parse().map_err(|source| Error::from(Cause::BadPlatform(source)).at(self.place(word.span())))
    }

    fn base(&self, stage: &Stage, index: usize) -> Result<Origin, Error> {
        let word = &stage.from.image;
        let text = match &self.options.from {
            Some(image) if index == 0 => image.clone(),
            _ => self.expand(word)?,
        };
        let label = (text != word.text()).then(|| format!("this is `{text}` here"));
        let place = Place { label, ..self.place(word.span()) };
        if text.is_empty() {
            return Err(Error::from(Cause::Empty { what: "the base image" }).at(self.unset(word)));
        }
        self.names.base(&text, index).map_err(|error| error.at(place))
    }

    /// The place of a word of FROM, with the variables in it that have no value.
    fn unset(&self, word: &Word) -> Place {
        let expanded = word.expand(&|name| self.globals.get(name), self.escape);
        let names: Vec<_> =
            expanded.map(|expanded| expanded.undefined.into_iter().collect()).unwrap_or_default();
        let label = (!names.is_empty()).then(|| format!("no value for `{}`", names.join("`, `")));
        Place { label, ..self.place(word.span()) }
    }

    fn sources(&self, stage: &Stage, index: usize, scope: &mut Scope) -> Result<Vec<(Origin, Place)>, Error> {
        let mut reader = Reader {
            source: self.source,
            escape: self.escape,
            globals: self.globals,
            names: self.names,
            stage: index,
        };
        let mut sources = Vec::new();
        for statement in &stage.instructions {
            sources.extend(reader.sources(statement, scope)?);
        }
        Ok(sources)
    }

    /// Words of FROM see the ARGs before the first one.
    fn expand(&self, word: &Word) -> Result<String, Error> {
        let expanded = word.expand(&|name| self.globals.get(name), self.escape);
        expanded.map(|expanded| expanded.value).map_err(|diagnostic| {
            Cause::Syntax { source_text: Arc::clone(self.source), diagnostics: vec![diagnostic] }.into()
        })
    }

    fn place(&self, span: Span) -> Place {
        Place { source: Arc::clone(self.source), span, label: None }
    }
}
