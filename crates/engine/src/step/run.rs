//! RUN → what it does.

use containerfile::{Invocation, Run};

use super::Texts;
use crate::options::{BuildOptions, Network};
use crate::run::RunOp;
use crate::scope::Scope;
use crate::stage::State;

/// What a RUN does, and what history says of it.
pub(super) fn run(run: &Run, state: &State, texts: &Texts<'_>, options: &BuildOptions) -> (RunOp, String) {
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
    let created_by = created_by(&argv, &state.scope);
    let op = RunOp {
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
    };
    (op, created_by)
}

/// `RUN |1 A=b /bin/sh -c … # buildkit`: the build arguments first, as they are part of what was done.
fn created_by(argv: &[String], scope: &Scope) -> String {
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
