//! The compressions a layer can have, behind one writer.

use std::io::{self, Write};

use oci::MediaType;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::gzip::ParallelGzip;
use crate::Error;

/// How a layer is compressed. Level and kind decide its bytes, nothing else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip at a level from 1 to 9; others are brought into that range.
    Gzip(u32),
    /// zstd at a level from 1 to 19; others are brought into that range.
    Zstd(i32),
}

/// What registries and runtimes have always understood.
impl Default for Compression {
    fn default() -> Self {
        Self::Gzip(6)
    }
}

impl Compression {
    /// The media type of a layer with this compression.
    pub fn media_type(self) -> MediaType {
        MediaType::from(match self {
            Self::None => MediaType::OCI_LAYER,
            Self::Gzip(_) => MediaType::OCI_LAYER_GZIP,
            Self::Zstd(_) => MediaType::OCI_LAYER_ZSTD,
        })
    }
}

/// Compresses what is written to it. The end is only written by [`finish`](Self::finish).
pub(super) enum Compressor<W: Write> {
    Plain(W),
    Gzip(ParallelGzip<W>),
    Zstd(ZstdEncoder<'static, W>),
}

impl<W: Write> Compressor<W> {
    pub(super) fn new(compression: Compression, threads: usize, out: W) -> Result<Self, Error> {
        Ok(match compression {
            Compression::None => Self::Plain(out),
            Compression::Gzip(level) => Self::Gzip(ParallelGzip::new(level.clamp(1, 9), threads, out)?),
            // One thread: the multi-threaded mode of zstd divides its input differently and so writes other bytes.
            Compression::Zstd(level) => {
                let encoder = ZstdEncoder::new(out, level.clamp(1, 19));
                Self::Zstd(encoder.map_err(|source| Error::WriteArchive { source })?)
            }
        })
    }

    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Gzip(gzip) => gzip.finish(),
            Self::Zstd(zstd) => zstd.finish(),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(gzip) => gzip.write(bytes),
            Self::Zstd(zstd) => zstd.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
