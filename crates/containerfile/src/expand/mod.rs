//! Expansion: variables, quotes and escapes of a word → its value (Dockerfile reference, "Environment
//! replacement"), with BuildKit's meaning.
//!
//! Where the value of a variable comes from, the caller's scope says. Beyond BuildKit's modifiers, buildah's
//! `${v/#p/r}` and `${v/%p/r}` (anchored) and `${v/p}` (delete) are known.
//!
//! Depth and size are bounded: `ENV a=$a$a` forty times over must not fill the memory.

mod pattern;

use std::collections::BTreeSet;

use pattern::Pattern;

use crate::{Diagnostic, Escape, Heredoc, Span, Word};

/// `${a:-${b:-…}}` may nest this deep.
const MAX_DEPTH: usize = 64;

/// What variables may add to one word, in bytes. execve(2) takes at most 128 KiB in one string.
const MAX_ADDED: usize = 1 << 20;

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
        let mut expander = Expander::new(self, scope, escape);
        let mut output = Output::whole();
        expander.sequence(&[], RawEscapes::No, &mut output)?;
        let Expander { defined, undefined, .. } = expander;
        Ok(Expanded { value: output.text, defined, undefined })
    }

    /// As [`Word::expand`], but split at blanks after expansion, as EXPOSE is.
    pub fn expand_words(
        &self,
        scope: &dyn Fn(&str) -> Option<String>,
        escape: Escape,
    ) -> Result<ExpandedWords, Diagnostic> {
        let mut expander = Expander::new(self, scope, escape);
        let mut output = Output::split();
        expander.sequence(&[], RawEscapes::No, &mut output)?;
        let Expander { defined, undefined, .. } = expander;
        Ok(ExpandedWords { words: output.into_words(), defined, undefined })
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
        let mut expander = Expander { quotes: false, ..Expander::new(&word, scope, Escape::Backslash) };
        let mut output = Output::whole();
        expander.sequence(&[], RawEscapes::No, &mut output)?;
        let Expander { defined, undefined, .. } = expander;
        Ok(Expanded { value: output.text, defined, undefined })
    }
}

/// Whether escapes stay in the text, for patterns to read them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RawEscapes {
    Yes,
    No,
}

/// Collects what is expanded, as one value or as words.
struct Output {
    text: String,
    words: Option<Vec<String>>,
}

impl Output {
    fn whole() -> Self {
        Self { text: String::new(), words: None }
    }

    fn split() -> Self {
        Self { text: String::new(), words: Some(Vec::new()) }
    }

