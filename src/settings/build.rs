//! From the arguments of `builder build` to what the engine is asked to do.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use engine::{BuildOptions, Entitlement, Network, Output, PullPolicy, Secret};
use layer::Compression;
use oci::{Platform, Reference};
use sandbox::{Isolation, Requested};

use super::context::FileSettings;
use super::values::{self, BuildArguments, pairs};
use super::{
    Environment, Error, foreign, named_contexts, outputs, registry as registry_settings, secrets, ssh, times,
    volumes,
};
use crate::args::{BuildArgs, ImageArgs, Pull, ResultArgs, StepArgs};
use crate::results::{Content, ResultFile};

/// A build and what becomes of it.
#[derive(Debug)]
pub(crate) struct BuildSettings {
    /// What is built.
    pub files: FileSettings,
    /// How it is built.
    pub options: BuildOptions,
    /// What isolation is asked for.
    pub requested: Requested,
    /// How registries are talked to.
    pub registry: registry::Settings,
    /// Where the image is written to.
    pub outputs: Vec<Output>,
    /// Whether the image is pushed under each of its names.
    pub push: bool,
    /// Files that tell of it.
    pub results: Vec<ResultFile>,
    /// What the user should know about flags without effect, and about secrets without a value.
    pub notes: Vec<String>,
}

/// Settles a build. `config` is a credentials file that is asked before Docker's.
pub(crate) fn settle(
    args: &BuildArgs,
    config: Option<PathBuf>,
    environment: &Environment,
) -> Result<BuildSettings, Error> {
    let mut notes = foreign::refuse_or_note(&args.foreign.0)?;
    let secrets = secrets::read_all(&args.secrets.secret, environment)?;
    notes.extend(secrets.notes);
    let volumes = volumes::parse_all(&args.steps.volume, &mut notes)?;
    let tags = args.tag.iter().map(|name| tag(name)).collect::<Result<Vec<_>, _>>()?;
    if args.results.push && tags.is_empty() {
        return Err(Error::PushWithoutTag);
    }
    let pushed: &[Reference] = if args.results.push { &tags } else { &[] };
    Ok(BuildSettings {
        requested: Requested { isolation: args.steps.isolation.as_deref().map(isolation).transpose()? },
        registry: registry_settings::settle(&args.registry, pushed, config, environment)?,
        outputs: outputs::parse_all(&args.results.output)?,
        push: args.results.push,
        results: results(&args.results),
        notes,
        files: FileSettings::settle(args, environment)?,
        options: BuildOptions { volumes, ..options(args, tags, secrets.values, environment)? },
    })
}

fn options(
    args: &BuildArgs,
    tags: Vec<Reference>,
    secrets: BTreeMap<String, Secret>,
    environment: &Environment,
) -> Result<BuildOptions, Error> {
    let mut build_args = BuildArguments::read(&args.build_arg_file, &args.build_arg, environment)?;
    let times = times::settle(&args.image, &mut build_args, environment)?;
    let platform = platform(args.platform.as_deref())?;
    Ok(BuildOptions {
        contexts: named_contexts::parse_all(&args.build_context)?,
        from: args.bases.from.clone(),
        build_args: build_args.0,
        target: args.target.clone(),
        labels: pairs("--label", &args.label)?,
        env: values::variables("--env", &args.image.env, environment)?,
        unset_env: args.image.unsetenv.clone(),
        unset_labels: args.image.unsetlabel.clone(),
        annotations: annotations(&args.annotation)?,
        platform,
        pull: pull(args),
        no_cache: args.steps.no_cache,
        times,
        compression: compression(&args.image)?,
        network: network(&args.steps)?,
        hosts: args.steps.add_host.iter().map(|host| self::host(host)).collect::<Result<_, _>>()?,
        volumes: Vec::new(),
        mounts: volumes::mounts(&args.steps.mount)?,
        secrets,
        ssh: ssh::find_all(&args.secrets.ssh, environment)?,
        allow_secret_in_layer: args.secrets.allow_secret_in_layer,
        allow: args.secrets.allow.iter().map(|name| entitlement(name)).collect::<Result<_, _>>()?,
        tags,
        now: environment.now,
    })
}

/// Annotations of the manifest; buildx has prefixes for those of other documents.
fn annotations(texts: &[String]) -> Result<Vec<(String, String)>, Error> {
    let mut annotations = pairs("--annotation", texts)?;
    for (key, _) in &mut annotations {
        match key.split_once(':') {
            Some(("manifest", rest)) => *key = rest.to_owned(),
            Some((kind @ ("index" | "manifest-descriptor" | "index-descriptor"), _)) => {
                return Err(Error::Unsupported { what: format!("an annotation of the {kind}") });
            }
            _ => {}
        }
    }
    Ok(annotations)
}

