//! `builder build`, with buildah's and buildx's spellings.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{BuildFlags, Cli, Command, GlobalArgs, RegistryArgs, SecretArgs, switch};

/// What a build is called for: `METHOD[,format=FORMAT]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    /// What is to be done.
    pub method: Method,
    /// How it is told.
    pub format: Format,
}

/// What is to be done with a Containerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Build the image.
    Build,
    /// Tell warnings and errors.
    Check,
    /// Tell what the target asks for.
    Outline,
    /// Tell which stages there are.
    Targets,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl std::str::FromStr for Call {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (method, format) = text.split_once(',').unwrap_or((text, "format=text"));
        let method = match method {
            "build" => Method::Build,
            "check" | "lint" => Method::Check,
            "outline" => Method::Outline,
            "targets" => Method::Targets,
            _ => return Err("known are build, check, outline and targets".to_owned()),
        };
        let format = match format {
            "format=text" => Format::Text,
            "format=json" => Format::Json,
            _ => return Err("behind the method stands `,format=text` or `,format=json`".to_owned()),
        };
        Ok(Self { method, format })
    }
}

/// `builder build`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BuildArgs {
    /// What COPY and ADD read: a directory, a tar archive of any compression, `-` for one from standard input
    #[arg(default_value = ".")]
    pub context: PathBuf,
    /// Directory inside the context to use instead of all of it
    #[arg(long, value_name = "PATH")]
    pub context_sub_path: Option<PathBuf>,
    /// The Containerfile, or a part of it if given several times; a URL is fetched, `-` is standard input
    /// [default: Containerfile, Dockerfile or dockerfile in the context]
    #[arg(short, long, value_name = "FILE")]
    pub file: Vec<PathBuf>,
    /// Flag for the preprocessor of files called `.in`: -DNAME[=VALUE], -UNAME or -IDIR
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    pub cpp_flag: Vec<String>,
    /// Name of the image; may be given several times
    #[arg(short, long, value_name = "NAME")]
    pub tag: Vec<String>,
    /// Tree that FROM and `--from` find under a name: `DIR`, `docker-image://IMAGE`, `target:STAGE`
    #[arg(long, value_name = "NAME=TREE")]
    pub build_context: Vec<String>,
    /// Value of an ARG; without `=VALUE` that of the environment variable
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub build_arg: Vec<String>,
    /// File with a NAME=VALUE a line for ARGs
    #[arg(long, value_name = "FILE")]
    pub build_arg_file: Vec<PathBuf>,
    /// Stage to build instead of the last one
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Label of the image
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Annotation of the manifest
    #[arg(long, value_name = "KEY=VALUE")]
    pub annotation: Vec<String>,
    /// Platform of the image [default: that of this machine]
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// Ignore file to use instead of .containerignore and .dockerignore
    #[arg(long, value_name = "FILE")]
    pub ignorefile: Option<PathBuf>,
    /// What to do with the Containerfile: build, check, outline or targets; `,format=json` for programs
    #[arg(long, value_name = "METHOD", default_value = "build")]
    pub call: Call,
    /// Only tell what is wrong with the Containerfile: `--call=check`
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true",
          value_name = "BOOL", hide_default_value = true, value_parser = switch::parse)]
    pub check: bool,
    #[command(flatten)]
    pub bases: BaseArgs,
    #[command(flatten)]
    pub steps: StepArgs,
    #[command(flatten)]
    pub secrets: SecretArgs,
    #[command(flatten)]
    pub image: ImageArgs,
    #[command(flatten)]
    pub results: ResultArgs,
    #[command(flatten)]
    pub progress: ProgressArgs,
    #[command(flatten)]
    pub registry: RegistryArgs,
    #[command(flatten)]
    pub foreign: BuildFlags,
}

/// How base images are found.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct BaseArgs {
    /// When registries are asked for base images [default: missing; without a value: always]
    #[arg(long, value_name = "POLICY", num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    pub pull: Option<Pull>,
    /// Image that the first stage starts from, whatever its FROM says
    #[arg(long, value_name = "IMAGE")]
    pub from: Option<String>,
    #[arg(long, hide = true, conflicts_with_all = ["pull", "pull_never"])]
    pub pull_always: bool,
    #[arg(long, hide = true, conflicts_with = "pull")]
    pub pull_never: bool,
}

/// `--pull`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pull {
    /// ask every time
    #[value(alias = "true")]
    Always,
    /// ask if the store does not have the image
    #[value(aliases = ["false", "ifmissing", "notpresent"])]
    Missing,
    /// use what the store has, or fail
    Never,
    /// ask every time, but use what the store has if the registry cannot be reached
    #[value(alias = "ifnewer")]
    Newer,
}

/// How steps are run.
#[derive(Debug, Clone, Args)]
pub(crate) struct StepArgs {
    /// Do every step, even if its result is known
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true",
          value_name = "BOOL", hide_default_value = true, value_parser = switch::parse)]
    pub no_cache: bool,
    /// How steps are kept apart: namespaces (also oci, rootless, chroot) or trace; by default the best that works
    #[arg(long, value_name = "KIND")]
    pub isolation: Option<String>,
    /// Network of RUN steps: host or none
    #[arg(long, alias = "net", value_name = "MODE", default_value = "host")]
    pub network: String,
    /// Line of /etc/hosts during RUN steps
    #[arg(long, value_name = "NAME:ADDRESS")]
    pub add_host: Vec<String>,
    /// Directory or file of this machine that every RUN sees; OPTIONS: rw (the default), ro, O for changes that are
    /// thrown away, nosuid, nodev, noexec
    #[arg(short = 'v', long, value_name = "SOURCE:TARGET[:OPTIONS]")]
    pub volume: Vec<String>,
    /// Mount that every RUN has before its own, in the form of `RUN --mount`
    #[arg(long, value_name = "OPTIONS")]
    pub mount: Vec<String>,
}

