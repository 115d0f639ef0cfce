//! `ENV` and `LABEL` (name and value) and `ARG` (name and perhaps a default).

use std::collections::BTreeMap;

use super::Request;
use crate::fragment::Fragment;
use crate::words::split_quoted;
use crate::{Diagnostic, Span, Spanned, Word};

/// A pair of ENV or LABEL. Both words keep their quotes until expansion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The name.
    pub key: Word,
    /// The value.
    pub value: Word,
    /// Whether it is written in the old form, `name value`.
    pub legacy: bool,
}

/// One declaration of ARG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgDeclaration {
    /// The name.
    pub name: Word,
    /// What follows `=`; an empty default is not the same as none.
    pub default: Option<Word>,
    /// The text of a comment `# <name> …` right above.
    pub description: Option<String>,
    /// Name and default.
    pub span: Span,
}

pub(super) fn parse_pairs(mut request: Request<'_>) -> Result<Vec<Pair>, Diagnostic> {
    request.take_flags(&[])?;
    let words = split_quoted(request.arguments, request.escape);
    let Some(first) = words.first() else {
        return Err(request
            .error(format!("{} needs at least one argument", request.keyword.as_str()))
            .with_hint(format!("write `{} name=value`", request.keyword.as_str())));
    };
    if !first.as_str().contains('=') {
        return Ok(vec![legacy_pair(&request)?]);
    }
    words.into_iter().map(|word| pair(word, &request)).collect()
}

fn pair(word: Fragment<'_>, request: &Request<'_>) -> Result<Pair, Diagnostic> {
    let name = request.keyword.as_str();
    let Some((key, value)) = word.split_once('=') else {
        let message = format!("{name} needs `name=value`, but `{}` has no `=`", word.as_str());
        return Err(Diagnostic::error(message, word.span())
            .with_hint("put a value that holds blanks in double quotes"));
    };
    if key.is_empty() {
        return Err(Diagnostic::error(format!("{name} needs a name before `=`"), word.span()));
    }
    Ok(Pair { key: key.into(), value: value.into(), legacy: false })
}

/// `name value`: everything behind the name is the value.
fn legacy_pair(request: &Request<'_>) -> Result<Pair, Diagnostic> {
    let (key, value) = request.arguments.split_word();
    if value.is_empty() {
        let name = request.keyword.as_str();
        return Err(Diagnostic::error(format!("{name} `{}` has no value", key.as_str()), key.span())
            .with_hint(format!("write `{name} {}=value`", key.as_str())));
    }
    Ok(Pair { key: key.into(), value: value.into(), legacy: true })
}

pub(super) fn parse_arg(mut request: Request<'_>) -> Result<Vec<ArgDeclaration>, Diagnostic> {
    request.take_flags(&[])?;
    let words = split_quoted(request.arguments, request.escape);
    if words.is_empty() {
        return Err(request.error("ARG needs at least one argument").with_hint("write `ARG name`"));
    }
    let descriptions = descriptions(request.comments);
    words.into_iter().map(|word| declaration(word, &descriptions)).collect()
}

fn declaration(word: Fragment<'_>, descriptions: &Descriptions<'_>) -> Result<ArgDeclaration, Diagnostic> {
    let (name, default) = match word.split_once('=') {
        Some((name, default)) => (name, Some(default.into())),
        None => (word, None),
    };
    if name.is_empty() {
        return Err(Diagnostic::error("ARG needs a name before `=`", word.span()));
    }
    let description = descriptions.get(name.as_str()).map(|text| (*text).to_owned());
    Ok(ArgDeclaration { name: name.into(), default, description, span: word.span() })
}

/// What each name is said to be.
type Descriptions<'a> = BTreeMap<&'a str, &'a str>;

/// What the comments above a definition say: `# <name> <description>`; the first one for a name counts.
pub(super) fn descriptions(comments: &[Spanned<String>]) -> Descriptions<'_> {
    let said = comments.iter().filter_map(|comment| comment.value.split_once(' '));
    said.rev().map(|(name, description)| (name, description.trim_start())).collect()
}
