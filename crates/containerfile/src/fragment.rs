//! A piece of a logical line that knows its place in the source. All lexing cuts fragments into fragments.

use crate::Span;
use crate::logical_line::LogicalLine;

/// The bytes `start..end` of a logical line, on character boundaries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fragment<'a> {
    line: &'a LogicalLine,
    start: usize,
    end: usize,
}

impl<'a> Fragment<'a> {
    pub(crate) fn new(line: &'a LogicalLine, start: usize, end: usize) -> Self {
        Self { line, start, end }
    }

    pub(crate) fn as_str(self) -> &'a str {
        &self.line.text()[self.start..self.end]
    }

    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Where it stands in the source.
    pub(crate) fn span(self) -> Span {
        self.line.span(self.start, self.end)
    }

    /// Offsets of the fragment in its logical line.
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start..self.end
    }

    /// The bytes `start..end` of this fragment.
    pub(crate) fn slice(self, start: usize, end: usize) -> Self {
        Self { start: self.start + start, end: self.start + end, ..self }
    }

    /// From byte `start` of this fragment to its end.
    pub(crate) fn from(self, start: usize) -> Self {
        self.slice(start, self.end - self.start)
    }

    /// Without white space at both ends.
    pub(crate) fn trim(self) -> Self {
        let text = self.as_str();
        let start = text.len() - text.trim_start().len();
        self.slice(start, start + text.trim().len())
    }

    /// The first word and the rest, both without white space around.
    pub(crate) fn split_word(self) -> (Self, Self) {
        let text = self.as_str();
        let end = text.find(is_separator).unwrap_or(text.len());
        (self.slice(0, end), self.from(end).trim())
    }

    /// The words between separators; quotes have no meaning.
    pub(crate) fn split_words(self) -> Vec<Self> {
        let text = self.as_str();
        let mut words = Vec::new();
        let mut offset = 0;
        for word in text.split(is_separator) {
            if !word.is_empty() {
                words.push(self.slice(offset, offset + word.len()));
            }
            offset += word.len() + 1;
        }
        words
    }

    /// What stands before and after the first `separator`.
    pub(crate) fn split_once(self, separator: char) -> Option<(Self, Self)> {
        let at = self.as_str().find(separator)?;
        Some((self.slice(0, at), self.from(at + separator.len_utf8())))
    }
}

/// What separates words. Other Unicode white space is part of a word, as in BuildKit.
pub(crate) fn is_separator(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\u{b}' | '\u{c}')
}
