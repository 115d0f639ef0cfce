//! `builder pull`: an image of a registry into the store.

use crate::args::{GlobalArgs, PullArgs};
use crate::error::Error;
use crate::session::Session;
use crate::settings::{self, Environment};
use crate::stdout;

use super::with_progress;

pub(super) fn run(args: &PullArgs, global: &GlobalArgs, environment: &Environment) -> Result<(), Error> {
    let settings = settings::transfer::pull(args, environment)?;
    let image = with_progress(&args.progress, environment, |progress| {
        let session = Session::without_sandbox(global, environment, progress)?;
        Ok(session.engine(settings.registry)?.pull(&settings.reference, &settings.platform)?)
    })?;
    stdout::print(&format!("{}\n", image.config.digest()))
}
