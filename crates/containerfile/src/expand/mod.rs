//! Expansion: variables, quotes and escapes of a word → its value (Dockerfile reference, "Environment
//! replacement"), with BuildKit's meaning.
//!
//! Where the value of a variable comes from, the caller's scope says. Beyond BuildKit's modifiers, buildah's
//! `${v/#p/r}` and `${v/%p/r}` (anchored) and `${v/p}` (delete) are known.
//!
//! Depth and size are bounded: `ENV a=$a$a` forty times over must not fill the memory.

mod expander;
mod pattern;
mod substitution;

use std::collections::BTreeSet;

use expander::Expander;

use crate::{Diagnostic, Escape, Heredoc, Word};

/// The value of a word.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expanded {
    /// The value.
    pub value: String,
    /// The variables it mentions that have a value.
    pub defined: BTreeSet<String>,
    /// The variables it mentions that have none, also where a default stood in.
    pub undefined: BTreeSet<String>,
}

/// The values of a word that is split at the blanks outside quotes, also at those from variables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExpandedWords {
    /// The values, none of them empty.
    pub words: Vec<String>,
    /// As in [`Expanded`].
    pub defined: BTreeSet<String>,
    /// As in [`Expanded`].
    pub undefined: BTreeSet<String>,
}

impl Word {
    /// Replaces variables and takes off quotes and escapes.
    ///
    /// `scope` gives the value of a variable, or nothing if it is unset. Errors: a quote or brace that is
    /// never closed, an unknown modifier, `${v:?}` of an unset variable, a value beyond 1 MiB.
    pub fn expand(
        &self,
        scope: &dyn Fn(&str) -> Option<String>,
        escape: Escape,
    ) -> Result<Expanded, Diagnostic> {
        Expander::new(self, scope, escape).value()
    }

    /// As [`Word::expand`], but split at blanks after expansion, as EXPOSE is.
    pub fn expand_words(
        &self,
        scope: &dyn Fn(&str) -> Option<String>,
        escape: Escape,
    ) -> Result<ExpandedWords, Diagnostic> {
        Expander::new(self, scope, escape).words()
    }
}

impl Heredoc {
    /// What COPY and ADD write: the content, with variables replaced unless the delimiter is quoted.
    ///
    /// Quotes stay; `\` escapes in any file, whatever its escape directive says.
    pub fn expand(&self, scope: &dyn Fn(&str) -> Option<String>) -> Result<Expanded, Diagnostic> {
        let content = self.content();
        if !self.expand {
            return Ok(Expanded { value: content.into_owned(), ..Expanded::default() });
        }
        let word = Word::new(content, self.body_span);
        Expander::new(&word, scope, Escape::Backslash).without_quotes().value()
    }
}

#[cfg(test)]
mod tests;
