//! Runs one command in a root file system, as safely as the machine or the pod allows.
//!
//! The only crate that unshares, mounts, traces and spawns, and the only one with `unsafe` code. It knows nothing of
//! images, layers or Containerfiles. It reads no environment: what it must be told is in its arguments.
//!
//! The order of use, all before the first thread but for the last two:
//!
//! 1. [`child_hook`], first in `main`: steps run in re-executed copies of the program;
//! 2. [`probe`] gives [`Facts`], which try what is allowed when they are asked;
//! 3. [`choose`] decides how to work with them, or says what is missing;
//! 4. [`enter`] takes the process into its namespaces;
//! 5. [`mount_overlay`] and [`run`], as often as wanted and from any thread.
//!
//! Start reading with `identity.rs` (who we are), then `step/mod.rs` (who runs a command) and `root/mod.rs` (where).

mod cancellation;
mod capabilities;
mod child;
mod choice;
mod denial;
mod enter;
mod errno;
mod error;
mod facts;
mod id_map;
mod identity;
mod machine;
mod mount_points;
mod mounts;
mod overlay;
mod probe;
mod process;
mod root;
mod run;
mod socket;
mod spec;
mod step;
mod subordinate_ids;
mod supervisor;
mod sys;
#[cfg_attr(not(target_arch = "x86_64"), path = "trace_elsewhere.rs")]
mod trace;
mod wire;

pub use cancellation::Cancellation;
pub use capabilities::{CapabilitySet, Held};
pub use child::child_hook;
pub use choice::{Choice, Isolation, Requested, UnknownIsolation, choose};
pub use enter::{Entered, enter};
pub use errno::Errno;
pub use error::{Error, IdKind};
pub use facts::{Denial, Detail, Fact, Facts, Feature, Seccomp};
pub use id_map::{Extent, IdMap};
pub use identity::{Identity, MapWriter};
pub use mounts::MountGuard;
pub use overlay::{Durability, Overlay, OverlayXattrs, Upper, mount_overlay};
pub use probe::{ProbeSettings, probe};
pub use run::run;
pub use socket::{Handler, SocketServer, connect_socket};
pub use spec::{
    Access, Content, Exit, Limits, Link, Mount, Network, Protection, RunSpec, Source, Stream, Submounts,
    TmpfsStart,
};
