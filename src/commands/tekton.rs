//! `builder tekton`: the step of the buildah task. Builds, pushes, and only then tells the task's results.

use std::io;

use engine::{Files, Image};

use crate::args::{GlobalArgs, ProgressArgs, TektonArgs};
use crate::error::Error;
use crate::results::Results;
use crate::session::Session;
use crate::settings::{self, Environment, TektonSettings};

use super::build::{build, outcome, print_id};
use super::with_progress;

pub(super) fn run(args: &TektonArgs, global: &GlobalArgs, environment: &Environment) -> Result<(), Error> {
    let settings = settings::tekton::settle(args, global, environment)?;
    let files = settings.build.files.local(&mut io::stdin().lock())?;
    let image = with_progress(&ProgressArgs::default(), environment, |progress| {
        let session = Session::enter(&settings.global, settings.build.requested, environment, progress)?;
        step(&session, &settings, files)
    })?;
    print_id(&image, &settings.build)
}

fn step(session: &Session, settings: &TektonSettings, files: Option<Files>) -> Result<Image, Error> {
    let notes = settings.push.iter().flat_map(|push| &push.notes).chain(&settings.notes);
    notes.for_each(|note| session.progress().note(note));
    let of_push = settings.push.iter().flat_map(|push| &push.results);
    let result_files: Vec<_> =
        settings.build.results.iter().chain(of_push).chain(&settings.results).cloned().collect();
    let results = Results::prepare(&result_files)?;
    let image = build(session, &settings.build, files)?;
    match &settings.push {
        Some(push) => {
            session.engine(push.registry.clone())?.push(&image.descriptor, &settings.image)?;
        }
        None => {
            session.progress().note("SKIP_PUSH is true: the results tell of an image that no registry has");
        }
    }
    results.write(&outcome(&image, &settings.build))?;
    Ok(image)
}
