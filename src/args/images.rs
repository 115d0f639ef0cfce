//! The subcommands that look at or change the store: `images`, `inspect`, `tag`, `rmi`, `prune`; and `doctor`.

use clap::Args;

/// `builder images`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ImagesArgs {
    /// Print a JSON array
    #[arg(long)]
    pub json: bool,
}

/// `builder inspect`.
#[derive(Debug, Clone, Args)]
pub(crate) struct InspectArgs {
    /// Name or id of the image
    pub image: String,
}

/// `builder tag`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TagArgs {
    /// Name or id of the image
    pub image: String,
    /// Names that it gets as well
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
}

/// `builder rmi`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RmiArgs {
    /// Names to take away; an id takes all names of its image away
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Do not fail if an image is not there
    #[arg(short, long)]
    pub force: bool,
}

/// `builder prune`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PruneArgs {
    /// Remove images without a name too, and all of the cache
    #[arg(short, long)]
    pub all: bool,
    /// Remove what the cache holds and nobody has used for this long, such as 12h or 7d
    #[arg(long, value_name = "DURATION", conflicts_with = "all")]
    pub unused_for: Option<String>,
}

/// `builder doctor`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DoctorArgs {
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
}
