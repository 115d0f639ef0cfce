//! Patterns inside `${…}`: `*` is any text, `?` any character, and both reach across `/`. There are no bracket
//! expressions (BuildKit has none).
//!
//! A pattern is its literal parts between the stars. Taking each part as early as it can be taken leaves the
//! most room for the rest, so there is nothing to go back on: no exponential case exists.

use std::fmt;
use std::ops::Range;

/// Longer patterns are refused, so that the search stays cheap.
const MAX_LENGTH: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Atom {
    Any,
    Is(char),
}

/// A parsed pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    first: Vec<Atom>,
    /// Each stands behind a star.
    rest: Vec<Vec<Atom>>,
}

/// Why a pattern is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum InvalidPattern {
    Escape(Option<char>),
    TooLong,
}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Escape(Some(character)) => write!(f, "`{character}` cannot be escaped in it"),
            Self::Escape(None) => f.write_str("it ends in an escape"),
            Self::TooLong => write!(f, "it is longer than {MAX_LENGTH} characters"),
        }
    }
}

impl Pattern {
    /// Parses a pattern in which escapes are still written out.
    pub(super) fn parse(text: &str, escape: char) -> Result<Self, InvalidPattern> {
        if text.len() > MAX_LENGTH {
            return Err(InvalidPattern::TooLong);
        }
        let mut parts = vec![Vec::new()];
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let atom = match character {
                '*' => {
                    parts.push(Vec::new());
                    continue;
                }
                '?' => Atom::Any,
                _ if character == escape => match characters.next() {
                    Some(escaped @ ('*' | '?' | '/' | '}')) => Atom::Is(escaped),
                    Some(escaped) if escaped == escape => Atom::Is(escaped),
                    other => return Err(InvalidPattern::Escape(other)),
                },
                _ => Atom::Is(character),
            };
            if let Some(part) = parts.last_mut() {
                part.push(atom);
            }
        }
        let rest = parts.split_off(1);
        Ok(Self { first: parts.swap_remove(0), rest })
    }

    /// The length of the shortest or longest match at the start.
    pub(super) fn prefix(&self, text: &[char], longest: bool) -> Option<usize> {
        self.end_from(text, 0, longest)
    }

    /// The length of the shortest or longest match at the end.
    pub(super) fn suffix(&self, text: &[char], longest: bool) -> Option<usize> {
        let reversed: Vec<char> = text.iter().rev().copied().collect();
        self.reversed().prefix(&reversed, longest)
    }

    /// The matches that `${v/p/r}` replaces: with kind `/` all that do not overlap, with `#` the one at the
    /// start, with `%` the one at the end, else the first. Each is the longest from where it starts.
    pub(super) fn matches(&self, text: &[char], kind: Option<char>) -> Vec<Range<usize>> {
        match kind {
            Some('#') => self.prefix(text, true).map(|end| 0..end).into_iter().collect(),
            Some('%') => {
                self.suffix(text, true).map(|length| text.len() - length..text.len()).into_iter().collect()
            }
            Some(_) => self.find_all(text),
            None => self.find(text, 0).into_iter().collect(),
        }
    }

    fn find_all(&self, text: &[char]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut at = 0;
        let mut last_end = None;
        while let Some(range) = self.find(text, at) {
            at = range.end + usize::from(range.is_empty());
            // An empty match right behind another one is none, as in Go's regexp.
            if !range.is_empty() || last_end != Some(range.start) {
                last_end = Some(range.end);
                found.push(range);
            }
        }
        found
    }

    /// The leftmost match from `from` on, as long as can be.
    fn find(&self, text: &[char], from: usize) -> Option<Range<usize>> {
        // If the rest does not follow the first place for `first`, it follows no later one.
        let start = find_part(&self.first, text, from)?;
        Some(start..self.end_from(text, start, true)?)
    }

    /// Where a match that starts at `start` ends.
    fn end_from(&self, text: &[char], start: usize, longest: bool) -> Option<usize> {
        if !part_matches(&self.first, text, start) {
            return None;
        }
        let mut end = start + self.first.len();
        let Some((last, middle)) = self.rest.split_last() else { return Some(end) };
        for part in middle {
            end = find_part(part, text, end)? + part.len();
        }
        let start = if longest { rfind_part(last, text, end)? } else { find_part(last, text, end)? };
        Some(start + last.len())
    }

    fn reversed(&self) -> Self {
        let mut parts: Vec<Vec<Atom>> = std::iter::once(&self.first)
            .chain(&self.rest)
            .map(|part| part.iter().rev().copied().collect())
            .rev()
            .collect();
        let rest = parts.split_off(1);
        Self { first: parts.swap_remove(0), rest }
    }
}

fn part_matches(part: &[Atom], text: &[char], at: usize) -> bool {
    let Some(window) = text.get(at..at + part.len()) else { return false };
    part.iter().zip(window).all(|(atom, character)| *atom == Atom::Any || *atom == Atom::Is(*character))
}

fn find_part(part: &[Atom], text: &[char], from: usize) -> Option<usize> {
    (from..=text.len().checked_sub(part.len())?).find(|at| part_matches(part, text, *at))
}

fn rfind_part(part: &[Atom], text: &[char], from: usize) -> Option<usize> {
    (from..=text.len().checked_sub(part.len())?).rfind(|at| part_matches(part, text, *at))
}
