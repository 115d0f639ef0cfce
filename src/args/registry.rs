//! `push` and `pull`, and the flags by which every subcommand that talks to registries is told how.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::{PushFlags, switch};

/// How registries are talked to.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct RegistryArgs {
    /// Credentials file, asked before all others, `$REGISTRY_AUTH_FILE` among them
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
    /// User and password; for the registry that is pushed to if there is exactly one, else for every registry
    #[arg(long, value_name = "USER:PASSWORD")]
    pub creds: Option<String>,
    /// Directory with CAs (*.crt), client certificates (*.cert) and their keys (*.key)
    #[arg(long, value_name = "DIR")]
    pub cert_dir: Option<PathBuf>,
    /// Demand https and a valid certificate of every registry [default: true]
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = switch::parse
    )]
    pub tls_verify: Option<bool>,
    /// How often a request that failed for a passing reason is tried again
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub retry: u32,
    /// Pause before the first of these, such as 500ms or 2s; each later one is twice as long
    #[arg(long, value_name = "DURATION", default_value = "2s")]
    pub retry_delay: String,
}

/// `builder push`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PushArgs {
    /// Name or id of the image
    pub image: String,
    /// Where to; the image's own name if not given
    pub destination: Option<String>,
    /// Write the digest of the pushed manifest to this file
    #[arg(long, value_name = "FILE")]
    pub digestfile: Option<PathBuf>,
    #[command(flatten)]
    pub registry: RegistryArgs,
    #[command(flatten)]
    pub progress: super::ProgressArgs,
    #[command(flatten)]
    pub foreign: PushFlags,
}

/// `builder pull`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PullArgs {
    /// Name of the image
    pub image: String,
    /// The platform to choose if there are several [default: that of this machine]
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    #[command(flatten)]
    pub registry: RegistryArgs,
    #[command(flatten)]
    pub progress: super::ProgressArgs,
}

impl PushArgs {
    /// Reads the words of `PUSH_EXTRA_ARGS` before the name of the image.
    pub(crate) fn from_words(words: Vec<String>, image: &str) -> Result<Self, clap::Error> {
        let line = ["builder", "push"].map(str::to_owned).into_iter().chain(words).chain([image.to_owned()]);
        match super::Cli::from_command_line(line.map(OsString::from))?.command {
            super::Command::Push(push) => Ok(push),
            _ => unreachable!("invariant: the subcommand is the first word"),
        }
    }
}
