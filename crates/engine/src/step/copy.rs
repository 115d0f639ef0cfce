//! COPY and ADD → what they do.

use containerfile::{Add, Chmod, Copy, Heredoc, Word};

use super::{Op, Texts};
use crate::copy::{CopyOp, Filter, Owner, Source};
use crate::error::{Cause, Error};
use crate::expansion::Expander;
use crate::plan::Origin;
use crate::remote::{Checksum, Remote};
use crate::stage::State;

pub(super) fn copy(copy: &Copy, state: &State, texts: &Texts<'_>) -> Result<(Option<Op>, String), Error> {
    let expander = texts.expander(&state.scope);
    let from = match &copy.from {
        None => Origin::Context,
        Some(word) => {
            let origin = texts.origin(&expander.word(word)?);
            origin.map_err(|error| error.at(expander.place(word)))?
        }
    };
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
        unpack: (false, false),
        checksum: None,
        keep_git_dir: None,
    };
    operands.op(state, texts)
}

pub(super) fn add(add: &Add, state: &State, texts: &Texts<'_>) -> Result<(Option<Op>, String), Error> {
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
        unpack: (add.unpack.unwrap_or(true), add.unpack.unwrap_or(false)),
        checksum: add.checksum.as_ref(),
        keep_git_dir: add.keep_git_dir,
    };
    operands.op(state, texts)
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
    unpack: (bool, bool),
    checksum: Option<&'a Word>,
    keep_git_dir: Option<bool>,
}

impl Operands<'_> {
    fn op(self, state: &State, texts: &Texts<'_>) -> Result<(Option<Op>, String), Error> {
        let expander = texts.expander(&state.scope);
        let owner = |word| expander.word(word).map(|text| Owner { text, place: expander.place(word) });
        let owner = self.chown.map(owner).transpose()?;
        let chmod = |word| {
            let chmod = Chmod::parse(&expander.word(word)?);
            chmod.map_err(|error| Error::from(Cause::BadMode(error)).at(expander.place(word)))
        };
        let chmod = self.chmod.map(chmod).transpose()?;
        let excludes: Vec<_> = self.excludes.iter().map(|word| word.text().to_owned()).collect();
        let excludes = Filter::of_patterns(&excludes).map_err(|error| match self.excludes {
            [word, ..] => error.at(texts.place(word.span())),
            [] => error,
        })?;
        let mut sources = self.sources(&expander)?;
        let checksum = self.checksum(&expander, &mut sources)?;
        let written = expander.word(self.destination)?;
        let mut created_by = self.instruction.to_owned();
        created_by.push_str(if self.parents { " --parents" } else { "" });
        created_by.extend(owner.iter().flat_map(|owner| [" --chown=", &owner.text]));
        let mode = chmod.as_ref().map(ToString::to_string);
        created_by.extend(mode.iter().flat_map(|text| [" --chmod=", text]));
        created_by.extend(sources.iter().map(|source| {
            source
                .remote
                .as_ref()
                .map_or_else(|| format!(" {}", source.path), |remote| format!(" {}", remote.shown()))
        }));
        created_by.extend(self.heredocs.iter().flat_map(|heredoc| [" <<", &heredoc.name]));
        created_by.extend([" ", &written, " # buildkit"]);
        let heredocs = self.heredocs.iter().map(|heredoc| {
            let content = heredoc.expand(&|name| state.scope.get(name));
            let content = content.map_err(|diagnostic| expander.error(diagnostic))?;
            Ok((heredoc.name.clone(), content.value))
        });
        let op = CopyOp {
            instruction: self.instruction,
            from: self.from,
            sources,
            heredocs: heredocs.collect::<Result<_, Error>>()?,
            destination: state.absolute(&written),
            place: expander.place(self.destination),
            owner,
            chmod,
            excludes,
            parents: self.parents,
            link: self.link,
            unpack: self.unpack,
            checksum,
        };
        Ok((Some(Op::Copy(Box::new(op))), created_by))
    }

    fn sources(&self, expander: &Expander<'_>) -> Result<Vec<Source>, Error> {
        let source = |word: &Word| {
            let (path, place) = (expander.word(word)?, expander.place(word));
            let at = |error: Error| error.at(place.clone());
            let mut remote = Remote::parse(&path).map_err(at)?;
            if let Some(remote) = remote.as_ref().filter(|_| self.instruction == "COPY") {
                let (what, why) = ("source of COPY", "only ADD fetches from a network".to_owned());
                return Err(at(Cause::InvalidArgument { what, text: remote.shown(), why }.into()));
            }
            if let (Some(Remote::Repository(url)), Some(keep)) = (&mut remote, self.keep_git_dir) {
                if url.keep_git_dir.is_some_and(|asked| asked != keep) {
                    let (what, why) = ("git URL", "it and --keep-git-dir contradict each other".to_owned());
                    return Err(at(Cause::InvalidArgument { what, text: url.to_string(), why }.into()));
                }
                url.keep_git_dir = Some(keep);
            }
            Ok(Source { path, remote, place })
        };
        self.sources.iter().map(source).collect()
    }

    /// `--checksum`, which is for one source that is fetched.
    fn checksum(&self, expander: &Expander<'_>, sources: &mut [Source]) -> Result<Option<Checksum>, Error> {
        let Some(word) = self.checksum else { return Ok(None) };
        let text = expander.word(word)?;
        let bad = |why: String| {
            let cause = Cause::InvalidArgument { what: "checksum", text: text.clone(), why };
            Error::from(cause).at(expander.place(word))
        };
        match sources {
            [Source { remote: Some(Remote::File(_)), .. }] => Checksum::parse(&text).map(Some).map_err(bad),
            // The beginning of a commit, which the checkout compares.
            [Source { remote: Some(Remote::Repository(url)), .. }] => {
                url.set_checksum(&text).map_err(|error| bad(error.to_string()))?;
                Ok(None)
            }
            [_] => Err(bad("it is for a source that is fetched, and this one is a path".to_owned())),
            _ => Err(bad("it is for one source alone".to_owned())),
        }
    }
}
