//! What one registry has granted us so far, and how we ask it for more.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oci::Reference;
use reqwest::StatusCode;
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use url::Url;

use super::challenge::Challenge;
use super::credentials::{Login, Secret};
use super::token;
use crate::auth::LoginSource;
use crate::endpoint::refusal_to_follow;
use crate::error::redacted;
use crate::transport::{Response, Transport};
use crate::{Credentials, Error};

/// What a request needs to be allowed: whose credentials, and for which actions.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    repository: String,
    scopes: BTreeSet<String>,
}

impl Scope {
    /// Reads from the repository of `reference`.
    pub(crate) fn pull(reference: &Reference) -> Self {
        Self::new(reference, "pull")
    }

    /// Reads from and writes to the repository of `reference`.
    pub(crate) fn push(reference: &Reference) -> Self {
        Self::new(reference, "pull,push")
    }

    /// Reads from another repository of the same registry as well.
    pub(crate) fn and_pull_of(mut self, repository: &str) -> Self {
        self.scopes.insert(format!("repository:{repository}:pull"));
        self
    }

    /// The scopes to ask for: ours, and those that the registry would like beyond our repositories.
    fn with<'a>(&'a self, wanted: &'a str) -> Vec<&'a str> {
        let ours: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        let unknown = |scope: &&str| !ours.iter().any(|our| resource(our) == resource(scope));
        let others: Vec<&str> = wanted.split_ascii_whitespace().filter(unknown).collect();
        [ours, others].concat()
    }

    fn new(reference: &Reference, actions: &str) -> Self {
        let repository = reference.repository().to_owned();
        Self { scopes: BTreeSet::from([format!("repository:{repository}:{actions}")]), repository }
    }
}

/// A header that a registry took, or is expected to take.
#[derive(Debug, Clone)]
struct Grant {
    header: HeaderValue,
    scope: Scope,
    expires: Option<Instant>,
    source: LoginSource,
}

impl Grant {
    fn is_alive(&self) -> bool {
        self.expires.is_none_or(|end| Instant::now() < end)
    }

    fn covers(&self, scope: &Scope) -> bool {
        self.is_alive()
            && self.scope.repository == scope.repository
            && self.scope.scopes.is_superset(&scope.scopes)
    }
}

/// `repository:NAME` of `repository:NAME:ACTIONS`.
fn resource(scope: &str) -> &str {
    scope.rsplit_once(':').map_or(scope, |(resource, _)| resource)
}

/// The grants of one registry.
#[derive(Debug, Default)]
pub(crate) struct Authorizer {
    // Held while a token is fetched: threads that are refused together ask for one token, not for one each.
    grants: Mutex<Vec<Grant>>,
}

/// How to ask: the registry as it stands in image names, its credentials, and the way there.
pub(crate) struct Asker<'a> {
    pub(crate) transport: &'a Arc<Transport>,
    pub(crate) credentials: &'a Credentials,
    pub(crate) registry: &'a str,
}

impl Authorizer {
    /// The header for requests of that scope, if one has been granted before.
    pub(crate) fn granted(&self, scope: &Scope) -> Option<HeaderValue> {
        let grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        grants.iter().find(|grant| grant.covers(scope)).map(|grant| grant.header.clone())
    }

    /// Answers the challenge in `refused` (a 401) with a header that is not `rejected`.
    pub(crate) fn grant(
        &self,
        asker: &Asker<'_>,
        scope: &Scope,
        refused: Response,
        rejected: Option<&HeaderValue>,
    ) -> Result<HeaderValue, Error> {
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        grants.retain(|grant| grant.is_alive() && Some(&grant.header) != rejected);
        if let Some(grant) = grants.iter().find(|grant| grant.covers(scope)) {
            return Ok(grant.header.clone());
        }
        let login = asker.credentials.login(asker.registry, &scope.repository)?;
        let source = login.source.clone();
        let challenges = refused.headers().get_all(WWW_AUTHENTICATE);
        let challenge = Challenge::parse(challenges.iter().filter_map(|value| value.to_str().ok()));
        let granted = match (challenge, &login.secret) {
            (Some(Challenge::Basic), Secret::Password { user, password }) => {
                Some((token::basic(user, password), None))
            }
            (Some(Challenge::Bearer { .. }), Secret::RegistryToken(token)) => {
                token::bearer(token).map(|header| (header, None))
            }
            (Some(Challenge::Bearer { realm, service, scope: wanted }), _) => {
                let scopes = scope.with(wanted.as_deref().unwrap_or_default());
                let realm = safe_realm(asker, &refused, &realm)?;
                let (header, lifetime) = fetch(asker, &login, realm, service.as_deref(), &scopes)?;
                Some((header, Some(lifetime)))
            }
            _ => None,
        };
        match granted {
            Some((header, lifetime)) if Some(&header) != rejected => {
                // A tenth of the lifetime is left for the way of the request.
                let expires = lifetime.map(|lifetime: Duration| Instant::now() + lifetime.mul_f64(0.9));
                grants.push(Grant { header: header.clone(), scope: scope.clone(), expires, source });
                Ok(header)
            }
            _ => Err(unauthorized(asker.registry, refused, source)),
        }
    }

    /// The error for a header of ours that was refused although it is fresh.
    pub(crate) fn refused(&self, registry: &str, response: Response, header: &HeaderValue) -> Error {
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = grants.iter().find(|grant| grant.header == *header).cloned();
        grants.retain(|grant| grant.header != *header);
        let nowhere = LoginSource::Anonymous { looked_in: Vec::new() };
        unauthorized(registry, response, grant.map_or(nowhere, |grant| grant.source))
    }
}

fn unauthorized(registry: &str, response: Response, login: LoginSource) -> Error {
    let call = response.call().clone();
    let (refusal, login) = (Box::new(response.refusal()), Box::new(login));
    Error::Unauthorized { call, refusal, registry: registry.to_owned(), login }
}

/// The token server that a registry names, if we may take our credentials there.
fn safe_realm(asker: &Asker<'_>, refused: &Response, realm: &str) -> Result<Url, Error> {
    let Ok(url) = Url::parse(realm) else {
        return Err(refused.invalid("the realm of the token server is not a URL"));
    };
    let verify = &asker.transport.settings().tls.verify;
    match refusal_to_follow(verify, refused.url(), &url) {
        None => Ok(url),
        Some(problem) => {
            let (call, location) = (refused.call().clone(), redacted(&url));
            Err(Error::UnsafeLocation { call, location, problem })
        }
    }
}

fn fetch(
    asker: &Asker<'_>,
    login: &Login,
    realm: Url,
    service: Option<&str>,
    scopes: &[&str],
) -> Result<(HeaderValue, Duration), Error> {
    let request = token::request(realm, service, scopes, &login.secret);
    let authorization = match &login.secret {
        Secret::Password { user, password } => Some(token::basic(user, password)),
        _ => None,
    };
    let response = asker.transport.send(asker.registry, &request, authorization.as_ref())?;
    if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Err(unauthorized(asker.registry, response, login.source.clone()));
    }
    token::read(response.expect(&[StatusCode::OK])?)
}
