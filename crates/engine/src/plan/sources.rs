//! What the instructions of a stage copy and mount from, as far as it can be known before any image is.

use std::sync::Arc;

use containerfile::{Diagnostic, Escape, Instruction, Source, Span, Statement, Word};

use super::{Names, Origin};
use crate::error::{Cause, Error, Place};
use crate::scope::{Globals, Scope};

/// Reads the instructions of one stage, in order.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) escape: Escape,
    pub(super) globals: &'a Globals,
    pub(super) names: &'a Names,
    pub(super) stage: usize,
}

impl Reader<'_> {
    /// What `statement` copies and mounts from. `scope` is what is known of variables without any image, and learns
    /// what the statement declares.
    pub(super) fn sources(
        &mut self,
        statement: &Statement,
        scope: &mut Scope,
    ) -> Result<Vec<(Origin, Place)>, Error> {
        match &statement.instruction {
            Instruction::Arg(declarations) => {
                for declaration in declarations {
                    scope.declare(declaration, self.globals, self.escape).map_err(|d| self.syntax(d))?;
                }
            }
            Instruction::Env(pairs) => {
                let before = scope.clone();
                for pair in pairs {
                    let key = self.expand(&pair.key, &before)?;
                    scope.set(&key, self.expand(&pair.value, &before)?);
                }
            }
            Instruction::Copy(copy) => {
                if let Some(word) = &copy.from {
                    return Ok(vec![(
                        self.from(word, "the source of COPY --from", scope)?,
                        self.place(word.span()),
                    )]);
                }
            }
            Instruction::Run(run) => {
                let words = run.mounts.iter().filter_map(containerfile::Mount::from);
                let source = |word: &Word| {
                    Ok((self.from(word, "the source of RUN --mount", scope)?, self.place(word.span())))
                };
                return words.map(source).collect();
            }
            _ => {}
        }
        Ok(Vec::new())
    }

    fn from(&self, word: &Word, what: &'static str, scope: &Scope) -> Result<Origin, Error> {
        let text = self.expand(word, scope)?;
        if text.is_empty() {
            return Err(Error::from(Cause::Empty { what }).at(self.place(word.span())));
        }
        self.names.source(&text, self.stage).map_err(|error| error.at(self.place(word.span())))
    }

    fn expand(&self, word: &Word, scope: &Scope) -> Result<String, Error> {
        let expanded = word.expand(&|name| scope.get(name), self.escape);
        expanded.map(|expanded| expanded.value).map_err(|diagnostic| self.syntax(diagnostic))
    }

    fn syntax(&self, diagnostic: Diagnostic) -> Error {
        Cause::Syntax { source_text: Arc::clone(self.source), diagnostics: vec![diagnostic] }.into()
    }

    fn place(&self, span: Span) -> Place {
        Place { source: Arc::clone(self.source), span, label: None }
    }
}
