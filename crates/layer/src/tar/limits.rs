//! How much of an archive is read before it is called a bomb.

use std::io::{self, Read};

/// How much an archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The number of entries, extension headers apart.
    pub entries: u64,
    /// The size of the uncompressed archive in bytes.
    pub bytes: u64,
}

/// Four million entries in a quarter of a tebibyte: several times what the largest images in use hold.
impl Default for Limits {
    fn default() -> Self {
        Self { entries: 4_000_000, bytes: 256 * 1024 * 1024 * 1024 }
    }
}

/// A reader that fails when there is more than it may give.
#[derive(Debug)]
pub(super) struct Metered<R> {
    inner: R,
    limit: u64,
    left: u64,
    exceeded: bool,
}

impl<R> Metered<R> {
    /// Lets `limit` bytes of `inner` pass.
    pub(super) fn new(inner: R, limit: u64) -> Self {
        Self { inner, limit, left: limit, exceeded: false }
    }

    /// The number of bytes that have passed.
    pub(super) fn position(&self) -> u64 {
        self.limit - self.left
    }

    /// Whether a read failed because there was more.
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if allowed == 0 && !buffer.is_empty() {
            let more = self.inner.read(&mut [0])?;
            self.exceeded = more > 0;
            return if self.exceeded { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(0) };
        }
        let read = self.inner.read(&mut buffer[..allowed])?;
        self.left -= read as u64;
        Ok(read)
    }
}
