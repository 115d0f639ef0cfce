//! Flags of buildah, buildx and `docker build` that have no effect here, or none yet.
//!
//! Scripts that work with those tools must not fail over a flag that changes nothing, and must not go on as if a flag
//! had been obeyed that was not. So each flag says what becomes of it; nothing is ever dropped in silence.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::switch;
use Treatment::{Harmless, NoEffect, NotYet, OnlyValue};
use Value::{Bool, Required};

/// What becomes of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Builder does what the flag asks for anyway, or the flag does nothing in the other tool either.
    Harmless,
    /// The flag changes how the other tool works, but not the image; the user is told why it does nothing here.
    NoEffect(&'static str),
    /// This value is what builder does anyway; any other is not supported yet.
    OnlyValue(&'static str),
    /// Not supported yet.
    NotYet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// `--flag` or `--flag=BOOL`.
    Bool,
    /// `--flag VALUE` or `--flag=VALUE`.
    Required,
}

struct Flag {
    long: &'static str,
    short: Option<char>,
    value: Value,
    treatment: Treatment,
}

const fn flag(long: &'static str, value: Value, treatment: Treatment) -> Flag {
    Flag { long, short: None, value, treatment }
}

const CGROUPS: Treatment = NoEffect("builder makes no cgroups; limit the pod instead");
const NO_RUNTIME: Treatment = NoEffect("builder runs steps itself, without an OCI runtime");
const NO_DAEMON: Treatment = NoEffect("there is no daemon");
const OWN_IDENTITY: Treatment = NoEffect("builder uses the best id map it can get; see `builder doctor`");

const GLOBAL: &[Flag] = &[
    flag("cgroup-manager", Required, CGROUPS),
    flag("imagestore", Required, NotYet),
    flag("log-level", Required, Harmless),
    flag("loglevel", Required, Harmless),
    flag("registries-conf", Required, NotYet),
    flag("registries-conf-dir", Required, NotYet),
    flag("runroot", Required, NoEffect("all state is below --root")),
    flag("short-name-alias-conf", Required, NotYet),
    flag("storage-opt", Required, NoEffect("builder has its own store")),
    flag("transient-store", Bool, Harmless),
    flag("userns-uid-map", Required, OWN_IDENTITY),
    flag("userns-gid-map", Required, OWN_IDENTITY),
];

const BUILD: &[Flag] = &[
    flag("all-platforms", Bool, OnlyValue("false")),
    flag("arch", Required, NotYet),
    flag("attest", Required, NotYet),
    flag("blob-cache", Required, Harmless),
    flag("builder", Required, NO_DAEMON),
    flag("cache-from", Required, NotYet),
    flag("cache-to", Required, NotYet),
    flag("cache-ttl", Required, NotYet),
    flag("cap-add", Required, NotYet),
    flag("cap-drop", Required, NotYet),
    flag("cgroup-parent", Required, CGROUPS),
    flag("cgroupns", Required, CGROUPS),
    flag("compat-volumes", Bool, OnlyValue("false")),
    flag("compress", Bool, Harmless),
    flag("cpu-period", Required, CGROUPS),
    flag("cpu-quota", Required, CGROUPS),
    Flag { short: Some('c'), ..flag("cpu-shares", Required, CGROUPS) },
    flag("cpuset-cpus", Required, CGROUPS),
    flag("cpuset-mems", Required, CGROUPS),
    flag("created-annotation", Bool, OnlyValue("false")),
    flag("cw", Required, NotYet),
    flag("decryption-key", Required, NotYet),
    flag("detach", Bool, NO_DAEMON),
    flag("device", Required, NotYet),
    Flag {
        short: Some('D'),
        ..flag("disable-compression", Bool, NoEffect("use --compression-format=uncompressed"))
    },
    flag("disable-content-trust", Bool, Harmless),
    flag("dns", Required, NotYet),
    flag("dns-option", Required, NotYet),
    flag("dns-search", Required, NotYet),
    flag("force-compression", Bool, OnlyValue("false")),
    flag("force-rm", Bool, Harmless),
    flag("group-add", Required, NotYet),
    flag("hooks-dir", Required, NO_RUNTIME),
    flag("http-proxy", Bool, OnlyValue("false")),
    flag("identity-label", Bool, OnlyValue("false")),
    flag("iidfile-raw", Required, NotYet),
    flag("inherit-annotations", Bool, OnlyValue("false")),
    flag("inherit-labels", Bool, OnlyValue("true")),
    flag("ipc", Required, NotYet),
    flag("jobs", Required, NoEffect("the number of processors decides")),
    flag("layer-label", Required, NoEffect("there are no images of single steps to put it on")),
    flag("layers", Bool, OnlyValue("true")),
    flag("load", Bool, Harmless),
    flag("logfile", Required, NotYet),
    flag("logsplit", Bool, OnlyValue("false")),
    flag("manifest", Required, NotYet),
    Flag { short: Some('m'), ..flag("memory", Required, CGROUPS) },
    flag("memory-swap", Required, CGROUPS),
    flag("no-cache-filter", Required, NotYet),
    flag("no-hostname", Bool, OnlyValue("false")),
    flag("no-hosts", Bool, OnlyValue("false")),
    flag("omit-history", Bool, OnlyValue("false")),
    flag("os", Required, NotYet),
    flag("os-feature", Required, NotYet),
    flag("os-version", Required, NotYet),
    flag("pid", Required, NotYet),
    flag("policy", Required, NotYet),
    flag("provenance", Bool, OnlyValue("false")),
    flag("rewrite-timestamp", Bool, OnlyValue("true")),
    flag("rm", Bool, Harmless),
    flag("runtime", Required, NO_RUNTIME),
    flag("runtime-flag", Required, NO_RUNTIME),
    flag("save-stages", Bool, OnlyValue("false")),
    flag("sbom", Bool, OnlyValue("false")),
    flag("sbom-image-output", Required, NotYet),
    flag("sbom-image-purl-output", Required, NotYet),
    flag("sbom-merge-strategy", Required, NotYet),
    flag("sbom-output", Required, NotYet),
    flag("sbom-purl-output", Required, NotYet),
    flag("sbom-scanner-command", Required, NotYet),
    flag("sbom-scanner-image", Required, NotYet),
    flag("security-opt", Required, NotYet),
    flag("shm-size", Required, NotYet),
    flag("sign-by", Required, NotYet),
    flag("signature-policy", Required, Harmless),
    flag("skip-unused-stages", Bool, OnlyValue("true")),
    flag("source-policy-file", Required, NotYet),
    flag("squash", Bool, OnlyValue("false")),
    flag("stage-labels", Bool, OnlyValue("false")),
    flag("stdin", Bool, Harmless),
    flag("ulimit", Required, NotYet),
    flag("unsetannotation", Required, NotYet),
    flag("userns", Required, OWN_IDENTITY),
    flag("userns-gid-map-group", Required, OWN_IDENTITY),
    flag("userns-uid-map-user", Required, OWN_IDENTITY),
    flag("uts", Required, NotYet),
    flag("variant", Required, NotYet),
];

const PUSH: &[Flag] = &[
    flag("add-compression", Required, NotYet),
    flag("all", Bool, Harmless),
    flag("blob-cache", Required, Harmless),
    flag("compression-format", Required, NotYet),
    flag("compression-level", Required, NotYet),
    Flag {
        short: Some('D'),
        ..flag("disable-compression", Bool, NoEffect("layers are pushed as they were built"))
    },
    flag("encrypt-layer", Required, NotYet),
    flag("encryption-key", Required, NotYet),
    flag("force-compression", Bool, OnlyValue("false")),
    Flag { short: Some('f'), ..flag("format", Required, OnlyValue("oci")) },
    flag("remove-signatures", Bool, Harmless),
    flag("rm", Bool, OnlyValue("false")),
    flag("sign-by", Required, NotYet),
    flag("signature-policy", Required, Harmless),
];

/// A flag that was given, as the user would write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// `--squash`, with its value if that is what matters.
    pub flag: String,
    /// What becomes of it.
    pub treatment: Treatment,
}

