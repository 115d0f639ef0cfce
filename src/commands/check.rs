//! `builder build --check`: what there is to say about a Containerfile, and nothing is built.

use std::io;

use engine::Files;

use crate::args::GlobalArgs;
use crate::error::Error;
use crate::progress::Progress;
use crate::session::Session;
use crate::settings::{BuildSettings, Environment};

/// Tells the warnings, and fails if there are any. A store is opened only if `files` must be fetched.
pub(super) fn check(
    settings: &BuildSettings,
    files: Option<Files>,
    global: &GlobalArgs,
    environment: &Environment,
    progress: &Progress,
) -> Result<(), Error> {
    for note in &settings.notes {
        progress.note(note);
    }
    let events = progress.events();
    let files = match files {
        Some(files) => files,
        None => {
            let session = Session::without_sandbox(global, environment, progress.clone())?;
            let engine = session.engine(settings.registry.clone())?;
            settings.files.fetch(&engine, &settings.options, &mut io::stdin().lock())?
        }
    };
    engine::check(&files, &settings.options, &events)?;
    progress.note("no warnings");
    Ok(())
}
