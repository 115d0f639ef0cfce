//! Reading a blob: one stream, resumed where it broke, checked before its last byte is given away.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use oci::{Descriptor, Digest, Digester, Reference};
use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

use crate::auth::Scope;
use crate::error::{Call, Failure};
use crate::session::Session;
use crate::transport::{Direction, Request, Response};
use crate::{Error, retry};

/// So many bytes between two failures make the earlier ones forgotten.
const PROGRESS: u64 = 1 << 20;

pub(crate) fn exists(
    session: &Session,
    reference: &Reference,
    digest: Digest,
    scope: &Scope,
) -> Result<bool, Error> {
    let request = Request::new(Method::HEAD, session.url(reference, &format!("blobs/{digest}"))?);
    session.retry(|| {
        // Registries redirect only to what they have; a signed link may allow no HEAD.
        let response = session.send(reference, scope, &request)?;
        match response.status() {
            status if status.is_redirection() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => response.expect(&[StatusCode::OK]).map(|_| true),
        }
    })
}

/// The content of a blob.
///
/// Reading yields exactly the bytes that the descriptor promises: the last of them come out only after digest and
/// size have been found right, otherwise the read fails. Errors are [`Error`] inside [`io::Error`]. A reader occupies
/// one of the [`parallel`](crate::Settings::parallel) slots until its end or until it is dropped.
pub struct BlobReader {
    session: Arc<Session>,
    reference: Reference,
    descriptor: Descriptor,
    request: Request,
    response: Option<Response>,
    /// Received and checked as far as can be, but not yet given away.
    piece: Bytes,
    digester: Digester,
    /// Bytes of the response that were received before the connection broke.
    skip: u64,
    is_verified: bool,
    failures: u32,
    last_failure_at: u64,
    slot: Option<OwnedSemaphorePermit>,
}

impl BlobReader {
    pub(crate) fn open(
        session: &Arc<Session>,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Self, Error> {
        let url = session.url(reference, &format!("blobs/{}", descriptor.digest))?;
        let mut reader = Self {
            slot: Some(session.transport().slot(Direction::Download)),
            session: Arc::clone(session),
            reference: reference.clone(),
            descriptor: descriptor.clone(),
            request: Request::new(Method::GET, url),
            response: None,
            piece: Bytes::new(),
            digester: Digester::new(),
            skip: 0,
            is_verified: false,
            failures: 0,
            last_failure_at: 0,
        };
        session.retry(|| reader.connect())?;
        Ok(reader)
    }

    /// Asks for what is still missing.
    fn connect(&mut self) -> Result<(), Error> {
        let received = self.digester.size();
        let mut request = self.request.clone();
        if received > 0 {
            let range = HeaderValue::try_from(format!("bytes={received}-"));
            request = request.with_header(RANGE, range.expect("invariant: digits are allowed in a header"));
        }
        let response = self.session.fetch(&self.reference, &Scope::pull(&self.reference), &request)?;
        let response = response.expect(&[StatusCode::OK, StatusCode::PARTIAL_CONTENT])?;
        let start = if response.status() == StatusCode::OK { 0 } else { received };
        let expected = self.descriptor.size - start;
        if let Some(found) = response.content_length().filter(|found| *found != expected) {
            return Err(Error::SizeMismatch { call: response.call().clone(), expected, found });
        }
        if start > 0 && !continues_at(&response, start) {
            return Err(response.invalid("the Content-Range header is not the range that was asked for"));
        }
        self.skip = received - start;
        self.response = Some(response);
        Ok(())
    }

    /// Receives until there is something to give away or everything has been.
    fn fill(&mut self) -> Result<(), Error> {
        while self.piece.is_empty() && !self.is_verified {
            if self.digester.size() >= self.descriptor.size {
                self.verify()?;
                return Ok(());
            }
            match self.receive() {
                Ok(piece) => self.accept(piece)?,
                Err(error) => self.recover(error)?,
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Bytes, Error> {
        let piece = match &mut self.response {
            Some(response) => response.piece()?,
            None => None,
        };
        piece.ok_or_else(|| {
            let (received, size) = (self.digester.size(), self.descriptor.size);
            let cause = format!("the body ended after {received} of {size} bytes");
            Error::Unreachable { call: self.call(), failure: Failure::ConnectionLost, cause }
        })
    }

    fn accept(&mut self, mut piece: Bytes) -> Result<(), Error> {
        let known = piece.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        self.skip -= piece.split_to(known).len() as u64;
        self.digester.update(&piece);
        if self.digester.size() >= self.descriptor.size {
            self.verify()?;
        }
        self.piece = piece;
        Ok(())
    }

    /// Compares what has been received with the descriptor; frees the connection when all is well.
    fn verify(&mut self) -> Result<(), Error> {
        let (expected, found) = (self.descriptor.size, self.digester.size());
        if expected != found {
            return Err(Error::SizeMismatch { call: self.call(), expected, found });
        }
        let (expected, found) = (self.descriptor.digest, self.digester.clone().finish());
        if expected != found {
            return Err(Error::DigestMismatch { call: self.call(), expected, found });
        }
        self.is_verified = true;
        self.response = None;
        self.slot = None;
        Ok(())
    }

    /// Connects again after `error`, as long as there are attempts left.
    fn recover(&mut self, mut error: Error) -> Result<(), Error> {
        let policy = self.session.transport().settings().retry;
        self.response = None;
        let received = self.digester.size();
        if received >= self.last_failure_at + PROGRESS {
            self.failures = 0;
        }
        self.last_failure_at = received;
        while error.is_transient() && self.failures < policy.attempts {
            retry::pause(policy, self.failures, &error);
            self.failures += 1;
            match self.connect() {
                Ok(()) => return Ok(()),
                Err(next) => error = next,
            }
        }
        Err(error)
    }

    fn call(&self) -> Call {
        self.request.call()
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.fill().map_err(io::Error::other)?;
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BlobReader")
            .field("digest", &self.descriptor.digest)
            .field("received", &self.digester.size())
            .finish_non_exhaustive()
    }
}

/// Whether a partial answer begins at `start`: `Content-Range: bytes 100-199/200`.
pub(crate) fn continues_at(response: &Response, start: u64) -> bool {
    let range = response.header(CONTENT_RANGE.as_str()).and_then(|text| text.strip_prefix("bytes "));
    let first = range.and_then(|range| range.split('-').next());
    first.and_then(|first| first.trim().parse().ok()) == Some(start)
}
