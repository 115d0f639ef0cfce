//! Parser directives: the `# key=value` lines at the very top (Dockerfile reference, "Parser directives").
//!
//! Only `syntax`, `escape` and `check` are directives; the first line that is none of them ends the block, and
//! everything after it is an ordinary comment.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::{Diagnostic, Source, Span, Spanned};

/// The character that escapes others and continues lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Escape {
    /// `\`, the default.
    #[default]
    Backslash,
    /// `` ` ``, set by `` # escape=` ``.
    Backtick,
}

impl Escape {
    /// The character itself.
    pub fn as_char(self) -> char {
        match self {
            Self::Backslash => '\\',
            Self::Backtick => '`',
        }
    }
}

/// The parser directives of one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directives {
    /// `# syntax=`: the frontend image that BuildKit would run; recorded, never executed.
    pub syntax: Option<Spanned<String>>,
    /// `# escape=`.
    pub escape: Escape,
    /// `# check=`.
    pub check: Option<Spanned<CheckOptions>>,
}

/// Which lint rules speak, and how loudly: the value of `# check=` or of `BUILDKIT_DOCKERFILE_CHECK`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckOptions {
    /// `skip=`: rules that stay silent.
    pub skip: RuleSet,
    /// `experimental=`: experimental rules that speak.
    pub experimental: RuleSet,
    /// `error=true`: any lint warning fails the build.
    pub error: bool,
}

/// A set of lint rules by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleSet {
    /// Every rule.
    All,
    /// The rules named, and no other.
    Named(BTreeSet<String>),
}

impl Default for RuleSet {
    fn default() -> Self {
        Self::Named(BTreeSet::new())
    }
}

impl RuleSet {
    /// Whether `rule` is in the set.
    pub fn contains(&self, rule: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(rule),
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Named(mut names), Self::Named(others)) => {
                names.extend(others);
                Self::Named(names)
            }
            _ => Self::All,
        }
    }

    fn parse(value: &str) -> Self {
        if value.trim() == "all" {
            return Self::All;
        }
        Self::Named(
            value.split(',').map(|rule| rule.trim().to_owned()).filter(|rule| !rule.is_empty()).collect(),
        )
    }
}

/// A piece of a `check` value that means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCheckOption {
    /// The piece between two semicolons.
    pub option: String,
}

impl std::fmt::Display for InvalidCheckOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "invalid check option `{}`", self.option)
    }
}

impl std::error::Error for InvalidCheckOption {}

/// Rules that are silent until `experimental=` names them.
const EXPERIMENTAL: [&str; 1] = ["InvalidDefinitionDescription"];

impl CheckOptions {
    /// Whether the lint rule `rule` speaks. As in BuildKit, `skip=` is not for experimental rules.
    pub fn speaks(&self, rule: &str) -> bool {
        if EXPERIMENTAL.contains(&rule) {
            self.experimental.contains(rule)
        } else {
            !self.skip.contains(rule)
        }
    }

    /// Parses `skip=A,B;experimental=all;error=true`; every part may be left out.
    pub fn parse(value: &str) -> Result<Self, InvalidCheckOption> {
        let mut options = Self::default();
        for option in value.split(';').map(str::trim).filter(|option| !option.is_empty()) {
            let invalid = || InvalidCheckOption { option: option.to_owned() };
            let (key, value) = option.split_once('=').ok_or_else(invalid)?;
            match key.trim() {
                "skip" => options.skip = RuleSet::parse(value),
                "experimental" => options.experimental = RuleSet::parse(value),
                "error" => options.error = parse_bool(value.trim()).ok_or_else(invalid)?,
                _ => return Err(invalid()),
            }
        }
        Ok(options)
    }

    fn and(self, other: Self) -> Self {
        Self {
            skip: self.skip.and(other.skip),
            experimental: self.experimental.and(other.experimental),
            error: self.error || other.error,
        }
    }
}

