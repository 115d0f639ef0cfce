//! `$name` and `${name…}` with all modifiers.

use super::expander::{Expander, Output, RawEscapes};
use super::pattern::Pattern;
use crate::Diagnostic;

/// `${a:-${b:-…}}` may nest this deep.
const MAX_DEPTH: usize = 64;

/// What variables may add to one word, in bytes. execve(2) takes at most 128 KiB in one string.
pub(super) const MAX_ADDED: usize = 1 << 20;

/// How an alternative treats a variable that is set to nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    /// With a colon.
    IsUnset,
    /// Without.
    IsSet,
}

impl<'a> Expander<'a> {
    /// The value of what starts with `$`.
    pub(super) fn variable(&mut self) -> Result<String, Diagnostic> {
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

    fn unsupported(&self, start: usize, modifier: &str) -> Diagnostic {
        Diagnostic::error(format!("unsupported modifier `{modifier}` in `${{…}}`"), self.span(start))
            .with_note("known are `:-` `-` `:+` `+` `:?` `?` `#` `##` `%` `%%` `/` `//` `/#` `/%`")
    }
}
