//! `RUN --mount` → what is mounted where, with every variable expanded and every name resolved.

use containerfile::{Diagnostic, Mount, MountOption, MountSpec, Run, Word};

use super::Texts;
use crate::error::{Cause, Error, Place};
use crate::expansion::Expander;
use crate::options::FlagMount;
use crate::plan::Origin;
use crate::run::RunMount;
use crate::stage::State;

/// The mounts of the command line, then those of a RUN, each in order.
pub(super) fn mounts(
    run: &Run,
    state: &State,
    texts: &Texts<'_>,
    flags: &[FlagMount],
) -> Result<Vec<RunMount>, Error> {
    let mut ssh_count = 0;
    let mut mounts = Vec::new();
    let mut add = |mount: &Mount, texts: &Texts<'_>| {
        let settled = settle(mount, state, texts, &mut ssh_count);
        mounts.push(settled.map_err(|error| error.at(texts.place(mount.span)))?);
        Ok(())
    };
    flags.iter().try_for_each(|flag| add(&flag.mount, &Texts { source: &flag.source, ..*texts }))?;
    run.mounts.iter().try_for_each(|mount| add(mount, texts)).map(|()| mounts)
}

fn settle(mount: &Mount, state: &State, texts: &Texts<'_>, ssh_count: &mut usize) -> Result<RunMount, Error> {
    let expander = texts.expander(&state.scope);
    let place =
        |word: Option<&Word>| word.map_or_else(|| texts.place(mount.span), |word| expander.place(word));
    let resolved = mount.resolve(&mut |word| expander.value(word));
    let mut spec = resolved.map_err(|diagnostic| expander.error(explained(diagnostic, mount, &expander)))?;
    let origin = |from: &String| texts.origin(from).map_err(|error| error.at(place(mount.from())));
    let from = match &spec {
        MountSpec::Bind(bind) => Some(bind.from.as_ref().map_or(Ok(Origin::Context), origin)?),
        MountSpec::Cache(cache) => cache.from.as_ref().map(origin).transpose()?,
        _ => None,
    };
    let target = |text: &str| target(text, state).map_err(|error| error.at(place(mount.target())));
    match &mut spec {
        MountSpec::Bind(bind) => bind.target = target(&bind.target)?,
        MountSpec::Cache(cache) => {
            // Where the cache is seen names it, unless it has a name of its own.
            cache.id.get_or_insert_with(|| cleaned(&cache.target));
            cache.target = target(&cache.target)?;
        }
        MountSpec::Tmpfs(tmpfs) => tmpfs.target = target(&tmpfs.target)?,
        MountSpec::Secret(secret) => {
            secret.target = secret.target.as_deref().map(target).transpose()?;
        }
        MountSpec::Ssh(ssh) => {
            let default = || format!("/run/buildkit/ssh_agent.{ssh_count}");
            ssh.target = Some(target(&ssh.target.clone().unwrap_or_else(default))?);
            *ssh_count += 1;
        }
    }
    let (text, source) = (text(mount, &expander)?, place(mount.source()));
    Ok(RunMount { spec, from, text, source, place: texts.place(mount.span) })
}

/// A diagnostic with what its option was expanded to.
fn explained(diagnostic: Diagnostic, mount: &Mount, expander: &Expander<'_>) -> Diagnostic {
    let is_meant = |option: &&MountOption| {
        let value = option.value.as_ref().map(Word::span);
        option.span == diagnostic.span || value == Some(diagnostic.span)
    };
    let Some(word) = mount.options.iter().find(is_meant).and_then(|option| option.value.as_ref()) else {
        return diagnostic;
    };
    let Place { label, notes, .. } = expander.place(word);
    let diagnostic = notes.into_iter().fold(diagnostic, Diagnostic::with_note);
    match label {
        Some(label) => diagnostic.with_label(label),
        None => diagnostic,
    }
}

/// As BuildKit does it: relative to the working directory, and never the root.
fn target(text: &str, state: &State) -> Result<String, Error> {
    let absolute = state.absolute(text);
    if absolute == "/" {
        let why = "it would hide all of the root file system".to_owned();
        return Err(Cause::InvalidArgument { what: "mount target", text: text.to_owned(), why }.into());
    }
    Ok(absolute.trim_end_matches('/').to_owned())
}

/// A path without `.`, doubled slashes and slashes at its end.
fn cleaned(path: &str) -> String {
    let names: Vec<_> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let start = if path.starts_with('/') { "/" } else { "" };
    format!("{start}{}", names.join("/"))
}

/// The options as written, variables expanded.
fn text(mount: &Mount, expander: &Expander<'_>) -> Result<String, Error> {
    let options = mount.options.iter().map(|option| {
        let value = option.value.as_ref().map(|word| expander.word(word)).transpose()?;
        Ok(value.map_or_else(|| option.name.clone(), |value| format!("{}={value}", option.name)))
    });
    Ok(options.collect::<Result<Vec<_>, Error>>()?.join(","))
}
