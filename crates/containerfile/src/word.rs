//! An argument before expansion.

use std::ops::Range;

use crate::fragment::Fragment;
use crate::{Escape, Span};

/// An argument as it was written: variables, quotes and escapes are still in it.
///
/// [`Word::expand`] gives its value. A word that came from a JSON array or from a quoted flag holds the decoded
/// text, which is what expansion works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    text: String,
    span: Span,
}

impl Word {
    /// A word that is written as `text` at `span`.
    pub fn new(text: impl Into<String>, span: Span) -> Self {
        Self { text: text.into(), span }
    }

    /// The text before expansion.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it stands in the source.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Whether the text has no character that expansion would treat specially, so that it is its own value.
    pub fn is_literal(&self, escape: Escape) -> bool {
        !self.text.contains(['$', '"', '\'', escape.as_char()])
    }

    /// The source range of the bytes `range` of the text; the whole word where the two do not run in step.
    pub(crate) fn span_of(&self, range: Range<usize>) -> Span {
        if self.span.len() == self.text.len() {
            Span::new(self.span.start + range.start, self.span.start + range.end)
        } else {
            self.span
        }
    }

    /// The bytes `range` of the text as a word of its own.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        Self { text: self.text[range.clone()].to_owned(), span: self.span_of(range) }
    }
}

impl From<Fragment<'_>> for Word {
    fn from(fragment: Fragment<'_>) -> Self {
        Self::new(fragment.as_str(), fragment.span())
    }
}
