//! RUN → what it does.

use containerfile::{Invocation, Run, Security};

use super::{Texts, mount};
use crate::error::Error;
use crate::options::{BuildOptions, Network};
use crate::run::{RunOp, Script};
use crate::scope::Scope;
use crate::stage::State;

/// What a RUN does, and what history says of it.
pub(super) fn run(
    run: &Run,
    state: &State,
    texts: &Texts<'_>,
    options: &BuildOptions,
) -> Result<(RunOp, String), Error> {
    let (argv, script) = match run.invocation() {
        Invocation::Exec(arguments) => (arguments.to_vec(), None),
        Invocation::Shell(script) => {
            let mut argv = state.shell();
            argv.push(script.into_owned());
            (argv, None)
        }
        Invocation::Script { name, content } => {
            let script = Script::new(name, content.into_owned());
            (vec![script.path.clone()], Some(script))
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
    let build_arg = |name| texts.globals.build_arg(name).cloned();
    let op = RunOp {
        argv,
        script,
        is_empty,
        env: state.scope.variables().to_vec(),
        proxies,
        cwd: state.cwd(),
        user: state.config.config.user.clone(),
        network,
        hosts: options.hosts.clone(),
        hostname: build_arg("BUILDKIT_SANDBOX_HOSTNAME"),
        volumes: options.volumes.clone(),
        mounts: mount::mounts(run, state, texts, &options.mounts)?,
        cache_namespace: build_arg("BUILDKIT_CACHE_MOUNT_NS").unwrap_or_default(),
        is_insecure: run.security.as_ref().is_some_and(|security| security.value == Security::Insecure),
    };
    Ok((op, created_by))
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
