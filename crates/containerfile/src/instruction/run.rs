//! `RUN`.

use std::borrow::Cow;

use super::{CommandLine, Mount, Request, csv};
use crate::directives::parse_bool;
use crate::flags::Kind::{List, Value};
use crate::{Diagnostic, Heredoc, Spanned, Word, suggest};

/// `RUN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// `--mount=`, in order.
    pub mounts: Vec<Mount>,
    /// `--network=`, if written.
    pub network: Option<Spanned<Network>>,
    /// `--security=`, if written.
    pub security: Option<Spanned<Security>>,
    /// `--device=`, in order.
    pub devices: Vec<Spanned<Device>>,
    /// The command; where there are heredocs it is in shell form and holds their operators.
    pub command: CommandLine,
    /// In the order of their operators.
    pub heredocs: Vec<Heredoc>,
}

/// `--network=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// What the build is told to use.
    Default,
    /// None but loopback.
    None,
    /// That of the machine or pod.
    Host,
}

/// `--security=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// The ordinary restrictions.
    Sandbox,
    /// None.
    Insecure,
}

/// `--device=`: a CDI device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its CDI name, such as `vendor.com/class=device`.
    pub name: String,
    /// Whether the step fails without it.
    pub required: bool,
}

/// What a RUN asks to have executed.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation<'a> {
    /// These arguments, without a shell.
    Exec(&'a [String]),
    /// This text, as one argument behind the stage's shell.
    Shell(Cow<'a, str>),
    /// A heredoc that starts with `#!`: an executable file of this name and content, run by itself.
    Script {
        /// The name of the file.
        name: &'a str,
        /// All of the file.
        content: Cow<'a, str>,
    },
}

impl Run {
    /// How heredocs and command come together (Dockerfile reference, "Here-Documents").
    ///
    /// A heredoc that is the whole command is the script itself. Any other is handed to the shell as it is
    /// written, which is then the one to expand it.
    pub fn invocation(&self) -> Invocation<'_> {
        let (text, first) = match (&self.command, self.heredocs.first()) {
            (CommandLine::Exec(arguments), _) => return Invocation::Exec(arguments),
            (CommandLine::Shell(text), None) => return Invocation::Shell(Cow::Borrowed(&text.value)),
            (CommandLine::Shell(text), Some(first)) => (text, first),
        };
        if first.span == text.span {
            let content = first.content();
            return if content.starts_with("#!") {
                Invocation::Script { name: &first.name, content }
            } else {
                Invocation::Shell(content)
            };
        }
        let mut script = text.value.clone();
        for heredoc in &self.heredocs {
            script.push('\n');
            script.push_str(&heredoc.body);
            script.push_str(&heredoc.name);
        }
        Invocation::Shell(Cow::Owned(script))
    }
}

pub(super) fn parse(mut request: Request<'_>) -> Result<Run, Diagnostic> {
    let mut flags =
        request.take_flags(&[("mount", List), ("network", Value), ("security", Value), ("device", List)])?;
    let mounts = flags
        .values("mount")
        .iter()
        .map(|value| Mount::parse(value, request.escape, request.warnings))
        .collect::<Result<_, _>>()?;
    let network = flags.value("network").map(|word| choose(&word, "network mode", &NETWORKS)).transpose()?;
    let security =
        flags.value("security").map(|word| choose(&word, "security mode", &SECURITIES)).transpose()?;
    let devices = flags.values("device").iter().map(device).collect::<Result<_, _>>()?;
    let command = CommandLine::read(request.arguments)?;
    if command == CommandLine::Exec(Vec::new()) {
        return Err(request.error("RUN in exec form needs a program"));
    }
    Ok(Run { mounts, network, security, devices, command, heredocs: request.take_heredocs() })
}

const NETWORKS: [(&str, Network); 3] =
    [("default", Network::Default), ("none", Network::None), ("host", Network::Host)];

const SECURITIES: [(&str, Security); 2] = [("sandbox", Security::Sandbox), ("insecure", Security::Insecure)];

/// Reads one of a few words; `what` names them in errors.
pub(super) fn choose<T: Copy>(
    word: &Word,
    what: &str,
    choices: &[(&str, T)],
) -> Result<Spanned<T>, Diagnostic> {
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word.text()) {
        return Ok(Spanned::new(*value, word.span()));
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    Err(Diagnostic::error(format!("unknown {what} `{}`", word.text()), word.span())
        .with_note(format!("known are `{}`", names.join("`, `")))
        .with_suggestion(suggest::closest(word.text(), names)))
}

/// `[name=]NAME[,required[=bool]]`.
fn device(value: &Word) -> Result<Spanned<Device>, Diagnostic> {
    let mut device = Device { name: String::new(), required: false };
    for field in csv::fields(value)? {
        let text = field.text();
        let (key, flag) = text.split_once('=').unwrap_or((text, "true"));
        if key.eq_ignore_ascii_case("required") {
            device.required = parse_bool(flag).ok_or_else(|| {
                Diagnostic::error(format!("invalid value `{flag}` for `required`"), field.span())
            })?;
        } else if device.name.is_empty() {
            // CDI names hold a `=` themselves.
            text.strip_prefix("name=").unwrap_or(text).clone_into(&mut device.name);
        } else {
            return Err(Diagnostic::error(format!("unexpected `{text}` in `--device`"), field.span()));
        }
    }
    if device.name.is_empty() {
        return Err(Diagnostic::error("`--device` needs a name", value.span()));
    }
    Ok(Spanned::new(device, value.span()))
}
