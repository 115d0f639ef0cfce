//! The walk over a word: quotes, escapes and plain text. What `$` starts, `substitution` reads.

use std::collections::BTreeSet;

use super::{Expanded, ExpandedWords};
use crate::{Diagnostic, Escape, Span, Word};

/// Whether escapes stay in the text, for patterns to read them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RawEscapes {
    Yes,
    No,
}

/// Collects what is expanded, as one value or as words.
pub(super) struct Output {
    pub(super) text: String,
    words: Option<Vec<String>>,
}

impl Output {
    pub(super) fn whole() -> Self {
        Self { text: String::new(), words: None }
    }

    fn split() -> Self {
        Self { text: String::new(), words: Some(Vec::new()) }
    }

    /// A character outside quotes: blanks end a word.
    pub(super) fn plain(&mut self, character: char) {
        match &mut self.words {
            Some(words) if character.is_whitespace() => {
                if !self.text.is_empty() {
                    words.push(std::mem::take(&mut self.text));
                }
            }
            _ => self.text.push(character),
        }
    }

    /// A character that is quoted or escaped.
    pub(super) fn quoted(&mut self, character: char) {
        self.text.push(character);
    }

    fn into_words(self) -> Vec<String> {
        let mut words = self.words.unwrap_or_default();
        if !self.text.is_empty() {
            words.push(self.text);
        }
        words
    }
}

/// Walks over one word, once.
pub(super) struct Expander<'a> {
    pub(super) word: &'a Word,
    /// The byte that is next.
    pub(super) at: usize,
    pub(super) escape: char,
    quotes: bool,
    pub(super) scope: &'a dyn Fn(&str) -> Option<String>,
    pub(super) defined: BTreeSet<String>,
    pub(super) undefined: BTreeSet<String>,
    /// How many `${` are open.
    pub(super) depth: usize,
    /// Bytes that variables have brought in.
    pub(super) added: usize,
}

impl<'a> Expander<'a> {
    pub(super) fn new(word: &'a Word, scope: &'a dyn Fn(&str) -> Option<String>, escape: Escape) -> Self {
        Self {
            word,
            at: 0,
            escape: escape.as_char(),
            quotes: true,
            scope,
            defined: BTreeSet::new(),
            undefined: BTreeSet::new(),
            depth: 0,
            added: 0,
        }
    }

    /// Takes quotes for ordinary characters, as in heredocs.
    pub(super) fn without_quotes(self) -> Self {
        Self { quotes: false, ..self }
    }

    /// Expands to one value.
    pub(super) fn value(mut self) -> Result<Expanded, Diagnostic> {
        let mut output = Output::whole();
        self.sequence(&[], RawEscapes::No, &mut output)?;
        Ok(Expanded { value: output.text, defined: self.defined, undefined: self.undefined })
    }

    /// Expands to any number of values.
    pub(super) fn words(mut self) -> Result<ExpandedWords, Diagnostic> {
        let mut output = Output::split();
        self.sequence(&[], RawEscapes::No, &mut output)?;
        let words = output.into_words();
        Ok(ExpandedWords { words, defined: self.defined, undefined: self.undefined })
    }

    /// Expands up to one of the characters `stop`, which is not consumed, or to the end if there is none.
    pub(super) fn sequence(
        &mut self,
        stop: &[char],
        raw: RawEscapes,
        output: &mut Output,
    ) -> Result<(), Diagnostic> {
        while let Some(character) = self.peek() {
            if stop.contains(&character) {
                return Ok(());
            }
            match character {
                '$' => self.variable()?.chars().for_each(|character| output.plain(character)),
                '\'' if self.quotes => self.single_quoted(output)?,
                '"' if self.quotes => self.double_quoted(raw, output)?,
                _ => {
                    self.next();
                    if character != self.escape {
                        output.plain(character);
                        continue;
                    }
                    if raw == RawEscapes::Yes {
                        output.quoted(character);
                    }
                    // An escape that ends the word stands for nothing.
                    if let Some(escaped) = self.next() {
                        output.quoted(escaped);
                    }
                }
            }
        }
        if stop.is_empty() { Ok(()) } else { Err(self.error(self.at, "`${` is never closed", "add `}`")) }
    }

    fn single_quoted(&mut self, output: &mut Output) -> Result<(), Diagnostic> {
        let start = self.at;
        self.next();
        while let Some(character) = self.next() {
            if character == '\'' {
                return Ok(());
            }
            output.quoted(character);
        }
        Err(self.unclosed(start, '\''))
    }

    fn double_quoted(&mut self, raw: RawEscapes, output: &mut Output) -> Result<(), Diagnostic> {
        let start = self.at;
        self.next();
        while let Some(character) = self.peek() {
            if character == '$' {
                self.variable()?.chars().for_each(|character| output.quoted(character));
                continue;
            }
            self.next();
            if character == '"' {
                return Ok(());
            }
            if character != self.escape {
                output.quoted(character);
                continue;
            }
            // sh(1): within double quotes an escape is special only before what it can escape.
            let escapable = self.peek().filter(|next| matches!(next, '"' | '$') || *next == self.escape);
            if raw == RawEscapes::Yes || escapable.is_none() {
                output.quoted(character);
            }
            if let Some(escaped) = escapable {
                self.next();
                output.quoted(escaped);
            }
        }
        Err(self.unclosed(start, '"'))
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.word.text()[self.at..].chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += character.len_utf8();
        Some(character)
    }

    /// From byte `start` of the word to where the expander stands.
    pub(super) fn span(&self, start: usize) -> Span {
        self.word.span_of(start..self.at)
    }

    pub(super) fn error(&self, start: usize, message: &str, hint: &str) -> Diagnostic {
        Diagnostic::error(message, self.span(start)).with_hint(hint)
    }

    fn unclosed(&self, start: usize, quote: char) -> Diagnostic {
        self.error(start, &format!("the quote `{quote}` is never closed"), "close it, or escape it")
    }
}
