//! `builder rmi`: takes names from images. What no image needs then is removed by `builder prune`.

use oci::Reference;
use store::Store;

use crate::args::{GlobalArgs, RmiArgs};
use crate::error::Error;
use crate::session::Session;
use crate::settings::Environment;
use crate::stdout;

use super::{brief, lookup};

pub(super) fn run(args: &RmiArgs, global: &GlobalArgs, environment: &Environment) -> Result<(), Error> {
    let session = Session::without_sandbox(global, environment, brief())?;
    for image in &args.images {
        match remove(session.store(), image)? {
            Some(removed) => stdout::print(&format!("removed {removed}\n"))?,
            None if args.force => {}
            None => return Err(lookup::missing(session.store(), image)?),
        }
    }
    Ok(())
}

/// What was removed: a name, or an image with all of its names.
fn remove(store: &Store, text: &str) -> Result<Option<String>, Error> {
    if let Ok(name) = text.parse::<Reference>()
        && store.untag(&name)?
    {
        return Ok(Some(name.to_string()));
    }
    let Some(image) = lookup::by_id(store, text)?.into_iter().next() else { return Ok(None) };
    store.remove(&image.descriptor.digest)?;
    Ok(Some(image.descriptor.digest.to_string()))
}
