//! The bytes of regular files: reading them past holes, comparing, digesting and cloning them.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use oci::{Digest, Digester};
use rustix::fs::{SeekFrom, copy_file_range, ftruncate, ioctl_ficlone, seek};
use rustix::io::Errno;

use crate::Error;
use crate::error::Context;
use crate::metadata::Metadata;

const CHUNK: usize = 128 * 1024;

static ZEROS: [u8; CHUNK] = [0; CHUNK];

/// An open regular file with the metadata it had when it was opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) file: &'a File,
    pub(crate) metadata: &'a Metadata,
    /// For messages.
    pub(crate) path: &'a Path,
}

impl Content<'_> {
    /// Hands out the content in order, in pieces of bounded size: exactly `metadata.size` bytes, zeros for holes.
    ///
    /// Fails when the file was written meanwhile, so that a header with its size is never followed by something else.
    pub(crate) fn for_each_piece(
        self,
        mut visit: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut buffer = vec![0; CHUNK.min(self.metadata.size as usize)];
        let mut done = 0;
        while let Some(data) = self.next_data(done)? {
            visit_zeros(data.start - done, &mut visit)?;
            done = data.start;
            while done < data.end {
                let wanted = buffer.len().min((data.end - done) as usize);
                match self.file.read_at(&mut buffer[..wanted], done).context("read", self.path)? {
                    0 => return Err(self.changed()),
                    read => {
                        visit(&buffer[..read])?;
                        done += read as u64;
                    }
                }
            }
        }
        visit_zeros(self.metadata.size - done, &mut visit)?;
        self.verify_unchanged()
    }

    /// The digest of the content.
    pub(crate) fn digest(self) -> Result<Digest, Error> {
        let mut digester = Digester::new();
        self.for_each_piece(|piece| {
            digester.update(piece);
            Ok(())
        })?;
        Ok(digester.finish())
    }

    /// Whether both files hold the same bytes.
    pub(crate) fn equals(self, other: Content<'_>) -> Result<bool, Error> {
        if self.metadata.size != other.metadata.size {
            return Ok(false);
        }
        let (mut ours, mut theirs) = (vec![0; CHUNK], vec![0; CHUNK]);
        let mut done = 0;
        while done < self.metadata.size {
            let wanted = CHUNK.min((self.metadata.size - done) as usize);
            self.file.read_exact_at(&mut ours[..wanted], done).context("read", self.path)?;
            other.file.read_exact_at(&mut theirs[..wanted], done).context("read", other.path)?;
            if ours[..wanted] != theirs[..wanted] {
                return Ok(false);
            }
            done += wanted as u64;
        }
        Ok(true)
    }

    /// Copies the content into the empty file `to`: a reflink where the file system can, else holes are kept.
    pub(crate) fn clone_to(self, to: &File, path: &Path) -> Result<(), Error> {
        if self.metadata.size == 0 || ioctl_ficlone(to, self.file).is_ok() {
            return Ok(());
        }
        ftruncate(to, self.metadata.size).context("set the size of", path)?;
        let mut done = 0;
        while let Some(data) = self.next_data(done)? {
            self.copy_range(&data, to, path)?;
            done = data.end;
        }
        self.verify_unchanged()
    }

    fn copy_range(self, data: &Range<u64>, to: &File, path: &Path) -> Result<(), Error> {
        let (mut from, mut into) = (data.start, data.start);
        while from < data.end {
            let wanted = (data.end - from) as usize;
            match copy_file_range(self.file, Some(&mut from), to, Some(&mut into), wanted) {
                Ok(0) => return Err(self.changed()),
                Ok(_) | Err(Errno::INTR) => {}
                // copy_file_range(2): which pairs of file systems it can serve differs from kernel to kernel.
                Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                    return self.copy_bytes(&(from..data.end), to, path);
                }
                Err(errno) => return Err(Error::io("write", path, errno)),
            }
        }
        Ok(())
    }

    fn copy_bytes(self, data: &Range<u64>, to: &File, path: &Path) -> Result<(), Error> {
        let mut buffer = vec![0; CHUNK];
        let mut done = data.start;
        while done < data.end {
            let wanted = CHUNK.min((data.end - done) as usize);
            match self.file.read_at(&mut buffer[..wanted], done).context("read", self.path)? {
                0 => return Err(self.changed()),
                read => {
                    to.write_all_at(&buffer[..read], done).context("write", path)?;
                    done += read as u64;
                }
            }
        }
        Ok(())
    }

    /// The first run of data at or after `offset`; `None` when only a hole or nothing is left.
    fn next_data(self, offset: u64) -> Result<Option<Range<u64>>, Error> {
        let size = self.metadata.size;
        if offset >= size {
            return Ok(None);
        }
        if self.metadata.blocks.saturating_mul(512) >= size {
            return Ok(Some(offset..size));
        }
        let start = match seek(self.file, SeekFrom::Data(offset)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some(offset..size)),
            Err(errno) => return Err(Error::io("read", self.path, errno)),
        };
        let end = seek(self.file, SeekFrom::Hole(start)).context("read", self.path)?.min(size);
        Ok((start < end).then_some(start..end))
    }

    fn verify_unchanged(self) -> Result<(), Error> {
        let now = Metadata::read(self.file, c"").context("read the metadata of", self.path)?;
        let same = (now.size, now.mtime) == (self.metadata.size, self.metadata.mtime);
        if same { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(self) -> Error {
        Error::Changed { path: self.path.to_owned() }
    }
}

/// Hands out `length` zeros.
fn visit_zeros(mut length: u64, mut visit: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    while length > 0 {
        let piece = length.min(CHUNK as u64);
        visit(&ZEROS[..piece as usize])?;
        length -= piece;
    }
    Ok(())
}
