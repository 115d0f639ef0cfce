//! What steps may see and do that no image shows.

use clap::Args;

/// Secrets, keys and entitlements of steps.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SecretArgs {
    /// Secret that `RUN --mount=type=secret` shows to its step alone [default source: the environment variable ID if
    /// it is set, else the file ID]
    #[arg(long, value_name = "id=ID[,src=FILE|,env=NAME]")]
    pub secret: Vec<String>,
    /// Agent or keys that `RUN --mount=type=ssh` gives access to [default source: `$SSH_AUTH_SOCK`]
    #[arg(long, value_name = "default|ID[=SOCKET|=KEY[,KEY]]")]
    pub ssh: Vec<String>,
    /// Do not search new layers for the secrets
    #[arg(long)]
    pub allow_secret_in_layer: bool,
    /// Allow the Containerfile security.insecure or network.host
    #[arg(long, value_name = "ENTITLEMENT")]
    pub allow: Vec<String>,
}
