//! `COPY` and `ADD`.

use super::Request;
use crate::flags::Kind::{List, Switch, Value};
use crate::flags::Known;
use crate::fragment::Fragment;
use crate::{Diagnostic, Heredoc, Word, json};

/// `COPY`: files from the context, a stage, an image or a named context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// `--from=`: a stage, its index, an image or a named context. BuildKit does not expand it.
    pub from: Option<Word>,
    /// `--chown=`.
    pub chown: Option<Word>,
    /// `--chmod=`, octal or symbolic.
    pub chmod: Option<Word>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude=`, repeatable; patterns as in an ignore file, not expanded.
    pub excludes: Vec<Word>,
    /// Paths and patterns. Empty only if there are heredocs.
    pub sources: Vec<Word>,
    /// Files that stand in the Containerfile itself.
    pub heredocs: Vec<Heredoc>,
    /// Where to.
    pub destination: Word,
}

/// `ADD`: as COPY from the context, and also URLs, git repositories and archives to unpack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// `--chown=`.
    pub chown: Option<Word>,
    /// `--chmod=`, octal or symbolic.
    pub chmod: Option<Word>,
    /// `--link`.
    pub link: bool,
    /// `--exclude=`, repeatable; patterns as in an ignore file, not expanded.
    pub excludes: Vec<Word>,
    /// `--checksum=`.
    pub checksum: Option<Word>,
    /// `--keep-git-dir`, if written.
    pub keep_git_dir: Option<bool>,
    /// `--unpack`, if written; without it local archives are unpacked and fetched ones are not.
    pub unpack: Option<bool>,
    /// Paths, patterns, URLs. Empty only if there are heredocs.
    pub sources: Vec<Word>,
    /// Files that stand in the Containerfile itself.
    pub heredocs: Vec<Heredoc>,
    /// Where to.
    pub destination: Word,
}

const COPY_FLAGS: [Known; 6] = [
    ("from", Value),
    ("chown", Value),
    ("chmod", Value),
    ("link", Switch),
    ("parents", Switch),
    ("exclude", List),
];

const ADD_FLAGS: [Known; 7] = [
    ("chown", Value),
    ("chmod", Value),
    ("link", Switch),
    ("exclude", List),
    ("checksum", Value),
    ("keep-git-dir", Switch),
    ("unpack", Switch),
];

pub(super) fn parse_copy(mut request: Request<'_>) -> Result<Copy, Diagnostic> {
    let mut flags = request.take_flags(&COPY_FLAGS)?;
    let Operands { sources, heredocs, destination } = operands(request)?;
    Ok(Copy {
        from: flags.value("from"),
        chown: flags.value("chown"),
        chmod: flags.value("chmod"),
        link: flags.switch("link").unwrap_or(false),
        parents: flags.switch("parents").unwrap_or(false),
        excludes: flags.values("exclude"),
        sources,
        heredocs,
        destination,
    })
}

pub(super) fn parse_add(mut request: Request<'_>) -> Result<Add, Diagnostic> {
    let mut flags = request.take_flags(&ADD_FLAGS)?;
    let Operands { sources, heredocs, destination } = operands(request)?;
    Ok(Add {
        chown: flags.value("chown"),
        chmod: flags.value("chmod"),
        link: flags.switch("link").unwrap_or(false),
        excludes: flags.values("exclude"),
        checksum: flags.value("checksum"),
        keep_git_dir: flags.switch("keep-git-dir"),
        unpack: flags.switch("unpack"),
        sources,
        heredocs,
        destination,
    })
}

struct Operands {
    sources: Vec<Word>,
    heredocs: Vec<Heredoc>,
    destination: Word,
}

fn operands(mut request: Request<'_>) -> Result<Operands, Diagnostic> {
    if let Some(words) = json::parse_array(request.arguments)? {
        return match <[Word]>::split_last(&words) {
            Some((destination, sources)) if !sources.is_empty() => Ok(Operands {
                sources: sources.to_vec(),
                heredocs: Vec::new(),
                destination: destination.clone(),
            }),
            _ => Err(too_few(&request)),
        };
    }
    let words = request.arguments.split_words();
    let in_heredoc = |word: &Fragment<'_>| {
        let at = word.range().start;
        let next = request.heredocs.partition_point(|(operator, _)| operator.end <= at);
        request.heredocs.get(next).is_some_and(|(operator, _)| operator.contains(&at))
    };
    let Some((destination, sources)) = words.split_last().filter(|(_, sources)| !sources.is_empty()) else {
        return Err(too_few(&request));
    };
    if in_heredoc(destination) {
        let message = format!("{} cannot write to a heredoc", request.keyword.as_str());
        return Err(Diagnostic::error(message, destination.span())
            .with_hint("put the destination behind it, as in `COPY <<EOF /path/to/file`"));
    }
    let sources = sources.iter().filter(|word| !in_heredoc(word)).map(|word| Word::from(*word)).collect();
    Ok(Operands { sources, heredocs: request.take_heredocs(), destination: (*destination).into() })
}

fn too_few(request: &Request<'_>) -> Diagnostic {
    let name = request.keyword.as_str();
    request
        .error(format!("{name} needs at least one source and a destination"))
        .with_hint(format!("write `{name} <source>… <destination>`"))
}
