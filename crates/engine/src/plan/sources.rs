//! What the instructions of a stage copy and mount from, as far as it can be known before any image is.

use std::sync::Arc;

use containerfile::{ArgDeclaration, Escape, Instruction, Mount, Pair, Source, Word};

use super::{Names, Origin, Sourced};
use crate::error::{Cause, Error, Place};
use crate::expansion::{Expander, Variables};
use crate::scope::{Globals, Scope};

/// What is known of the variables of a stage before any image is.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Those of the text.
    pub(super) scope: Scope,
    /// Whether a base image may set others.
    pub(super) is_open: bool,
}

/// Reads the instructions of one stage, in order.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    escape: Escape,
    globals: &'a Globals,
    names: &'a Names,
    stage: usize,
    /// The variables so far. Behind an ARG or ENV that is wrong nothing is, and nothing is read: what is wrong there
    /// may come of it.
    pub(super) known: Option<Known>,
    /// What was found, and where each is written.
    pub(super) sources: Vec<(Origin, Place)>,
    /// What is wrong, in the order of the text.
    pub(super) errors: Vec<Error>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        escape: Escape,
        globals: &'a Globals,
        names: &'a Names,
        stage: usize,
        known: Option<Known>,
    ) -> Self {
        Self { escape, globals, names, stage, known, sources: Vec::new(), errors: Vec::new() }
    }

    /// Finds what an instruction copies and mounts from, and learns what it declares.
    pub(super) fn read(&mut self, Sourced { statement, source }: &Sourced) {
        let Some(known) = self.known.take() else { return };
        match &statement.instruction {
            Instruction::Arg(declarations) => self.known = self.declare(declarations, source, known),
            Instruction::Env(pairs) => self.known = self.set(pairs, source, known),
            instruction => {
                for (word, what) in origins(instruction) {
                    let origin = self.origin(word, what, &self.expander(source, &known.scope));
                    origin.map_or_else(|error| self.errors.push(error), |found| self.sources.push(found));
                }
                self.known = Some(known);
            }
        }
    }

    fn declare(
        &mut self,
        declarations: &[ArgDeclaration],
        source: &Arc<Source>,
        mut known: Known,
    ) -> Option<Known> {
        for declaration in declarations {
            let declared = known.scope.declare(declaration, self.globals, self.escape, source);
            if let Err(diagnostic) = declared {
                let error = self.expander(source, &known.scope).error(diagnostic);
                known = self.failed(error, known)?;
            }
        }
        Some(known)
    }

    fn set(&mut self, pairs: &[Pair], source: &Arc<Source>, mut known: Known) -> Option<Known> {
        let before = known.scope.clone();
        for pair in pairs {
            let expander = self.expander(source, &before);
            let expanded = expander.word(&pair.key).and_then(|key| Ok((key, expander.word(&pair.value)?)));
            match expanded {
                Ok((key, value)) => known.scope.set(&key, value),
                Err(error) => known = self.failed(error, known)?,
            }
        }
        Some(known)
    }

    /// What is known after an expansion has failed. If the base may set what was missing, the step will tell.
    fn failed(&mut self, error: Error, known: Known) -> Option<Known> {
        if known.is_open {
            return Some(known);
        }
        self.errors.push(error);
        None
    }

    fn origin(
        &self,
        word: &Word,
        what: &'static str,
        expander: &Expander<'_>,
    ) -> Result<(Origin, Place), Error> {
        let text = expander.word(word)?;
        let place = expander.place(word);
        if text.is_empty() {
            return Err(Error::from(Cause::Empty { what }).at(place));
        }
        match self.names.source(&text, self.stage) {
            Ok(origin) => Ok((origin, place)),
            Err(error) => Err(error.at(place)),
        }
    }

    fn expander<'b>(&'b self, source: &'b Arc<Source>, scope: &'b Scope) -> Expander<'b> {
        Expander { source, escape: self.escape, variables: Variables::Stage(scope, self.globals) }
    }
}

/// The words of an instruction that say where files come from, and what messages call them.
fn origins(instruction: &Instruction) -> Vec<(&Word, &'static str)> {
    match instruction {
        Instruction::Copy(copy) => copy.from.iter().map(|word| (word, "the source of COPY --from")).collect(),
        Instruction::Run(run) => {
            let words = run.mounts.iter().filter_map(Mount::from);
            words.map(|word| (word, "the source of RUN --mount")).collect()
        }
        _ => Vec::new(),
    }
}
