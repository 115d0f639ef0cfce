//! `builder prune`: gives disk space back.

use sandbox::Requested;

use crate::args::{GlobalArgs, PruneArgs};
use crate::error::Error;
use crate::progress::{Progress, Style, size};
use crate::session::Session;
use crate::settings::{self, Environment};
use crate::stdout;

pub(super) fn run(args: &PruneArgs, global: &GlobalArgs, environment: &Environment) -> Result<(), Error> {
    let options = settings::prune(args)?;
    // Unpacked layers have files of all the ids that the builder's namespace maps.
    let mut session = Session::enter(global, Requested::default(), environment, Progress::new(Style::Quiet))?;
    let pruned = session.store_alone()?.prune(&options)?;
    stdout::print(&format!(
        "removed {} images, {} blobs, {} unpacked layers, {} cache records, {} cache mounts: {}\n",
        pruned.images,
        pruned.blobs,
        pruned.layers,
        pruned.cache_records,
        pruned.cache_mounts,
        size(pruned.bytes)
    ))
}
