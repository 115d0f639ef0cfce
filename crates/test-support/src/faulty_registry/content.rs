//! What the registry holds: blobs by repository, manifests, uploads under way.

use std::collections::BTreeMap;

use oci::Digest;

/// Everything pushed so far. Digests are kept as the text that stands in a URL.
#[derive(Debug, Default)]
pub(super) struct Content {
    blobs: BTreeMap<(String, String), Vec<u8>>,
    manifests: BTreeMap<(String, String), Manifest>,
    uploads: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) bytes: Vec<u8>,
}

impl Content {
    pub(super) fn put_blob(&mut self, repository: &str, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.blobs.insert((repository.to_owned(), digest.to_string()), bytes);
        digest
    }

    pub(super) fn blob(&self, repository: &str, digest: &str) -> Option<&Vec<u8>> {
        self.blobs.get(&(repository.to_owned(), digest.to_owned()))
    }

    /// Takes a blob over from another repository, if that one has it.
    pub(super) fn mount(&mut self, repository: &str, from: &str, digest: &str) -> bool {
        let Some(bytes) = self.blob(from, digest).cloned() else { return false };
        self.put_blob(repository, bytes);
        true
    }

    pub(super) fn put_manifest(
        &mut self,
        repository: &str,
        tag: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Digest {
        let digest = Digest::of(&bytes);
        let manifest = Manifest { media_type: media_type.to_owned(), bytes };
        for identifier in [tag, &digest.to_string()] {
            self.manifests.insert((repository.to_owned(), identifier.to_owned()), manifest.clone());
        }
        digest
    }

    pub(super) fn manifest(&self, repository: &str, identifier: &str) -> Option<&Manifest> {
        self.manifests.get(&(repository.to_owned(), identifier.to_owned()))
    }

    /// The name of another upload.
    pub(super) fn start_upload(&mut self) -> u32 {
        self.uploads += 1;
        self.uploads
    }
}
