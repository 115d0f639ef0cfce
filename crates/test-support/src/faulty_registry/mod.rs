//! A registry in this process that works until it is told to misbehave, and remembers what it was asked.
//!
//! It speaks as much of the distribution specification as a builder needs, keeps everything in memory, and plays the
//! token server and the storage service as well. Tell it what goes wrong with [`FaultyRegistry::fault`].

mod content;
mod fault;
mod server;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::Digest;

use crate::Tls;
use crate::http_server::HttpServer;

pub use fault::Fault;
pub use server::{Challenge, Recorded};

/// A running registry on a free loopback port.
#[derive(Debug)]
pub struct FaultyRegistry {
    server: HttpServer,
    state: Arc<Mutex<server::State>>,
}

impl FaultyRegistry {
    /// Starts an empty registry on plain http.
    pub fn start() -> Self {
        Self::serve(None)
    }

    /// Starts an empty registry on https.
    pub fn start_tls(tls: &Tls) -> Self {
        Self::serve(Some(tls))
    }

    fn serve(tls: Option<&Tls>) -> Self {
        let state = Arc::new(Mutex::new(server::State::default()));
        let shared = Arc::clone(&state);
        let handler = move |exchange| server::handle(&shared, exchange);
        Self { server: HttpServer::start(tls.map(Tls::server_config), handler), state }
    }

    /// `127.0.0.1:PORT`, as it stands in an image name.
    pub fn host(&self) -> String {
        self.server.address().to_string()
    }

    /// Stores a blob in a repository and returns its digest.
    pub fn put_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        self.state().content.put_blob(repository, bytes.to_vec())
    }

    /// Stores a manifest under a tag and its digest, and returns the latter.
    pub fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) -> Digest {
        self.state().content.put_manifest(repository, tag, media_type, bytes.to_vec())
    }

    /// The content of a blob, if the repository has it.
    pub fn blob(&self, repository: &str, digest: &Digest) -> Option<Vec<u8>> {
        self.state().content.blob(repository, &digest.to_string()).cloned()
    }

    /// Demands credentials from now on.
    pub fn demand(&self, challenge: Challenge) {
        self.state().challenge = challenge;
    }

    /// Makes every token issued so far worthless.
    pub fn revoke_tokens(&self) {
        self.state().tokens = BTreeSet::new();
    }

    /// Makes the next `times` requests that begin with `request` (`"GET /v2/app/blobs/"`) meet `fault`.
    ///
    /// Faults are used up in the order they were given in.
    pub fn fault(&self, request: &str, times: usize, fault: Fault) {
        self.state().faults.push(fault::Planned { request: request.to_owned(), times, fault });
    }

    /// Everything that was asked, in order.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state().requests.clone()
    }

    /// How many requests began with `request`.
    pub fn count(&self, request: &str) -> usize {
        self.requests().iter().filter(|recorded| recorded.line().starts_with(request)).count()
    }

    fn state(&self) -> MutexGuard<'_, server::State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
