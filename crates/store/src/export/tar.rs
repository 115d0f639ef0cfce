//! The tar of an image archive: ustar(5) headers for a handful of short, fixed names.
//!
//! Not for layers, whose trees need far more of the format.

use std::io::{Read, Write};

use crate::Error;

const BLOCK: usize = 512;
/// The largest size that eleven octal digits hold.
const OCTAL_LIMIT: u64 = 0o777_7777_7777;

/// A tar being written, whose entries all belong to root and have no time.
pub(super) struct Archive<'a> {
    out: &'a mut dyn Write,
}

impl<'a> Archive<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out }
    }

    /// Adds a directory, whose name ends in a slash.
    pub(super) fn directory(&mut self, name: &str) -> Result<(), Error> {
        self.write(&header(name, b'5', 0o755, 0))
    }

    /// Adds a file with this content.
    pub(super) fn text(&mut self, name: &str, content: &[u8]) -> Result<(), Error> {
        self.file(name, content.len() as u64, content)
    }

    /// Adds a file with the `size` bytes that `content` yields; it is an invariant of readers here that they fail
    /// rather than yield fewer or more.
    pub(super) fn file(&mut self, name: &str, size: u64, mut content: impl Read) -> Result<(), Error> {
        self.write(&header(name, b'0', 0o644, size))?;
        let mut buffer = vec![0; 128 << 10];
        loop {
            match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => self.write(&buffer[..read])?,
                Err(source) if source.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::io("read", name.as_ref(), source)),
            }
        }
        let padding = (BLOCK - (size % BLOCK as u64) as usize) % BLOCK;
        self.write(&[0; BLOCK][..padding])
    }

    /// Writes the two blocks that end an archive.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.write(&[0; 2 * BLOCK])?;
        self.out.flush().map_err(|source| Error::Output { source })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(|source| Error::Output { source })
    }
}

fn header(name: &str, kind: u8, mode: u32, size: u64) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut set = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    set(0, name.as_bytes());
    set(100, format!("{mode:07o}\0").as_bytes());
    set(108, b"0000000\0");
    set(116, b"0000000\0");
    set(124, &size_field(size));
    set(136, b"00000000000\0");
    set(156, &[kind]);
    set(257, b"ustar\x0000");
    set(148, b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// The size in octal, or in GNU's base 256, which all readers know, from 8 GiB on.
fn size_field(size: u64) -> [u8; 12] {
    let mut field = [0; 12];
    if size <= OCTAL_LIMIT {
        field[..11].copy_from_slice(format!("{size:011o}").as_bytes());
    } else {
        field[0] = 0x80;
        field[4..].copy_from_slice(&size.to_be_bytes());
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_beyond_octal_are_read_by_another_reader() {
        for size in [0, 1, OCTAL_LIMIT, OCTAL_LIMIT + 1, 1 << 40] {
            let mut block = tar_header(&header("blobs/sha256/x", b'0', 0o644, size));
            assert_eq!(block.entry_size().unwrap(), size);
            let sum = block.cksum().unwrap();
            block.set_cksum();
            assert_eq!(block.cksum().unwrap(), sum);
        }
    }

    fn tar_header(bytes: &[u8; BLOCK]) -> ::tar::Header {
        ::tar::Header::from_byte_slice(bytes).clone()
    }
}
