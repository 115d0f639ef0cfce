//! Manifests and indexes: small documents, whole in memory, always checked.

use bytes::Bytes;
use oci::{Descriptor, Digest, MediaType, Reference};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};

use crate::Error;
use crate::auth::Scope;
use crate::error::{Call, printable};
use crate::session::Session;
use crate::transport::{Request, Response};

/// The largest manifest that registries must take (distribution specification, "Pushing Manifests").
const SIZE_LIMIT: u64 = 4 << 20;

/// What we understand, as one header.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// The header in which a registry tells a manifest's digest.
const DIGEST_HEADER: &str = "docker-content-digest";

/// A manifest or an index as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Media type, digest and size of `bytes`.
    pub descriptor: Descriptor,
    /// The exact bytes; their digest has been checked.
    pub bytes: Vec<u8>,
}

pub(crate) fn pull(session: &Session, reference: &Reference) -> Result<Fetched, Error> {
    let request = request(session, Method::GET, reference)?;
    session.retry(|| {
        let response = session.fetch(reference, &Scope::pull(reference), &request)?;
        read(reference, response.expect(&[StatusCode::OK])?)
    })
}

pub(crate) fn head(session: &Session, reference: &Reference) -> Result<Option<Descriptor>, Error> {
    let request = request(session, Method::HEAD, reference)?;
    let response = session.retry(|| {
        let response = session.fetch(reference, &Scope::pull(reference), &request)?;
        response.expect(&[StatusCode::OK, StatusCode::NOT_FOUND])
    })?;
    if response.status() == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let told = (response.content_type(), announced_digest(&response)?, response.content_length());
    let (Some(media_type), Some(digest), Some(size)) = told else {
        // The specification recommends these headers but does not demand them.
        return pull(session, reference).map(|fetched| Some(fetched.descriptor));
    };
    check_digest(&response, reference.digest(), digest)?;
    Ok(Some(Descriptor::new(supported(response.call(), media_type)?, digest, size)))
}

pub(crate) fn push(
    session: &Session,
    reference: &Reference,
    media_type: &MediaType,
    bytes: &[u8],
) -> Result<Digest, Error> {
    let digest = Digest::of(bytes);
    let url = session.url(reference, &format!("manifests/{}", reference.identifier()))?;
    let request = Request::new(Method::PUT, url);
    let Ok(content_type) = HeaderValue::try_from(media_type.as_str()) else {
        let media_type = printable(media_type.as_str());
        return Err(Error::UnsupportedManifest { call: request.call(), media_type });
    };
    let mut request = request.with_header(CONTENT_TYPE, content_type);
    request.body = Bytes::copy_from_slice(bytes);
    session.retry(|| {
        let response = session.send(reference, &Scope::push(reference), &request)?;
        let response = response.expect(&[StatusCode::CREATED])?;
        match announced_digest(&response)? {
            Some(stored) => check_digest(&response, Some(digest), stored),
            None => Ok(()),
        }
    })?;
    Ok(digest)
}

fn request(session: &Session, method: Method, reference: &Reference) -> Result<Request, Error> {
    let url = session.url(reference, &format!("manifests/{}", reference.identifier()))?;
    Ok(Request::new(method, url).with_header(ACCEPT, HeaderValue::from_static(ACCEPTED)))
}

/// Reads and checks a whole document.
fn read(reference: &Reference, response: Response) -> Result<Fetched, Error> {
    let announced = announced_digest(&response)?;
    let content_type = response.content_type().map(str::to_owned);
    let call = response.call().clone();
    let bytes = response.body(SIZE_LIMIT)?;
    let found = Digest::of(&bytes);
    for expected in reference.digest().into_iter().chain(announced) {
        if expected != found {
            return Err(Error::DigestMismatch { call, expected, found });
        }
    }
    let media_type = match media_type(content_type.as_deref(), &bytes) {
        Ok(media_type) => supported(&call, media_type.as_str())?,
        Err(problem) => return Err(Error::InvalidAnswer { call, problem }),
    };
    Ok(Fetched { descriptor: Descriptor::new(media_type, found, bytes.len() as u64), bytes })
}

