//! `--build-context NAME=VALUE`, in the spellings of buildx and of buildah.

use std::collections::BTreeMap;
use std::path::Path;

use engine::{ImageName, LocalImage, Location, NamedContext};
use oci::Reference;

use super::Error;

/// Schemes that say that an image is meant.
const IMAGES: [&str; 3] = ["docker-image://", "container-image://", "docker://"];
/// The scheme that says that an image layout is meant.
const LAYOUT: &str = "oci-layout://";
/// Schemes that say that a stage is meant.
const STAGES: [&str; 2] = ["target:", "input:"];

/// Reads all of them; of several with one name the last one counts.
pub(super) fn parse_all(flags: &[String]) -> Result<BTreeMap<String, NamedContext>, Error> {
    flags.iter().map(|flag| parse(flag)).collect()
}

fn parse(flag: &str) -> Result<(String, NamedContext), Error> {
    let bad =
        |why: &str| Error::BadValue { flag: "--build-context", text: flag.to_owned(), why: why.to_owned() };
    let (name, value) = flag.split_once('=').ok_or_else(|| bad("expected NAME=VALUE"))?;
    if name.is_empty() || value.is_empty() {
        return Err(bad("expected NAME=VALUE"));
    }
    // Stages are found in any case of letters, and so is what stands for them.
    Ok((name.to_lowercase(), context(value, &bad)?))
}

fn context(value: &str, bad: &dyn Fn(&str) -> Error) -> Result<NamedContext, Error> {
    let after = |schemes: &[&str]| schemes.iter().find_map(|scheme| value.strip_prefix(scheme));
    if let Some(image) = after(&IMAGES) {
        return Ok(NamedContext::Image(image.parse::<Reference>()?.into()));
    }
    if let Some(layout) = value.strip_prefix(LAYOUT) {
        let image = LocalImage::layout(layout).map_err(|error| bad(&error.to_string()))?;
        return Ok(NamedContext::Image(ImageName::Local(image)));
    }
    if let Some(stage) = after(&STAGES) {
        return Ok(NamedContext::Stage(stage.to_owned()));
    }
    if Location::is_elsewhere(value, Path::new(value).exists()) {
        return Ok(NamedContext::Url(value.to_owned()));
    }
    let dir = Path::new(value.strip_prefix("dir://").unwrap_or(value));
    match std::fs::metadata(dir) {
        Ok(metadata) if metadata.is_dir() => Ok(NamedContext::Directory(dir.to_owned())),
        _ => Err(bad("there is no such directory")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn values_are_directories_images_and_stages() {
        let image = |text: &str| NamedContext::Image(text.parse::<Reference>().unwrap().into());
        let layout = LocalImage::layout("/a:v1").unwrap();
        for (flag, name, expected) in [
            ("a=/", "a", NamedContext::Directory(PathBuf::from("/"))),
            ("Alpine=docker-image://q.io/alpine:3", "alpine", image("q.io/alpine:3")),
            ("a=container-image://alpine", "a", image("alpine")),
            ("a=docker://alpine", "a", image("alpine")),
            ("a=oci-layout:///a:v1", "a", NamedContext::Image(ImageName::Local(layout))),
            ("a=target:build", "a", NamedContext::Stage("build".to_owned())),
        ] {
            assert_eq!(parse(flag).unwrap(), (name.to_owned(), expected), "{flag}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for (flag, message) in [
            ("a", "invalid --build-context `a`: expected NAME=VALUE"),
            ("=x", "invalid --build-context `=x`: expected NAME=VALUE"),
            ("a=/none", "invalid --build-context `a=/none`: there is no such directory"),
            ("a=docker-image://A", "invalid image reference `A`: the repository must be lower case"),
        ] {
            assert_eq!(parse(flag).unwrap_err().to_string(), message);
        }
    }
}