/// A name of the image. Other transports of buildah's would write or push, so they are not taken for names.
pub(crate) fn tag(name: &str) -> Result<Reference, Error> {
    const TRANSPORTS: [&str; 6] =
        ["containers-storage:", "dir:", "docker://", "docker-archive:", "oci-archive:", "oci:"];
    if let Some(transport) = TRANSPORTS.into_iter().find(|transport| name.starts_with(transport)) {
        let instead = if transport == "docker://" { "--push" } else { "--output" };
        return Err(Error::BadValue {
            flag: "name",
            text: name.to_owned(),
            why: format!("it says where the image goes, which is for {instead} to say"),
        });
    }
    let reference: Reference = name.parse()?;
    if reference.digest().is_some() {
        let why = "the digest of an image is known when it is built".to_owned();
        return Err(Error::BadValue { flag: "name", text: name.to_owned(), why });
    }
    Ok(reference)
}

fn isolation(name: &str) -> Result<Isolation, Error> {
    name.parse().map_err(|_| Error::BadValue {
        flag: "--isolation",
        text: name.to_owned(),
        why: "known are namespaces, and buildah's names for it oci, rootless and chroot".to_owned(),
    })
}

/// The platform of the image: that of this machine if nothing else is asked for.
fn platform(asked: Option<&str>) -> Result<Platform, Error> {
    let host = Platform::host();
    let Some(asked) = asked.filter(|asked| *asked != "local") else { return Ok(host) };
    if asked.contains(',') {
        return Err(Error::Unsupported { what: "more than one --platform".to_owned() });
    }
    Ok(asked.parse()?)
}

fn pull(args: &BuildArgs) -> PullPolicy {
    match args.bases.pull {
        Some(Pull::Always) => PullPolicy::Always,
        Some(Pull::Never) => PullPolicy::Never,
        Some(Pull::Newer) => PullPolicy::Newer,
        None if args.bases.pull_always => PullPolicy::Always,
        None if args.bases.pull_never => PullPolicy::Never,
        Some(Pull::Missing) | None => PullPolicy::Missing,
    }
}

fn compression(args: &ImageArgs) -> Result<Compression, Error> {
    if args.format != "oci" {
        return Err(Error::Unsupported { what: format!("--format={}", args.format) });
    }
    let within = |most: u32, usual: u32| match args.compression_level {
        Some(level) if !(1..=most).contains(&level) => Err(Error::BadValue {
            flag: "--compression-level",
            text: level.to_string(),
            why: format!("{} has levels from 1 to {most}", args.compression_format),
        }),
        level => Ok(level.unwrap_or(usual)),
    };
    match args.compression_format.as_str() {
        "gzip" => Ok(Compression::Gzip(within(9, 6)?)),
        "zstd" => Ok(Compression::Zstd(within(19, 3)?.cast_signed())),
        "uncompressed" => Ok(Compression::None),
        other => Err(Error::BadValue {
            flag: "--compression-format",
            text: other.to_owned(),
            why: "known are gzip, zstd and uncompressed".to_owned(),
        }),
    }
}

fn network(args: &StepArgs) -> Result<Network, Error> {
    match args.network.as_str() {
        "host" | "default" => Ok(Network::Host),
        "none" => Ok(Network::None),
        other => Err(Error::BadValue {
            flag: "--network",
            text: other.to_owned(),
            why: "supported are host and none".to_owned(),
        }),
    }
}

/// What BuildKit asks leave for; buildx's `fs.*` is about files that a bake file names.
fn entitlement(name: &str) -> Result<Entitlement, Error> {
    match name {
        "network.host" => Ok(Entitlement::NetworkHost),
        "security.insecure" => Ok(Entitlement::SecurityInsecure),
        other => Err(Error::BadValue {
            flag: "--allow",
            text: other.to_owned(),
            why: "known are network.host and security.insecure".to_owned(),
        }),
    }
}

/// `NAME:ADDRESS` or `NAME=ADDRESS`; an IPv6 address may stand in brackets.
fn host(text: &str) -> Result<(String, String), Error> {
    let bad = |why: &str| Error::BadValue { flag: "--add-host", text: text.to_owned(), why: why.to_owned() };
    let (name, address) = text.split_once([':', '=']).ok_or_else(|| bad("expected NAME:ADDRESS"))?;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '#') {
        return Err(bad("this is no host name"));
    }
    let address = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    let address: IpAddr = address.parse().map_err(|_| bad("the address is no IP address"))?;
    Ok((name.to_owned(), address.to_string()))
}