/// What the image looks like.
#[derive(Debug, Clone, Args)]
pub(crate) struct ImageArgs {
    /// Set all times of the image, those of its new files too, to this second since 1970
    #[arg(long, value_name = "SECONDS", conflicts_with = "source_date_epoch", allow_negative_numbers = true)]
    pub timestamp: Option<i64>,
    /// Set the times of the image to this second since 1970, and those of newer files [default: `$SOURCE_DATE_EPOCH`]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub source_date_epoch: Option<i64>,
    /// Compression of new layers: gzip, zstd or uncompressed
    #[arg(long, value_name = "NAME", default_value = "gzip")]
    pub compression_format: String,
    /// Level of compression: 1 to 9 for gzip, 1 to 19 for zstd
    #[arg(long, value_name = "N")]
    pub compression_level: Option<u32>,
    /// Variable that stages begin with; without `=VALUE` that of the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Variable that the image does not have in the end
    #[arg(long, value_name = "NAME")]
    pub unsetenv: Vec<String>,
    /// Label that is not inherited from base images
    #[arg(long, value_name = "KEY")]
    pub unsetlabel: Vec<String>,
    /// Format of manifest and config: oci
    #[arg(long, value_name = "FORMAT", default_value = "oci")]
    pub format: String,
}

/// Where the image goes, and what is told of it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Result options")]
pub(crate) struct ResultArgs {
    /// Push the image under each of its names
    #[arg(long)]
    pub push: bool,
    /// Write the image: type=oci|docker|tar|local,dest=PATH, or a directory for its files; `-` for standard output
    #[arg(short, long, value_name = "SPEC")]
    pub output: Vec<String>,
    /// Write the image id, which is the digest of the config, to this file
    #[arg(long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,
    /// Write the digest of the manifest to this file
    #[arg(long, value_name = "FILE")]
    pub digest_file: Option<PathBuf>,
    /// Write digests and names as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
}

/// What is told on the way.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ProgressArgs {
    /// How progress is shown on standard error
    #[arg(long, value_name = "STYLE", default_value = "auto")]
    pub progress: Progress,
    /// Show nothing but errors and the result
    #[arg(short, long)]
    pub quiet: bool,
}

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Progress {
    /// tty on a terminal, else plain
    #[default]
    Auto,
    /// a line for each thing that happens
    Plain,
    /// running steps with their last lines
    Tty,
    /// a JSON object a line
    Json,
}

impl BuildArgs {
    /// Reads what could stand behind `builder build`.
    pub(crate) fn from_words(words: Vec<OsString>) -> Result<(GlobalArgs, Self), clap::Error> {
        let line = ["builder", "build"].map(OsString::from).into_iter().chain(words);
        let cli = Cli::from_command_line(line)?;
        match cli.command {
            Command::Build(build) => Ok((cli.global, *build)),
            _ => unreachable!("invariant: the first word names the subcommand"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::parse;

    fn build(line: &[&str]) -> BuildArgs {
        match parse(line).unwrap_or_else(|error| panic!("{line:?}: {error}")).command {
            Command::Build(build) => *build,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_stand_before_or_after_the_context() {
        for line in [["build", "-t", "a", "ctx"], ["build", "ctx", "-t", "a"], ["bud", "ctx", "--tag", "a"]] {
            let args = build(&line);
            assert_eq!((args.context.to_str(), args.tag), (Some("ctx"), vec!["a".to_owned()]), "{line:?}");
        }
        assert_eq!(build(&["build-using-dockerfile"]).context.to_str(), Some("."));
    }

    #[test]
    fn buildahs_task_line_is_understood() {
        let line =
            "--storage-driver=vfs --tls-verify=true bud --build-arg= --file=/w/Dockerfile --tag=q.io/a/b:c .";
        let args = build(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(args.registry.tls_verify, Some(true));
        assert_eq!(args.build_arg, [""]);
        assert_eq!(args.file, [PathBuf::from("/w/Dockerfile")]);
    }

    #[test]
    fn optional_values_need_an_equals_sign() {
        for (flags, pull, verify) in [
            (&["build"] as &[&str], None, None),
            (&["build", "--pull", "ctx"], Some(Pull::Always), None),
            (&["build", "--pull=true"], Some(Pull::Always), None),
            (&["build", "--pull=false"], Some(Pull::Missing), None),
            (&["build", "--pull=never", "--tls-verify"], Some(Pull::Never), Some(true)),
            (&["build", "--pull=newer", "--tls-verify=0"], Some(Pull::Newer), Some(false)),
        ] {
            let args = build(flags);
            assert_eq!((args.bases.pull, args.registry.tls_verify), (pull, verify), "{flags:?}");
        }
    }

    #[test]
    fn flags_may_be_repeated_where_that_has_a_meaning() {
        let args = build(&[
            "build",
            "--build-arg",
            "A=1,2",
            "--build-arg",
            "B",
            "-t",
            "a",
            "-t",
            "b",
            "-o",
            "x",
            "-o",
            "y",
        ]);
        assert_eq!(args.build_arg, ["A=1,2", "B"]);
        assert_eq!((args.tag.len(), args.results.output.len()), (2, 2));
    }

    #[test]
    fn contradictions_are_wrong_usage() {
        for line in [
            &["build", "--timestamp", "1", "--source-date-epoch", "2"] as &[&str],
            &["build", "--pull-always", "--pull-never"],
            &["build", "--pull=sometimes"],
            &["build", "a", "b"],
            &["build", "--timestamp", "noon"],
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line:?}");
        }
    }
}