/// What the document is, by its header and by itself; the two must not tell different tales.
fn media_type(content_type: Option<&str>, bytes: &[u8]) -> Result<MediaType, &'static str> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        media_type: Option<String>,
        config: Option<serde::de::IgnoredAny>,
        layers: Option<serde::de::IgnoredAny>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    // Also refuses a key that stands twice, of which other readers might see the other one.
    let document: Document = serde_json::from_slice(bytes).map_err(|_| "the manifest is not valid JSON")?;
    let is_image = document.config.is_some() || document.layers.is_some();
    if is_image && document.manifests.is_some() {
        return Err("the document is both a manifest and an index");
    }
    let generic =
        |name: &&str| !matches!(*name, "application/json" | "text/plain" | "application/octet-stream");
    let told = match (content_type.filter(generic), document.media_type.as_deref()) {
        (Some(header), Some(own)) if header != own => {
            return Err("the Content-Type header and the manifest's mediaType differ");
        }
        (Some(told), _) | (None, Some(told)) => MediaType::from(told),
        (None, None) => return Err("neither header nor document tells the manifest's media type"),
    };
    if (told.is_index() && is_image) || (told.is_manifest() && document.manifests.is_some()) {
        return Err("the document is not what its media type says");
    }
    Ok(told)
}

fn supported(call: &Call, media_type: &str) -> Result<MediaType, Error> {
    let known = MediaType::from(media_type);
    if known.is_index() || known.is_manifest() {
        return Ok(known);
    }
    Err(Error::UnsupportedManifest { call: call.clone(), media_type: printable(media_type) })
}

/// The digest that the registry tells, if it does.
pub(crate) fn announced_digest(response: &Response) -> Result<Option<Digest>, Error> {
    let Some(text) = response.header(DIGEST_HEADER) else { return Ok(None) };
    text.parse()
        .map(Some)
        .map_err(|_| response.invalid("the Docker-Content-Digest header is no sha256 digest"))
}

pub(crate) fn check_digest(
    response: &Response,
    expected: Option<Digest>,
    found: Digest,
) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != found => {
            Err(Error::DigestMismatch { call: response.call().clone(), expected, found })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_with_two_meanings_are_refused() {
        let (manifest, index) = (MediaType::OCI_MANIFEST, MediaType::OCI_INDEX);
        for (content_type, document, expected) in [
            (
                Some(manifest),
                format!(r#"{{"mediaType":"{manifest}","config":{{}},"layers":[]}}"#),
                Ok(manifest),
            ),
            (Some(manifest), r#"{"config":{},"layers":[]}"#.to_owned(), Ok(manifest)),
            (Some("application/json"), format!(r#"{{"mediaType":"{index}","manifests":[]}}"#), Ok(index)),
            (None, format!(r#"{{"mediaType":"{index}"}}"#), Ok(index)),
            (None, "{}".to_owned(), Err("neither header nor document tells the manifest's media type")),
            (
                Some(manifest),
                format!(r#"{{"mediaType":"{index}"}}"#),
                Err("the Content-Type header and the manifest's mediaType differ"),
            ),
            (
                Some(manifest),
                r#"{"manifests":[]}"#.to_owned(),
                Err("the document is not what its media type says"),
            ),
            (Some(index), r#"{"layers":[]}"#.to_owned(), Err("the document is not what its media type says")),
            (
                Some(index),
                r#"{"layers":[],"manifests":[]}"#.to_owned(),
                Err("the document is both a manifest and an index"),
            ),
            (Some(index), r#"{"layers":[],"layers":[]}"#.to_owned(), Err("the manifest is not valid JSON")),
            (Some(index), "[]".to_owned(), Err("the manifest is not valid JSON")),
        ] {
            let found = media_type(content_type, document.as_bytes());
            assert_eq!(found, expected.map(MediaType::from), "{document}");
        }
    }
}