fn results(args: &ResultArgs) -> Vec<ResultFile> {
    let files = [
        (&args.iidfile, Content::ImageId),
        (&args.digest_file, Content::Digest),
        (&args.metadata_file, Content::Metadata),
    ];
    let given = files.into_iter().filter_map(|(path, content)| Some((path.clone()?, content)));
    given.map(|(path, content)| ResultFile { path, content }).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    use super::*;

    fn build_in(dir: &Path, flags: &[&str], environment: &Environment) -> Result<BuildSettings, Error> {
        std::fs::write(dir.join("Containerfile"), "FROM scratch").unwrap();
        let words = flags.iter().map(OsString::from).chain([dir.into()]);
        let (_, args) = BuildArgs::from_words(words.collect()).unwrap();
        let settings = settle(&args, None, environment)?;
        settings.files.local(&mut std::io::empty())?;
        Ok(settings)
    }

    fn build(flags: &[&str]) -> Result<BuildSettings, Error> {
        build_in(tempfile::tempdir().unwrap().path(), flags, &Environment::of(&[]))
    }

    fn refusal(flags: &[&str]) -> (String, u8) {
        let error = build(flags).unwrap_err();
        (error.to_string(), error.exit_code())
    }

    #[test]
    fn defaults_are_those_of_buildkit() {
        let settings = build(&[]).unwrap();
        let options = settings.options;
        assert_eq!((options.pull, options.network), (PullPolicy::Missing, Network::Host));
        assert_eq!((options.compression, options.now), (Compression::Gzip(6), 1_700_000_000));
        assert!(!settings.push && settings.outputs.is_empty() && settings.notes.is_empty());
    }

    #[test]
    fn flags_become_options() {
        let options = build(&[
            "-t",
            "app",
            "--tag=q.io/app:2",
            "--label",
            "a=b=c",
            "--label=d",
            "--env=A=b",
            "--env=HOME",
            "--unsetenv=PATH",
            "--unsetlabel=x",
            "--compression-format=zstd",
            "--network=none",
            "--add-host=db:10.0.0.1",
            "--add-host=six:::1",
            "--add-host=br=[::2]",
            "--pull",
            "--allow=security.insecure",
            "--allow-secret-in-layer",
        ])
        .unwrap()
        .options;
        let tags: Vec<_> = options.tags.iter().map(Reference::to_string).collect();
        assert_eq!(tags, ["docker.io/library/app:latest", "q.io/app:2"]);
        assert_eq!(options.labels, [("a".into(), "b=c".into()), ("d".into(), String::new())]);
        assert_eq!(options.env, [("A".into(), "b".into())], "HOME is not set here");
        assert_eq!((options.unset_env, options.unset_labels), (vec!["PATH".into()], vec!["x".into()]));
        assert_eq!(options.compression, Compression::Zstd(3));
        assert_eq!((options.network, options.pull), (Network::None, PullPolicy::Always));
        assert_eq!(Vec::from_iter(options.allow), [Entitlement::SecurityInsecure]);
        assert!(options.allow_secret_in_layer);
        let hosts: Vec<_> = options.hosts.iter().map(|(name, address)| format!("{name} {address}")).collect();
        assert_eq!(hosts, ["db 10.0.0.1", "six ::1", "br ::2"]);
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for (flags, message) in [
            (&["--cw", "x"] as &[&str], "--cw is not supported yet"),
            (&["--squash", "--layers=false"], "--layers=false, --squash=true are not supported yet"),
            (&["--format=docker"], "--format=docker is not supported yet"),
            (&["--platform=linux/amd64,linux/arm64"], "more than one --platform is not supported yet"),
            (
                &["-f", "https://q.io/File", "-f", "ftp://me:pw@q.io/File"],
                "a Containerfile by a URL of another kind than http and https is not supported yet",
            ),
            (&["--annotation=index:a=b"], "an annotation of the index is not supported yet"),
            (&["--allow=device"], "invalid --allow `device`: known are network.host and security.insecure"),
            (&["--push"], "--push needs a name to push to"),
            (
                &["-t", "docker://q.io/a"],
                "invalid name `docker://q.io/a`: it says where the image goes, which is for --push to say",
            ),
            (&["-t", "A"], "invalid image reference `A`: the repository must be lower case"),
            (&["--network=bridge"], "invalid --network `bridge`: supported are host and none"),
            (
                &["--add-host=x:host-gateway"],
                "invalid --add-host `x:host-gateway`: the address is no IP address",
            ),
            (&["--compression-level=20"], "invalid --compression-level `20`: gzip has levels from 1 to 9"),
            (
                &["--isolation=vm"],
                "invalid --isolation `vm`: known are namespaces, and buildah's names for it oci, rootless and chroot",
            ),
        ] {
            assert_eq!(refusal(flags), (message.to_owned(), 2), "{flags:?}");
        }
    }

    #[test]
    fn flags_without_effect_are_told_of() {
        let settings = build(&["--memory=1g", "--rm", "--runtime", "crun"]).unwrap();
        assert_eq!(
            settings.notes,
            [
                "--memory has no effect: builder makes no cgroups; limit the pod instead",
                "--runtime has no effect: builder runs steps itself, without an OCI runtime"
            ]
        );
    }
}