    /// A character outside quotes: blanks end a word.
    fn plain(&mut self, character: char) {
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
    fn quoted(&mut self, character: char) {
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

struct Expander<'a> {
    word: &'a Word,
    at: usize,
    escape: char,
    quotes: bool,
    scope: &'a dyn Fn(&str) -> Option<String>,
    defined: BTreeSet<String>,
    undefined: BTreeSet<String>,
    depth: usize,
    added: usize,
}

impl<'a> Expander<'a> {
    fn new(word: &'a Word, scope: &'a dyn Fn(&str) -> Option<String>, escape: Escape) -> Self {
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

    /// Expands up to one of the characters `stop`, which is not consumed, or to the end if there is none.
    fn sequence(&mut self, stop: &[char], raw: RawEscapes, output: &mut Output) -> Result<(), Diagnostic> {
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

    /// The value of what starts with `$`.
    fn variable(&mut self) -> Result<String, Diagnostic> {
        let start = self.at;
        self.next();
        if self.peek() != Some('{') {
            let name = self.name();
            return if name.is_empty() {
                Ok("$".to_owned())
            } else {
                Ok(self.lookup(start, name)?.unwrap_or_default())
            };
        }
        self.next();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(
                start,
                "variables are nested too deeply",
                "use an ARG for the inner part",
            ));
        }
        let name = self.name();
        if name.is_empty() {
            return Err(self.error(start, "`${` is not followed by a name", "write `\\$` for a dollar sign"));
        }
        let value = self.substitution(start, name)?;
        self.depth -= 1;
        Ok(value)
    }

    /// What follows the name in `${name…}`, closing brace included.
    fn substitution(&mut self, start: usize, name: &str) -> Result<String, Diagnostic> {
        match self.next() {
            Some('}') => Ok(self.lookup(start, name)?.unwrap_or_default()),
            Some(':') => match self.next() {
                Some(modifier @ ('-' | '+' | '?')) => self.alternative(start, name, modifier, Empty::IsUnset),
                Some(modifier) => Err(self.unsupported(start, &format!(":{modifier}"))),
                None => Err(self.error(start, "`${` is never closed", "add `}`")),
            },
            Some(modifier @ ('-' | '+' | '?')) => self.alternative(start, name, modifier, Empty::IsSet),
            Some(modifier @ ('#' | '%')) => self.trim(start, name, modifier),
            Some('/') => self.replace(start, name),
            Some(modifier) => Err(self.unsupported(start, &modifier.to_string())),
            None => Err(self.error(start, "`${` is never closed", "add `}`")),
        }
    }

    /// `${v-w}`, `${v+w}`, `${v?w}` and the same with a colon.
    fn alternative(
        &mut self,
        start: usize,
        name: &str,
        modifier: char,
        empty: Empty,
    ) -> Result<String, Diagnostic> {
        let word = self.operand(&['}'], RawEscapes::No)?;
        self.next();
        let found = self.lookup(start, name)?;
        let was_empty = found.is_some();
        match (found.filter(|value| empty == Empty::IsSet || !value.is_empty()), modifier) {
            (Some(_), '+') | (None, '-') => Ok(word),
            (None, '+') => Ok(String::new()),
            (Some(value), _) => Ok(value),
            (None, _) => {
                let state = if was_empty { "empty" } else { "not set" };
                let message = match word.as_str() {
                    "" => format!("`{name}` is {state}"),
                    reason => format!("`{name}` is {state}: {reason}"),
                };
                Err(Diagnostic::error(message, self.span(start))
                    .with_hint(format!("give it a value with `--build-arg {name}=…` or ENV")))
            }
        }
    }

    /// `${v#p}`, `${v##p}`, `${v%p}`, `${v%%p}`.
    fn trim(&mut self, start: usize, name: &str, modifier: char) -> Result<String, Diagnostic> {
        let longest = self.peek() == Some(modifier);
        if longest {
            self.next();
        }
        let pattern = self.pattern(start, &['}'])?;
        self.next();
        let value: Vec<char> = self.lookup(start, name)?.unwrap_or_default().chars().collect();
        let kept = if modifier == '#' {
            &value[pattern.prefix(&value, longest).unwrap_or(0)..]
        } else {
            &value[..value.len() - pattern.suffix(&value, longest).unwrap_or(0)]
        };
        Ok(kept.iter().collect())
    }

    /// `${v/p/r}`, `${v//p/r}`, `${v/#p/r}`, `${v/%p/r}`, each also without `/r`.
    fn replace(&mut self, start: usize, name: &str) -> Result<String, Diagnostic> {
        let kind = self.peek().filter(|kind| matches!(kind, '/' | '#' | '%'));
        if kind.is_some() {
            self.next();
        }
        let pattern_start = self.at;
        let pattern = self.pattern(start, &['/', '}'])?;
        let replacement = if self.peek() == Some('/') {
            self.next();
            self.operand(&['}'], RawEscapes::Yes)?
        } else if self.at == pattern_start {
            return Err(self.error(
                start,
                "there is nothing to replace",
                "write `${name/pattern/replacement}`",
            ));
        } else {
            String::new()
        };
        self.next();
        let value: Vec<char> = self.lookup(start, name)?.unwrap_or_default().chars().collect();
        let mut replaced = String::new();
        let mut kept = 0;
        for found in pattern.matches(&value, kind) {
            replaced.extend(&value[kept..found.start]);
            replaced.push_str(&replacement);
            self.charge(start, replacement.len())?;
            kept = found.end;
        }
        replaced.extend(&value[kept..]);
        Ok(replaced)
    }

    fn operand(&mut self, stop: &[char], raw: RawEscapes) -> Result<String, Diagnostic> {
        let mut output = Output::whole();
        self.sequence(stop, raw, &mut output)?;
        Ok(output.text)
    }

    fn pattern(&mut self, start: usize, stop: &[char]) -> Result<Pattern, Diagnostic> {
        let text = self.operand(stop, RawEscapes::Yes)?;
        Pattern::parse(&text, self.escape).map_err(|invalid| {
            Diagnostic::error(format!("invalid pattern `{text}`: {invalid}"), self.span(start))
        })
    }

    /// A name: letters, digits and `_`; or digits alone; or one special parameter. They are never set.
    fn name(&mut self) -> &'a str {
        let rest = &self.word.text()[self.at..];
        let length = match rest.chars().next() {
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => 1,
            Some('0'..='9') => rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()),
            _ => rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()),
        };
        self.at += length;
        &rest[..length]
    }

    fn lookup(&mut self, start: usize, name: &str) -> Result<Option<String>, Diagnostic> {
        let value = (self.scope)(name);
        let seen = if value.is_some() { &mut self.defined } else { &mut self.undefined };
        if !seen.contains(name) {
            seen.insert(name.to_owned());
        }
        self.charge(start, value.as_ref().map_or(0, String::len))?;
        Ok(value)
    }

    fn charge(&mut self, start: usize, bytes: usize) -> Result<(), Diagnostic> {
        self.added = self.added.saturating_add(bytes);
        if self.added > MAX_ADDED {
            return Err(Diagnostic::error("the expanded value is larger than 1 MiB", self.span(start)));
        }
        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.word.text()[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += character.len_utf8();
        Some(character)
    }

    /// From byte `start` of the word to where the expander stands.
    fn span(&self, start: usize) -> Span {
        self.word.span_of(start..self.at)
    }

    fn error(&self, start: usize, message: &str, hint: &str) -> Diagnostic {
        Diagnostic::error(message, self.span(start)).with_hint(hint)
    }

    fn unclosed(&self, start: usize, quote: char) -> Diagnostic {
        self.error(start, &format!("the quote `{quote}` is never closed"), "close it, or escape it")
    }

    fn unsupported(&self, start: usize, modifier: &str) -> Diagnostic {
        Diagnostic::error(format!("unsupported modifier `{modifier}` in `${{…}}`"), self.span(start))
            .with_note("known are `:-` `-` `:+` `+` `:?` `?` `#` `##` `%` `%%` `/` `//` `/#` `/%`")
    }
}

/// How an alternative treats a variable that is set to nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    /// With a colon.
    IsUnset,
    /// Without.
    IsSet,
}

#[cfg(test)]
mod tests;
