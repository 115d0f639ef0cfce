//! An instruction of a stage → what it does: a change of the config, or an operation on the root file system.

use std::sync::Arc;

use containerfile::{
    Add, Copy, Diagnostic, Escape, Heredoc, Instruction, Invocation, Run, Source, Span, Word,
};

use crate::configure::configure;
use crate::copy::{CopyOp, CopySource};
use crate::error::{Cause, Error, Place};
use crate::options::{BuildOptions, Network};
use crate::plan::{Origin, StageNames};
use crate::run::RunOp;
use crate::scope::{Globals, Scope};
use crate::stage::{Expander, State};

/// What an instruction does to the root file system.
#[derive(Debug)]
pub(crate) enum Op {
    /// Makes the working directory.
    Workdir {
        /// An absolute path.
        path: String,
    },
    /// Copies files into it.
    Copy(CopyOp),
    /// Runs a command in it.
    Run(RunOp),
}

/// What an instruction does.
#[derive(Debug)]
pub(crate) struct Step {
    /// The operation; without one, the instruction has changed the config and is done.
    pub(crate) op: Option<Op>,
    /// What history says; `None` for ONBUILD.
    pub(crate) created_by: Option<String>,
}

/// The text that instructions come from, and the values around it.
#[derive(Debug)]
pub(crate) struct Texts<'a> {
    pub(crate) source: &'a Arc<Source>,
    pub(crate) globals: &'a Globals,
    pub(crate) escape: Escape,
    pub(crate) names: &'a StageNames,
    /// The number of the stage.
    pub(crate) stage: usize,
}

impl Texts<'_> {
    pub(crate) fn expander<'b>(&'b self, scope: &'b Scope) -> Expander<'b> {
        Expander { scope, escape: self.escape }
    }

    /// The place of `span` in this text.
    pub(crate) fn place(&self, span: Span) -> Place {
        Place { source: Arc::clone(self.source), span, label: None }
    }

    /// A failed expansion as the error it is.
    pub(crate) fn error(&self, diagnostic: Diagnostic) -> Error {
        Cause::Syntax { source_text: Arc::clone(self.source), diagnostics: vec![diagnostic] }.into()
    }
}

/// Carries out what `instruction` does to the config, and tells what is left to do.
pub(crate) fn step(
    instruction: &Instruction,
    state: &mut State,
    texts: &Texts<'_>,
    options: &BuildOptions,
) -> Result<Step, Error> {
    crate::plan::check(instruction)?;
    let (op, created_by) = match instruction {
        Instruction::Workdir(word) => workdir(word, state, texts)?,
        Instruction::Copy(instruction) => copy(instruction, state, texts)?,
        Instruction::Add(instruction) => add(instruction, state, texts)?,
        Instruction::Run(run) => {
            let op = run_op(run, state, texts, options);
            let created_by = run_text(&op.argv, &state.scope);
            (Some(Op::Run(op)), created_by)
        }
        other => return Ok(Step { op: None, created_by: configure(other, state, texts)? }),
    };
    Ok(Step { op, created_by: Some(created_by) })
}

fn workdir(word: &Word, state: &mut State, texts: &Texts<'_>) -> Result<(Option<Op>, String), Error> {
    let text = texts.expander(&state.scope).word(word).map_err(|diagnostic| texts.error(diagnostic))?;
    if text.is_empty() {
        return Err(Cause::Empty { what: "the working directory" }.into());
    }
    let path = state.absolute(&text);
    state.config.config.working_dir.clone_from(&path);
    let created_by = format!("WORKDIR {path}");
    Ok(((path != "/").then_some(Op::Workdir { path }), created_by))
}

