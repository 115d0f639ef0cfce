//! `--output`: what is written where, in BuildKit's spelling.

use std::path::{Path, PathBuf};

use containerfile::closest;
use engine::{Output, Target};

use super::Error;

const FLAG: &str = "--output";
const KEYS: [&str; 3] = ["type", "dest", "tar"];
const TYPES: [&str; 4] = ["oci", "docker", "tar", "local"];

/// Reads all of the flag's uses; at most one may go to standard output.
pub(crate) fn parse_all(specs: &[String]) -> Result<Vec<Output>, Error> {
    let outputs: Vec<_> = specs.iter().map(|spec| parse(spec)).collect::<Result<_, _>>()?;
    if outputs.iter().filter(|output| is_stdout(output)).count() > 1 {
        return Err(Error::StdoutTwice);
    }
    Ok(outputs)
}

/// Whether the output goes to standard output, where then nothing else may go.
pub(crate) fn is_stdout(output: &Output) -> bool {
    match output {
        Output::OciArchive(to) | Output::DockerArchive(to) | Output::RootTar(to) => *to == Target::Stdout,
        Output::OciLayout(_) | Output::RootDirectory(_) => false,
    }
}

/// A directory, `-`, or `type=…,dest=…[,tar=false]`.
fn parse(spec: &str) -> Result<Output, Error> {
    if spec == "-" {
        return Ok(Output::RootTar(Target::Stdout));
    }
    if !spec.contains('=') {
        return Ok(Output::RootDirectory(PathBuf::from(spec)));
    }
    let bad = |why: String| Error::BadValue { flag: FLAG, text: spec.to_owned(), why };
    let (mut kind, mut dest, mut tar) = (None, None, true);
    for field in spec.split(',') {
        let (key, value) = field.split_once('=').ok_or_else(|| bad(format!("`{field}` is not KEY=VALUE")))?;
        match key {
            "type" => kind = Some(value),
            "dest" => dest = Some(value),
            "tar" => tar = value.parse().map_err(|_| bad("tar is true or false".to_owned()))?,
            _ => return Err(bad(unknown("key", key, KEYS))),
        }
    }
    let kind = kind.ok_or_else(|| bad("it has no type".to_owned()))?;
    if !TYPES.contains(&kind) {
        return Err(bad(unknown("type", kind, TYPES)));
    }
    let dest = dest.filter(|dest| !dest.is_empty()).ok_or_else(|| bad("it has no dest".to_owned()))?;
    let is_dir = dest.ends_with('/') || Path::new(dest).is_dir();
    match kind {
        "oci" if !tar || is_dir => Ok(Output::OciLayout(directory(dest).ok_or_else(|| bad(no_stdout()))?)),
        "oci" => Ok(Output::OciArchive(destination(dest))),
        "docker" => Ok(Output::DockerArchive(destination(dest))),
        "tar" => Ok(Output::RootTar(destination(dest))),
        _ => Ok(Output::RootDirectory(directory(dest).ok_or_else(|| bad(no_stdout()))?)),
    }
}

fn destination(dest: &str) -> Target {
    directory(dest).map_or(Target::Stdout, Target::File)
}

fn directory(dest: &str) -> Option<PathBuf> {
    (dest != "-").then(|| PathBuf::from(dest))
}

fn no_stdout() -> String {
    "a directory cannot be written to standard output".to_owned()
}

fn unknown<const N: usize>(what: &str, name: &str, known: [&str; N]) -> String {
    match closest(name, known) {
        Some(close) => format!("there is no {what} `{name}`; did you mean `{close}`?"),
        None => format!("there is no {what} `{name}`; known are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read_in_buildkits_spelling() {
        let path = |path: &str| Target::File(path.into());
        for (spec, expected) in [
            ("out", Output::RootDirectory("out".into())),
            ("-", Output::RootTar(Target::Stdout)),
            ("type=local,dest=out", Output::RootDirectory("out".into())),
            ("type=tar,dest=-", Output::RootTar(Target::Stdout)),
            ("dest=a.tar,type=oci", Output::OciArchive(path("a.tar"))),
            ("type=oci,dest=a,tar=false", Output::OciLayout("a".into())),
            ("type=oci,dest=a/", Output::OciLayout("a/".into())),
            ("type=docker,dest=a.tar", Output::DockerArchive(path("a.tar"))),
        ] {
            assert_eq!(parse(spec).unwrap(), expected, "{spec}");
        }
    }

    #[test]
    fn a_wrong_output_says_what_is_wrong_with_it() {
        for (spec, why) in [
            ("type=oci", "it has no dest"),
            ("dest=a", "it has no type"),
            ("type=oic,dest=a", "there is no type `oic`; did you mean `oci`?"),
            ("type=registry,dest=a", "there is no type `registry`; known are oci, docker, tar, local"),
            ("typ=oci,dest=a", "there is no key `typ`; did you mean `type`?"),
            ("type=local,dest=-", "a directory cannot be written to standard output"),
            ("type=oci,dest", "`dest` is not KEY=VALUE"),
        ] {
            let error = parse(spec).unwrap_err();
            assert_eq!(error.to_string(), format!("invalid --output `{spec}`: {why}"));
        }
        let twice = ["-".to_owned(), "type=oci,dest=-".to_owned()];
        assert!(matches!(parse_all(&twice), Err(Error::StdoutTwice)));
    }
}
