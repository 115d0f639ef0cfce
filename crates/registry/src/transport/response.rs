//! The answer to a request, of which nothing but the head has been read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use url::Url;

use super::unreachable::{silence, unreachable};
use super::{Request, Transport};
use crate::Error;
use crate::error::{Call, Refusal};

/// The most that is read of an error's body.
const REFUSAL_LIMIT: u64 = 64 << 10;

/// The longest pause that a server may ask for.
const RETRY_AFTER_LIMIT: Duration = Duration::from_mins(1);

/// An answer whose body has not been read.
#[derive(Debug)]
pub(crate) struct Response {
    transport: Arc<Transport>,
    inner: reqwest::Response,
    call: Call,
    url: Url,
}

impl Response {
    pub(super) fn new(transport: Arc<Transport>, inner: reqwest::Response, request: &Request) -> Self {
        Self { transport, inner, call: request.call(), url: request.url.clone() }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.inner.status()
    }

    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    /// The URL that was asked.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// A header's value, if it is there and readable.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// The media type of the body, without parameters.
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.header(CONTENT_TYPE.as_str())?.split(';').next().map(str::trim)
    }

    /// The length of the body, if the server tells it.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH.as_str())?.parse().ok()
    }

    /// The next piece of the body, `None` at its end.
    pub(crate) fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        let idle = self.transport.settings.timeouts.idle;
        let next = self.inner.chunk();
        let next = self.transport.runtime().block_on(async { tokio::time::timeout(idle, next).await });
        match next {
            Ok(piece) => piece.map_err(|cause| unreachable(self.call.clone(), &cause)),
            Err(_) => Err(silence(self.call.clone(), idle)),
        }
    }

    /// The whole body, which may have up to `limit` bytes.
    pub(crate) fn body(mut self, limit: u64) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece()? {
            if (body.len() + piece.len()) as u64 > limit {
                return Err(Error::TooLarge { call: self.call, limit });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// What an error status says; a body that cannot be read says nothing.
    pub(crate) fn refusal(self) -> Refusal {
        let status = self.status().as_u16();
        let seconds = self.header(RETRY_AFTER.as_str()).and_then(|text| text.trim().parse().ok());
        let retry_after = seconds.map(Duration::from_secs).map(|pause| pause.min(RETRY_AFTER_LIMIT));
        Refusal::parse(status, retry_after, &self.body(REFUSAL_LIMIT).unwrap_or_default())
    }

    /// Passes the statuses in `expected` on and makes an error of all others.
    pub(crate) fn expect(self, expected: &[StatusCode]) -> Result<Self, Error> {
        if expected.contains(&self.status()) {
            return Ok(self);
        }
        if !self.status().is_client_error() && !self.status().is_server_error() {
            return Err(self.invalid("the status is none that the specification allows"));
        }
        let call = self.call.clone();
        Err(Error::Refused { call, refusal: Box::new(self.refusal()) })
    }

    /// Passes the status `expected` of a plain file on and makes an error of all others.
    pub(crate) fn expect_file(self, expected: StatusCode) -> Result<Self, Error> {
        if self.status() == expected {
            return Ok(self);
        }
        let call = self.call.clone();
        Err(Error::FileRefused { call, refusal: Box::new(self.refusal()) })
    }

    /// The error that this answer breaks the rules.
    pub(crate) fn invalid(&self, problem: &'static str) -> Error {
        Error::InvalidAnswer { call: self.call.clone(), problem }
    }
}