macro_rules! group {
    ($(#[$doc:meta])* $name:ident, $flags:expr, $global:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $name(pub Vec<Given>);

        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                command.args($flags.iter().map(|flag| argument(flag).global($global)))
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                Ok(Self($flags.iter().flat_map(|flag| given(flag, matches)).collect()))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}

group! {
    /// Foreign flags of every subcommand.
    GlobalFlags, GLOBAL, true
}
group! {
    /// Foreign flags of `build`.
    BuildFlags, BUILD, false
}
group! {
    /// Foreign flags of `push`.
    PushFlags, PUSH, false
}

fn argument(flag: &Flag) -> Arg {
    let argument = Arg::new(flag.long).long(flag.long).hide(true);
    let argument = match flag.short {
        Some(short) => argument.short(short),
        None => argument,
    };
    match flag.value {
        Bool => argument
            .action(ArgAction::Append)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Required => argument.action(ArgAction::Append).num_args(1),
    }
}

/// The uses of a flag in the command line.
fn given(flag: &Flag, matches: &ArgMatches) -> Vec<Given> {
    if matches.value_source(flag.long) != Some(ValueSource::CommandLine) {
        return Vec::new();
    }
    let name = format!("--{}", flag.long);
    let OnlyValue(usual) = flag.treatment else {
        return vec![Given { flag: name, treatment: flag.treatment }];
    };
    let values = matches.get_many::<String>(flag.long).into_iter().flatten();
    let is_usual = |value: &String| {
        value == usual || (flag.value == Bool && switch::parse(value) == switch::parse(usual))
    };
    values
        .map(|value| {
            let treatment = if is_usual(value) { Harmless } else { NotYet };
            Given { flag: format!("{name}={value}"), treatment }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{self, parse};

    fn of_build(line: &[&str]) -> Vec<Given> {
        let cli = parse(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let args::Command::Build(build) = cli.command else { panic!("{line:?}") };
        cli.global.foreign.0.into_iter().chain(build.foreign.0).collect()
    }

    #[test]
    fn each_foreign_flag_says_what_becomes_of_it() {
        for (line, flag, treatment) in [
            (&["build", "--rm"] as &[&str], "--rm", Harmless),
            (&["build", "--force-rm=false"], "--force-rm", Harmless),
            (&["build", "--cw", "x"], "--cw", NotYet),
            (&["build", "--layers"], "--layers=true", Harmless),
            (&["build", "--layers=T"], "--layers=T", Harmless),
            (&["build", "--layers=false"], "--layers=false", NotYet),
            (&["build", "--provenance=mode=max"], "--provenance=mode=max", NotYet),
            (&["build", "--memory", "1g"], "--memory", CGROUPS),
            (&["--runroot", "/x", "build"], "--runroot", NoEffect("all state is below --root")),
        ] {
            assert_eq!(of_build(line), [Given { flag: flag.to_owned(), treatment }], "{line:?}");
        }
        assert_eq!(of_build(&["build"]), []);
    }

    #[test]
    fn a_foreign_flag_takes_its_value_with_it() {
        let args::Command::Build(build) = parse(&["build", "--cgroup-parent", "x", "ctx"]).unwrap().command
        else {
            panic!("not a build");
        };
        assert_eq!(build.context.to_str(), Some("ctx"));
    }
}
