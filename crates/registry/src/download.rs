//! A plain file from anywhere: over the transport of registries, but with none of their rules and credentials.
//!
//! Nothing here knows what the file is to be; whoever has a checksum for it compares it.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use jiff::fmt::rfc2822::DateTimeParser;
use percent_encoding::percent_decode_str;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_DISPOSITION, ETAG, HeaderValue, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE,
};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::blob::continues_at;
use crate::endpoint::{host_and_port, same_origin};
use crate::error::{Failure, redacted};
use crate::file_name::file_name;
use crate::session::{REDIRECT_LIMIT, Session};
use crate::transport::{Request, Response};
use crate::{Error, retry};

/// What goes with the request for a file.
#[derive(Clone, Default)]
pub struct DownloadRequest {
    /// The value of the `Authorization` header, such as `Bearer TOKEN`: for the host of the URL and for no other that
    /// it redirects to. It counts more than a user and password in the URL.
    pub authorization: Option<String>,
}

impl fmt::Debug for DownloadRequest {
    // The header is a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DownloadRequest").finish_non_exhaustive()
    }
}

/// A file whose content is about to be read.
#[derive(Debug)]
pub struct Download {
    /// Where it was found in the end, without user and password; its query may still be a secret.
    pub url: Url,
    /// When it was changed last, in seconds since 1970.
    pub last_modified: Option<i64>,
    /// What its server (`Content-Disposition`, RFC 6266), else the last part of the path of [`url`](Self::url), calls
    /// it: a single name, never `.` or `..` and without control characters.
    pub file_name: Option<String>,
    /// Its entity tag as the server wrote it.
    pub etag: Option<String>,
    /// Its length in bytes, if the server tells it.
    pub length: Option<u64>,
    /// Its content.
    pub reader: DownloadReader,
}

/// The content of a file.
///
/// A connection that breaks is made again where the server can tell that the file is still the same, otherwise the
/// read fails: a file is never cut short in silence. Errors are [`Error`] inside [`io::Error`].
pub struct DownloadReader {
    session: Arc<Session>,
    request: Request,
    authorization: Option<HeaderValue>,
    response: Option<Response>,
    /// Received, but not yet given away.
    piece: Bytes,
    received: u64,
    length: Option<u64>,
    /// The strong validator (RFC 9110, 8.8.1) that allows to go on after a break.
    validator: Option<HeaderValue>,
    failures: u32,
    is_complete: bool,
}

impl DownloadReader {
    pub(crate) fn open(
        session: &Arc<Session>,
        url: &Url,
        request: &DownloadRequest,
    ) -> Result<Download, Error> {
        let authorization = authorization(url, request)?;
        let get = Request::new(Method::GET, without_user(url)?);
        let mut reader = Self {
            session: Arc::clone(session),
            // What is stored is what the server has, not what a transfer makes of it.
            request: get.with_header(ACCEPT_ENCODING, HeaderValue::from_static("identity")),
            authorization,
            response: None,
            piece: Bytes::new(),
            received: 0,
            length: None,
            validator: None,
            failures: 0,
            is_complete: false,
        };
        let response = session.retry(|| reader.fetch(&reader.request)?.expect_file(StatusCode::OK))?;
        let etag = response.headers().get(ETAG);
        reader.length = response.content_length();
        reader.validator = etag.filter(|tag| tag.as_bytes().starts_with(b"\"")).cloned();
        let url = response.url().clone();
        let download = Download {
            last_modified: response.header(LAST_MODIFIED.as_str()).and_then(seconds),
            file_name: file_name(response.header(CONTENT_DISPOSITION.as_str()), &url),
            etag: response.header(ETAG.as_str()).map(str::to_owned),
            length: reader.length,
            url,
            reader: Self { response: Some(response), ..reader },
        };
        Ok(download)
    }

    /// Sends `request` and follows redirects; only the host that it begins at is told who we are.
    fn fetch(&self, request: &Request) -> Result<Response, Error> {
        let mut request = request.clone();
        for _ in 0..=REDIRECT_LIMIT {
            let is_ours = same_origin(&request.url, &self.request.url);
            let authorization = self.authorization.as_ref().filter(|_| is_ours);
            let response =
                self.session.transport().send(&host_and_port(&request.url), &request, authorization)?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            request.url = location(&response)?;
        }
        let location = redacted(&request.url);
        Err(Error::FileRedirect { call: self.request.call(), location, problem: "too many redirects" })
    }

    /// The next piece, empty at the end of the file.
    fn receive(&mut self) -> Result<Bytes, Error> {
        while !self.is_complete {
            match self.next_piece() {
                Ok(Some(piece)) => {
                    self.received += piece.len() as u64;
                    return Ok(piece);
                }
                Ok(None) if self.length.is_none_or(|length| length == self.received) => {
                    self.is_complete = true;
                }
                Ok(None) => self.recover(self.cut())?,
                Err(error) => self.recover(error)?,
            }
        }
        Ok(Bytes::new())
    }

    fn next_piece(&mut self) -> Result<Option<Bytes>, Error> {
        match &mut self.response {
            Some(response) => response.piece(),
            None => Err(self.cut()),
        }
    }

