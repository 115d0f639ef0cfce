//! The `--name=value` flags between an instruction and its arguments.
//!
//! Knows how flags are cut and checked; which flags an instruction has, its parser says.

use std::collections::VecDeque;

use crate::fragment::Fragment;
use crate::{Diagnostic, Escape, Span, Spanned, Word, suggest};

/// A flag as it was written.
#[derive(Debug)]
pub(crate) struct RawFlag {
    /// Without the two dashes.
    name: Spanned<String>,
    /// What follows the first `=`, without quotes and escapes.
    value: Option<Word>,
}

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `--name`, `--name=true` or `--name=false`, once.
    Switch,
    /// `--name=value`, once.
    Value,
    /// `--name=value`, any number of times.
    List,
}

/// A flag that an instruction has.
pub(crate) type Known = (&'static str, Kind);

/// The flags of one instruction, all of them known to it.
#[derive(Debug)]
pub(crate) struct Flags {
    flags: VecDeque<RawFlag>,
}

/// Cuts the flags off the front of an instruction's arguments; gives them and what follows.
///
/// `--` ends the flags (POSIX utility syntax guideline 10) and is dropped.
pub(crate) fn split(arguments: Fragment<'_>, escape: Escape) -> (Vec<RawFlag>, Fragment<'_>) {
    let mut flags = Vec::new();
    let mut rest = arguments.trim();
    while rest.as_str().starts_with("--") {
        let (text, equals, end) = unquote(rest.as_str(), escape);
        let flag = rest.slice(0, end);
        rest = rest.from(end).trim();
        if text == "--" {
            break;
        }
        flags.push(raw_flag(flag, &text, equals));
    }
    (flags, rest)
}

fn raw_flag(written: Fragment<'_>, text: &str, equals: Option<usize>) -> RawFlag {
    let Some((name, value)) = text.split_once('=') else {
        let name = text.trim_start_matches("--").to_owned();
        return RawFlag { name: Spanned::new(name, written.span()), value: None };
    };
    let equals = equals.unwrap_or(written.as_str().len());
    let name_span = written.slice(0, equals).span();
    let value_start = (equals + 1).min(written.as_str().len());
    RawFlag {
        name: Spanned::new(name.trim_start_matches("--").to_owned(), name_span),
        value: Some(Word::new(value, written.from(value_start).span())),
    }
}

/// Reads one word and takes off its quotes and escapes: the text, where its first `=` was written, and where
/// the word ends.
fn unquote(text: &str, escape: Escape) -> (String, Option<usize>, usize) {
    let mut unquoted = String::new();
    let mut equals = None;
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((mut at, mut character)) = characters.next() {
        if quote.is_none() && character.is_whitespace() {
            return (unquoted, equals, at);
        }
        if quote == Some(character) {
            quote = None;
            continue;
        }
        if quote.is_none() && matches!(character, '"' | '\'') {
            quote = Some(character);
            continue;
        }
        if character == escape.as_char() {
            match characters.next() {
                Some(next) => (at, character) = next,
                None => break,
            }
        }
        if character == '=' {
            equals.get_or_insert(at);
        }
        unquoted.push(character);
    }
    (unquoted, equals, text.len())
}

impl Flags {
    /// Checks flags against those that `instruction` has.
    pub(crate) fn check(flags: Vec<RawFlag>, instruction: &str, known: &[Known]) -> Result<Self, Diagnostic> {
        for (index, flag) in flags.iter().enumerate() {
            let name = flag.name.value.as_str();
            let Some((_, kind)) = known.iter().find(|(known, _)| *known == name) else {
                return Err(unknown(&flag.name, instruction, known));
            };
            if *kind != Kind::List && flags[..index].iter().any(|earlier| earlier.name.value == name) {
                return Err(Diagnostic::error(format!("duplicate flag `--{name}`"), flag.name.span)
                    .with_hint("keep one of them"));
            }
            flag.check_value(*kind)?;
        }
        Ok(Self { flags: flags.into() })
    }

    /// The value of a flag that may be given once.
    pub(crate) fn value(&mut self, name: &str) -> Option<Word> {
        self.take(name)?.value
    }

    /// The values of a flag that may be repeated, in the order written.
    pub(crate) fn values(&mut self, name: &str) -> Vec<Word> {
        std::iter::from_fn(|| self.take(name)).filter_map(|flag| flag.value).collect()
    }

    /// The state of a switch, or nothing if it is not written.
    pub(crate) fn switch(&mut self, name: &str) -> Option<bool> {
        let flag = self.take(name)?;
        Some(flag.value.is_none_or(|value| value.text().eq_ignore_ascii_case("true")))
    }

    /// The span of the first flag that is left.
    pub(crate) fn first_span(&self) -> Option<Span> {
        self.flags.front().map(|flag| flag.name.span)
    }

    fn take(&mut self, name: &str) -> Option<RawFlag> {
        let index = self.flags.iter().position(|flag| flag.name.value == name)?;
        self.flags.remove(index)
    }
}

impl RawFlag {
    fn check_value(&self, kind: Kind) -> Result<(), Diagnostic> {
        let name = &self.name.value;
        match (&self.value, kind) {
            (None, Kind::Value | Kind::List) => {
                Err(Diagnostic::error(format!("flag `--{name}` needs a value"), self.name.span)
                    .with_hint(format!("write `--{name}=<value>`")))
            }
            (Some(value), Kind::Switch)
                if !["true", "false"].iter().any(|state| value.text().eq_ignore_ascii_case(state)) =>
            {
                let message = format!("flag `--{name}` takes `true` or `false`, not `{}`", value.text());
                Err(Diagnostic::error(message, value.span()))
            }
            (None, Kind::Switch) | (Some(_), _) => Ok(()),
        }
    }
}

fn unknown(name: &Spanned<String>, instruction: &str, known: &[Known]) -> Diagnostic {
    let message = format!("unknown flag `--{}` for {instruction}", name.value);
    let diagnostic = Diagnostic::error(message, name.span);
    let names = known.iter().map(|(known, _)| *known);
    if let Some(suggestion) = suggest::closest(&name.value, names.clone()) {
        return diagnostic.with_suggestion(Some(&format!("--{suggestion}")));
    }
    if known.is_empty() {
        return diagnostic.with_note(format!("{instruction} takes no flags"));
    }
    let list = names.map(|name| format!("`--{name}`")).collect::<Vec<_>>().join(", ");
    diagnostic.with_note(format!("{instruction} takes {list}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical_line::{Lines, LogicalLine};

    fn line(text: &str) -> LogicalLine {
        Lines::new(text, 0).next_logical(Escape::Backtick).unwrap()
    }

    #[test]
    fn flags_are_cut_off_the_front() {
        for (text, flags, rest) in [
            ("a b", vec![], "a b"),
            ("--from=x a", vec![("from", Some("x"))], "a"),
            ("--link a --late b", vec![("link", None)], "a --late b"),
            ("--a=1 -- --b", vec![("a", Some("1"))], "--b"),
            ("-- a", vec![], "a"),
            ("--chown=\"a b\":c x", vec![("chown", Some("a b:c"))], "x"),
            (r"--x=a\ b y", vec![("x", Some("a b"))], "y"),
            ("--x=a=b", vec![("x", Some("a=b"))], ""),
            ("--x=", vec![("x", Some(""))], ""),
            ("-x", vec![], "-x"),
        ] {
            let line = line(text);
            let (raw, remaining) = split(line.fragment(), Escape::Backslash);
            let raw: Vec<_> = raw
                .iter()
                .map(|flag| (flag.name.value.as_str(), flag.value.as_ref().map(Word::text)))
                .collect();
            assert_eq!(raw, flags, "{text}");
            assert_eq!(remaining.as_str(), rest, "{text}");
        }
    }

    #[test]
    fn spans_point_at_name_and_value() {
        let text = "--from=build \"--chown\"=x";
        let line = line(text);
        let (raw, _) = split(line.fragment(), Escape::Backslash);
        let name = raw[0].name.span;
        assert_eq!(&text[name.start..name.end], "--from");
        let value = raw[0].value.as_ref().unwrap().span();
        assert_eq!(&text[value.start..value.end], "build");
    }

    #[test]
    fn wrong_flags_are_errors() {
        let known = [("from", Kind::Value), ("link", Kind::Switch), ("exclude", Kind::List)];
        for (text, message, hint) in [
            ("--form=x", "unknown flag `--form` for COPY", Some("did you mean `--from`?")),
            ("--banana", "unknown flag `--banana` for COPY", None),
            ("--from", "flag `--from` needs a value", Some("write `--from=<value>`")),
            ("--from=a --from=b", "duplicate flag `--from`", Some("keep one of them")),
            ("--link=maybe", "flag `--link` takes `true` or `false`, not `maybe`", None),
            ("--link=", "flag `--link` takes `true` or `false`, not ``", None),
        ] {
            let line = line(text);
            let (raw, _) = split(line.fragment(), Escape::Backslash);
            let diagnostic = Flags::check(raw, "COPY", &known).unwrap_err();
            assert_eq!(diagnostic.message, message);
            assert_eq!(diagnostic.hint.as_deref(), hint);
        }
    }

    #[test]
    fn values_come_back_in_order() {
        let line = line("--exclude=a --link=FALSE --exclude=b");
        let (raw, _) = split(line.fragment(), Escape::Backslash);
        let mut flags =
            Flags::check(raw, "COPY", &[("exclude", Kind::List), ("link", Kind::Switch)]).unwrap();
        assert_eq!(flags.values("exclude").iter().map(Word::text).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(flags.switch("link"), Some(false));
        assert_eq!(flags.switch("link"), None);
    }
}
