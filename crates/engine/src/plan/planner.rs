//! The stages of a text, each with what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use containerfile::{Escape, Source, Stage};
use oci::Platform;

use super::sources::{Known, Reader};
use super::{Names, Origin, PlannedStage, Sourced, check, stages};
use crate::error::{Cause, Error, Place};
use crate::expansion::{Expander, Variables};
use crate::options::BuildOptions;
use crate::scope::{Globals, Scope};
use crate::stage::PATH;

/// A stage of which it is not known yet whether it is needed.
#[derive(Debug)]
pub(super) struct Draft {
    /// The stages that it needs, as far as that can be told.
    pub(super) needs: BTreeSet<usize>,
    /// The stage, or everything that is wrong with it, in the order of the text.
    pub(super) stage: Result<PlannedStage, Vec<Error>>,
}

/// Plans the stages of a text, one by one.
pub(super) struct Planner<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) escape: Escape,
    pub(super) globals: &'a Globals,
    pub(super) names: &'a Names,
    pub(super) options: &'a BuildOptions,
}

impl Planner<'_> {
    /// All stages, by their number: which of them are needed is known from the target on.
    pub(super) fn drafts(&self, stages: &[Stage]) -> BTreeMap<usize, Draft> {
        let mut known = Vec::new();
        let mut drafts = BTreeMap::new();
        for (index, stage) in stages.iter().enumerate() {
            let (draft, at_its_end) = self.draft(stage, index, &known);
            known.push(at_its_end);
            drafts.insert(index, draft);
        }
        drafts
    }

    /// Plans stage `index`, and gives what is known of variables at its end. `earlier` is that of the stages before it.
    fn draft(&self, stage: &Stage, index: usize, earlier: &[Option<Known>]) -> (Draft, Option<Known>) {
        let mut errors = Vec::new();
        let mut keep = |error| errors.push(error);
        let platform = self.platform(stage).map_err(&mut keep).ok();
        if let Some(after) = stage.from.after.first() {
            let what = "`FROM --after`".to_owned();
            keep(Error::from(Cause::Unsupported { what }).at(self.expander().at(after.span())));
        }
        let base = self.base(stage, index).map_err(&mut keep).ok();
        let known = self.known(base.as_ref().map(|(origin, _)| origin), earlier);
        let mut reader = Reader::new(self.escape, self.globals, self.names, index, known);
        reader.errors = errors;
        let sourced = |statement| Sourced { statement, source: Arc::clone(self.source) };
        let statements: Vec<_> = stage.instructions.iter().cloned().map(sourced).collect();
        for sourced in &statements {
            let Sourced { statement, source } = sourced;
            let refused = check(&statement.instruction, &self.options.allow).err();
            reader.errors.extend(refused.map(|error| error.at(Place::new(source, statement.span))));
            reader.read(sourced);
        }
        let Reader { sources, errors, known, .. } = reader;
        let origins = base.iter().chain(&sources).map(|(origin, _)| origin);
        let needs = stages(origins);
        let stage = match (platform, base) {
            (Some(platform), Some((base, base_place))) if errors.is_empty() => Ok(PlannedStage {
                index,
                name: stage.name.as_ref().map_or_else(|| index.to_string(), |name| name.value.clone()),
                base,
                base_place,
                platform,
                sources,
                statements,
            }),
            _ => Err(errors),
        };
        (Draft { needs, stage }, known)
    }

    fn platform(&self, stage: &Stage) -> Result<Platform, Error> {
        let wanted = &self.options.platform;
        let Some(word) = &stage.from.platform else { return Ok(wanted.clone()) };
        let text = self.expander().word(word)?;
        text.parse().map_err(|source| Error::from(Cause::BadPlatform(source)).at(self.expander().place(word)))
    }

    /// What a stage starts from, and where that is written.
    fn base(&self, stage: &Stage, index: usize) -> Result<(Origin, Place), Error> {
        let word = &stage.from.image;
        let (text, place) = match &self.options.from {
            Some(image) if index == 0 => {
                let place = self.expander().at(word.span());
                (image.clone(), place.and_label(format!("--from makes this `{image}`")))
            }
            _ => (self.expander().word(word)?, self.expander().place(word)),
        };
        if text.is_empty() {
            return Err(Error::from(Cause::Empty { what: "the base image" }).at(place));
        }
        let base = self.names.base(&text, index).map_err(|error| error.at(place.clone()))?;
        Ok((base, place))
    }

    /// What is known of the variables at the start of a stage; nothing if those of its parent are wrong.
    fn known(&self, base: Option<&Origin>, earlier: &[Option<Known>]) -> Option<Known> {
        if let Some(Origin::Stage(parent)) = base
            && let Some(known) = earlier.get(*parent)
        {
            return known.clone();
        }
        let mut scope = Scope::default();
        scope.set("PATH", PATH.to_owned());
        for (name, value) in &self.options.env {
            scope.set(name, value.clone());
        }
        Some(Known { scope, is_open: matches!(base, None | Some(Origin::Image(_))) })
    }

    /// Words of FROM see the ARGs before the first one.
    fn expander(&self) -> Expander<'_> {
        Expander { source: self.source, escape: self.escape, variables: Variables::Globals(self.globals) }
    }
}
