//! What the user typed, checked for form only; what it means is decided in `settings`.
//!
//! Must not know the environment, files or the engine. One file per mouth; start reading at [`Cli`]. Buildah lets a
//! flag of a subcommand stand before the subcommand's name: `order` undoes that before clap reads the arguments.

mod build;
mod foreign;
mod images;
mod order;
mod registry;
mod secrets;
mod switch;
mod tekton;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

pub(crate) use build::{
    BuildArgs, Call, Format, ImageArgs, Method, Progress, ProgressArgs, Pull, ResultArgs, StepArgs,
};
pub(crate) use foreign::{BuildFlags, Given, GlobalFlags, PushFlags, Treatment};
pub(crate) use images::{DoctorArgs, ImagesArgs, InspectArgs, PruneArgs, RmiArgs, TagArgs};
pub(crate) use registry::{PullArgs, PushArgs, RegistryArgs};
pub(crate) use secrets::SecretArgs;
pub(crate) use tekton::TektonArgs;

/// A daemonless OCI image builder that builds in every pod.
#[derive(Debug, Parser)]
#[command(
    name = "builder",
    version,
    disable_help_subcommand = true,
    args_override_self = true,
    max_term_width = 110
)]
pub(crate) struct Cli {
    /// What goes for every subcommand.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every subcommand.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Directory that holds images, layers and the cache [default: `$BUILDER_ROOT`,
    /// `$XDG_DATA_HOME/builder`, `$HOME/.local/share/builder`, or a directory in `$TMPDIR` that is removed at the end]
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// How the root file system of a step is kept
    #[arg(long, global = true, value_name = "NAME", default_value = "auto")]
    pub storage_driver: StorageDriver,
    #[command(flatten)]
    pub foreign: GlobalFlags,
}

/// `--storage-driver`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum StorageDriver {
    /// overlay where it works, else vfs
    #[default]
    Auto,
    /// an overlay mount per step
    Overlay,
    /// a directory per stage, changed in place
    Vfs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build an image from a Containerfile
    #[command(visible_alias = "bud", alias = "build-using-dockerfile")]
    Build(Box<BuildArgs>),
    /// Send an image to a registry
    Push(PushArgs),
    /// Fetch an image from a registry
    Pull(PullArgs),
    /// List the images of the store
    Images(ImagesArgs),
    /// Show manifest and config of an image as JSON
    Inspect(InspectArgs),
    /// Give an image more names
    Tag(TagArgs),
    /// Take names from images
    Rmi(RmiArgs),
    /// Remove what no image needs
    Prune(PruneArgs),
    /// Run as the step of a Tekton task, told by its environment
    Tekton(TektonArgs),
    /// Show what this machine or pod allows, and what to change in it
    #[command(visible_alias = "info")]
    Doctor(DoctorArgs),
}

impl Cli {
    /// Reads a whole command line, the program's name in front.
    pub(crate) fn from_command_line(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let arguments = order::subcommand_first(arguments.into_iter().collect(), &command);
        let mut matches = command.try_get_matches_from_mut(arguments)?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    }
}

#[cfg(test)]
pub(crate) fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
    Cli::from_command_line(std::iter::once("builder").chain(line.iter().copied()).map(OsString::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_unknown_flag_is_wrong_usage_with_a_suggestion() {
        let error = parse(&["build", "--taget", "x"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("'--target'"), "{error}");
    }

    #[test]
    fn global_flags_stand_anywhere() {
        for line in [
            ["--root", "/r", "images"].as_slice(),
            &["images", "--root", "/r"],
            &["--root=/r", "images"],
            &["--storage-driver=vfs", "--root", "/r", "images"],
        ] {
            assert_eq!(parse(line).unwrap().global.root.as_deref(), Some("/r".as_ref()), "{line:?}");
        }
    }
}
