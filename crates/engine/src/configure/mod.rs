//! Instructions that change the image config and nothing else: ENV, LABEL, CMD, EXPOSE and their like.
//!
//! Each tells what history says of it, in BuildKit's words.

mod healthcheck;
mod ports;
mod signal;

use containerfile::{CommandLine, Instruction, Pair, Word};

use crate::error::{Cause, Error};
use crate::expansion::Expander;
use crate::stage::State;
use crate::step::Texts;

/// Carries out an instruction of this kind. Returns the text for history; ONBUILD has none.
pub(crate) fn configure(
    instruction: &Instruction,
    state: &mut State,
    texts: &Texts<'_>,
) -> Result<Option<String>, Error> {
    let before = state.scope.clone();
    let expander = texts.expander(&before);
    let created_by = match instruction {
        Instruction::Arg(declarations) => {
            let mut text = "ARG".to_owned();
            for declaration in declarations {
                let value = state.scope.declare(declaration, texts.globals, texts.escape, texts.source);
                let value = value.map_err(|diagnostic| expander.error(diagnostic))?;
                text.extend([" ", declaration.name.text()]);
                text.extend(value.iter().flat_map(|value| ["=", value]));
            }
            text
        }
        Instruction::Env(pairs) => {
            let pairs = expand_pairs(pairs, &expander)?;
            for (name, value) in &pairs {
                state.set_env(name, value);
            }
            pairs_text("ENV", &pairs)
        }
        Instruction::Label(pairs) => {
            let pairs = expand_pairs(pairs, &expander)?;
            state.config.config.labels.extend(pairs.iter().cloned());
            pairs_text("LABEL", &pairs)
        }
        Instruction::Maintainer(name) => {
            state.config.author = Some(name.value.clone());
            format!("MAINTAINER {}", name.value)
        }
        Instruction::Expose(words) => expose(words, state, &expander)?,
        Instruction::Volume(words) => {
            let volume = |word| not_empty(word, "a volume", &expander);
            let volumes = words.iter().map(volume).collect::<Result<Vec<_>, _>>()?;
            state.config.config.volumes.extend(volumes.iter().cloned());
            format!("VOLUME [{}]", volumes.join(" "))
        }
        Instruction::User(word) => {
            state.config.config.user = not_empty(word, "the user", &expander)?;
            format!("USER {}", state.config.config.user)
        }
        Instruction::Stopsignal(word) => {
            let text = expander.word(word)?;
            signal::check(&text).map_err(|error| error.at(expander.place(word)))?;
            state.config.config.stop_signal = Some(text.clone());
            format!("STOPSIGNAL {text}")
        }
        Instruction::Onbuild(onbuild) => {
            state.config.config.on_build.push(onbuild.text.clone());
            return Ok(None);
        }
        other => command(other, state),
    };
    Ok(Some(created_by))
}

/// CMD, ENTRYPOINT, SHELL and HEALTHCHECK, which see no variables.
fn command(instruction: &Instruction, state: &mut State) -> String {
    match instruction {
        Instruction::Cmd(line) => {
            let argv = argv(line, state);
            state.has_cmd = true;
            let text = format!("CMD {}", quoted(&argv));
            state.config.config.args_escaped = true;
            state.config.config.cmd = Some(argv);
            text
        }
        Instruction::Entrypoint(line) => {
            let argv = argv(line, state);
            let text = format!("ENTRYPOINT {}", quoted(&argv));
            state.config.config.entrypoint = Some(argv);
            if !state.has_cmd {
                state.config.config.cmd = None;
            }
            text
        }
        Instruction::Shell(shell) => {
            state.config.config.shell = Some(shell.clone());
            format!("SHELL [{}]", shell.join(" "))
        }
        Instruction::Healthcheck(check) => {
            let check = healthcheck::lower(check);
            let text = healthcheck::history(&check);
            state.config.config.healthcheck = Some(check);
            text
        }
        other => unreachable!("{} makes a layer", other.name()),
    }
}

fn argv(line: &CommandLine, state: &State) -> Vec<String> {
    match line {
        CommandLine::Exec(arguments) => arguments.clone(),
        CommandLine::Shell(text) => {
            let mut argv = state.shell();
            argv.push(text.value.clone());
            argv
        }
    }
}

fn expose(words: &[Word], state: &mut State, expander: &Expander<'_>) -> Result<String, Error> {
    let mut all = Vec::new();
    for word in words {
        for text in expander.words(word)? {
            all.extend(ports::parse(&text).map_err(|error| error.at(expander.place(word)))?);
        }
    }
    state.config.config.exposed_ports.extend(all.iter().cloned());
    Ok(format!("EXPOSE [{}]", all.join(" ")))
}

fn expand_pairs(pairs: &[Pair], expander: &Expander<'_>) -> Result<Vec<(String, String)>, Error> {
    pairs.iter().map(|pair| Ok((expander.word(&pair.key)?, expander.word(&pair.value)?))).collect()
}

fn pairs_text(name: &str, pairs: &[(String, String)]) -> String {
    pairs.iter().fold(name.to_owned(), |text, (key, value)| format!("{text} {key}={value}"))
}

/// Go's `%q` of a list of strings.
fn quoted(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", words.join(" "))
}

fn not_empty(word: &Word, what: &'static str, expander: &Expander<'_>) -> Result<String, Error> {
    let text = expander.word(word)?;
    if text.is_empty() { Err(Error::from(Cause::Empty { what }).at(expander.place(word))) } else { Ok(text) }
}
