//! Images of files and directories → images of the store: everything that an image consists of is copied and checked on
//! the way, so that nobody later needs to know where it came from.
//!
//! [`layout`] reads what is described by an index or a manifest, [`docker_archive`] what `docker save` writes. Both read
//! [`Files`], which hide whether there is an archive around them.

mod docker_archive;
mod files;
mod layout;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use layer::{Limits, Root};
use oci::{Descriptor, Digest, Platform};

use crate::Shared;
use crate::base::{DOCUMENT_LIMIT, Image, image_in};
use crate::error::{Cause, Error};
use crate::name::{LocalImage, Transport};
use files::{Content, Files};

/// The most names that an error lists.
const NAMES: usize = 10;

impl Shared {
    /// Copies an image with all its layers into the store. What the name leaves open `platform` decides.
    ///
    /// Paths are those of `context`, which no lookup leaves; that of an `oci-layout://` is the user's own.
    pub(crate) fn import(
        &self,
        image: &LocalImage,
        context: Option<&Root>,
        platform: &Platform,
    ) -> Result<Image, Error> {
        let importer = Importer { shared: self, image, platform, files: self.files(image, context)? };
        let manifest = match image.transport {
            Transport::Oci | Transport::OciArchive | Transport::OciLayout => importer.layout()?,
            Transport::Dir => importer.dir()?,
            Transport::DockerArchive => importer.docker_archive()?,
        };
        image_in(&self.store, &manifest, &image.to_string())
    }

    fn files(&self, image: &LocalImage, context: Option<&Root>) -> Result<Files, Error> {
        let failed = |source| Cause::OpenImage { image: image.clone(), source }.into();
        let path = Path::new(&image.path);
        if !image.is_in_context() {
            return Root::open(path).map(Files::Directory).map_err(failed);
        }
        let context = context.ok_or(Cause::NoContext { instruction: "a local image" })?;
        match image.transport {
            Transport::Oci | Transport::Dir | Transport::OciLayout => {
                context.sub_root(path).map(Files::Directory).map_err(failed)
            }
            Transport::OciArchive | Transport::DockerArchive => {
                let file = context.open_file(path).map_err(failed)?;
                Files::archive(file, |decoded| self.spool(decoded, image), &failed)
            }
        }
    }

    /// A file without a name that holds what `decoded` yields, as far as an archive may go.
    fn spool(&self, decoded: Box<dyn Read + Send + '_>, image: &LocalImage) -> Result<File, Error> {
        let failed = |source| {
            Error::from(Cause::Io { action: "unpack the image", path: image.to_string().into(), source })
        };
        let path = self.new_dir("import")?.join("archive");
        let mut file = File::options().read(true).write(true).create_new(true).open(&path).map_err(failed)?;
        std::fs::remove_file(&path).map_err(failed)?;
        self.copy(&mut decoded.take(Limits::default().bytes), &mut file, &failed)?;
        Ok(file)
    }
}

/// An image under way into the store.
struct Importer<'a> {
    shared: &'a Shared,
    image: &'a LocalImage,
    platform: &'a Platform,
    files: Files,
}

impl Importer<'_> {
    /// The content of the document `name`.
    fn document(&self, name: &str) -> Result<Vec<u8>, Error> {
        let mut content = self.open(name)?;
        if content.size > DOCUMENT_LIMIT {
            return Err(self.bad(format!("its `{name}` has {} bytes", content.size)));
        }
        let mut bytes = Vec::new();
        content.bytes.read_to_end(&mut bytes).map_err(|source| self.unreadable(source))?;
        Ok(bytes)
    }

    /// The document that `descriptor` describes.
    fn described(&self, name: &str, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        let bytes = self.document(name)?;
        self.check(name, descriptor, Digest::of(&bytes), bytes.len() as u64)?;
        Ok(bytes)
    }

    /// Copies the blob that `descriptor` describes into the store, unless it is there.
    fn blob(&self, name: &str, descriptor: &Descriptor) -> Result<(), Error> {
        if self.shared.store.has(descriptor) {
            return Ok(());
        }
        let found = self.open(name)?.size;
        if found != descriptor.size {
            return self.check(name, descriptor, descriptor.digest, found);
        }
        let writer = self.copied(name)?;
        match writer.commit(Some(descriptor)) {
            Err(store::Error::DigestMismatch { found, .. }) => {
                self.check(name, descriptor, found, descriptor.size)
            }
            Err(store::Error::SizeMismatch { found, .. }) => {
                self.check(name, descriptor, descriptor.digest, found)
            }
            committed => Ok(committed.map(drop)?),
        }
    }

    /// The content of the file `name` as a blob to be.
    fn copied(&self, name: &str) -> Result<store::BlobWriter, Error> {
        let mut content = self.open(name)?;
        let mut writer = self.shared.store.blob_writer()?;
        writer.reserve(content.size)?;
        self.shared.copy(&mut content.bytes, &mut writer, &|source| self.unreadable(source))?;
        Ok(writer)
    }

    fn open(&self, name: &str) -> Result<Content<'_>, Error> {
        let opened = self.files.open(name).map_err(|source| self.unreadable(io::Error::other(source)))?;
        opened.ok_or_else(|| self.bad(format!("it has no `{name}`")))
    }

    fn check(&self, name: &str, expected: &Descriptor, digest: Digest, size: u64) -> Result<(), Error> {
        if size != expected.size {
            return Err(self.bad(format!("its `{name}` has {size} bytes instead of {}", expected.size)));
        }
        if digest != expected.digest {
            return Err(self.bad(format!("its `{name}` is damaged: the digest is {digest}")));
        }
        Ok(())
    }

    /// That the image cannot be used, and why.
    fn bad(&self, why: impl Into<String>) -> Error {
        Cause::BadImage { reference: self.image.to_string(), why: why.into() }.into()
    }

    fn unreadable(&self, source: io::Error) -> Error {
        Cause::Io { action: "read the image", path: self.image.to_string().into(), source }.into()
    }
}

/// Some of `names`, for a message.
fn listed(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().take(NAMES).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > NAMES { ", …" } else { "" };
    quoted.join(", ") + more
}
