//! `builder push`: an image of the store to a registry.

use crate::args::{GlobalArgs, PushArgs};
use crate::error::Error;
use crate::results::{Outcome, Results};
use crate::session::Session;
use crate::settings::{self, Environment, PushSettings};
use crate::stdout;

use super::{lookup, with_progress};

pub(super) fn run(args: &PushArgs, global: &GlobalArgs, environment: &Environment) -> Result<(), Error> {
    let settings = settings::transfer::push(args, None, environment)?;
    let digest = with_progress(&args.progress, environment, |progress| {
        push(&Session::without_sandbox(global, environment, progress)?, &settings)
    })?;
    stdout::print(&format!("{digest}\n"))
}

/// Returns the digest that the registry has confirmed.
fn push(session: &Session, settings: &PushSettings) -> Result<oci::Digest, Error> {
    for note in &settings.notes {
        session.progress().note(note);
    }
    let found = lookup::find(session.store(), &settings.image)?;
    let no_destination = || Error::NoDestination { id: settings.image.clone() };
    let to = settings.destination.clone().or(found.name).ok_or_else(no_destination)?;
    let results = Results::prepare(&settings.results)?;
    let engine = session.engine(settings.registry.clone())?;
    let digest = engine.push(&found.descriptor, &to)?;
    let config = engine.inspect(&found.descriptor)?.config.digest();
    results.write(&Outcome { manifest: found.descriptor, config, names: vec![to] })?;
    Ok(digest)
}
