//! Why a build could not be done: the cause, and in `placed` and `hint` its place in the user's text and the cure.
//!
//! How an error looks on a terminal is decided in the command line's `report`.

mod hint;
mod placed;

use std::path::PathBuf;
use std::sync::Arc;

use containerfile::{Diagnostic, InvalidChmod, Source};

use crate::name::LocalImage;

pub use placed::{Error, Place};

/// The rule of an ignore file that hides a source.
#[derive(Debug, Clone)]
pub struct IgnoreRule {
    /// The ignore file's name.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The pattern as written.
    pub pattern: String,
}

/// What failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The Containerfile is not one.
    #[error("the Containerfile has {} error{}", .diagnostics.len(), if .diagnostics.len() == 1 { "" } else { "s" })]
    Syntax {
        /// The text.
        source_text: Arc<Source>,
        /// Everything that is wrong with it.
        diagnostics: Vec<Diagnostic>,
    },
    /// Instructions that cannot be carried out, each with its own place.
    #[error("the Containerfile has {} errors", .errors.len())]
    Several {
        /// What is wrong, in the order of the text.
        errors: Vec<Error>,
    },
    /// Warnings where there must be none; what they say has been told.
    #[error("the Containerfile has {count} warning{}", if *.count == 1 { "" } else { "s" })]
    Warned {
        /// How many.
        count: usize,
    },
    /// Lint options that are none.
    #[error("the build argument `BUILDKIT_DOCKERFILE_CHECK` does not say which warnings count")]
    BadCheck(#[source] containerfile::InvalidCheckOption),
    /// Valid, but this builder cannot do it yet.
    #[error("{what} is not supported yet")]
    Unsupported {
        /// The feature, in the user's spelling.
        what: String,
    },
    /// `--target` or a `--from` names no stage.
    #[error("there is no stage `{name}`")]
    UnknownStage {
        /// The name looked for.
        name: String,
        /// The names of the first stages that there are; empty if none has one.
        known: Arc<str>,
        /// One whose name is almost the same.
        close: Option<String>,
    },
    /// A `--from` names a stage that is built later.
    #[error("the stage `{name}` does not stand before the one that needs it")]
    LateStage {
        /// Its name or number.
        name: String,
    },
    /// Stages that need each other.
    #[error("stage `{stage}` needs itself")]
    Cycle {
        /// One of them.
        stage: String,
    },
    /// A name that should be an image is none.
    #[error("{0}")]
    BadReference(oci::Error),
    /// `--platform` of a FROM is none.
    #[error("{0}")]
    BadPlatform(oci::Error),
    /// `--chmod` without a meaning.
    #[error("{0}")]
    BadMode(InvalidChmod),
    /// A variable expanded to nothing where something is needed.
    #[error("{what} is empty after expansion")]
    Empty {
        /// What is empty: `the base image`, `the user`.
        what: &'static str,
    },
    /// An argument of an instruction has no meaning.
    #[error("invalid {what} `{text}`: {why}")]
    InvalidArgument {
        /// Which argument.
        what: &'static str,
        /// What the user wrote, after expansion.
        text: String,
        /// Why it cannot be.
        why: String,
    },
    /// COPY, ADD or a mount of something that is not there.
    #[error("{instruction} source `{path}` is not in {place}")]
    MissingSource {
        /// `COPY`, `ADD` or `RUN --mount`.
        instruction: &'static str,
        /// The source.
        path: String,
        /// Where it was looked for: `the build context`, ``stage `build` ``, an image.
        place: String,
        /// The ignore rule that hides it, if it is there but hidden.
        ignored_by: Option<IgnoreRule>,
        /// A path that is there and spelt almost like it.
        similar: Option<String>,
    },
    /// COPY and ADD never turn a file into a directory or back.
    #[error("cannot copy the {source_kind} `{path}` over the {target_kind} `{target}`")]
    KindMismatch {
        /// The source.
        path: String,
        /// `directory` or `file`.
        source_kind: &'static str,
        /// The destination in the image.
        target: String,
        /// `directory` or `file`.
        target_kind: &'static str,
    },
    /// A build context that is neither an archive nor a text.
    #[error("the build context `{name}` is neither a tar archive nor a Containerfile")]
    NoArchive {
        /// Its name.
        name: String,
    },
    /// A local source is needed and there is no context.
    #[error("{instruction} needs a build context, and there is none")]
    NoContext {
        /// `COPY` or `ADD`.
        instruction: &'static str,
    },
    /// A user or group that the image does not know.
    #[error("no {kind} `{name}` in {file} of the image")]
    UnknownName {
        /// `user` or `group`.
        kind: &'static str,
        /// The name.
        name: String,
        /// `/etc/passwd` or `/etc/group`.
        file: &'static str,
    },
    /// An id that the user namespace does not map, so that no file can be owned by it.
    #[error("{kind} id {id} is not mapped here, so nothing can be owned by it")]
    UnmappedId {
        /// `user` or `group`.
        kind: &'static str,
        /// The id.
        id: u32,
    },
    /// A RUN step's process failed.
    #[error("RUN failed with exit code {code} in stage `{stage}`, step {number} of {total}")]
    RunFailed {
        /// The exit code; 128 + n for death by signal n.
        code: u8,
        /// The stage's name or number.
        stage: String,
        /// The step.
        number: usize,
        /// Of how many.
        total: usize,
        /// The last lines its processes wrote.
        last_output: Vec<String>,
    },
    /// `required` of a secret mount, and no such secret.
    #[error("there is no secret `{id}`, and it is required")]
    MissingSecret {
        /// Its id.
        id: String,
    },
    /// `required` of an ssh mount, and no such agent or keys.
    #[error("there is no ssh agent `{id}`, and it is required")]
    MissingSsh {
        /// Its id.
        id: String,
    },
    /// A file of `--ssh` is no private key that we know.
    #[error("cannot use the key `{}`: {why}", .path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file of `--ssh` is encrypted, and there is nobody to ask for the passphrase.
    #[error("the key `{}` is protected by a passphrase", .path.display())]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// An instruction wants more than the user allows.
    #[error("{what} is not allowed")]
    NotAllowed {
        /// The instruction.
        what: &'static str,
        /// What `--allow` calls it.
        entitlement: &'static str,
    },
    /// `--pull=never` and the store does not have the image.
    #[error("`{reference}` is not in the store, and --pull=never forbids to fetch it")]
    NotInStore {
        /// The image.
        reference: String,
    },
    /// A local image that is not there, or that is no directory or archive.
    #[error("cannot open the image `{image}`")]
    OpenImage {
        /// The image.
        image: LocalImage,
        /// Why not.
        source: layer::Error,
    },
    /// A base image is damaged or uses what this builder does not know.
    #[error("cannot use the image `{reference}`: {why}")]
    BadImage {
        /// The image.
        reference: String,
        /// What is wrong with it.
        why: String,
    },
    /// The secrets are more than can be searched for.
    #[error("cannot hide the secrets in the output of steps")]
    Mask {
        /// Why not.
        source: aho_corasick::BuildError,
    },
    /// A layer that would take a secret out of the build.
    #[error("the {part} of `{path}` holds the secret `{id}`, which must be in no layer")]
    SecretInLayer {
        /// The secret.
        id: String,
        /// `name`, `link target`, `extended attributes` or `content`.
        part: &'static str,
        /// The file in the image, without secrets.
        path: String,
    },
    /// Talking to a registry failed.
    #[error("cannot {action} `{reference}`")]
    Registry {
        /// `pull` or `push`.
        action: &'static str,
        /// The image.
        reference: String,
        /// Why.
        source: registry::Error,
    },
    /// A file that ADD names could not be fetched.
    #[error("cannot download `{url}`")]
    Download {
        /// Its URL, without user and password.
        url: String,
        /// Why not.
        source: registry::Error,
    },
    /// A git repository could not be checked out.
    #[error("cannot check out `{url}`")]
    Git {
        /// Its URL, without user and password.
        url: String,
        /// Why not.
        source: git::Error,
    },
    /// What was fetched is not what `--checksum` says.
    #[error("`{url}` does not have the checksum {wanted}")]
    WrongChecksum {
        /// Where it came from.
        url: String,
        /// The digest that it should have.
        wanted: String,
        /// The digest that it has.
        found: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Reading or writing a file tree or a layer failed.
    #[error("cannot {action}")]
    Layer {
        /// What was being done.
        action: String,
        /// Why not.
        source: layer::Error,
    },
    /// The sandbox failed.
    #[error("cannot {action}")]
    Sandbox {
        /// What was being done.
        action: &'static str,
        /// Why not.
        source: sandbox::Error,
    },
    /// A file operation failed.
    #[error("cannot {action} `{}`", .path.display())]
    Io {
        /// The operation.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A volume whose changes are to be discarded where no overlay can be mounted over it.
    #[error("changes to the volume `{}` cannot be discarded: no overlay can be mounted over it", .path.display())]
    NoVolumeOverlay {
        /// The directory.
        path: PathBuf,
    },
    /// `--storage-driver=overlay` where nothing of that kind can be mounted.
    #[error("overlay cannot be mounted on the file system of the store")]
    NoOverlay,
    /// `--storage-driver=overlay` where a table says whom files belong to.
    #[error(
        "overlay cannot be used with one id, where a table beside each tree says whom its files belong to"
    )]
    OverlayWithOneId,
    /// A RUN that would see, and write, other owners and modes than those that its files have.
    #[error("a step in namespaces of one id cannot see whom the files that it needs belong to ({reason})")]
    UnseenOwners {
        /// Why there is one id, and why nothing can pretend that there are more.
        reason: String,
    },
    /// A table of owners cannot be read or written.
    #[error(transparent)]
    Ownership(#[from] ownership::Error),
    /// An operation on a root file system by an engine without one.
    #[error("this operation needs the builder's namespaces")]
    NotEntered,
    /// The build was interrupted.
    #[error("the build was interrupted")]
    Cancelled,
}
