//! What a build is asked to do: plain data, already settled by the command line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use containerfile::Source;
use layer::Compression;
use oci::{Platform, Reference};
use sandbox::Choice;

use crate::name::ImageName;
use crate::owners::Keeping;
use crate::secret::Secret;

/// When a base image is looked up in its registry though the store has one of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PullPolicy {
    /// Only if the store does not have it.
    #[default]
    Missing,
    /// Always; the registry's answer is used.
    Always,
    /// Never; an image the store does not have is an error.
    Never,
    /// Always, but a registry that cannot be reached is no error if the store has the image.
    Newer,
}

/// Which times an image carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Times {
    /// Those of the build.
    #[default]
    Actual,
    /// `SOURCE_DATE_EPOCH`: created and history at this second, files of new layers no newer than it.
    Clamp(i64),
    /// `--timestamp`: created, history and every file of new layers at this second.
    Force(i64),
}

/// What a RUN step may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// The network of the builder.
    #[default]
    Host,
    /// A loopback interface and nothing else.
    None,
}

/// Where a step's snapshot lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StorageDriver {
    /// Overlay where it can be mounted on the store's file system and there are many ids, else vfs.
    #[default]
    Auto,
    /// An overlay mount per step.
    Overlay,
    /// One working tree per stage, changed in place.
    Vfs,
}

impl StorageDriver {
    /// What `Auto` means to a builder that works in this way.
    pub fn best(choice: &Choice) -> Self {
        match (Keeping::of(&choice.identity), choice.overlay) {
            (Keeping::Disk, Some(_)) => Self::Overlay,
            _ => Self::Vfs,
        }
    }
}

/// A directory or file of the machine that every RUN can see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The directory or file; it is trusted.
    pub source: PathBuf,
    /// Where steps see it. It reaches no layer.
    pub target: PathBuf,
    /// What steps may do with it.
    pub access: VolumeAccess,
    /// What else is forbidden to them.
    pub limits: VolumeLimits,
}

/// What steps may do with a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeAccess {
    /// Read it.
    ReadOnly,
    /// Change it: what they write stays on the machine.
    ReadWrite,
    /// Write to it, and lose that at the end of the step.
    Discarded,
}

/// What a mount of a volume takes away (mount(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct VolumeLimits {
    /// Set-user-ID bits and file capabilities.
    pub nosuid: bool,
    /// Device nodes.
    pub nodev: bool,
    /// The execution of programs.
    pub noexec: bool,
}

/// A mount of the command line, as `RUN --mount` would have it.
#[derive(Debug, Clone)]
pub struct FlagMount {
    /// The text, for messages.
    pub source: Arc<Source>,
    /// What it says; its spans are of that text.
    pub mount: containerfile::Mount,
}

/// The values of `--secret` by their ids.
pub type Secrets = BTreeMap<String, Secret>;

/// What a name of `--build-context` stands for, before any stage or image of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// A directory with an ignore file of its own.
    Directory(PathBuf),
    /// The URL of an archive or of a git repository.
    Url(String),
    /// An image (`docker-image://`, `oci-layout://`).
    Image(ImageName),
    /// A stage of the same Containerfile (`target:`).
    Stage(String),
}

/// Where a step's ssh mount gets its keys from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshSource {
    /// The socket of an agent that runs on the machine.
    Agent(PathBuf),
    /// Files with private keys.
    Keys(Vec<PathBuf>),
}

/// What a Containerfile may do only if the user allows it, by BuildKit's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entitlement {
    /// `network.host`. Steps have the builder's network anyway, so this changes nothing.
    NetworkHost,
    /// `security.insecure`: `RUN --security=insecure`.
    SecurityInsecure,
}

/// What is built: files of the user's.
#[derive(Debug, Clone)]
pub struct Files {
    /// The Containerfile.
    pub containerfile: Arc<Source>,
    /// The directory that COPY and ADD read; `None` for a Containerfile without a context.
    pub context: Option<PathBuf>,
    /// The text of the ignore file with the name messages call it by.
    pub ignore: Option<Source>,
}

/// How it is built: with the files, everything that decides what image comes out.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// `--build-context`: more trees by name.
    pub contexts: BTreeMap<String, NamedContext>,
    /// `--from`: what the first stage starts from instead of what it says.
    pub from: Option<String>,
    /// `--build-arg`: values by name.
    pub build_args: BTreeMap<String, String>,
    /// `--target`: name or number of the stage to build; the last one otherwise.
    pub target: Option<String>,
    /// `--label`: set after all instructions.
    pub labels: Vec<(String, String)>,
    /// `--env`: variables that every stage on an image or on nothing begins with.
    pub env: Vec<(String, String)>,
    /// `--unsetenv`: variables that the image does not have in the end.
    pub unset_env: Vec<String>,
    /// `--unsetlabel`: labels that are not inherited from base images.
    pub unset_labels: Vec<String>,
    /// `--annotation`: annotations of the manifest.
    pub annotations: Vec<(String, String)>,
    /// The platform to build for.
    pub platform: Platform,
    /// When registries are asked for base images.
    pub pull: PullPolicy,
    /// `--no-cache`: do every step, but remember the results.
    pub no_cache: bool,
    /// The times of the image.
    pub times: Times,
    /// How new layers are compressed.
    pub compression: Compression,
    /// The network of RUN steps that do not choose one.
    pub network: Network,
    /// `--add-host`: lines for /etc/hosts as (name, address).
    pub hosts: Vec<(String, String)>,
    /// `--volume`: directories that every RUN sees. What is in them is not part of any cache key.
    pub volumes: Vec<Volume>,
    /// `--mount`: mounts that every RUN has before its own.
    pub mounts: Vec<FlagMount>,
    /// `--secret`: what secret mounts show, by id. Values reach no layer, log, history or cache key.
    pub secrets: Secrets,
    /// `--ssh`: what ssh mounts give access to, by id.
    pub ssh: BTreeMap<String, SshSource>,
    /// `--allow-secret-in-layer`: new layers are not searched for the secrets.
    pub allow_secret_in_layer: bool,
    /// `--allow`: what the Containerfile may do beyond the usual.
    pub allow: BTreeSet<Entitlement>,
    /// The names that the image is to get, for messages and exports.
    pub tags: Vec<Reference>,
    /// Seconds since 1970 at which the build began: the "created" of what it makes.
    pub now: i64,
}
