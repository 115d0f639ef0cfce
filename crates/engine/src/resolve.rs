//! A plan's images → pinned manifests, and the ONBUILD triggers that they bring along.

use std::sync::Arc;

use containerfile::{Instruction, Source};

use crate::Shared;
use crate::base::{Base, Bases};
use crate::context::Contexts;
use crate::error::{Cause, Error, Place};
use crate::options::BuildOptions;
use crate::plan::{Origin, Plan, PlannedStage, Sourced};

impl Shared {
    /// Pins every image that a needed stage starts from or copies from, and adopts the triggers of its base.
    pub(crate) fn resolve_all(
        &self,
        plan: &mut Plan,
        options: &BuildOptions,
        contexts: &Contexts,
    ) -> Result<Bases, Error> {
        let mut bases = Bases::default();
        let mut done = std::collections::BTreeSet::new();
        // Triggers may need further stages.
        while let Some(index) = plan.stages.keys().copied().find(|index| !done.contains(index)) {
            let stage = &plan.stages[&index];
            let (base, platform) = ((stage.base.clone(), stage.base_place.clone()), stage.platform.clone());
            self.resolve_origin(&base, &platform, options, contexts, &mut bases)?;
            for source in plan.stages[&index].sources.clone() {
                self.resolve_origin(&source, &options.platform, options, contexts, &mut bases)?;
            }
            let stage = &plan.stages[&index];
            let triggers = triggers(stage, plan, &bases)?;
            let env = match &stage.base {
                Origin::Image(reference) => bases.of(reference, &stage.platform),
                _ => None,
            };
            let env = env.map(|base| base.config.value().config.env.clone()).unwrap_or_default();
            for source in plan.adopt(index, triggers, &env)? {
                self.resolve_origin(&source, &options.platform, options, contexts, &mut bases)?;
            }
            done.insert(index);
        }
        Ok(bases)
    }

    fn resolve_origin(
        &self,
        (origin, place): &(Origin, Place),
        platform: &oci::Platform,
        options: &BuildOptions,
        contexts: &Contexts,
        bases: &mut Bases,
    ) -> Result<(), Error> {
        if let Origin::Image(reference) = origin
            && bases.of(reference, platform).is_none()
        {
            let context = contexts.main.as_ref().map(|context| &context.root);
            let base = self.resolve(reference, platform, options.pull, context);
            bases.insert(platform, base.map_err(|error| error.at(place.clone()))?);
        }
        Ok(())
    }
}

/// The instructions that its base has left for a stage (Dockerfile reference, "ONBUILD").
fn triggers(stage: &PlannedStage, plan: &Plan, bases: &Bases) -> Result<Vec<Sourced>, Error> {
    let (texts, name): (Vec<String>, _) = match &stage.base {
        Origin::Image(reference) => {
            let base = bases.of(reference, &stage.platform);
            (
                base.map(|base| base.config.value().config.on_build.clone()).unwrap_or_default(),
                reference.to_string(),
            )
        }
        Origin::Stage(index) => {
            let parent = &plan.stages[index];
            let onbuild =
                parent.statements.iter().filter_map(|sourced| match &sourced.statement.instruction {
                    Instruction::Onbuild(onbuild) => Some(onbuild.text.clone()),
                    _ => None,
                });
            (onbuild.collect(), parent.name.clone())
        }
        Origin::Scratch | Origin::Context | Origin::Named(_) => return Ok(Vec::new()),
    };
    let trigger = |text: &String| {
        let source = Arc::new(Source::new(format!("ONBUILD trigger of {name}"), text.clone()));
        match containerfile::parse_onbuild_trigger(&source) {
            Ok(statement) => Ok(Sourced { statement, source }),
            Err(diagnostics) => Err(Cause::Syntax { source_text: source, diagnostics }.into()),
        }
    };
    texts.iter().map(trigger).collect()
}

/// The image below all stages that the target is built on.
pub(crate) fn first_base<'a>(plan: &Plan, bases: &'a Bases) -> Option<&'a Base> {
    let mut stage = &plan.stages[&plan.target];
    loop {
        match &stage.base {
            Origin::Image(reference) => return bases.of(reference, &stage.platform),
            Origin::Stage(index) => stage = &plan.stages[index],
            Origin::Scratch | Origin::Context | Origin::Named(_) => return None,
        }
    }
}
