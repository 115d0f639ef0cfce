//! `builder tekton`: all but the build arguments comes from the environment of the step.

use clap::Args;

/// `builder tekton`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TektonArgs {
    /// Build arguments as NAME=VALUE, the task's `BUILD_ARGS`; an empty one is passed over
    #[arg(value_name = "BUILD_ARG")]
    pub build_args: Vec<String>,
}
