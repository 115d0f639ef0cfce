//! `builder inspect`: manifest and config of an image as the store has them.

use serde_json::{Value, json};

use crate::args::{GlobalArgs, InspectArgs};
use crate::error::Error;
use crate::session::Session;
use crate::settings::Environment;
use crate::stdout;

use super::{brief, lookup};

pub(super) fn run(args: &InspectArgs, global: &GlobalArgs, environment: &Environment) -> Result<(), Error> {
    let session = Session::without_sandbox(global, environment, brief())?;
    let descriptor = lookup::find(session.store(), &args.image)?.descriptor;
    let image = session.engine(registry::Settings::default())?.inspect(&descriptor)?;
    let names =
        session.store().images()?.into_iter().filter(|other| other.descriptor.digest == descriptor.digest);
    let names: Vec<_> = names.filter_map(|image| image.reference).collect();
    stdout::print_json(&json!({
        "names": names,
        "id": image.config.digest(),
        "descriptor": descriptor,
        "manifest": document(image.manifest.bytes()),
        "config": document(image.config.bytes()),
    }))
}

/// A document with all of its fields, those too that builder has no word for.
fn document(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or(Value::Null)
}