/// Go's `strconv.ParseBool`, which every boolean of the language goes through.
pub(crate) fn parse_bool(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Reads the directives of each joined file; gives them together, and where the rest of each file is.
pub(crate) fn parse(source: &Source) -> Result<(Directives, Vec<Range<usize>>), Diagnostic> {
    let mut all: Option<Directives> = None;
    let mut rests = Vec::new();
    for part in source.parts() {
        let (directives, rest) = parse_block(&source.text()[..part.end], part.start)?;
        rests.push(rest..part.end);
        all = Some(match all {
            None => directives,
            Some(all) => all.and(directives, Span::new(part.start, rest))?,
        });
    }
    Ok((all.unwrap_or_default(), rests))
}

/// Reads the directive block at `offset`; gives the directives and the offset of the first line after them.
fn parse_block(text: &str, mut offset: usize) -> Result<(Directives, usize), Diagnostic> {
    let mut directives = Directives::default();
    let mut seen = BTreeSet::new();
    for line in text[offset..].split_inclusive('\n') {
        let Some((key, value)) = directive(line, offset) else { break };
        if !seen.insert(key.value) {
            let message = format!("only one `{}` parser directive can be used", key.value);
            return Err(Diagnostic::error(message, key.span).with_hint("remove this line"));
        }
        directives.set(key.value, value)?;
        offset += line.len();
    }
    Ok((directives, offset))
}

impl Directives {
    /// What holds for two files that are one Containerfile; `block` are the directives of the other one.
    fn and(self, other: Self, block: Span) -> Result<Self, Diagnostic> {
        if self.escape != other.escape {
            let message = "this file and the one before it have different escape characters";
            let hint = format!("use `{}` here as well", self.escape.as_char());
            return Err(Diagnostic::error(message, block).with_hint(hint));
        }
        let check = match (self.check, other.check) {
            (Some(one), Some(other)) => Some(Spanned::new(one.value.and(other.value), one.span)),
            (one, other) => one.or(other),
        };
        Ok(Self { syntax: self.syntax.or(other.syntax), escape: self.escape, check })
    }

    fn set(&mut self, key: &str, value: Spanned<String>) -> Result<(), Diagnostic> {
        match (key, value.value.as_str()) {
            ("escape", "\\") => self.escape = Escape::Backslash,
            ("escape", "`") => self.escape = Escape::Backtick,
            ("escape", other) => {
                let message = format!("invalid escape character `{other}`");
                return Err(Diagnostic::error(message, value.span).with_hint("use \\ or `"));
            }
            ("check", text) => match CheckOptions::parse(text) {
                Ok(options) => self.check = Some(Spanned::new(options, value.span)),
                Err(invalid) => {
                    return Err(Diagnostic::error(invalid.to_string(), value.span)
                        .with_hint("write `# check=skip=RuleA,RuleB;error=true`"));
                }
            },
            _ => self.syntax = Some(value),
        }
        Ok(())
    }
}

/// What is said of a `# syntax=` that asks for more than the Dockerfile language.
pub(crate) fn foreign_syntax(directives: &Directives) -> Option<Diagnostic> {
    let syntax = directives.syntax.as_ref()?;
    let image = syntax.value.split([' ', '@']).next().unwrap_or_default();
    let name = image.rsplit('/').next().unwrap_or_default().split(':').next();
    // Mirrors keep the last part of the name; `dockerfile.v0` is what BuildKit calls its own.
    if matches!(name, Some("dockerfile" | "dockerfile-upstream" | "dockerfile.v0")) {
        return None;
    }
    let message = format!("the frontend `{image}` is not run: the file is read as a Dockerfile");
    Some(
        Diagnostic::warning("ForeignSyntax", message, syntax.span)
            .with_hint("remove the line if the file needs nothing else"),
    )
}

/// What is said of a text that its first line makes a file of another frontend, as BuildKit looks for it.
pub(crate) fn foreign_file(text: &str) -> Option<Diagnostic> {
    let start = if text.starts_with("#!") { text.find('\n')? + 1 } else { 0 };
    let first = text[start..].lines().next()?;
    let span = Span::new(start, start + first.len());
    let comment = first.strip_prefix("//").and_then(|comment| comment.split_once('='));
    let hint = "build it with BuildKit, which runs the frontend that it names";
    match comment {
        Some((key, _)) if key.trim().eq_ignore_ascii_case("syntax") => {
            Some(Diagnostic::error("this file is written for another frontend", span).with_hint(hint))
        }
        _ if first.starts_with('{') => {
            Some(Diagnostic::error("this is JSON, not a Containerfile", span).with_hint(hint))
        }
        _ => None,
    }
}

/// One line as key and value, if it is a directive. `offset` is where the line starts.
fn directive(line: &str, offset: usize) -> Option<(Spanned<&'static str>, Spanned<String>)> {
    let (before, body) = line.split_once('#')?;
    let (key, value) = body.split_once('=')?;
    let name =
        ["syntax", "escape", "check"].into_iter().find(|name| name.eq_ignore_ascii_case(key.trim()))?;
    if !before.trim().is_empty() || value.trim().is_empty() {
        return None;
    }
    let key_start = offset + before.len() + 1;
    let value_start = key_start + key.len() + 1;
    let value_span = trimmed_span(value, value_start);
    Some((
        Spanned::new(name, trimmed_span(key, key_start)),
        Spanned::new(value.trim().to_owned(), value_span),
    ))
}

/// The span of `text`, which stands at `start`, without its outer blanks.
fn trimmed_span(text: &str, start: usize) -> Span {
    let start = start + (text.len() - text.trim_start().len());
    Span::new(start, start + text.trim().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Directives, usize) {
        let (directives, rests) = parse(&Source::new("Containerfile", text)).unwrap();
        (directives, rests[0].start)
    }

    #[test]
    fn block_ends_at_the_first_line_that_is_no_directive() {
        for (text, escape, rest) in [
            ("# escape=`\nFROM a", Escape::Backtick, "FROM a"),
            ("#ESCAPE = `  \r\nFROM a", Escape::Backtick, "FROM a"),
            ("  # escape=`\n", Escape::Backtick, ""),
            ("\n# escape=`\n", Escape::Backslash, "\n# escape=`\n"),
            ("# a comment\n# escape=`\n", Escape::Backslash, "# a comment\n# escape=`\n"),
            ("# unknown=x\n# escape=`\n", Escape::Backslash, "# unknown=x\n# escape=`\n"),
            ("# syntax=docker/dockerfile:1\n# escape=`\nRUN", Escape::Backtick, "RUN"),
            ("# escape=\nFROM a", Escape::Backslash, "# escape=\nFROM a"),
        ] {
            let (directives, offset) = parsed(text);
            assert_eq!(directives.escape, escape, "{text:?}");
            assert_eq!(&text[offset..], rest, "{text:?}");
        }
    }

    #[test]
    fn values_keep_their_place() {
        let text = "# syntax = docker/dockerfile:1 \n";
        let (directives, _) = parsed(text);
        let syntax = directives.syntax.unwrap();
        assert_eq!(syntax.value, "docker/dockerfile:1");
        assert_eq!(&text[syntax.span.start..syntax.span.end], "docker/dockerfile:1");
    }

    #[test]
    fn repeated_or_invalid_directive_is_an_error() {
        for (text, message) in [
            ("# escape=\\\n# escape=`\n", "only one `escape` parser directive can be used"),
            ("# escape=x\n", "invalid escape character `x`"),
            ("# check=skip\n", "invalid check option `skip`"),
            ("# check=error=maybe\n", "invalid check option `error=maybe`"),
        ] {
            let diagnostic = parse(&Source::new("Containerfile", text)).unwrap_err();
            assert_eq!(diagnostic.message, message);
        }
    }

    #[test]
    fn check_options_are_parsed() {
        let (directives, _) = parsed("# check=skip=JSONArgsRecommended, StageNameCasing;error=true\n");
        let check = directives.check.unwrap().value;
        assert!(check.error);
        assert!(check.skip.contains("StageNameCasing"));
        assert!(!check.skip.contains("UndefinedVar"));
        assert!(CheckOptions::parse("experimental=all").unwrap().experimental.contains("Anything"));
    }

    #[test]
    fn experimental_rules_speak_when_they_are_named() {
        const EXPERIMENTAL: &str = "InvalidDefinitionDescription";
        for (text, ordinary, experimental) in [
            ("", true, false),
            ("skip=StageNameCasing", false, false),
            ("experimental=all", true, true),
            ("experimental=InvalidDefinitionDescription", true, true),
            ("skip=all;experimental=all", false, true),
        ] {
            let options = CheckOptions::parse(text).unwrap();
            assert_eq!(options.speaks("StageNameCasing"), ordinary, "{text}");
            assert_eq!(options.speaks(EXPERIMENTAL), experimental, "{text}");
        }
    }
}
