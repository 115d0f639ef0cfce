//! A token server as Debian's `docker-registry` trusts it: JSON web tokens signed with a key of its own.
//!
//! It gives every user who knows the password, and nobody else, the access that the scopes ask for. Tokens need no
//! clock: they are valid from 1970 to 2100.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, SigningKey as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http_server::{Exchange, HttpServer, Response};

/// The names that registry and server agree upon.
const ISSUER: &str = "builder-test-issuer";
const SERVICE: &str = "builder-test-registry";

/// A running token server on http; its folder goes with it.
#[derive(Debug)]
pub struct TokenServer {
    server: HttpServer,
    dir: TempDir,
    scopes: Arc<Mutex<Vec<Vec<String>>>>,
}

impl TokenServer {
    /// Starts a server that knows one user.
    pub fn start(user: &str, password: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory for the token key");
        let key = KeyPair::generate().expect("a key pair");
        let signer = CertifiedIssuer::self_signed(CertificateParams::default(), key).expect("a certificate");
        fs::write(dir.path().join("tokens.crt"), signer.pem()).expect("writing the token certificate");
        let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        let scopes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&scopes);
        let server = HttpServer::start(None, move |exchange| {
            answer(exchange, &signer, &expected, &mut seen.lock().unwrap_or_else(PoisonError::into_inner))
        });
        Self { server, dir, scopes }
    }

    /// The scopes of each token that was asked for, in order.
    pub fn requested_scopes(&self) -> Vec<Vec<String>> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The `auth` section for the registry that is to trust this server.
    pub(crate) fn registry_configuration(&self) -> String {
        format!(
            "auth:\n  token:\n    realm: http://{}/token\n    service: {SERVICE}\n    issuer: {ISSUER}\n    \
             rootcertbundle: {}",
            self.server.address(),
            self.dir.path().join("tokens.crt").display()
        )
    }
}

fn answer(
    mut exchange: Exchange,
    signer: &CertifiedIssuer<'_, KeyPair>,
    expected: &str,
    seen: &mut Vec<Vec<String>>,
) -> io::Result<()> {
    exchange.read_body()?;
    let scopes = exchange.head.query("scope");
    seen.push(scopes.clone());
    let response = if exchange.head.header("authorization") == Some(expected) {
        Response::new(200).with_body(json!({ "token": token(signer, &scopes) }).to_string())
    } else {
        Response::new(401).with_body(json!({ "details": "incorrect username or password" }).to_string())
    };
    exchange.respond(&response, usize::MAX)
}

/// A JSON web token (RFC 7519) that grants exactly `scopes`.
fn token(signer: &CertifiedIssuer<'_, KeyPair>, scopes: &[String]) -> String {
    let access: Vec<Value> = scopes.iter().filter_map(|scope| access(scope)).collect();
    let header =
        json!({ "typ": "JWT", "alg": "ES256", "x5c": [BASE64_STANDARD.encode(signer.der().as_ref())] });
    let claims = json!({
        "iss": ISSUER, "sub": "test", "aud": SERVICE, "jti": "test",
        "iat": 0, "nbf": 0, "exp": 4_102_444_800_u64, "access": access,
    });
    let content = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = signer.key().sign(content.as_bytes()).expect("signing a token");
    format!("{content}.{}", BASE64_URL_SAFE_NO_PAD.encode(raw_signature(&signature)))
}

/// `repository:NAME:pull,push` as a claim; names hold no colon.
fn access(scope: &str) -> Option<Value> {
    let mut parts = scope.splitn(3, ':');
    let (kind, name, actions) = (parts.next()?, parts.next()?, parts.next()?);
    Some(json!({ "type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>() }))
}

/// The two 32 byte numbers of an ECDSA P-256 signature, which X.509 writes in DER and RFC 7518 side by side.
fn raw_signature(der: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(64);
    let mut rest = &der[2..];
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number = &rest[2..2 + length];
        let number = &number[number.len().saturating_sub(32)..];
        raw.resize(raw.len() + 32 - number.len(), 0);
        raw.extend_from_slice(number);
        rest = &rest[2 + length..];
    }
    raw
}
