//! A plan's images → pinned manifests, and the ONBUILD triggers that they bring along.

use std::sync::Arc;

use containerfile::{Instruction, Source};

use crate::Shared;
use crate::base::{Base, Bases};
use crate::context::Contexts;
use crate::error::{Cause, Error, Place};
use crate::name::ImageName;
use crate::options::BuildOptions;
use crate::plan::{Names, Origin, Plan, PlannedStage, Sourced};

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
            let resolve = Resolve { shared: self, options, contexts, names: &plan.names, stage: index };
            let stage = &plan.stages[&index];
            resolve.origin(&stage.base, &stage.base_place, &stage.platform, &mut bases)?;
            for (origin, place) in &stage.sources {
                resolve.origin(origin, place, &options.platform, &mut bases)?;
            }
            let triggers = triggers(stage, plan, &bases)?;
            let env = match &stage.base {
                Origin::Image(reference) => bases.of(reference, &stage.platform),
                _ => None,
            };
            let env = env.map(|base| base.config.value().config.env.clone()).unwrap_or_default();
            for (origin, place) in plan.adopt(index, triggers, &env)? {
                let resolve = Resolve { shared: self, options, contexts, names: &plan.names, stage: index };
                resolve.origin(&origin, &place, &options.platform, &mut bases)?;
            }
            done.insert(index);
        }
        Ok(bases)
    }
}

/// Resolves what one stage names.
struct Resolve<'a> {
    shared: &'a Shared,
    options: &'a BuildOptions,
    contexts: &'a Contexts,
    names: &'a Names,
    stage: usize,
}

impl Resolve<'_> {
    /// Pins `origin`, which is written at `place`, if it is an image.
    fn origin(
        &self,
        origin: &Origin,
        place: &Place,
        platform: &oci::Platform,
        bases: &mut Bases,
    ) -> Result<(), Error> {
        if let Origin::Image(image) = origin
            && bases.of(image, platform).is_none()
        {
            let context = self.contexts.main.as_ref().map(|context| &context.root);
            let base = self.shared.resolve(image, platform, self.options.pull, context);
            bases.insert(platform, base.map_err(|error| error.at(self.place(place, image)))?);
        }
        Ok(())
    }

    /// The place of an image that there is not, with what may have been meant.
    fn place(&self, place: &Place, image: &ImageName) -> Place {
        match self.names.near(image, self.stage) {
            Some(near) => place.clone().and_label(near),
            None => place.clone(),
        }
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
