//! Blobs by digest: written once, never changed, verified where they are read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::{Descriptor, Digest, Digester, MediaType};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use tempfile::NamedTempFile;

use crate::files::{self, Durability};
use crate::layout::Layout;
use crate::session::Session;
use crate::{Error, Store};

impl Store {
    /// Whether the store has the blob with the size that the descriptor gives.
    pub fn has(&self, descriptor: &Descriptor) -> bool {
        self.layout.has(descriptor)
    }

    /// The size of a blob in bytes; `None` if the store does not have it.
    pub fn blob_size(&self, digest: &Digest) -> Option<u64> {
        self.layout.blob_path(digest).metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len())
    }

    /// The blob's file, its size checked and its content not.
    ///
    /// For readers that verify themselves; else use [`Store::verified_reader`].
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<File, Error> {
        self.layout.open_blob(descriptor)
    }

    /// The blob as a stream whose end is reached only if size and digest are right.
    pub fn verified_reader(&self, descriptor: &Descriptor) -> Result<VerifiedReader, Error> {
        self.layout.verified_reader(descriptor)
    }

    /// The verified content of a document of at most `limit` bytes.
    pub fn read_blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, Error> {
        self.layout.read_blob(descriptor, limit)
    }

    /// Begins a blob whose digest is computed while it is written.
    pub fn blob_writer(&self) -> Result<BlobWriter, Error> {
        Ok(BlobWriter { blob: self.blob_file()?, digester: Digester::new() })
    }

    /// Begins a blob whose writer hashes by itself.
    pub fn blob_file(&self) -> Result<BlobFile, Error> {
        let temporary = files::create_temporary(self.layout.temporaries())?;
        let (layout, session) = (self.layout.clone(), Arc::clone(&self.session));
        Ok(BlobFile { temporary, layout, written: 0, reserved: None, _session: session })
    }

    /// Stores `bytes` and returns their descriptor.
    pub fn put_bytes(&self, media_type: impl Into<MediaType>, bytes: &[u8]) -> Result<Descriptor, Error> {
        let descriptor = Descriptor::of(media_type, bytes);
        let path = self.layout.blob_path(&descriptor.digest);
        if !self.has(&descriptor) {
            files::replace(self.layout.temporaries(), &path, Durability::Lazy, |file| file.write_all(bytes))?;
        }
        Ok(descriptor)
    }
}

impl Layout {
    pub(crate) fn open_blob(&self, descriptor: &Descriptor) -> Result<File, Error> {
        let path = self.blob_path(&descriptor.digest);
        let missing = || Error::MissingBlob { digest: descriptor.digest, path: self.dir().to_owned() };
        let file = match File::open(&path) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Err(missing()),
            opened => opened.map_err(|source| Error::io("open", &path, source))?,
        };
        let found = file.metadata().map_err(|source| Error::io("read", &path, source))?.len();
        check_size(&path, descriptor.size, found)?;
        Ok(file)
    }

    pub(crate) fn verified_reader(&self, descriptor: &Descriptor) -> Result<VerifiedReader, Error> {
        let file = self.open_blob(descriptor)?;
        let path = self.blob_path(&descriptor.digest);
        let (digest, size) = (descriptor.digest, descriptor.size);
        Ok(VerifiedReader { file, path, digest, size, digester: Digester::new() })
    }

    pub(crate) fn read_blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, Error> {
        let path = self.blob_path(&descriptor.digest);
        if descriptor.size > limit {
            return Err(Error::TooLarge { path, size: descriptor.size, limit });
        }
        let mut content = Vec::new();
        let read = self.verified_reader(descriptor)?.read_to_end(&mut content);
        read.map_err(|source| Error::io("read", &path, source))?;
        Ok(content)
    }
}

/// A file that becomes a blob when it is committed and vanishes when it is dropped.
///
/// `write` fails with an [`io::Error`] that holds an [`Error`].
#[derive(Debug)]
pub struct BlobFile {
    temporary: NamedTempFile,
    layout: Layout,
    written: u64,
    reserved: Option<u64>,
    _session: Arc<Session>,
}

impl BlobFile {
    /// Sets `size` bytes of disk aside, so that a full disk is known at once and not after a long download.
    pub fn reserve(&mut self, size: u64) -> Result<(), Error> {
        self.reserved = Some(size);
        match fallocate(self.temporary.as_file(), FallocateFlags::KEEP_SIZE, 0, size.max(1)) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(errno) => Err(self.failed(errno.into())),
        }
    }

    /// Makes the file the blob `digest` of `size` bytes, which the caller has computed from what it wrote.
    pub fn commit_known(self, digest: Digest, size: u64) -> Result<(), Error> {
        let target = self.layout.blob_path(&digest);
        check_size(&target, size, self.written)?;
        files::persist(self.temporary, &target, Durability::Lazy)
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::sized_io("write", self.temporary.path(), self.reserved, source)
    }
}

impl Write for BlobFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written =
            self.temporary.as_file_mut().write(bytes).map_err(|source| self.failed(source).into_io())?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A [`BlobFile`] that computes the digest of what is written to it.
#[derive(Debug)]
pub struct BlobWriter {
    blob: BlobFile,
    digester: Digester,
}

impl BlobWriter {
    /// As [`BlobFile::reserve`].
    pub fn reserve(&mut self, size: u64) -> Result<(), Error> {
        self.blob.reserve(size)
    }

    /// Makes what was written a blob, provided that it is the expected one, and returns its digest and size.
    ///
    /// A blob that is there already is replaced by the same bytes, which mends a damaged one.
    pub fn commit(self, expected: Option<&Descriptor>) -> Result<(Digest, u64), Error> {
        let size = self.blob.written;
        let found = self.digester.finish();
        if let Some(expected) = expected {
            let path = self.blob.layout.blob_path(&expected.digest);
            check_size(&path, expected.size, size)?;
            check_digest(&path, expected.digest, found)?;
        }
        self.blob.commit_known(found, size)?;
        Ok((found, size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.blob.write(bytes)?;
        self.digester.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.blob.flush()
    }
}

/// A blob's content, checked on the way: reading fails where size or digest turn out to be wrong.
///
/// `read` fails with an [`io::Error`] that holds an [`Error`]. Only who has read to the end knows that the content is
/// right.
#[derive(Debug)]
pub struct VerifiedReader {
    file: File,
    path: PathBuf,
    digest: Digest,
    size: u64,
    digester: Digester,
}

impl Read for VerifiedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read =
            self.file.read(buffer).map_err(|source| Error::io("read", &self.path, source).into_io())?;
        self.digester.update(&buffer[..read]);
        if self.digester.size() > self.size {
            let (path, expected, found) = (self.path.clone(), self.size, self.digester.size());
            return Err(Error::SizeMismatch { path, expected, found }.into_io());
        }
        if read == 0 && !buffer.is_empty() {
            self.check_end().map_err(Error::into_io)?;
        }
        Ok(read)
    }
}

impl VerifiedReader {
    fn check_end(&self) -> Result<(), Error> {
        check_size(&self.path, self.size, self.digester.size())?;
        check_digest(&self.path, self.digest, self.digester.clone().finish())
    }
}

fn check_size(path: &Path, expected: u64, found: u64) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::SizeMismatch { path: path.to_owned(), expected, found })
}

fn check_digest(path: &Path, expected: Digest, found: Digest) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::DigestMismatch { path: path.to_owned(), expected, found })
}
