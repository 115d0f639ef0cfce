//! `builder tag`: more names for an image of the store.

use oci::Reference;

use crate::args::{GlobalArgs, TagArgs};
use crate::error::Error;
use crate::session::Session;
use crate::settings::{self, Environment};

use super::{brief, lookup};

pub(super) fn run(args: &TagArgs, global: &GlobalArgs, environment: &Environment) -> Result<(), Error> {
    // All names are read before the first one is given.
    let names: Vec<Reference> =
        args.names.iter().map(|name| settings::tag(name)).collect::<Result<_, _>>()?;
    let session = Session::without_sandbox(global, environment, brief())?;
    let descriptor = lookup::find(session.store(), &args.image)?.descriptor;
    names.iter().try_for_each(|name| Ok(session.store().tag(name, &descriptor)?))
}
