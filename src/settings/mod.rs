//! From what the user typed, the environment and files to plain values: what is to be done, all decided.
//!
//! The only reader of environment, home and clock. Must not know how things are done or shown. Whatever can be refused
//! without doing any work is refused here. Start reading at [`build::settle`].

pub(crate) mod build;
mod containerfile;
mod context;
mod duration;
mod environment;
mod error;
mod foreign;
mod named_contexts;
mod outputs;
mod preprocess;
mod registry;
mod secrets;
mod ssh;
mod state;
pub(crate) mod tekton;
mod times;
pub(crate) mod transfer;
mod values;
mod volumes;
mod words;

pub(crate) use self::build::{BuildSettings, tag};
pub(crate) use self::environment::Environment;
pub(crate) use self::error::Error;
pub(crate) use self::foreign::refuse_or_note;
pub(crate) use self::outputs::is_stdout;
pub(crate) use self::state::StateDir;
pub(crate) use self::tekton::TektonSettings;
pub(crate) use self::transfer::PushSettings;

use store::{Keep, PruneOptions};

use crate::args::{PruneArgs, StorageDriver};

/// What `prune` removes.
pub(crate) fn prune(args: &PruneArgs) -> Result<PruneOptions, Error> {
    let Some(text) = &args.unused_for else {
        let cache = if args.all { Keep::Nothing } else { Keep::All };
        return Ok(PruneOptions { cache, unnamed_images: args.all });
    };
    let age = duration::parse(text).ok_or_else(|| Error::BadValue {
        flag: "--unused-for",
        text: text.clone(),
        why: "expected a duration such as 12h or 7d".to_owned(),
    })?;
    Ok(PruneOptions { cache: Keep::UsedSince(environment::ago(age)), unnamed_images: false })
}

/// The engine's word for a storage driver.
pub(crate) fn storage_driver(driver: StorageDriver) -> engine::StorageDriver {
    match driver {
        StorageDriver::Auto => engine::StorageDriver::Auto,
        StorageDriver::Overlay => engine::StorageDriver::Overlay,
        StorageDriver::Vfs => engine::StorageDriver::Vfs,
    }
}
