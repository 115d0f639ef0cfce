//! `FROM`: opens a stage.

use super::Request;
use super::assignment::descriptions;
use crate::flags::Kind::{List, Value};
use crate::fragment::Fragment;
use crate::{Diagnostic, From, Spanned, Stage};

/// Parses FROM into a stage that has no instruction yet.
pub(crate) fn parse(mut request: Request<'_>) -> Result<Stage, Diagnostic> {
    let mut flags = request.take_flags(&[("platform", Value), ("after", List)])?;
    let words = request.arguments.split_words();
    let (image, name) = match words[..] {
        [image] => (image, None),
        [image, keyword, name] if keyword.as_str().eq_ignore_ascii_case("as") => {
            (image, Some((keyword, name)))
        }
        [] => return Err(request.error("FROM needs an image").with_hint("write `FROM <image>`")),
        [_, extra, ..] => return Err(unexpected(extra)),
    };
    let span = request.line.span();
    let stage_name = name.map(|(_, name)| stage_name(name)).transpose()?;
    let description = stage_name.as_ref().and_then(|name| {
        descriptions(request.comments).get(name.value.as_str()).map(|text| (*text).to_owned())
    });
    Ok(Stage {
        from: From {
            image: image.into(),
            platform: flags.value("platform"),
            after: flags.values("after"),
            text: request.line.as_str().to_owned(),
            span,
            keyword: request.keyword_span,
            as_keyword: name.map(|(keyword, _)| keyword.span()),
        },
        name: stage_name,
        description,
        comments: request.comments.to_vec(),
        instructions: Vec::new(),
        span,
    })
}

/// Checks a name against `^[a-z][a-z0-9-_.]*$`, after lower-casing.
fn stage_name(word: Fragment<'_>) -> Result<Spanned<String>, Diagnostic> {
    let name = word.as_str().to_lowercase();
    let valid = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'));
    if !valid {
        let message = format!("invalid stage name `{}`", word.as_str());
        return Err(Diagnostic::error(message, word.span())
            .with_note("a name starts with a letter and goes on with letters, digits, `-`, `_` and `.`"));
    }
    Ok(Spanned::new(name, word.span()))
}

fn unexpected(word: Fragment<'_>) -> Diagnostic {
    let diagnostic =
        Diagnostic::error(format!("unexpected `{}` after the image of FROM", word.as_str()), word.span());
    if word.as_str().starts_with('#') {
        return diagnostic.with_hint("a comment needs a line of its own");
    }
    diagnostic.with_hint("write `FROM <image>` or `FROM <image> AS <name>`")
}
