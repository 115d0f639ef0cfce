//! What images are called: a reference of a registry, or a path with a transport in front.
//!
//! Knows texts only; [`crate::import`] opens what the paths lead to.

use std::fmt;

use oci::{Digest, Reference};

use crate::error::{Cause, Error};

/// An image that something is built on or copied from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageName {
    /// Of the store, or of a registry.
    Reference(Reference),
    /// Of a file or a directory.
    Local(LocalImage),
}

/// An image outside of the store and of registries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalImage {
    /// What lies at the path.
    pub transport: Transport,
    /// The path; whose it is follows from the transport.
    pub path: String,
    /// Which of the images there.
    pub selector: Option<Selector>,
}

/// The form that an image has outside of the store (containers-transports(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// `oci:DIR[:NAME]`: an image layout in the build context.
    Oci,
    /// `oci-archive:FILE[:NAME]`: a tar of one.
    OciArchive,
    /// `docker-archive:FILE[:NAME]`: what `docker save` writes, in the build context.
    DockerArchive,
    /// `dir:DIR`: one manifest and its blobs, in the build context.
    Dir,
    /// `oci-layout://DIR[:NAME][@DIGEST]` of `--build-context`: an image layout anywhere.
    OciLayout,
}

/// One of several images.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    /// By a tag or reference.
    Name(String),
    /// By its place among the others, from 0 on: `@0`.
    Position(usize),
    /// By the digest of its manifest or index.
    Digest(Digest),
}

/// Those that a Containerfile may name.
const TRANSPORTS: [Transport; 4] =
    [Transport::Oci, Transport::OciArchive, Transport::DockerArchive, Transport::Dir];
/// What else names images outside of registries; none of it can be read without another program's state.
const FOREIGN: [&str; 2] = ["containers-storage", "docker-daemon"];

impl Transport {
    /// What stands before the path.
    fn prefix(self) -> &'static str {
        match self {
            Self::Oci => "oci:",
            Self::OciArchive => "oci-archive:",
            Self::DockerArchive => "docker-archive:",
            Self::Dir => "dir:",
            Self::OciLayout => "oci-layout://",
        }
    }
}

impl ImageName {
    /// Reads what a Containerfile calls an image.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let local = TRANSPORTS.iter().find_map(|transport| {
            text.strip_prefix(transport.prefix()).map(|rest| LocalImage::new(*transport, rest))
        });
        if let Some(local) = local {
            return local.map(Self::Local).map_err(|why| invalid(text, why));
        }
        if text.starts_with("oci-layout:") {
            return Err(invalid(
                text,
                "an image layout outside of the build context needs a --build-context",
            ));
        }
        if let Some((transport, _)) = text.split_once(':').filter(|(head, _)| FOREIGN.contains(head)) {
            return Err(Cause::Unsupported { what: format!("an image from `{transport}:`") }.into());
        }
        Ok(Self::Reference(text.parse().map_err(Cause::BadReference)?))
    }

    /// The reference, unless the image is local.
    pub(crate) fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Reference(reference) => Some(reference),
            Self::Local(_) => None,
        }
    }
}

impl LocalImage {
    /// Reads what follows `oci-layout://`: the path of an image layout, a tag, a digest.
    pub fn layout(text: &str) -> Result<Self, Error> {
        Self::new(Transport::OciLayout, text).map_err(|why| invalid(&format!("oci-layout://{text}"), why))
    }

    /// Whether its path is one of the build context.
    pub(crate) fn is_in_context(&self) -> bool {
        self.transport != Transport::OciLayout
    }

    fn new(transport: Transport, text: &str) -> Result<Self, &'static str> {
        let (path, selector) = match transport {
            Transport::Dir => (text, None),
            Transport::OciLayout => layout_selector(text)?,
            Transport::Oci | Transport::OciArchive | Transport::DockerArchive => {
                match text.split_once(':').filter(|(_, name)| !name.is_empty()) {
                    Some((path, name)) => (path, Some(selector(name)?)),
                    None => (text.trim_end_matches(':'), None),
                }
            }
        };
        if path.is_empty() {
            return Err("it has no path");
        }
        Ok(Self { transport, path: path.to_owned(), selector })
    }
}

