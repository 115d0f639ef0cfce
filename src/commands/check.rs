//! `builder build --check`: what there is to say about a Containerfile, and nothing is built.

use std::sync::{Arc, Mutex, PoisonError};

use containerfile::{Diagnostic, Source};
use engine::outline::Location;
use engine::{Cause, Event, Events, Files};
use serde_json::{Value, json};

use crate::args::Format;
use crate::error::Error;
use crate::progress::Progress;
use crate::settings::BuildSettings;
use crate::stdout;

/// Tells the warnings, and fails if there are any.
pub(super) fn check(
    files: &Files,
    settings: &BuildSettings,
    format: Format,
    progress: &Progress,
) -> Result<(), Error> {
    for note in &settings.notes {
        progress.note(note);
    }
    match format {
        Format::Text => {
            engine::check(files, &settings.options, &progress.events())?;
            progress.note("no warnings");
            Ok(())
        }
        Format::Json => check_as_json(files, settings),
    }
}

/// One document in the shape of BuildKit's subrequest `lint`.
fn check_as_json(files: &Files, settings: &BuildSettings) -> Result<(), Error> {
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&warnings);
    let events: Events = Arc::new(move |event| {
        if let Event::Warning { source, diagnostic } = event {
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(warning(&source, &diagnostic));
        }
    });
    let checked = engine::check(files, &settings.options, &events);
    // Other errors are told as errors are.
    if let Err(error) = checked.as_ref()
        && !matches!(*error.cause, Cause::Warned { .. })
    {
        return Ok(checked?);
    }
    let warnings = std::mem::take(&mut *warnings.lock().unwrap_or_else(PoisonError::into_inner));
    stdout::print_json(&json!({
        "warnings": warnings,
        "sources": [{ "filename": files.containerfile.name() }],
    }))?;
    Ok(checked?)
}

fn warning(source: &Source, diagnostic: &Diagnostic) -> Value {
    json!({
        "ruleName": diagnostic.code.unwrap_or_default(),
        "description": diagnostic.hint.as_deref().unwrap_or_default(),
        "detail": diagnostic.message,
        "location": Location::of(source, diagnostic.span),
    })
}
