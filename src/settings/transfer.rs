//! `push` and `pull`: what goes where.

use oci::{Platform, Reference};

use super::{Environment, Error, refuse_or_note, registry as registry_settings};
use crate::args::{PullArgs, PushArgs};
use crate::results::{Content, ResultFile};

/// A push.
#[derive(Debug)]
pub(crate) struct PushSettings {
    /// Name or id of the image.
    pub image: String,
    /// Where to; `None` for the image's own name.
    pub destination: Option<Reference>,
    /// How the registry is talked to.
    pub registry: registry::Settings,
    /// Files that tell of it.
    pub results: Vec<ResultFile>,
    /// What the user should know about flags without effect.
    pub notes: Vec<String>,
}

/// A pull.
#[derive(Debug)]
pub(crate) struct PullSettings {
    /// What is pulled.
    pub reference: Reference,
    /// The platform to choose.
    pub platform: Platform,
    /// How the registry is talked to.
    pub registry: registry::Settings,
}

/// Settles a push. `config` is a credentials file that is asked before Docker's.
pub(crate) fn push(
    args: &PushArgs,
    config: Option<std::path::PathBuf>,
    environment: &Environment,
) -> Result<PushSettings, Error> {
    let notes = refuse_or_note(&args.foreign.0)?;
    let destination = args.destination.as_deref().map(destination).transpose()?;
    // An id is no name; what it means is known to the store only.
    let target = destination.clone().or_else(|| args.image.parse().ok());
    Ok(PushSettings {
        image: args.image.clone(),
        registry: registry_settings::settle(&args.registry, target.as_slice(), config, environment)?,
        destination,
        results: args
            .digestfile
            .iter()
            .map(|path| ResultFile { path: path.clone(), content: Content::Digest })
            .collect(),
        notes,
    })
}

fn destination(text: &str) -> Result<Reference, Error> {
    const TRANSPORTS: [&str; 5] = ["containers-storage:", "dir:", "docker-archive:", "oci-archive:", "oci:"];
    match TRANSPORTS.into_iter().find(|transport| text.starts_with(transport)) {
        Some(transport) => Err(Error::Unsupported { what: format!("pushing to `{transport}`") }),
        None => Ok(text.parse()?),
    }
}

/// Settles a pull.
pub(crate) fn pull(args: &PullArgs, environment: &Environment) -> Result<PullSettings, Error> {
    Ok(PullSettings {
        reference: args.image.parse()?,
        platform: args.platform.as_deref().map_or_else(|| Ok(Platform::host()), str::parse)?,
        registry: registry_settings::settle(&args.registry, &[], None, environment)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(words: &[&str], image: &str) -> Result<PushSettings, Error> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        push(&PushArgs::from_words(words, image).unwrap(), None, &Environment::of(&[]))
    }

    #[test]
    fn credentials_go_to_the_destination_only() {
        for (words, image, registry) in [
            (&["--creds=a:b", "app"] as &[&str], "q.io/app:1", "q.io"),
            (&["--creds=a:b", "app"], "docker://r.io/app", "r.io"),
            (&["--creds=a:b"], "q.io/app", "q.io"),
        ] {
            let explicit = settle(words, image).unwrap().registry.credentials.explicit.unwrap();
            assert_eq!(explicit.registry.as_deref(), Some(registry), "{words:?} {image}");
        }
    }

    #[test]
    fn an_image_for_other_machines_can_be_pulled() {
        let pulled = |words: &[&str]| match crate::args::parse(words).unwrap().command {
            crate::args::Command::Pull(args) => pull(&args, &Environment::of(&[])).unwrap().platform,
            other => panic!("{other:?}"),
        };
        assert_eq!(pulled(&["pull", "a"]), Platform::host());
        assert_eq!(pulled(&["pull", "a", "--platform=linux/s390x"]).to_string(), "linux/s390x");
    }

    #[test]
    fn other_transports_are_refused() {
        let error = settle(&["app"], "oci:dir").unwrap_err();
        assert_eq!(error.to_string(), "pushing to `oci:` is not supported yet");
    }
}
