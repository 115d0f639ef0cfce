//! The instructions: one type and one parser each.
//!
//! A parser takes a [`Request`] (keyword, flags, arguments, heredocs) and gives a piece of the syntax tree or
//! the first thing that is wrong with it. FROM is not among [`Instruction`]s, as it opens a stage.

mod assignment;
mod command_line;
mod copy;
mod csv;
mod from;
mod healthcheck;
mod keyword;
mod mount;
mod mount_resolve;
mod mount_spec;
mod request;
mod run;

pub use assignment::{ArgDeclaration, Pair};
pub use command_line::CommandLine;
pub use copy::{Add, Copy};
pub use csv::fields as csv_fields;
pub use healthcheck::{Healthcheck, HealthcheckOptions};
pub use mount::{Mount, MountOption};
pub use mount_spec::{
    BindMount, CacheMount, MountFlag, MountSpec, SecretMount, Sharing, SshMount, TmpfsMount,
};
pub use run::{Device, Invocation, Network, Run, Security};

pub(crate) use from::parse as parse_from;
pub(crate) use keyword::Keyword;
pub(crate) use request::Request;

use crate::fragment::Fragment;
use crate::{Diagnostic, Heredoc, Spanned, Word, json};

/// An instruction of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// `ADD`.
    Add(Add),
    /// `ARG`, one or more declarations.
    Arg(Vec<ArgDeclaration>),
    /// `CMD`.
    Cmd(CommandLine),
    /// `COPY`.
    Copy(Copy),
    /// `ENTRYPOINT`.
    Entrypoint(CommandLine),
    /// `ENV`, one or more pairs.
    Env(Vec<Pair>),
    /// `EXPOSE`: ports, each of which may expand to several words.
    Expose(Vec<Word>),
    /// `HEALTHCHECK`.
    Healthcheck(Healthcheck),
    /// `LABEL`, one or more pairs.
    Label(Vec<Pair>),
    /// `MAINTAINER`, not expanded.
    Maintainer(Spanned<String>),
    /// `ONBUILD`.
    Onbuild(Onbuild),
    /// `RUN`.
    Run(Run),
    /// `SHELL`: the exec form, not expanded, never empty.
    Shell(Vec<String>),
    /// `STOPSIGNAL`.
    Stopsignal(Word),
    /// `USER`.
    User(Word),
    /// `VOLUME`, one or more paths.
    Volume(Vec<Word>),
    /// `WORKDIR`.
    Workdir(Word),
}

/// An instruction to carry out when the image becomes the base of another build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onbuild {
    /// The instruction; neither ONBUILD nor MAINTAINER.
    pub instruction: Box<Instruction>,
    /// The instruction as the image config keeps it: one logical line, then heredoc bodies with delimiters.
    pub text: String,
}

impl Instruction {
    /// The keyword in upper case.
    pub fn name(&self) -> &'static str {
        let keyword = match self {
            Self::Add(_) => Keyword::Add,
            Self::Arg(_) => Keyword::Arg,
            Self::Cmd(_) => Keyword::Cmd,
            Self::Copy(_) => Keyword::Copy,
            Self::Entrypoint(_) => Keyword::Entrypoint,
            Self::Env(_) => Keyword::Env,
            Self::Expose(_) => Keyword::Expose,
            Self::Healthcheck(_) => Keyword::Healthcheck,
            Self::Label(_) => Keyword::Label,
            Self::Maintainer(_) => Keyword::Maintainer,
            Self::Onbuild(_) => Keyword::Onbuild,
            Self::Run(_) => Keyword::Run,
            Self::Shell(_) => Keyword::Shell,
            Self::Stopsignal(_) => Keyword::Stopsignal,
            Self::User(_) => Keyword::User,
            Self::Volume(_) => Keyword::Volume,
            Self::Workdir(_) => Keyword::Workdir,
        };
        keyword.as_str()
    }
}

