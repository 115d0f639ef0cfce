//! The names that stand for something.

use std::collections::BTreeMap;

use super::directive::around_comments;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Macro {
    /// `None` if the name stands alone, without parentheses.
    pub(super) parameters: Option<Vec<String>>,
    /// What is put in its place: pieces with nothing between them, each with names of its own.
    pub(super) body: Vec<String>,
}

/// All definitions that hold at some line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Macros(BTreeMap<String, Macro>);

impl Macros {
    pub(super) fn find(&self, name: &str) -> Option<&Macro> {
        self.0.get(name)
    }

    /// Takes `NAME body` or `NAME(parameter, …) body`. Gives the name if it stood for something else before.
    ///
    /// Nothing comes in the place of a comment, so that `a/**/b` puts two parameters together.
    pub(super) fn define(&mut self, definition: &str) -> Result<Option<String>, String> {
        let pieces = around_comments(definition.trim_start());
        let (first, others) = pieces.split_first().unwrap_or((&"", &[]));
        let name = named(first)?;
        let rest = &first[name.len()..];
        let (parameters, rest) = match rest.strip_prefix('(') {
            Some(list) => {
                let (list, rest) = list.split_once(')').ok_or("the parameters have no `)`")?;
                (Some(parameters(list)?), rest)
            }
            None => (None, rest),
        };
        let body = trimmed(std::iter::once(rest).chain(others.iter().copied()).collect());
        let new = Macro { parameters, body };
        let old = self.0.insert(name.to_owned(), new.clone());
        Ok(old.filter(|old| *old != new).map(|_| name.to_owned()))
    }

    /// Forgets a name, known or not.
    pub(super) fn undefine(&mut self, text: &str) -> Result<(), String> {
        self.0.remove(named(text)?);
        Ok(())
    }
}

/// Without blanks before the first and after the last character.
fn trimmed(mut pieces: Vec<&str>) -> Vec<String> {
    if let Some(first) = pieces.iter().position(|piece| !piece.trim().is_empty()) {
        pieces.drain(..first);
        pieces[0] = pieces[0].trim_start();
    }
    while pieces.pop_if(|piece| piece.trim().is_empty()).is_some() {}
    let mut pieces: Vec<String> = pieces.into_iter().map(str::to_owned).collect();
    if let Some(last) = pieces.last_mut() {
        last.truncate(last.trim_end().len());
    }
    pieces
}

fn parameters(list: &str) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    if list.trim().is_empty() {
        return Ok(names);
    }
    for name in list.split(',').map(str::trim) {
        if name.is_empty() || identifier(name) != name {
            return Err(format!("`{name}` is no name for a parameter"));
        }
        if names.iter().any(|other| other == name) {
            return Err(format!("there are two parameters `{name}`"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// The name that `text` starts with.
pub(super) fn named(text: &str) -> Result<&str, String> {
    match identifier(text) {
        "" => Err("a name is missing, of letters, digits and `_`".to_owned()),
        "defined" => Err("`defined` cannot be defined".to_owned()),
        name => Ok(name),
    }
}

/// The longest identifier at the start of `text`, which may be none.
pub(super) fn identifier(text: &str) -> &str {
    if !text.starts_with(is_first) {
        return "";
    }
    let end = text.find(|c: char| !is_first(c) && !c.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

fn is_first(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}