fn selector(name: &str) -> Result<Selector, &'static str> {
    let Some(position) = name.strip_prefix('@') else { return Ok(Selector::Name(name.to_owned())) };
    position.parse().map(Selector::Position).map_err(|_| "after `@` it needs the number of an image")
}

/// `DIR[:NAME][@DIGEST]`, where the digest counts.
fn layout_selector(text: &str) -> Result<(&str, Option<Selector>), &'static str> {
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let (path, name) = rest.split_once(':').map_or((rest, None), |(path, name)| (path, Some(name)));
    let digest = digest.map(str::parse::<Digest>).transpose();
    let digest = digest.map_err(|_| "the digest is not sha256 and 64 hex digits")?;
    let name = name.filter(|name| !name.is_empty()).map(|name| Selector::Name(name.to_owned()));
    Ok((path, digest.map(Selector::Digest).or(name)))
}

fn invalid(text: &str, why: &str) -> Error {
    Cause::InvalidArgument { what: "image", text: text.to_owned(), why: why.to_owned() }.into()
}

impl From<Reference> for ImageName {
    fn from(reference: Reference) -> Self {
        Self::Reference(reference)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference(reference) => reference.fmt(formatter),
            Self::Local(image) => image.fmt(formatter),
        }
    }
}

impl fmt::Display for LocalImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.transport.prefix(), self.path)?;
        match &self.selector {
            Some(Selector::Name(name)) => write!(formatter, ":{name}"),
            Some(Selector::Position(position)) => write!(formatter, ":@{position}"),
            Some(Selector::Digest(digest)) => write!(formatter, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str) -> LocalImage {
        match ImageName::parse(text).unwrap() {
            ImageName::Local(image) => image,
            ImageName::Reference(reference) => panic!("{reference} is not local"),
        }
    }

    #[test]
    fn transports_have_a_path_and_a_choice_among_images() {
        let name = |name: &str| Some(Selector::Name(name.to_owned()));
        for (text, transport, path, selector) in [
            ("oci:img", Transport::Oci, "img", None),
            ("oci:img:", Transport::Oci, "img", None),
            ("oci:a/img:1.2", Transport::Oci, "a/img", name("1.2")),
            ("oci:img:q.io/me/app:1", Transport::Oci, "img", name("q.io/me/app:1")),
            ("oci-archive:/a.tar:v1", Transport::OciArchive, "/a.tar", name("v1")),
            ("docker-archive:a.tar:app:1", Transport::DockerArchive, "a.tar", name("app:1")),
            ("docker-archive:a.tar:@1", Transport::DockerArchive, "a.tar", Some(Selector::Position(1))),
            ("dir:a:b", Transport::Dir, "a:b", None),
        ] {
            let expected = LocalImage { transport, path: path.to_owned(), selector };
            assert_eq!(local(text), expected, "{text}");
            assert_eq!(expected.to_string(), text.trim_end_matches(':'));
        }
    }

    #[test]
    fn a_layout_has_a_tag_or_a_digest() {
        let digest = Digest::of(b"x");
        for (text, path, selector) in [
            ("/a/b", "/a/b", None),
            ("a:v1", "a", Some(Selector::Name("v1".to_owned()))),
            (&*format!("a@{digest}"), "a", Some(Selector::Digest(digest))),
            (&*format!("a:v1@{digest}"), "a", Some(Selector::Digest(digest))),
        ] {
            let expected = LocalImage { transport: Transport::OciLayout, path: path.to_owned(), selector };
            assert_eq!(LocalImage::layout(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (text, message) in [
            ("oci:", "invalid image `oci:`: it has no path"),
            ("oci::v1", "invalid image `oci::v1`: it has no path"),
            ("oci:a:@x", "invalid image `oci:a:@x`: after `@` it needs the number of an image"),
            (
                "oci-layout:///a",
                "invalid image `oci-layout:///a`: an image layout outside of the build context needs a --build-context",
            ),
            ("docker-daemon:a:1", "an image from `docker-daemon:` is not supported yet"),
            ("UPPER", "invalid image reference `UPPER`: the repository must be lower case"),
        ] {
            assert_eq!(ImageName::parse(text).unwrap_err().to_string(), message);
        }
        let error = LocalImage::layout("a@sha256:1").unwrap_err().to_string();
        assert_eq!(
            error,
            "invalid image `oci-layout://a@sha256:1`: the digest is not sha256 and 64 hex digits"
        );
    }
}
