//! What happens during a build, as plain data. How it looks to a person is decided in the command line's `progress`.

use std::sync::Arc;

use containerfile::{Diagnostic, Source};
use oci::{Digest, Reference};

use crate::name::ImageName;

/// A step's place in the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepId {
    /// Which stage, counted from 0 in the order of the Containerfile.
    pub stage: usize,
    /// The stage's name, or its number when it has none.
    pub stage_name: String,
    /// Which step of all that will be done, counted from 1.
    pub number: usize,
    /// How many steps there are.
    pub total: usize,
}

/// Which stream of a step's process wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a blob came to be in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    Present,
    /// It was mounted from another repository of the same registry.
    Mounted,
    /// Its bytes were sent.
    Uploaded,
}

/// One thing that happened. Events of one step come in order; those of different stages may interleave.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Something in the Containerfile that works but is likely not what was meant.
    Warning {
        /// The text that the diagnostic points into.
        source: Arc<Source>,
        /// The warning.
        diagnostic: Diagnostic,
    },
    /// A base image was found and pinned.
    Resolved {
        /// The name in the Containerfile.
        name: ImageName,
        /// The manifest's digest.
        digest: Digest,
    },
    /// A layer of a base image is being fetched.
    PullStarted {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// A layer of a base image has arrived and is verified.
    PullFinished {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// A step begins.
    StepStarted {
        /// Which one.
        step: StepId,
        /// The instruction as the user wrote it, continuations joined.
        text: String,
    },
    /// A process of the step wrote something.
    StepOutput {
        /// Which step.
        step: StepId,
        /// Where to.
        stream: Stream,
        /// What.
        bytes: Vec<u8>,
    },
    /// A step has to wait before it can go on.
    StepWaiting {
        /// Which step.
        step: StepId,
        /// For what: ``the cache `apt`, which process 12 is using``.
        what: String,
    },
    /// A step has ended well.
    StepFinished {
        /// Which one.
        step: StepId,
        /// Whether its result was taken from the cache.
        cached: bool,
    },
    /// A layer was packed into the store.
    LayerPacked {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// The image is complete in the store.
    ImageBuilt {
        /// The manifest's digest.
        manifest: Digest,
        /// The config's digest: the image id.
        config: Digest,
    },
    /// A local name now means the image.
    Tagged {
        /// The name.
        reference: Reference,
    },
    /// A push begins.
    PushStarted {
        /// To where.
        reference: Reference,
    },
    /// A blob is in the registry.
    BlobPushed {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// How it got there.
        how: Pushed,
    },
    /// The registry has the image under this name.
    PushFinished {
        /// To where.
        reference: Reference,
        /// The manifest's digest as the registry confirmed it.
        digest: Digest,
    },
    /// An image was written to a file or directory.
    Exported {
        /// Where to.
        destination: String,
    },
}

/// Where events go. Called from several threads, never while a lock of the engine is held.
pub type Events = Arc<dyn Fn(Event) + Send + Sync>;
