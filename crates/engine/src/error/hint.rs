//! What the user can do about an error, where there is something.

use std::io;

use super::Cause;

/// What runs the shell form where SHELL says nothing else.
const SHELL: &str = "/bin/sh";

impl Cause {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::BadCheck(_) => Some("write `skip=RuleA,RuleB;error=true`".into()),
            Self::BadMode(error) => Some(error.hint().to_owned()),
            Self::MissingSource { ignored_by: Some(rule), path, .. } => Some(format!(
                "remove line {} of {}, or add `!{}` after it",
                rule.line,
                rule.file,
                path.trim_start_matches('/')
            )),
            Self::MissingSource { similar: Some(similar), .. } => Some(format!("did you mean `{similar}`?")),
            Self::UnknownStage { close, known, .. } => hint_of_stage(close.as_deref(), known),
            Self::LateStage { name } => Some(format!("move the stage `{name}` above this one")),
            Self::Empty { .. } => Some(
                "give its variables a value with `--build-arg`, or a default as in `${NAME:-default}`".into(),
            ),
            Self::UnknownName { kind, .. } => {
                Some(format!("create the {kind} in an earlier RUN, or write its number instead"))
            }
            Self::UnmappedId { .. } | Self::UnseenOwners { .. } => Some(
                "`builder doctor` tells how to have steps traced, or how to get more ids (newuidmap, capabilities, root)".into(),
            ),
            Self::MissingSecret { id } => Some(format!("give it with `--secret id={id},src=FILE` or `--secret id={id},env=NAME`")),
            Self::MissingSsh { id } => Some(format!("give it with `--ssh {id}`, `--ssh {id}=SOCKET` or `--ssh {id}=KEY`")),
            Self::EncryptedKey { path } => Some(format!(
                "start ssh-agent, add the key with `ssh-add {}`, and use `--ssh default`",
                path.display()
            )),
            Self::NotAllowed { entitlement, .. } => Some(format!("`--allow {entitlement}` permits it")),
            Self::NoContext { .. } => Some("give the context directory as the last argument".into()),
            Self::Git { source, .. } => source.hint(),
            Self::WrongChecksum { .. } => {
                Some("if the new content is what you want, write its checksum into the Containerfile".into())
            }
            Self::NotInStore { reference } => Some(format!("`builder pull {reference}` fetches it")),
            Self::OpenImage { image, source } if image.is_in_context() && is_not_found(source) => Some(
                "the path is looked up in the build context; `--build-context NAME=oci-layout://DIR` gives a name to \
                 an image layout outside of it"
                    .into(),
            ),
            Self::KindMismatch { .. } => {
                Some("remove what is there with a RUN, or copy to another destination".into())
            }
            Self::SecretInLayer { .. } => Some(
                "read it where it is mounted and write it nowhere, or allow it with `--allow-secret-in-layer`".into(),
            ),
            Self::NoVolumeOverlay { .. } => Some("mount it with `:ro`, or give a copy of it with `:rw`".into()),
            Self::NoOverlay | Self::OverlayWithOneId => Some("leave --storage-driver out; `builder doctor` tells why overlay is refused".into()),
            Self::Registry { source, .. } | Self::Download { source, .. } => source.hint(),
            Self::Store(source) => source.hint().map(str::to_owned),
            Self::Layer { source, .. } | Self::OpenImage { source, .. } => source.hint().map(str::to_owned),
            Self::Sandbox { source: sandbox::Error::ProgramNotFound { program }, .. } if program == SHELL => {
                Some(
                    "this form of RUN needs a shell: copy one into the image, start from an image that has one, or write \
                     `RUN [\"PROGRAM\", \"ARGUMENT\"]`"
                        .into(),
                )
            }
            Self::Sandbox { source, .. } => source.hint(),
            _ => None,
        }
    }
}

fn hint_of_stage(close: Option<&str>, known: &str) -> Option<String> {
    match close {
        Some(close) => Some(format!("did you mean the stage `{close}`?")),
        None if known.is_empty() => None,
        None => Some(format!("the stages are {known}")),
    }
}

fn is_not_found(error: &layer::Error) -> bool {
    matches!(error, layer::Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}
