//! Why a command failed: the errors of all that it uses, brought together for `report`.

use std::io;

use containerfile::{Diagnostic, Source};

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Arguments, environment or files that do not make settings.
    #[error(transparent)]
    Settings(#[from] crate::settings::Error),
    /// A build, push, pull or export.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Entering namespaces.
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    /// Settings that registries cannot be talked to with.
    #[error("cannot talk to registries")]
    Registry {
        /// Why not.
        source: registry::Error,
    },
    /// Result files.
    #[error(transparent)]
    Results(#[from] crate::results::Error),
    /// A name or id that the store does not know.
    #[error("there is no image `{name}` in the store")]
    NoImage {
        /// What was asked for.
        name: String,
        /// A name that it may have been meant to be.
        close: Option<String>,
    },
    /// An image named by its id, and nowhere to push it to.
    #[error("`{id}` is an id, and does not say where to push the image to")]
    NoDestination {
        /// The id.
        id: String,
    },
    /// Something of the operating system.
    #[error("cannot {operation}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No way to run steps was found; what is wrong has been printed.
    #[error("builds with RUN do not work here")]
    Unfit,
}

impl Error {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Settings(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::Store(error) => error.hint().map(str::to_owned),
            Self::Sandbox(error) => error.hint(),
            Self::Registry { source } => source.hint(),
            Self::NoImage { close: Some(close), .. } => Some(format!("did you mean `{close}`?")),
            Self::NoImage { .. } => Some("`builder images` lists what is there".to_owned()),
            Self::NoDestination { .. } => Some("give the destination as the second argument".to_owned()),
            Self::Results(error) => error.hint(),
            Self::Io { .. } | Self::Unfit => None,
        }
    }

    /// The diagnostics it is made of, and the text that they point into.
    pub(crate) fn diagnostics(&self) -> Option<(&Source, &[Diagnostic])> {
        match self {
            Self::Settings(crate::settings::Error::Preprocess(failed)) => {
                Some((&failed.source, &failed.diagnostics))
            }
            _ => None,
        }
    }

    /// 1, or 2 for wrong usage, the status of a failed RUN, or 130 for an interruption.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(error) => error.exit_code(),
            Self::Engine(error) => error.exit_code(),
            Self::Sandbox(sandbox::Error::Cancelled) => 130,
            _ => 1,
        }
    }
}