fn copy(copy: &Copy, state: &State, texts: &Texts<'_>) -> Result<(Option<Op>, String), Error> {
    let expander = texts.expander(&state.scope);
    let fail = |diagnostic| texts.error(diagnostic);
    let from = match &copy.from {
        None => CopySource::Context,
        Some(word) => {
            let text = expander.word(word).map_err(fail)?;
            let origin = texts.names.origin(&text, texts.stage);
            let origin = origin.map_err(|error| error.at(texts.place(word.span())))?;
            match origin {
                Origin::Scratch => CopySource::Scratch,
                Origin::Stage(index) => CopySource::Stage(index),
                Origin::Image(reference) => CopySource::Image(reference),
            }
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
        unpack: false,
    };
    operands.op(state, texts)
}

fn add(add: &Add, state: &State, texts: &Texts<'_>) -> Result<(Option<Op>, String), Error> {
    let expander = texts.expander(&state.scope);
    for word in &add.sources {
        if is_remote(&expander.word(word).map_err(|diagnostic| texts.error(diagnostic))?) {
            let what = "ADD of a URL or git repository".to_owned();
            return Err(Error::from(Cause::Unsupported { what }).at(texts.place(word.span())));
        }
    }
    let operands = Operands {
        instruction: "ADD",
        from: CopySource::Context,
        sources: &add.sources,
        heredocs: &add.heredocs,
        destination: &add.destination,
        chown: add.chown.as_ref(),
        chmod: add.chmod.as_ref(),
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
    from: CopySource,
    sources: &'a [Word],
    heredocs: &'a [Heredoc],
    destination: &'a Word,
    chown: Option<&'a Word>,
    chmod: Option<&'a Word>,
    unpack: bool,
}

impl Operands<'_> {
    fn op(self, state: &State, texts: &Texts<'_>) -> Result<(Option<Op>, String), Error> {
        let expander = texts.expander(&state.scope);
        let fail = |diagnostic| texts.error(diagnostic);
        let optional = |word: Option<&Word>| word.map(|word| expander.word(word)).transpose().map_err(fail);
        let (owner, chmod) = (optional(self.chown)?, optional(self.chmod)?);
        let mode = match (&chmod, self.chmod) {
            (Some(text), Some(word)) => Some(mode(text).map_err(|error| error.at(texts.place(word.span())))?),
            _ => None,
        };
        let sources = expander.all(self.sources).map_err(fail)?;
        let written = expander.word(self.destination).map_err(fail)?;
        let mut created_by = self.instruction.to_owned();
        created_by.extend(owner.iter().flat_map(|text| [" --chown=", text]));
        created_by.extend(chmod.iter().flat_map(|text| [" --chmod=", text]));
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
            mode,
            unpack: self.unpack,
        };
        Ok((Some(Op::Copy(op)), created_by))
    }
}

/// An octal mode.
fn mode(text: &str) -> Result<u32, Error> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(mode),
        Err(_) if text.contains(['+', '-', '=']) => {
            Err(Cause::Unsupported { what: "a symbolic `--chmod`".to_owned() }.into())
        }
        _ => {
            let why = "expected an octal number up to 7777".to_owned();
            Err(Cause::InvalidArgument { what: "mode", text: text.to_owned(), why }.into())
        }
    }
}

fn run_op(run: &Run, state: &State, texts: &Texts<'_>, options: &BuildOptions) -> RunOp {
    let argv = match run.invocation() {
        Invocation::Exec(arguments) => arguments.to_vec(),
        Invocation::Shell(script) | Invocation::Script { content: script, .. } => {
            let mut argv = state.shell();
            argv.push(script.into_owned());
            argv
        }
    };
    let network = match run.network.as_ref().map(|network| network.value) {
        Some(containerfile::Network::None) => Network::None,
        Some(containerfile::Network::Host) => Network::Host,
        Some(containerfile::Network::Default) | None => options.network,
    };
    // Proxies reach every RUN, but change no key and no history unless an ARG declares them.
    let undeclared = containerfile::PREDEFINED_ARGS.iter().filter(|name| !state.scope.declares(name));
    let proxies = undeclared
        .filter(|name| state.scope.get(name).is_none())
        .filter_map(|name| Some(((*name).to_owned(), texts.globals.build_arg(name)?.clone())))
        .collect();
    let is_empty = matches!(&run.command, containerfile::CommandLine::Shell(text) if text.value.is_empty())
        || run
            .heredocs
            .iter()
            .any(|heredoc| argv.last().is_some_and(String::is_empty) && heredoc.body.is_empty());
    RunOp {
        argv,
        is_empty,
        env: state.scope.variables().to_vec(),
        proxies,
        cwd: state.working_dir().to_owned(),
        user: state.config.config.user.clone(),
        network,
        hosts: options.hosts.clone(),
        hostname: texts.globals.build_arg("BUILDKIT_SANDBOX_HOSTNAME").cloned(),
        volumes: options.volumes.clone(),
    }
}

/// `RUN |1 A=b /bin/sh -c … # buildkit`: the build arguments first, as they are part of what was done.
fn run_text(argv: &[String], scope: &Scope) -> String {
    let args = scope.args();
    let mut words = vec!["RUN".to_owned()];
    if !args.is_empty() {
        words.push(format!("|{}", args.len()));
        words.extend(args.iter().map(|(name, value)| format!("{name}={value}")));
    }
    words.extend(argv.iter().cloned());
    words.push("# buildkit".to_owned());
    words.join(" ")
}
