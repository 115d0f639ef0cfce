//! `builder build --call=outline` and `--call=targets`: what a Containerfile offers, as tables or as JSON.

use std::io;

use engine::Files;
use engine::outline::{Outline, Target};
use serde::Serialize;

use crate::args::{Format, GlobalArgs};
use crate::error::Error;
use crate::progress::Progress;
use crate::session::Session;
use crate::settings::{BuildSettings, Environment};
use crate::stdout;

/// The files of a build that is not going to happen. A store is opened only if they must be fetched.
pub(super) fn files(
    settings: &BuildSettings,
    files: Option<Files>,
    global: &GlobalArgs,
    environment: &Environment,
    progress: &Progress,
) -> Result<Files, Error> {
    match files {
        Some(files) => Ok(files),
        None => {
            let session = Session::without_sandbox(global, environment, progress.clone())?;
            let engine = session.engine(settings.registry.clone())?;
            settings.files.fetch(&engine, &settings.options, &mut io::stdin().lock())
        }
    }
}

/// Tells what the target asks for.
pub(super) fn outline(files: &Files, settings: &BuildSettings, format: Format) -> Result<(), Error> {
    let outline = engine::outline::outline(files, &settings.options)?;
    match format {
        Format::Json => json(&outline),
        Format::Text => stdout::print(&outline_text(&outline)),
    }
}

/// Tells which stages there are.
pub(super) fn targets(files: &Files, format: Format) -> Result<(), Error> {
    let targets = engine::outline::targets(files)?;
    match format {
        Format::Json => json(&serde_json::json!({ "targets": targets })),
        Format::Text => stdout::print(&targets_text(&targets)),
    }
}

fn json(value: &impl Serialize) -> Result<(), Error> {
    let value = serde_json::to_value(value).expect("invariant: our documents have string keys");
    stdout::print_json(&value)
}

fn outline_text(outline: &Outline) -> String {
    let mut text = String::new();
    if !outline.name.is_empty() {
        text.push_str(&table(&["TARGET", "DESCRIPTION"], [[&*outline.name, &outline.description]]));
    }
    let yes = |required: bool| if required { "true" } else { "" };
    let args = outline.args.iter().map(|arg| [&*arg.name, &*arg.value, &*arg.description]);
    text.push_str(&table(&["BUILD ARG", "VALUE", "DESCRIPTION"], args));
    let secrets = outline.secrets.iter().map(|secret| [&*secret.name, yes(secret.required)]);
    text.push_str(&table(&["SECRET", "REQUIRED"], secrets));
    let ssh = outline.ssh.iter().map(|ssh| [&*ssh.name, yes(ssh.required)]);
    text.push_str(&table(&["SSH", "REQUIRED"], ssh));
    text.push_str(&table(&["CACHE"], outline.cache.iter().map(|cache| [&*cache.id])));
    text
}

fn targets_text(targets: &[Target]) -> String {
    let name = |target: &Target| match (target.name.as_str(), target.default) {
        ("", true) => "(default)".to_owned(),
        (name, true) => format!("{name} (default)"),
        (name, false) => name.to_owned(),
    };
    let names: Vec<_> = targets.iter().map(name).collect();
    let rows = names.iter().zip(targets).map(|(name, target)| [&**name, &*target.base, &*target.description]);
    table(&["TARGET", "BASE", "DESCRIPTION"], rows)
}

/// Columns under their heads, and a blank line; nothing without rows.
fn table<'a, const N: usize>(heads: &[&'a str; N], rows: impl IntoIterator<Item = [&'a str; N]>) -> String {
    let rows: Vec<[&str; N]> = std::iter::once(*heads).chain(rows).collect();
    if rows.len() == 1 {
        return String::new();
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[&str; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect::<String>() + "\n"
}
