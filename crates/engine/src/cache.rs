//! The step cache: which step was done before, and what came of it.
//!
//! A key is of what a step does, of everything it reads, and of the root file system it starts from; never of a time,
//! an inode or an order. So a hit means that doing the step again would be asking for the same thing.

use oci::{ChainId, Digest};
use serde::{Deserialize, Serialize};

use crate::Shared;
use crate::error::Error;
use crate::options::{BuildOptions, Times, Volume, VolumeAccess, VolumeLimits};
use crate::snapshot::Layer;

/// Raised when the meaning of a key or the bytes that steps make change.
const VERSION: u32 = 2;

/// What a step does, in the form that its key is made of.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "step")]
pub(crate) enum Definition<'a> {
    /// A change of the image config; the digest is of the config afterwards, without times and history.
    Configure { config: Digest },
    /// The directory of WORKDIR.
    Workdir { path: &'a str, user: &'a str },
    /// COPY and ADD.
    Copy { destination: &'a str, owner: Option<&'a str>, chmod: Option<String>, link: bool, content: Digest },
    /// RUN.
    Run {
        argv: &'a [String],
        script: Option<&'a crate::run::Script>,
        env: &'a [(String, String)],
        cwd: &'a str,
        user: &'a str,
        network: crate::options::Network,
        hosts: &'a [(String, String)],
        hostname: Option<&'a str>,
        volumes: Vec<VolumeKey<'a>>,
        mounts: Vec<String>,
        is_insecure: bool,
    },
}

/// What a key knows of a volume: all but where its files are.
#[derive(Debug, Serialize)]
pub(crate) struct VolumeKey<'a> {
    target: std::borrow::Cow<'a, str>,
    access: VolumeAccess,
    limits: VolumeLimits,
}

impl<'a> VolumeKey<'a> {
    pub(crate) fn new(volume: &'a Volume) -> Self {
        Self { target: volume.target.to_string_lossy(), access: volume.access, limits: volume.limits }
    }
}

/// What came of a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Seconds since 1970 at which it was done.
    pub(crate) created: i64,
    /// What it changed, if anything.
    pub(crate) layer: Option<Layer>,
}

/// The two names of a step in the cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Of the definition alone: tells that there is a record for some parent.
    definition: Digest,
}

impl Key {
    /// The key of a step in a build with `options`.
    pub(crate) fn new(definition: &Definition<'_>, options: &BuildOptions) -> Self {
        #[derive(Serialize)]
        struct Whole<'a> {
            version: u32,
            platform: String,
            times: (&'static str, i64),
            compression: String,
            /// Layers that were not searched for secrets are not for builds that do search them.
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            unsearched: bool,
            definition: &'a Definition<'a>,
        }
        let times = match options.times {
            Times::Actual => ("actual", 0),
            Times::Clamp(seconds) => ("clamp", seconds),
            Times::Force(seconds) => ("force", seconds),
        };
        let platform = options.platform.to_string();
        let compression = format!("{:?}", options.compression);
        let unsearched = options.allow_secret_in_layer && !options.secrets.is_empty();
        let whole = Whole { version: VERSION, platform, times, compression, unsearched, definition };
        Self { definition: Digest::of(&oci::to_json(&whole)) }
    }

    /// The key of the step on top of `parent`.
    fn on(self, parent: Option<ChainId>) -> Digest {
        let parent = parent.map_or_else(|| "scratch".to_owned(), |parent| parent.to_string());
        Digest::of(format!("{} on {parent}", self.definition).as_bytes())
    }
}

impl Shared {
    /// Whether the step was ever done on any parent. Asking this needs no parent, which may still be packing.
    pub(crate) fn may_be_cached(&self, key: Key) -> Result<bool, Error> {
        Ok(self.store.cache_get::<bool>(&key.definition)?.is_some())
    }

    /// The record of the step on top of `parent`, if all its blobs are there.
    pub(crate) fn cached(&self, key: Key, parent: Option<ChainId>) -> Result<Option<Record>, Error> {
        Ok(self.store.cache_get(&key.on(parent))?)
    }

    /// Remembers what came of the step on top of `parent`.
    pub(crate) fn remember(&self, key: Key, parent: Option<ChainId>, record: &Record) -> Result<(), Error> {
        let blobs: Vec<_> = record.layer.iter().map(|layer| layer.descriptor.clone()).collect();
        self.store.cache_put(&key.on(parent), &blobs, record)?;
        self.store.cache_put(&key.definition, &[], &true)?;
        Ok(())
    }
}
