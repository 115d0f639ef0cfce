//! The files that hold an image: those of a directory, or those of an archive of any compression.
//!
//! Names come from documents that nobody vouches for; none leads out of the directory or the archive. Knows no image.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use layer::{Encoding, Extent, Listing, Root};

use crate::error::Error;

/// Where the documents and blobs of an image are read from.
#[derive(Debug)]
pub(super) enum Files {
    Directory(Root),
    /// An uncompressed archive and what it holds.
    Archive(File, Listing),
}

/// The content of one of the files.
pub(super) struct Content<'a> {
    /// Its size in bytes.
    pub(super) size: u64,
    /// Its bytes; no more than `size` of them.
    pub(super) bytes: Box<dyn Read + Send + 'a>,
}

impl Files {
    /// The files of an archive. A compressed one is unpacked to `spool` first, as it has to be read here and there.
    pub(super) fn archive(
        mut file: File,
        spool: impl FnOnce(Box<dyn Read + Send + '_>) -> Result<File, Error>,
        failed: &dyn Fn(layer::Error) -> Error,
    ) -> Result<Self, Error> {
        let read = |source| failed(layer::Error::ReadArchive { source });
        let (encoding, decoded) = layer::decode(&mut file).map_err(failed)?;
        let mut archive = match encoding {
            Encoding::Plain => {
                drop(decoded);
                file
            }
            _ => spool(decoded)?,
        };
        archive.rewind().map_err(read)?;
        let listing = Listing::read(&archive).map_err(failed)?;
        Ok(Self::Archive(archive, listing))
    }

    /// Opens the file `name`; `None` if there is none.
    pub(super) fn open(&self, name: &str) -> Result<Option<Content<'_>>, layer::Error> {
        let path = Path::new(name);
        match self {
            Self::Directory(root) => {
                let Some(metadata) = root.stat(path)? else { return Ok(None) };
                let file = root.open_file(path)?;
                let size = metadata.size;
                Ok(Some(Content { size, bytes: Box::new(file.take(size)) }))
            }
            Self::Archive(file, listing) => Ok(listing.find(path).map(|Extent { offset, size }| Content {
                size,
                bytes: Box::new(Member { file, offset, left: size }),
            })),
        }
    }
}

/// A part of a file, read without moving the position that others share.
#[derive(Debug)]
struct Member<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Member<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}