    fn cut(&self) -> Error {
        let cause = match self.length {
            Some(length) => format!("the body ended after {} of {length} bytes", self.received),
            None => format!("the body ended after {} bytes", self.received),
        };
        Error::Unreachable { call: self.request.call(), failure: Failure::ConnectionLost, cause }
    }

    /// Asks for what is missing after `error`, as long as there are attempts left and the file is the same.
    fn recover(&mut self, mut error: Error) -> Result<(), Error> {
        self.response = None;
        let policy = self.session.transport().settings().retry;
        let Some(validator) = self.validator.clone() else { return Err(error) };
        while error.is_transient() && self.failures < policy.attempts {
            retry::pause(policy, self.failures, &error);
            self.failures += 1;
            match self.resume(&validator) {
                Ok(response) => {
                    self.response = Some(response);
                    return Ok(());
                }
                Err(next) => error = next,
            }
        }
        Err(error)
    }

    fn resume(&self, validator: &HeaderValue) -> Result<Response, Error> {
        let range = HeaderValue::try_from(format!("bytes={}-", self.received));
        let range = range.expect("invariant: digits are allowed in a header");
        let request = self.request.clone().with_header(RANGE, range).with_header(IF_RANGE, validator.clone());
        let response = self.fetch(&request)?;
        if response.status() == StatusCode::OK {
            return Err(response.invalid("the file changed while it was read"));
        }
        let response = response.expect_file(StatusCode::PARTIAL_CONTENT)?;
        if continues_at(&response, self.received) {
            return Ok(response);
        }
        Err(response.invalid("the Content-Range header is not the range that was asked for"))
    }
}

impl Read for DownloadReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() && !buffer.is_empty() {
            self.piece = self.receive().map_err(io::Error::other)?;
        }
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

impl fmt::Debug for DownloadReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = self.request.call();
        formatter.debug_struct("DownloadReader").field("call", &call).finish_non_exhaustive()
    }
}

/// What the host of `url` is shown: what the caller has for it, else the user and password of `url`.
fn authorization(url: &Url, request: &DownloadRequest) -> Result<Option<HeaderValue>, Error> {
    let text = match &request.authorization {
        Some(given) => given.clone(),
        None if url.username().is_empty() && url.password().is_none() => return Ok(None),
        None => {
            let mut login: Vec<u8> = percent_decode_str(url.username()).collect();
            login.push(b':');
            login.extend(percent_decode_str(url.password().unwrap_or_default()));
            format!("Basic {}", BASE64_STANDARD.encode(login))
        }
    };
    let Ok(mut value) = HeaderValue::try_from(text) else {
        return Err(unusable(url, "the secret for its host cannot be sent in a header"));
    };
    value.set_sensitive(true);
    Ok(Some(value))
}

/// `url` as it is asked for: an http URL without user and password.
fn without_user(url: &Url) -> Result<Url, Error> {
    let mut plain = url.clone();
    if !matches!(url.scheme(), "http" | "https") {
        return Err(unusable(url, "it is neither http nor https"));
    }
    if plain.set_username("").is_err() || plain.set_password(None).is_err() {
        return Err(unusable(url, "it names no host"));
    }
    plain.set_fragment(None);
    Ok(plain)
}

fn unusable(url: &Url, problem: &'static str) -> Error {
    Error::FileUrl { url: redacted(url), problem }
}

/// Where the server sends us, if we may go there.
fn location(response: &Response) -> Result<Url, Error> {
    let text = response.header(LOCATION.as_str()).ok_or_else(|| response.invalid("no Location header"))?;
    let Ok(to) = response.url().join(text) else {
        return Err(response.invalid("the Location header is not a URL"));
    };
    let problem = match to.scheme() {
        "http" if response.url().scheme() == "https" => "it leaves https",
        "http" | "https" if to.username().is_empty() && to.password().is_none() => return Ok(to),
        "http" | "https" => "it holds a user name",
        _ => "it is neither http nor https",
    };
    Err(Error::FileRedirect { call: response.call().clone(), location: redacted(&to), problem })
}

/// The seconds of a date as HTTP writes it (RFC 9110, 5.6.7).
fn seconds(date: &str) -> Option<i64> {
    Some(DateTimeParser::new().parse_timestamp(date).ok()?.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("yesterday"), None);
    }

    #[test]
    fn users_and_passwords_leave_the_url_and_nothing_shows_them() {
        let url = Url::parse("https://me:p%40ss@h/f?sig=1#x").unwrap();
        assert_eq!(without_user(&url).unwrap().as_str(), "https://h/f?sig=1");
        let shown = authorization(&url, &DownloadRequest::default()).unwrap().unwrap();
        assert_eq!(shown.as_bytes(), b"Basic bWU6cEBzcw==");
        assert!(!format!("{shown:?}").contains("bWU6"));
        let request = DownloadRequest { authorization: Some("Bearer t\nx".into()) };
        let error = authorization(&url, &request).unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot download from https://h/f: the secret for its host cannot be sent in a header"
        );
        assert!(!format!("{request:?}").contains("Bearer"));
    }
}