/// Parses any instruction but FROM.
pub(crate) fn parse(request: Request<'_>) -> Result<Instruction, Diagnostic> {
    Ok(match request.keyword {
        Keyword::Add => Instruction::Add(copy::parse_add(request)?),
        Keyword::Arg => Instruction::Arg(assignment::parse_arg(request)?),
        Keyword::Cmd => Instruction::Cmd(command_line::parse(request)?),
        Keyword::Copy => Instruction::Copy(copy::parse_copy(request)?),
        Keyword::Entrypoint => Instruction::Entrypoint(command_line::parse(request)?),
        Keyword::Env => Instruction::Env(assignment::parse_pairs(request)?),
        Keyword::Expose => Instruction::Expose(parse_words(request)?),
        Keyword::From => return Err(request.error("FROM cannot be used here")),
        Keyword::Healthcheck => Instruction::Healthcheck(healthcheck::parse(request)?),
        Keyword::Label => Instruction::Label(assignment::parse_pairs(request)?),
        Keyword::Maintainer => {
            let line = parse_line(request)?;
            Instruction::Maintainer(Spanned::new(line.text().to_owned(), line.span()))
        }
        Keyword::Onbuild => Instruction::Onbuild(parse_onbuild(request)?),
        Keyword::Run => Instruction::Run(run::parse(request)?),
        Keyword::Shell => Instruction::Shell(parse_shell(request)?),
        Keyword::Stopsignal => Instruction::Stopsignal(parse_line(request)?),
        Keyword::User => Instruction::User(parse_line(request)?),
        Keyword::Volume => Instruction::Volume(parse_volumes(request)?),
        Keyword::Workdir => Instruction::Workdir(parse_line(request)?),
    })
}

/// All arguments as one word: blanks belong to it.
fn parse_line(mut request: Request<'_>) -> Result<Word, Diagnostic> {
    request.take_flags(&[])?;
    if request.arguments.is_empty() {
        return Err(request.error(format!("{} needs an argument", request.keyword.as_str())));
    }
    Ok(request.arguments.into())
}

fn parse_words(mut request: Request<'_>) -> Result<Vec<Word>, Diagnostic> {
    request.take_flags(&[])?;
    at_least_one(&request, request.arguments.split_words().into_iter().map(Word::from).collect())
}

fn parse_volumes(mut request: Request<'_>) -> Result<Vec<Word>, Diagnostic> {
    request.take_flags(&[])?;
    let Some(words) = json::parse_array(request.arguments)? else { return parse_words(request) };
    if let Some(blank) = words.iter().find(|word| word.text().trim().is_empty()) {
        return Err(Diagnostic::error("a volume path cannot be empty", blank.span()));
    }
    at_least_one(&request, words)
}

fn at_least_one(request: &Request<'_>, words: Vec<Word>) -> Result<Vec<Word>, Diagnostic> {
    if words.is_empty() {
        return Err(request.error(format!("{} needs at least one argument", request.keyword.as_str())));
    }
    Ok(words)
}

fn parse_shell(mut request: Request<'_>) -> Result<Vec<String>, Diagnostic> {
    request.take_flags(&[])?;
    match json::parse_array(request.arguments)? {
        Some(words) if !words.is_empty() => Ok(words.iter().map(|word| word.text().to_owned()).collect()),
        _ => Err(request
            .error("SHELL needs a JSON array with at least one string")
            .with_hint("write `SHELL [\"/bin/sh\", \"-c\"]`")),
    }
}

fn parse_onbuild(mut request: Request<'_>) -> Result<Onbuild, Diagnostic> {
    request.take_flags(&[])?;
    let text = onbuild_text(request.arguments, request.heredocs.iter().map(|(_, heredoc)| heredoc));
    let nested = request.nested()?;
    match nested.keyword {
        Keyword::Onbuild => Err(nested.error("ONBUILD cannot trigger another ONBUILD")),
        Keyword::From | Keyword::Maintainer => {
            Err(nested.error(format!("ONBUILD cannot trigger {}", nested.keyword.as_str())))
        }
        _ => Ok(Onbuild { instruction: Box::new(parse(nested)?), text }),
    }
}

fn onbuild_text<'a>(line: Fragment<'_>, heredocs: impl Iterator<Item = &'a Heredoc>) -> String {
    let mut text = line.as_str().to_owned();
    for heredoc in heredocs {
        text.push('\n');
        text.push_str(&heredoc.body);
        text.push_str(&heredoc.name);
    }
    text
}

#[cfg(test)]
mod mount_tests;
