//! Every request to a registry: the scheme it is spoken to in, the credentials it is shown, the redirects it sends.
//!
//! Knows nothing of manifests and blobs. Credentials are attached in this module alone, and only to requests that go
//! to the registry's own scheme, host and port.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use oci::Reference;
use reqwest::header::{HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::auth::{Asker, Authorizer, Scope};
use crate::endpoint::{Scheme, refusal_to_follow, registry_url, repository_url, same_origin};
use crate::error::redacted;
use crate::transport::{Request, Response, Stream, Transport};
use crate::{Error, Settings, retry};

/// More redirects than this are a loop.
pub(crate) const REDIRECT_LIMIT: usize = 5;

/// What is known about all registries; shared by a client and its readers.
#[derive(Debug)]
pub(crate) struct Session {
    transport: Arc<Transport>,
    registries: Mutex<BTreeMap<String, Arc<Registry>>>,
}

/// What has been learnt about one registry.
#[derive(Debug, Default)]
struct Registry {
    scheme: Mutex<Option<Scheme>>,
    authorizer: Authorizer,
}

impl Session {
    pub(crate) fn new(settings: Settings) -> Result<Self, Error> {
        Ok(Self { transport: Arc::new(Transport::new(settings)?), registries: Mutex::default() })
    }

    pub(crate) fn transport(&self) -> &Arc<Transport> {
        &self.transport
    }

    /// Runs `operation` again after failures that may pass.
    pub(crate) fn retry<T>(&self, operation: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        retry::retry(self.transport.settings().retry, operation)
    }

    /// The URL of `tail` in the repository of `reference`.
    pub(crate) fn url(&self, reference: &Reference, tail: &str) -> Result<Url, Error> {
        repository_url(reference, self.scheme(reference.registry())?, tail)
    }

    /// Sends `request`, authorised for `scope` as soon as the registry asks for it.
    pub(crate) fn send(
        &self,
        reference: &Reference,
        scope: &Scope,
        request: &Request,
    ) -> Result<Response, Error> {
        self.authorized(reference.registry(), scope, &request.url, |authorization| {
            self.transport.send(reference.registry(), request, authorization)
        })
    }

    /// Sends `request` with a large body; `open` makes it again when the registry wants to know first who we are.
    pub(crate) fn send_stream(
        &self,
        reference: &Reference,
        scope: &Scope,
        request: &Request,
        mut open: impl FnMut(&mut dyn FnMut(Stream<'_>) -> Result<Response, Error>) -> Result<Response, Error>,
    ) -> Result<Response, Error> {
        self.authorized(reference.registry(), scope, &request.url, |authorization| {
            open(&mut |stream| {
                self.transport.send_stream(reference.registry(), request, authorization, stream)
            })
        })
    }

    /// Sends `request` and follows redirects, leaving the credentials behind.
    pub(crate) fn fetch(
        &self,
        reference: &Reference,
        scope: &Scope,
        request: &Request,
    ) -> Result<Response, Error> {
        let mut request = request.clone();
        for _ in 0..=REDIRECT_LIMIT {
            let response = self.send(reference, scope, &request)?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            request.url = self.location(&response)?;
        }
        let url = redacted(&request.url);
        Err(Error::UnsafeLocation { call: request.call(), location: url, problem: "too many redirects" })
    }

    /// The place that the `Location` header of `response` names, if we may go there.
    pub(crate) fn location(&self, response: &Response) -> Result<Url, Error> {
        let text =
            response.header(LOCATION.as_str()).ok_or_else(|| response.invalid("no Location header"))?;
        let Ok(url) = response.url().join(text) else {
            return Err(response.invalid("the Location header is not a URL"));
        };
        match refusal_to_follow(&self.transport.settings().tls.verify, response.url(), &url) {
            None => Ok(url),
            Some(problem) => {
                let (call, location) = (response.call().clone(), redacted(&url));
                Err(Error::UnsafeLocation { call, location, problem })
            }
        }
    }

    /// Sends with what has been granted; answers one challenge.
    fn authorized(
        &self,
        registry: &str,
        scope: &Scope,
        url: &Url,
        mut send: impl FnMut(Option<&HeaderValue>) -> Result<Response, Error>,
    ) -> Result<Response, Error> {
        if !same_origin(url, &registry_url(registry, self.scheme(registry)?, "")?) {
            return send(None);
        }
        let known = self.registry(registry);
        let granted = known.authorizer.granted(scope);
        let response = send(granted.as_ref())?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let credentials = &self.transport.settings().credentials;
        let asker = Asker { transport: &self.transport, credentials, registry };
        let header = known.authorizer.grant(&asker, scope, response, granted.as_ref())?;
        let response = send(Some(&header))?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(known.authorizer.refused(registry, response, &header));
        }
        Ok(response)
    }

    fn registry(&self, host: &str) -> Arc<Registry> {
        let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(registries.entry(host.to_owned()).or_default())
    }

    /// How `registry` is spoken to: https, unless it need not prove itself and speaks http only.
    fn scheme(&self, registry: &str) -> Result<Scheme, Error> {
        if !self.transport.settings().tls.verify.is_skipped_for(registry) {
            return Ok(Scheme::Https);
        }
        let known = self.registry(registry);
        let mut scheme = known.scheme.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scheme) = *scheme {
            return Ok(scheme);
        }
        let found = self.probe(registry)?;
        *scheme = Some(found);
        Ok(found)
    }

    /// Asks without credentials, so that none are spoken into the clear because https failed for a moment.
    fn probe(&self, registry: &str) -> Result<Scheme, Error> {
        let ask = |scheme| {
            let request = Request::new(Method::GET, registry_url(registry, scheme, "")?);
            self.transport.send(registry, &request, None)
        };
        match ask(Scheme::Https) {
            Ok(_) => Ok(Scheme::Https),
            Err(https @ Error::Unreachable { .. }) => {
                ask(Scheme::Http).map(|_| Scheme::Http).map_err(|_| https)
            }
            Err(error) => Err(error),
        }
    }
}
