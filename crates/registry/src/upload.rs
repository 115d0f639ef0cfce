//! Writing a blob: not at all if the registry has it, by a mount if a neighbour has it, else in one streamed request.

use std::io::{self, Read};

use bytes::Bytes;
use oci::{Descriptor, Digester, Reference};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::auth::Scope;
use crate::manifest::{announced_digest, check_digest};
use crate::session::Session;
use crate::transport::{Direction, Request, Response, Stream};
use crate::{Error, blob};

/// How much is read and sent at once.
const PIECE: u64 = 128 << 10;

/// How a blob got into its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushedBlob {
    /// It was there before.
    Present,
    /// The registry took it over from another of its repositories.
    Mounted,
    /// It was sent.
    Uploaded,
}

/// One blob on its way to a repository.
pub(crate) struct Upload<'a> {
    pub(crate) session: &'a Session,
    pub(crate) reference: &'a Reference,
    pub(crate) descriptor: &'a Descriptor,
    /// Yields the content from its beginning, as often as it is asked.
    pub(crate) open: &'a dyn Fn() -> io::Result<Box<dyn Read + Send>>,
    /// Told how many bytes of the blob have been sent so far.
    pub(crate) progress: &'a dyn Fn(u64),
}

impl Upload<'_> {
    /// Brings the blob into the repository; `mount_from` are repositories of the same registry that may have it.
    pub(crate) fn run(&self, mount_from: &[&str]) -> Result<PushedBlob, Error> {
        if self.is_there()? {
            return Ok(PushedBlob::Present);
        }
        let mut started = None;
        for source in mount_from.iter().filter(|source| **source != self.reference.repository()) {
            if let Some(location) = started.take() {
                cancel(self.session, self.reference, location);
            }
            match self.mount(source)? {
                Mount::Done => return Ok(PushedBlob::Mounted),
                Mount::Started(location) => started = Some(location),
                Mount::Refused => {}
            }
        }
        let _slot = self.session.transport().slot(Direction::Upload);
        let mut is_first = true;
        self.session.retry(|| {
            // The answer to an upload that succeeded may have been lost on its way.
            if !std::mem::take(&mut is_first) && self.is_there()? {
                return Ok(());
            }
            let location = started.take().map_or_else(|| start(self.session, self.reference), Ok)?;
            self.send(location)
        })?;
        Ok(PushedBlob::Uploaded)
    }

    fn scope(&self) -> Scope {
        Scope::push(self.reference)
    }

    fn is_there(&self) -> Result<bool, Error> {
        blob::exists(self.session, self.reference, self.descriptor.digest, &self.scope())
    }

    /// Asks for a cross-repository mount. A refusal is no error: the blob can still be sent.
    fn mount(&self, source: &str) -> Result<Mount, Error> {
        let mut url = self.session.url(self.reference, "blobs/uploads/")?;
        let digest = self.descriptor.digest.to_string();
        url.query_pairs_mut().append_pair("mount", &digest).append_pair("from", source);
        let scope = self.scope().and_pull_of(source);
        let answer = self.session.retry(|| {
            let response = self.session.send(self.reference, &scope, &post(url.clone()))?;
            response.expect(&[StatusCode::CREATED, StatusCode::ACCEPTED])
        });
        match answer {
            Ok(response) if response.status() == StatusCode::CREATED => Ok(Mount::Done),
            Ok(response) => Ok(Mount::Started(self.session.location(&response)?)),
            Err(error) if error.status().is_some_and(|status| status < 500) => Ok(Mount::Refused),
            Err(error) => Err(error),
        }
    }

    /// Sends the content in one request that also commits it.
    fn send(&self, mut location: Url) -> Result<(), Error> {
        location.query_pairs_mut().append_pair("digest", &self.descriptor.digest.to_string());
        let request = Request::new(Method::PUT, location)
            .with_header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let answer = self.session.send_stream(self.reference, &self.scope(), &request, |send| {
            let mut content = Content::open(self)?;
            send(Stream { length: self.descriptor.size, next: &mut || content.next() })
        });
        let response = answer?.expect(&[StatusCode::CREATED])?;
        match announced_digest(&response)? {
            Some(stored) => check_digest(&response, Some(self.descriptor.digest), stored),
            None => Ok(()),
        }
    }
}

enum Mount {
    Done,
    /// The registry began an upload instead, to be continued there.
    Started(Url),
    Refused,
}

/// The content of a blob while it is sent, checked as it passes.
struct Content<'a> {
    upload: &'a Upload<'a>,
    reader: Box<dyn Read + Send>,
    digester: Digester,
}

impl<'a> Content<'a> {
    fn open(upload: &'a Upload<'a>) -> Result<Self, Error> {
        let digest = upload.descriptor.digest;
        let reader = (upload.open)().map_err(|source| Error::ReadBlob { digest, source })?;
        (upload.progress)(0);
        Ok(Self { upload, reader, digester: Digester::new() })
    }

    fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let digest = self.upload.descriptor.digest;
        // What has been handed out before is on its way by the time that more is asked for.
        (self.upload.progress)(self.digester.size());
        let mut piece = Vec::with_capacity(PIECE as usize);
        let read = (&mut self.reader).take(PIECE).read_to_end(&mut piece);
        read.map_err(|source| Error::ReadBlob { digest, source })?;
        self.digester.update(&piece);
        let size = self.digester.size();
        if piece.is_empty() || size > self.upload.descriptor.size {
            let found = self.digester.clone().finish();
            if found != digest || size != self.upload.descriptor.size {
                return Err(Error::BlobChanged { expected: digest, found, size });
            }
        }
        Ok(Some(piece).filter(|piece| !piece.is_empty()).map(Bytes::from))
    }
}

/// Begins an upload and gives it up again: proof that pushing is allowed.
pub(crate) fn check_access(session: &Session, reference: &Reference) -> Result<(), Error> {
    let location = session.retry(|| start(session, reference))?;
    cancel(session, reference, location);
    Ok(())
}

fn start(session: &Session, reference: &Reference) -> Result<Url, Error> {
    let url = session.url(reference, "blobs/uploads/")?;
    let response = session.send(reference, &Scope::push(reference), &post(url))?;
    session.location(&response.expect(&[StatusCode::ACCEPTED])?)
}

/// Registries forget abandoned uploads by themselves, so a failure to cancel is none.
fn cancel(session: &Session, reference: &Reference, location: Url) {
    let request = Request::new(Method::DELETE, location);
    let answer = session.send(reference, &Scope::push(reference), &request).and_then(|response: Response| {
        response.expect(&[StatusCode::NO_CONTENT, StatusCode::OK, StatusCode::ACCEPTED])
    });
    if let Err(error) = answer {
        tracing::debug!(%error, "an upload could not be cancelled");
    }
}

/// A POST without content, which some proxies want to be told.
fn post(url: Url) -> Request {
    Request::new(Method::POST, url).with_header(CONTENT_LENGTH, HeaderValue::from_static("0"))
}
