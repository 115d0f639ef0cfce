//! The face of this crate: what can be done with a registry.

use std::io::{self, Read};
use std::sync::Arc;

use oci::{Descriptor, Digest, MediaType, Reference};

use crate::auth::Scope;
use crate::session::Session;
use crate::upload::Upload;
use crate::{
    BlobReader, Download, DownloadReader, DownloadRequest, Error, Fetched, PushedBlob, Settings, Url, blob,
    manifest, upload,
};

/// A client of any number of registries, to be shared between threads.
///
/// Connections, tokens and what has been learnt about a registry are kept for its lifetime. Every method blocks, none
/// of them without limit; failures that may pass are tried again as [`Settings::retry`] says. It must not be used
/// from inside an async runtime.
#[derive(Debug, Clone)]
pub struct Client {
    session: Arc<Session>,
}

impl Client {
    /// A client with those settings. Starts two threads, but reads no file and opens no socket yet.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        Ok(Self { session: Arc::new(Session::new(settings)?) })
    }

    /// What it was told.
    pub fn settings(&self) -> &Settings {
        self.session.transport().settings()
    }

    /// The manifest or index that `reference` names, whose digest has been checked.
    pub fn manifest(&self, reference: &Reference) -> Result<Fetched, Error> {
        manifest::pull(&self.session, reference)
    }

    /// The descriptor of what `reference` names, without fetching it; `None` if the registry knows no such thing.
    pub fn head_manifest(&self, reference: &Reference) -> Result<Option<Descriptor>, Error> {
        manifest::head(&self.session, reference)
    }

    /// The content of a blob in the repository of `reference`.
    ///
    /// Only the registry is asked: the `urls` of a descriptor are never followed.
    pub fn blob(&self, reference: &Reference, descriptor: &Descriptor) -> Result<BlobReader, Error> {
        BlobReader::open(&self.session, reference, descriptor)
    }

    /// Whether the repository of `reference` has a blob.
    pub fn has_blob(&self, reference: &Reference, digest: &Digest) -> Result<bool, Error> {
        blob::exists(&self.session, reference, *digest, &Scope::pull(reference))
    }

    /// Brings a blob into the repository of `reference`, by the cheapest way there is.
    ///
    /// `mount_from` are repositories of the same registry that may have it. `open` yields the content from its
    /// beginning; it is called for each attempt, and not at all when nothing need be sent. `progress` is told how many
    /// bytes of the blob have been sent so far, which falls back to 0 when an attempt begins anew.
    pub fn push_blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        mount_from: &[&str],
        open: &dyn Fn() -> io::Result<Box<dyn Read + Send>>,
        progress: &dyn Fn(u64),
    ) -> Result<PushedBlob, Error> {
        Upload { session: &self.session, reference, descriptor, open, progress }.run(mount_from)
    }

    /// Pushes a manifest or an index under the tag or digest of `reference` and returns its digest, which the
    /// registry has not contradicted.
    pub fn push_manifest(
        &self,
        reference: &Reference,
        media_type: &MediaType,
        bytes: &[u8],
    ) -> Result<Digest, Error> {
        manifest::push(&self.session, reference, media_type, bytes)
    }

    /// Begins to fetch a plain file, which need be in no registry; both http and https are spoken.
    ///
    /// A user and a password in `url` are shown to its host (scheme, host and port) alone, like
    /// [`DownloadRequest::authorization`]. Up to five redirects are followed, but none from https to http.
    pub fn download(&self, url: &Url, request: &DownloadRequest) -> Result<Download, Error> {
        DownloadReader::open(&self.session, url, request)
    }

    /// Fails if we may not push to the repository of `reference`. Begins an upload for that and cancels it.
    pub fn check_push_access(&self, reference: &Reference) -> Result<(), Error> {
        upload::check_access(&self.session, reference)
    }
}
