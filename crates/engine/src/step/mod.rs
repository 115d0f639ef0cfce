//! An instruction of a stage → what it does: a change of the config, or an operation on the root file system.

mod copy;
mod mount;
mod run;

use std::sync::Arc;

use containerfile::{Escape, Instruction, Source, Span, Word};

use crate::configure::configure;
use crate::copy::CopyOp;
use crate::error::{Error, Place};
use crate::expansion::{Expander, Variables};
use crate::options::BuildOptions;
use crate::plan::{Names, Origin, Plan};
use crate::run::RunOp;
use crate::scope::{Globals, Scope};
use crate::stage::State;

/// What an instruction does to the root file system.
#[derive(Debug)]
pub(crate) enum Op {
    /// Makes the working directory.
    Workdir {
        /// An absolute path.
        path: String,
        /// Where it is written.
        place: Place,
    },
    /// Copies files into it.
    Copy(Box<CopyOp>),
    /// Runs a command in it.
    Run(RunOp),
}

impl Op {
    /// Whether it is done on top of nothing.
    pub(crate) fn is_independent(&self) -> bool {
        matches!(self, Self::Copy(op) if op.link)
    }
}

/// What an instruction does.
#[derive(Debug)]
pub(crate) struct Step {
    /// The operation; without one, the instruction has changed the config and is done.
    pub(crate) op: Option<Op>,
    /// What history says; `None` for ONBUILD.
    pub(crate) created_by: Option<String>,
}

/// The text that instructions come from, and the values around it.
#[derive(Debug)]
pub(crate) struct Texts<'a> {
    pub(crate) source: &'a Arc<Source>,
    pub(crate) globals: &'a Globals,
    pub(crate) escape: Escape,
    pub(crate) names: &'a Names,
    /// The number of the stage.
    pub(crate) stage: usize,
}

impl<'a> Texts<'a> {
    /// `source` in stage `stage` of `plan`.
    pub(crate) fn new(plan: &'a Plan, source: &'a Arc<Source>, stage: usize) -> Self {
        Self { source, globals: &plan.globals, escape: plan.escape, names: &plan.names, stage }
    }

    pub(crate) fn expander<'b>(&'b self, scope: &'b Scope) -> Expander<'b> {
        Expander {
            source: self.source,
            escape: self.escape,
            variables: Variables::Stage(scope, self.globals),
        }
    }

    /// The place of `span` in this text.
    pub(crate) fn place(&self, span: Span) -> Place {
        Place::new(self.source, span)
    }

    /// What `--from=text` or `from=text` means here.
    pub(crate) fn origin(&self, text: &str) -> Result<Origin, Error> {
        self.names.source(text, self.stage)
    }
}

/// Carries out what `instruction` does to the config, and tells what is left to do.
pub(crate) fn step(
    instruction: &Instruction,
    state: &mut State,
    texts: &Texts<'_>,
    options: &BuildOptions,
) -> Result<Step, Error> {
    crate::plan::check(instruction, &options.allow)?;
    let (op, created_by) = match instruction {
        Instruction::Workdir(word) => workdir(word, state, texts)?,
        Instruction::Copy(instruction) => copy::copy(instruction, state, texts)?,
        Instruction::Add(instruction) => copy::add(instruction, state, texts)?,
        Instruction::Run(run) => {
            let (op, created_by) = run::run(run, state, texts, options)?;
            (Some(Op::Run(op)), created_by)
        }
        other => return Ok(Step { op: None, created_by: configure(other, state, texts)? }),
    };
    Ok(Step { op, created_by: Some(created_by) })
}

fn workdir(word: &Word, state: &mut State, texts: &Texts<'_>) -> Result<(Option<Op>, String), Error> {
    let expander = texts.expander(&state.scope);
    let (text, place) = (expander.word(word)?, expander.place(word));
    state.set_working_dir(&text);
    let path = state.cwd();
    let created_by = format!("WORKDIR {}", state.working_dir());
    Ok(((path != "/").then_some(Op::Workdir { path, place }), created_by))
}
