//! `builder images`: what the store has.

use engine::Engine;
use oci::Reference;
use serde_json::{Value, json};
use store::Image;

use crate::args::{GlobalArgs, ImagesArgs};
use crate::error::Error;
use crate::session::Session;
use crate::settings::Environment;
use crate::stdout;

use super::brief;

/// An image under one of its names.
struct Row {
    image: Image,
    /// `None` for an index, and for what cannot be read.
    details: Option<engine::Image>,
}

pub(super) fn run(args: &ImagesArgs, global: &GlobalArgs, environment: &Environment) -> Result<(), Error> {
    let session = Session::without_sandbox(global, environment, brief())?;
    let engine = session.engine(registry::Settings::default())?;
    let rows: Vec<_> = session.store().images()?.into_iter().map(|image| Row::new(image, &engine)).collect();
    if args.json {
        return stdout::print_json(&rows.iter().map(Row::json).collect());
    }
    let header = ["NAME", "IMAGE ID", "CREATED", "SIZE"].map(str::to_owned);
    let cells: Vec<_> = std::iter::once(header).chain(rows.iter().map(Row::cells)).collect();
    stdout::print(&table(&cells))
}

impl Row {
    fn new(image: Image, engine: &Engine) -> Self {
        let details = engine.inspect(&image.descriptor).ok();
        Self { image, details }
    }

    fn name(&self) -> Option<String> {
        self.image.reference.as_ref().map(Reference::to_string)
    }

    fn size(&self) -> Option<u64> {
        let manifest = self.details.as_ref()?.manifest.value();
        Some(manifest.layers.iter().fold(manifest.config.size, |sum, layer| sum.saturating_add(layer.size)))
    }

    fn created(&self) -> Option<&str> {
        self.details.as_ref()?.config.value().created.as_deref()
    }

    fn cells(&self) -> [String; 4] {
        let unknown = || "-".to_owned();
        let id = self.details.as_ref().map(|details| details.config.digest().hex()[..12].to_owned());
        [
            self.name().unwrap_or_else(|| "<none>".to_owned()),
            id.unwrap_or_else(unknown),
            self.created()
                .map_or_else(unknown, |created| created.chars().take("2026-01-31T12:00:00".len()).collect()),
            self.size().map_or_else(unknown, crate::progress::size),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name(),
            "digest": self.image.descriptor.digest,
            "id": self.details.as_ref().map(|details| details.config.digest()),
            "created": self.created(),
            "size": self.size(),
        })
    }
}

/// Columns as wide as their widest cell.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["NAME", "ID"], ["a", "123"], ["long name", "4"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "NAME       ID\na          123\nlong name  4\n");
    }
}
