//! `builder build`: the image into the store, then to its outputs and registries, then the result files.

use std::io;

use engine::{Files, Image};

use crate::args::{BuildArgs, Call, GlobalArgs, Method};
use crate::error::Error;
use crate::results::{Outcome, Results};
use crate::session::Session;
use crate::settings::{self, BuildSettings, Environment};
use crate::stdout;

use super::check::check;
use super::{call, with_progress};

pub(super) fn run(args: &BuildArgs, global: &GlobalArgs, environment: &Environment) -> Result<(), Error> {
    let settings = settings::build::settle(args, None, environment)?;
    let files = settings.files.local(&mut io::stdin().lock())?;
    let Call { method, format } = args.call;
    let method = if args.check { Method::Check } else { method };
    if method != Method::Build {
        return with_progress(&args.progress, environment, |progress| {
            let files = call::files(&settings, files, global, environment, &progress)?;
            match method {
                Method::Outline => call::outline(&files, &settings, format),
                Method::Targets => call::targets(&files, format),
                Method::Check | Method::Build => check(&files, &settings, format, &progress),
            }
        });
    }
    let image = with_progress(&args.progress, environment, |progress| {
        let session = Session::enter(global, settings.requested, environment, progress)?;
        let results = Results::prepare(&settings.results)?;
        let image = build(&session, &settings, files)?;
        results.write(&outcome(&image, &settings))?;
        Ok(image)
    })?;
    print_id(&image, &settings)
}

/// Builds, exports and, if it is asked for, pushes; the image gets its names when all of that has worked. `files` are
/// fetched if they are not there yet.
pub(super) fn build(
    session: &Session,
    settings: &BuildSettings,
    files: Option<Files>,
) -> Result<Image, Error> {
    for note in &settings.notes {
        session.progress().note(note);
    }
    let engine = session.engine(settings.registry.clone())?;
    let files = match files {
        Some(files) => files,
        None => settings.files.fetch(&engine, &settings.options, &mut io::stdin().lock())?,
    };
    let image = engine.build(&files, &settings.options)?;
    for output in &settings.outputs {
        engine.export(&image.descriptor, output, &settings.options.tags)?;
    }
    if settings.push {
        for tag in &settings.options.tags {
            engine.push(&image.descriptor, tag)?;
        }
    }
    engine.name(&image, &settings.options.tags)?;
    Ok(image)
}

/// What result files tell of the image.
pub(super) fn outcome(image: &Image, settings: &BuildSettings) -> Outcome {
    Outcome {
        manifest: image.descriptor.clone(),
        config: image.config.digest(),
        names: settings.options.tags.clone(),
    }
}

/// Prints the image id, unless the image itself went to standard output.
pub(super) fn print_id(image: &Image, settings: &BuildSettings) -> Result<(), Error> {
    if settings.outputs.iter().any(settings::is_stdout) {
        return Ok(());
    }
    stdout::print(&format!("{}\n", image.config.digest()))
}
