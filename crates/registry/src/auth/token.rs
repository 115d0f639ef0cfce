//! The token server: a bearer token for our credentials (distribution specification, token authentication).
//!
//! Builds the request and reads the answer; sending is the caller's.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::credentials::Secret;
use crate::Error;
use crate::transport::{Request, Response};

/// Tokens are a few KiB.
const ANSWER_LIMIT: u64 = 1 << 20;

/// The lifetime of a token that tells none, in seconds.
const DEFAULT_LIFETIME: u64 = 60;

/// Nobody pushes for longer than a day, in seconds.
const LONGEST_LIFETIME: u64 = 24 * 60 * 60;

/// Who we are to a server that asks for a client (RFC 6749).
const CLIENT_ID: &str = "builder";

/// Asks the server at `realm` for a token with these scopes: with GET, or with POST for a refresh token (RFC 6749).
pub(super) fn request(realm: Url, service: Option<&str>, scopes: &[&str], secret: &Secret) -> Request {
    if let Secret::IdentityToken(refresh_token) = secret {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token").append_pair("client_id", CLIENT_ID);
        form.append_pair("refresh_token", refresh_token).append_pair("scope", &scopes.join(" "));
        form.extend_pairs(service.map(|service| ("service", service)));
        let mut request = Request::new(Method::POST, realm)
            .with_header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        request.body = form.finish().into();
        return request;
    }
    let mut url = realm;
    let pairs = service.map(|service| ("service", service));
    url.query_pairs_mut().extend_pairs(pairs).extend_pairs(scopes.iter().map(|scope| ("scope", *scope)));
    Request::new(Method::GET, url)
}

/// The `Authorization` header for user and password (RFC 7617).
pub(super) fn basic(user: &str, password: &str) -> HeaderValue {
    let text = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
    let mut value = HeaderValue::try_from(text).expect("invariant: base64 is printable ASCII");
    value.set_sensitive(true);
    value
}

/// The `Authorization` header for a token (RFC 6750); `None` if the token holds what no header may.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    /// Seconds, as a number; whatever else stands there counts as nothing.
    #[serde(default)]
    expires_in: serde_json::Value,
}

/// The header that an answer grants, and for how long.
pub(super) fn read(response: Response) -> Result<(HeaderValue, Duration), Error> {
    let no_token = response.invalid("the token server's answer holds no token");
    let Ok(answer) = serde_json::from_slice::<Answer>(&response.body(ANSWER_LIMIT)?) else {
        return Err(no_token);
    };
    let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
    let header = Some(token).filter(|token| !token.is_empty()).and_then(|token| bearer(&token));
    let lifetime = answer.expires_in.as_u64().unwrap_or(DEFAULT_LIFETIME).min(LONGEST_LIFETIME);
    Ok((header.ok_or(no_token)?, Duration::from_secs(lifetime)))
}
