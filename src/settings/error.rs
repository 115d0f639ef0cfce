//! Why arguments, environment and files do not make settings.

use std::path::PathBuf;

use containerfile::{InvalidCppFlag, Unprocessed};

/// Something the user asked for that cannot be, found before any work was done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A name that should be an image is none.
    #[error(transparent)]
    BadName(#[from] oci::Error),
    /// The argument of a flag has no meaning.
    #[error("invalid {flag} `{text}`: {why}")]
    BadValue {
        /// The flag or variable, as the user writes it.
        flag: &'static str,
        /// Its value.
        text: String,
        /// Why it cannot be.
        why: String,
    },
    /// Credentials that are not `USER:PASSWORD`; their text is not shown.
    #[error("--creds is not USER:PASSWORD")]
    Credentials,
    /// A `--secret` that says nothing of use; its text is not shown.
    #[error("invalid --secret: {why}")]
    BadSecret {
        /// Why it cannot be.
        why: String,
    },
    /// The file of a secret could not be read.
    #[error("cannot read the secret `{id}` from `{}`", .path.display())]
    SecretFile {
        /// The secret.
        id: String,
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// A secret is larger than steps can be given.
    #[error("the secret `{id}` is larger than {} bytes", engine::Secret::MAX_SIZE)]
    SecretTooLarge {
        /// The secret.
        id: String,
    },
    /// `--ssh` without a path where no agent runs.
    #[error("--ssh names no agent, and SSH_AUTH_SOCK is not set")]
    NoAgent,
    /// A Containerfile that is not there.
    #[error("there is no Containerfile at {}", paths(.tried))]
    NoContainerfile {
        /// The places that were looked at.
        tried: Vec<PathBuf>,
    },
    /// A build context that is no directory.
    #[error("the build context `{}` is {what}", .path.display())]
    BadContext {
        /// The context.
        path: PathBuf,
        /// `not there`, `neither a directory nor a file`, `a URL of a kind that is not known`.
        what: &'static str,
    },
    /// Two of the context and the Containerfiles are to be read from standard input.
    #[error("only one of the context and the Containerfiles can come from standard input")]
    StdinTwice,
    /// The context is a Containerfile, and `--file` names another one.
    #[error("the context is a Containerfile itself, and --file names another one")]
    TwoContainerfiles,
    /// A `.in` file that could not be preprocessed.
    #[error("cannot preprocess `{}`", .0.source.name())]
    Preprocess(Box<Unprocessed>),
    /// A flag for the preprocessor that has no meaning.
    #[error(transparent)]
    CppFlag(#[from] InvalidCppFlag),
    /// A file is larger than any honest one.
    #[error("`{}` is larger than {limit} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// An ignore file or a file of build arguments that is not UTF-8.
    #[error("`{}` is not UTF-8 text", .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// Flags that are known from other tools, and not supported yet.
    #[error("{} not supported yet", flags_are(.flags))]
    NotYet {
        /// The flags as the user writes them.
        flags: Vec<String>,
    },
    /// A value that is known from other tools, and not supported yet.
    #[error("{what} is not supported yet")]
    Unsupported {
        /// The feature, in the user's spelling.
        what: String,
    },
    /// `--push` without a name.
    #[error("--push needs a name to push to")]
    PushWithoutTag,
    /// Two things want to write to standard output.
    #[error("only one output can be `-`")]
    StdoutTwice,
    /// There is no place for the store.
    #[error("cannot create the store in `{}`", .path.display())]
    NoStore {
        /// A directory.
        path: PathBuf,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// A file operation failed.
    #[error("cannot {operation} `{}`", .path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// A file of the build context could not be read.
    #[error("cannot read the build context")]
    Context {
        /// Why not.
        source: layer::Error,
    },
    /// A variable that the task must set is not set.
    #[error("the variable {name} is not set")]
    NoVariable {
        /// Its name.
        name: &'static str,
    },
    /// A workspace that the task must have is not bound.
    #[error("the workspace `{name}` is not bound")]
    NotBound {
        /// Its name.
        name: &'static str,
    },
    /// The workspace with credentials has none.
    #[error("neither `config.json` nor `.dockerconfigjson` is in the dockerconfig workspace `{}`", .path.display())]
    NoDockerConfig {
        /// The workspace.
        path: PathBuf,
    },
    /// Words that end inside quotes.
    #[error("unmatched {quote} quote in {variable}")]
    Unmatched {
        /// `single` or `double`.
        quote: &'static str,
        /// The variable with the words.
        variable: &'static str,
    },
    /// Words of a variable that are no arguments.
    #[error("{variable}: {message}")]
    Usage {
        /// The variable with the words.
        variable: &'static str,
        /// What the parser says of them.
        message: String,
        /// What they may have been meant to be.
        tip: Option<String>,
    },
}

impl Error {
    /// What the parser of arguments says of the words of `variable`, without its advice on command lines.
    pub(crate) fn usage(variable: &'static str, error: &clap::Error) -> Self {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message).to_owned();
        let tip = text.lines().find_map(|line| line.trim_start().strip_prefix("tip: ")).map(str::to_owned);
        Self::Usage { variable, message, tip }
    }

    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoContainerfile { .. } => {
                Some("name it with -f, or give the directory that holds it as the last argument".to_owned())
            }
            Self::BadContext { what: "not there", .. } => {
                Some("the last argument is the directory that COPY and ADD read".to_owned())
            }
            Self::Context { source } => source.hint().map(str::to_owned),
            Self::StdinTwice => {
                Some("put the Containerfile into the archive and name it with -f PATH".to_owned())
            }
            Self::TwoContainerfiles => {
                Some("leave -f out, or give a directory or an archive as the context".to_owned())
            }
            Self::Credentials => Some(
                "builder never asks for a password: write --creds=USER:PASSWORD, or use --authfile"
                    .to_owned(),
            ),
            Self::BadSecret { .. } => {
                Some("write `--secret id=ID,src=FILE` or `--secret id=ID,env=NAME`".to_owned())
            }
            Self::SecretFile { id, .. } => {
                Some(format!("say where it is: `--secret id={id},src=FILE` or `--secret id={id},env=NAME`"))
            }
            Self::NoAgent => Some(
                "start an agent with `eval $(ssh-agent)`, or name a private key: `--ssh default=KEY`"
                    .to_owned(),
            ),
            Self::NoStore { .. } => Some(
                "give a directory that this user can write to with `--root DIR` or BUILDER_ROOT".to_owned(),
            ),
            Self::Usage { tip, .. } => tip.clone(),
            Self::PushWithoutTag => Some("name the image with -t REGISTRY/REPOSITORY:TAG".to_owned()),
            Self::NotBound { name } => Some(format!("bind the workspace `{name}` in the TaskRun")),
            Self::NoVariable { name } => Some(format!(
                "`builder tekton` is the step of a Task, which sets {name}; see deploy/tekton/builder-ns.yaml"
            )),
            Self::NoDockerConfig { .. } => Some(
                "bind a secret of type kubernetes.io/dockerconfigjson, or one with the key config.json"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// The exit code of a builder that ends with this error.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::BadName(_)
            | Self::BadValue { .. }
            | Self::Credentials
            | Self::CppFlag(_)
            | Self::BadSecret { .. }
            | Self::NoAgent
            | Self::NotYet { .. }
            | Self::Unsupported { .. }
            | Self::PushWithoutTag
            | Self::StdoutTwice
            | Self::StdinTwice
            | Self::Unmatched { .. }
            | Self::Usage { .. } => 2,
            _ => 1,
        }
    }
}

fn paths(tried: &[PathBuf]) -> String {
    let mut quoted: Vec<_> = tried.iter().map(|path| format!("`{}`", path.display())).collect();
    quoted.dedup();
    quoted.join(" or ")
}

fn flags_are(flags: &[String]) -> String {
    format!("{} {}", flags.join(", "), if flags.len() == 1 { "is" } else { "are" })
}
