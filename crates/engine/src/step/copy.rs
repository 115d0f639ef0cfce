//! COPY and ADD → what they do.

use containerfile::{Add, Chmod, Copy, Heredoc, Word};

use super::{Op, Texts};
use crate::copy::{CopyOp, Filter};
use crate::error::{Cause, Error};
use crate::plan::Origin;
use crate::stage::State;

pub(super) fn copy(copy: &Copy, state: &State, texts: &Texts<'_>) -> Result<(Option<Op>, String), Error> {
    let expander = texts.expander(&state.scope);
    let fail = |diagnostic| texts.error(diagnostic);
    let from = match &copy.from {
        None => Origin::Context,
        Some(word) => {
            let text = expander.word(word).map_err(fail)?;
            let origin = texts.names.source(&text, texts.stage);
            origin.map_err(|error| error.at(texts.place(word.span())))?
        }
    };
    if let Some(word) = copy.sources.iter().find(|word| is_remote(word.text())) {
        let what = "source of COPY";
        let why = "only ADD fetches from a network".to_owned();
        let cause = Cause::InvalidArgument { what, text: word.text().to_owned(), why };
        return Err(Error::from(cause).at(texts.place(word.span())));
    }
    let operands = Operands {
        instruction: "COPY",
        from,
        sources: &copy.sources,
        heredocs: &copy.heredocs,
        destination: &copy.destination,
        chown: copy.chown.as_ref(),
        chmod: copy.chmod.as_ref(),
        excludes: &copy.excludes,
        parents: copy.parents,
        link: copy.link,
        unpack: false,
    };
    operands.op(state, texts)
}

pub(super) fn add(add: &Add, state: &State, texts: &Texts<'_>) -> Result<(Option<Op>, String), Error> {
    let expander = texts.expander(&state.scope);
    for word in &add.sources {
        if is_remote(&expander.word(word).map_err(|diagnostic| texts.error(diagnostic))?) {
            let what = "ADD of a URL or git repository".to_owned();
            return Err(Error::from(Cause::Unsupported { what }).at(texts.place(word.span())));
        }
    }
    let operands = Operands {
        instruction: "ADD",
        from: Origin::Context,
        sources: &add.sources,
        heredocs: &add.heredocs,
        destination: &add.destination,
        chown: add.chown.as_ref(),
        chmod: add.chmod.as_ref(),
        excludes: &add.excludes,
        parents: false,
        link: add.link,
        unpack: add.unpack.unwrap_or(true),
    };
    operands.op(state, texts)
}

fn is_remote(source: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@"].iter().any(|scheme| source.starts_with(scheme))
}

/// What COPY and ADD have in common.
struct Operands<'a> {
    instruction: &'static str,
    from: Origin,
    sources: &'a [Word],
    heredocs: &'a [Heredoc],
    destination: &'a Word,
    chown: Option<&'a Word>,
    chmod: Option<&'a Word>,
    excludes: &'a [Word],
    parents: bool,
    link: bool,
    unpack: bool,
}

impl Operands<'_> {
    fn op(self, state: &State, texts: &Texts<'_>) -> Result<(Option<Op>, String), Error> {
        let expander = texts.expander(&state.scope);
        let fail = |diagnostic| texts.error(diagnostic);
        let optional = |word: Option<&Word>| word.map(|word| expander.word(word)).transpose().map_err(fail);
        let (owner, chmod) = (optional(self.chown)?, optional(self.chmod)?);
        let chmod = match (chmod, self.chmod) {
            (Some(text), Some(word)) => {
                let chmod = Chmod::parse(&text);
                Some(chmod.map_err(|error| Error::from(Cause::BadMode(error)).at(texts.place(word.span())))?)
            }
            _ => None,
        };
        let excludes: Vec<_> = self.excludes.iter().map(|word| word.text().to_owned()).collect();
        let excludes = Filter::of_patterns(&excludes).map_err(|error| match self.excludes {
            [word, ..] => error.at(texts.place(word.span())),
            [] => error,
        })?;
        let sources = expander.all(self.sources).map_err(fail)?;
        let written = expander.word(self.destination).map_err(fail)?;
        let mut created_by = self.instruction.to_owned();
        created_by.push_str(if self.parents { " --parents" } else { "" });
        created_by.extend(owner.iter().flat_map(|text| [" --chown=", text]));
        let mode = chmod.as_ref().map(ToString::to_string);
        created_by.extend(mode.iter().flat_map(|text| [" --chmod=", text]));
        created_by.extend(sources.iter().flat_map(|text| [" ", text]));
        created_by.extend(self.heredocs.iter().flat_map(|heredoc| [" <<", &heredoc.name]));
        created_by.extend([" ", &written, " # buildkit"]);
        let spans = self.sources.iter().map(Word::span);
        let heredocs = self.heredocs.iter().map(|heredoc| {
            let content = heredoc.expand(&|name| state.scope.get(name)).map_err(fail)?.value;
            Ok((heredoc.name.clone(), content))
        });
        let op = CopyOp {
            instruction: self.instruction,
            from: self.from,
            sources: sources.into_iter().zip(spans).collect(),
            heredocs: heredocs.collect::<Result<_, Error>>()?,
            destination: state.absolute(&written),
            owner,
            chmod,
            excludes,
            parents: self.parents,
            link: self.link,
            unpack: self.unpack,
        };
        Ok((Some(Op::Copy(op)), created_by))
    }
}
