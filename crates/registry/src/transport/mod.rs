//! One HTTP request and its answer, blocking outside, tokio and reqwest inside.
//!
//! The only module that knows the runtime. It follows nothing, retries nothing and knows no credentials: what is to
//! be sent is decided in `session`. No wait is unbounded.

mod response;
mod unreachable;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::poll_fn;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use url::Url;

use crate::endpoint::host_and_port;
use crate::error::Call;
use crate::tls::Trust;
use crate::{Error, Settings, tls};
use unreachable::{silence, unreachable};

pub(crate) use response::Response;
pub(crate) use unreachable::innermost;

/// A request without its credentials.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// A body that is small enough to be sent again.
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn call(&self) -> Call {
        Call::new(self.method.as_str(), &self.url)
    }
}

/// A body that is too large to be held: its length, and the next piece of it.
pub(crate) struct Stream<'a> {
    pub(crate) length: u64,
    /// Yields `None` at the end. An error breaks the request off and is returned from it.
    pub(crate) next: &'a mut dyn FnMut() -> Result<Option<Bytes>, Error>,
}

/// The runtime, the HTTP clients and the slots for transfers.
#[derive(Debug)]
pub(crate) struct Transport {
    /// Always there; taken when dropped.
    runtime: Option<Runtime>,
    settings: Settings,
    clients: Mutex<BTreeMap<(String, Trust), reqwest::Client>>,
    downloads: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
}

/// Which way a transfer goes; each way has slots of its own, so that a copy between registries cannot lock up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Direction {
    Download,
    Upload,
}

impl Transport {
    pub(crate) fn new(settings: Settings) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("registry")
            .enable_all()
            .build()
            .map_err(|source| Error::Runtime { source })?;
        let slots = || Arc::new(Semaphore::new(settings.parallel.max(1)));
        Ok(Self {
            runtime: Some(runtime),
            downloads: slots(),
            uploads: slots(),
            clients: Mutex::default(),
            settings,
        })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Waits for one of the slots for transfers in that direction.
    pub(crate) fn slot(&self, direction: Direction) -> OwnedSemaphorePermit {
        let slots = match direction {
            Direction::Download => &self.downloads,
            Direction::Upload => &self.uploads,
        };
        let permit = self.runtime().block_on(Arc::clone(slots).acquire_owned());
        permit.expect("invariant: the semaphores are never closed")
    }

    /// Sends `request` with the certificates of `registry` and returns whatever status comes back.
    pub(crate) fn send(
        self: &Arc<Self>,
        registry: &str,
        request: &Request,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Error> {
        let mut builder = self.prepare(registry, request, authorization)?;
        if !request.body.is_empty() {
            builder = builder.body(request.body.clone());
        }
        let sent = builder.send();
        let idle = self.settings.timeouts.idle;
        let answer = self.runtime().block_on(async { tokio::time::timeout(idle, sent).await });
        self.answer(request, answer.map_err(|_| idle))
    }

    /// Sends `request` with a body that is read while it is sent.
    pub(crate) fn send_stream(
        self: &Arc<Self>,
        registry: &str,
        request: &Request,
        authorization: Option<&HeaderValue>,
        Stream { length, next }: Stream<'_>,
    ) -> Result<Response, Error> {
        // Two pieces wait while one is read and one is written.
        let (sender, mut receiver) = mpsc::channel::<Result<Bytes, io::Error>>(2);
        let body = Body::wrap_stream(poll_fn(move |context| receiver.poll_recv(context)));
        let builder = self.prepare(registry, request, authorization)?;
        let builder = builder.header(CONTENT_LENGTH, length).body(body);
        let task = AbortOnDrop(self.runtime().spawn(builder.send()));
        self.pump(request, next, &sender)?;
        drop(sender);
        let commit = self.settings.timeouts.commit;
        let answer = self.runtime().block_on(async { tokio::time::timeout(commit, task.joined()).await });
        self.answer(request, answer.map_err(|_| commit))
    }

    /// Feeds the request until its body ends or the server has heard enough.
    fn pump(
        &self,
        request: &Request,
        next: &mut dyn FnMut() -> Result<Option<Bytes>, Error>,
        sender: &mpsc::Sender<Result<Bytes, io::Error>>,
    ) -> Result<(), Error> {
        let idle = self.settings.timeouts.idle;
        while let Some(piece) = next()? {
            let sent = async { tokio::time::timeout(idle, sender.send(Ok(piece))).await };
            match self.runtime().block_on(sent) {
                Ok(Ok(())) => {}
                // The request is over; its answer says why.
                Ok(Err(_)) => return Ok(()),
                Err(_) => return Err(silence(request.call(), idle)),
            }
        }
        Ok(())
    }

    fn prepare(
        &self,
        registry: &str,
        request: &Request,
        authorization: Option<&HeaderValue>,
    ) -> Result<reqwest::RequestBuilder, Error> {
        let client = self.client(registry, &request.url)?;
        let mut builder =
            client.request(request.method.clone(), request.url.clone()).headers(request.headers.clone());
        if let Some(value) = authorization {
            builder = builder.header(AUTHORIZATION, value);
        }
        Ok(builder)
    }

    /// The client with the certificates of `registry`; whether they are checked is up to the host of `url`.
    fn client(&self, registry: &str, url: &Url) -> Result<reqwest::Client, Error> {
        let is_exempt = self.settings.tls.verify.is_skipped_for(&host_and_port(url));
        let trust = if is_exempt { Trust::Blind } else { Trust::Proven };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (registry.to_owned(), trust);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = tls::http_client(&self.settings, registry, trust)?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    fn answer(
        self: &Arc<Self>,
        request: &Request,
        answer: Result<reqwest::Result<reqwest::Response>, Duration>,
    ) -> Result<Response, Error> {
        let call = request.call();
        match answer {
            Ok(Ok(inner)) => {
                tracing::debug!(%call, status = inner.status().as_u16(), "answer");
                Ok(Response::new(Arc::clone(self), inner, request))
            }
            Ok(Err(cause)) => Err(unreachable(call, &cause)),
            Err(limit) => Err(silence(call, limit)),
        }
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("invariant: the runtime is taken in drop only")
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        // A name resolution under way must not delay the end of the process.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A request under way; it ends when nobody waits for it.
struct AbortOnDrop(tokio::task::JoinHandle<reqwest::Result<reqwest::Response>>);

impl AbortOnDrop {
    async fn joined(mut self) -> reqwest::Result<reqwest::Response> {
        (&mut self.0).await.expect("invariant: the task neither panics nor is aborted while it is awaited")
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
