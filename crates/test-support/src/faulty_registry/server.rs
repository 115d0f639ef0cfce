//! The requests of the distribution specification, answered from memory.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::content::Content;
use super::fault::{self, Fault, Planned};
use crate::http_server::{Exchange, Head, Response, form};

/// What the registry wants to see before it serves anyone.
#[derive(Debug, Clone, Default)]
pub enum Challenge {
    /// Nothing.
    #[default]
    None,
    /// This user and password.
    Basic(&'static str, &'static str),
    /// A token from the server at that realm, which may be this server's own `/token`.
    Bearer {
        /// The URL of the token server.
        realm: String,
        /// What tokens say about their lifetime, in seconds.
        expires_in: u64,
    },
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The HTTP method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body of requests to the token server; empty for all others.
    pub form: String,
}

impl Recorded {
    /// `METHOD PATH?QUERY`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) content: Content,
    pub(super) challenge: Challenge,
    pub(super) tokens: BTreeSet<String>,
    pub(super) issued: u32,
    pub(super) faults: Vec<Planned>,
    pub(super) requests: Vec<Recorded>,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records the request, lets a planned fault have its way with it, and answers.
pub(super) fn handle(state: &Mutex<State>, mut exchange: Exchange) -> io::Result<()> {
    let head = exchange.head.clone();
    let recorded = Recorded {
        method: head.method.clone(),
        target: head.target.clone(),
        headers: head.headers.clone(),
        form: String::new(),
    };
    let fault = fault::due(&mut locked(state).faults, &recorded.line());
    locked(state).requests.push(recorded);
    match &fault {
        Some(Fault::HangUp) => return Ok(()),
        Some(Fault::HangUpAfter(length)) => return exchange.skip_body(*length),
        Some(Fault::Stall(pause)) => thread::sleep(*pause),
        _ => {}
    }
    let body = exchange.read_body()?;
    if let Some(Fault::Answer { status, headers, body }) = &fault {
        let response = Response::new(*status).with_body(body.as_bytes());
        let response =
            headers.iter().fold(response, |response, (name, value)| response.with_header(name, value));
        return exchange.respond(&response, usize::MAX);
    }
    let head = match fault {
        Some(Fault::IgnoreRange) => without_range(head),
        _ => head,
    };
    let response = answer(&mut locked(state), &head, body);
    deliver(exchange, response, fault)
}

fn without_range(mut head: Head) -> Head {
    head.headers.retain(|(name, _)| name != "range");
    head
}

fn deliver(exchange: Exchange, mut response: Response, fault: Option<Fault>) -> io::Result<()> {
    let mut limit = usize::MAX;
    match fault {
        Some(Fault::LoseAnswer) => return Ok(()),
        Some(Fault::Truncate(length)) => limit = length,
        Some(Fault::Corrupt) => {
            if let Some(first) = response.body.first_mut() {
                *first = !*first;
            }
        }
        Some(Fault::Replace(body)) => response.body = body,
        Some(Fault::ReplaceWithoutLength(body)) => {
            response = Response { body, tells_length: false, ..response }
        }
        Some(Fault::Header(name, value)) => response = response.with_header(name, value),
        _ => {}
    }
    exchange.respond(&response, limit)
}

fn answer(state: &mut State, head: &Head, body: Vec<u8>) -> Response {
    if head.path() == "/token" {
        return issue_token(state, head, &body);
    }
    // What object storage does: whoever knows the link may read.
    if let Some(digest) = head.path().strip_prefix("/storage/app/") {
        return blob(&state.content, "app", digest, head);
    }
    if let Some(refusal) = refusal(state, head) {
        return refusal;
    }
    let path = head.path().strip_prefix("/v2/").unwrap_or_default();
    if path.is_empty() {
        return Response::new(200).with_body("{}");
    }
    if let Some((repository, identifier)) = path.split_once("/manifests/") {
        return manifest(&mut state.content, head, repository, identifier, body);
    }
    if let Some((repository, upload)) = path.split_once("/blobs/uploads/") {
        return upload_blob(&mut state.content, head, repository, upload, body);
    }
    match path.split_once("/blobs/") {
        Some((repository, digest)) => blob(&state.content, repository, digest, head),
        None => error(404, "UNSUPPORTED"),
    }
}

/// A token for everyone who asks; the test looks at what was shown for it.
fn issue_token(state: &mut State, head: &Head, body: &[u8]) -> Response {
    let form_text = String::from_utf8_lossy(body).into_owned();
    if let Some(last) = state.requests.iter_mut().rev().find(|recorded| recorded.target == head.target) {
        last.form.clone_from(&form_text);
    }
    if form(&form_text, "refresh_token").iter().any(|token| token == "wrong") {
        return error(401, "UNAUTHORIZED");
    }
    let Challenge::Bearer { expires_in, .. } = state.challenge else { return error(404, "UNSUPPORTED") };
    state.issued += 1;
    let token = format!("token-{}", state.issued);
    state.tokens.insert(token.clone());
    Response::new(200).with_body(json!({ "token": token, "expires_in": expires_in }).to_string())
}

/// The 401 for a request that does not show what is demanded.
fn refusal(state: &State, head: &Head) -> Option<Response> {
    let shown = head.header("authorization").unwrap_or_default();
    let (is_welcome, challenge) = match &state.challenge {
        Challenge::None => return None,
        Challenge::Basic(user, password) => {
            let expected = BASE64_STANDARD.encode(format!("{user}:{password}"));
            (shown == format!("Basic {expected}"), "Basic realm=\"test\"".to_owned())
        }
        Challenge::Bearer { realm, .. } => {
            let token = shown.strip_prefix("Bearer ").unwrap_or_default();
            (state.tokens.contains(token), format!("Bearer realm=\"{realm}\",service=\"test\""))
        }
    };
    (!is_welcome).then(|| error(401, "UNAUTHORIZED").with_header("WWW-Authenticate", challenge))
}

fn manifest(
    content: &mut Content,
    head: &Head,
    repository: &str,
    identifier: &str,
    body: Vec<u8>,
) -> Response {
    if head.method == "PUT" {
        let media_type = head.header("content-type").unwrap_or_default().to_owned();
        let digest = content.put_manifest(repository, identifier, &media_type, body);
        return Response::new(201).with_header("Docker-Content-Digest", digest.to_string());
    }
    let Some(manifest) = content.manifest(repository, identifier) else {
        return error(404, "MANIFEST_UNKNOWN");
    };
    Response::new(200)
        .with_header("Content-Type", &manifest.media_type)
        .with_header("Docker-Content-Digest", oci::Digest::of(&manifest.bytes).to_string())
        .with_body(manifest.bytes.clone())
}

fn blob(content: &Content, repository: &str, digest: &str, head: &Head) -> Response {
    let Some(bytes) = content.blob(repository, digest) else { return error(404, "BLOB_UNKNOWN") };
    // As Debian's registry and object storage have it.
    let etag = format!("\"{digest}\"");
    let range = head.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    let Some(start) =
        range.and_then(|start| start.parse::<usize>().ok()).filter(|start| *start < bytes.len())
    else {
        return Response::new(200).with_header("ETag", etag).with_body(bytes.clone());
    };
    let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
    Response::new(206)
        .with_header("ETag", etag)
        .with_header("Content-Range", range)
        .with_body(&bytes[start..])
}

fn upload_blob(
    content: &mut Content,
    head: &Head,
    repository: &str,
    upload: &str,
    body: Vec<u8>,
) -> Response {
    let one = |key: &str| head.query(key).into_iter().next().unwrap_or_default();
    match head.method.as_str() {
        "POST" if content.mount(repository, &one("from"), &one("mount")) => {
            Response::new(201).with_header("Docker-Content-Digest", one("mount"))
        }
        "POST" => {
            let location = format!("/v2/{repository}/blobs/uploads/{}?_state=secret", content.start_upload());
            Response::new(202).with_header("Location", location)
        }
        "PUT" if !upload.is_empty() => {
            let digest = content.put_blob(repository, body).to_string();
            if digest != one("digest") {
                return error(400, "DIGEST_INVALID");
            }
            Response::new(201).with_header("Docker-Content-Digest", digest)
        }
        "DELETE" => Response::new(204),
        _ => error(405, "UNSUPPORTED"),
    }
}

fn error(status: u16, code: &str) -> Response {
    let body = json!({ "errors": [{ "code": code, "message": "no" }] });
    Response::new(status).with_body(body.to_string())
}
