//! Which lines are directives, and what they say.

use super::condition::Condition;
use super::macros::identifier;

/// What any wrong directive may have been meant to be.
pub(super) const HINT: &str = "if this was meant to be a comment, put a blank before the `#`";

#[derive(Debug)]
pub(super) enum Directive {
    If(Condition),
    Elif(Condition),
    Else,
    Endif,
    Define(String),
    Undef(String),
    Include(String),
    Error(String),
    Warning(String),
}

/// A directive and how many bytes of the text it takes, with its line ending.
#[derive(Debug)]
pub(super) struct DirectiveLine {
    pub(super) directive: Directive,
    pub(super) length: usize,
}

/// The directive at the start of `rest`, if there is one: `#` at the start of the line, blanks, a known word.
pub(super) fn parse(rest: &str) -> Option<DirectiveLine> {
    let body = rest.strip_prefix('#')?.trim_start_matches([' ', '\t']);
    let word = identifier(body);
    let is_known = ["if", "ifdef", "ifndef", "elif", "else", "endif"].contains(&word)
        || ["define", "undef", "include", "error", "warning"].contains(&word);
    if !is_known {
        return None;
    }
    let start = rest.len() - body.len() + word.len();
    let (raw, end) = joined(rest, start);
    let text = around_comments(&raw).concat().trim().to_owned();
    let directive = match word {
        "if" => Directive::If(Condition::Expression(text)),
        "ifdef" => Directive::If(Condition::Defined(text)),
        "ifndef" => Directive::If(Condition::Undefined(text)),
        "elif" => Directive::Elif(Condition::Expression(text)),
        "else" => Directive::Else,
        "endif" => Directive::Endif,
        "define" => Directive::Define(raw),
        "undef" => Directive::Undef(text),
        "include" => Directive::Include(text),
        "error" => Directive::Error(message(&raw, "this is an `#error`")),
        _ => Directive::Warning(message(&raw, "this is a `#warning`")),
    };
    Some(DirectiveLine { directive, length: end })
}

/// What stands between `start` and the end of the line, lines that end in `\` going on, and where the end is.
fn joined(rest: &str, start: usize) -> (String, usize) {
    let (mut text, mut at) = (String::new(), start);
    loop {
        let length = rest[at..].find('\n').map_or(rest.len() - at, |newline| newline + 1);
        let line = rest[at..at + length].trim_end_matches(['\r', '\n']);
        at += length;
        match line.strip_suffix('\\') {
            Some(line) if at < rest.len() => text.push_str(line),
            _ => {
                text.push_str(line);
                return (text, at);
            }
        }
    }
}

/// What stands around comments. A `/*` that is not ended on the line is a glob.
pub(super) fn around_comments(mut text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while let Some((before, comment)) = text.split_once("/*") {
        let Some((_, after)) = comment.split_once("*/") else { break };
        pieces.push(before);
        text = after;
    }
    pieces.push(text);
    pieces
}

fn message(text: &str, empty: &str) -> String {
    let text = text.trim();
    if text.is_empty() { empty.to_owned() } else { text.to_owned() }
}

/// The file that an include names, and whether it is looked for beside the including file first.
pub(super) fn included(name: &str) -> Result<(&str, bool), String> {
    let between = |open: char, close: char| {
        let (name, _) = name.trim().strip_prefix(open)?.split_once(close)?;
        Some(name).filter(|name| !name.is_empty())
    };
    let quoted = between('"', '"').map(|name| (name, true));
    let found = quoted.or_else(|| between('<', '>').map(|name| (name, false)));
    found.ok_or_else(|| "`#include` needs a file name in quotes".to_owned())
}
