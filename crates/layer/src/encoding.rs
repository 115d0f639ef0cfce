//! What an archive is compressed with, found by its first bytes: a name proves nothing.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read, Seek};

use bzip2::read::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use zstd::stream::read::Decoder as ZstdDecoder;

use crate::Error;
use crate::tar;

/// How the bytes of an archive are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Plain,
    /// gzip, also of several members.
    Gzip,
    /// bzip2, also of several streams.
    Bzip2,
    /// xz, also of several streams.
    Xz,
    /// zstd, also of several frames.
    Zstd,
}

/// The longest first bytes that tell encodings apart.
const MAGIC: usize = 6;

/// zstd's own default limit, and xz's need at its highest level: a decoder takes at most 128 MiB.
const ZSTD_WINDOW_LOG: u32 = 27;
const XZ_MEMORY_KIB: u32 = 128 * 1024;

impl Encoding {
    /// The encoding of data that begins with `start`.
    fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            // A zstd file may begin with a skippable frame (RFC 8878, section 3.1.2).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

type Input<R> = Chain<Cursor<Vec<u8>>, R>;

/// Decompresses `reader`, whatever it is compressed with. Data of no known compression is passed through.
pub fn decode<'a>(mut reader: impl Read + Send + 'a) -> Result<(Encoding, Box<dyn Read + Send + 'a>), Error> {
    let mut start = Vec::with_capacity(MAGIC);
    let failed = |source| Error::ReadArchive { source };
    (&mut reader).take(MAGIC as u64).read_to_end(&mut start).map_err(failed)?;
    let encoding = Encoding::of(&start);
    let input = Cursor::new(start).chain(reader);
    Ok((encoding, decoder(encoding, input).map_err(failed)?))
}

/// Finds out whether `file`, from its start, is a tar archive that `ADD` unpacks, and how it is compressed.
///
/// Only content counts: compressed data that holds no tar is no archive, and neither is an empty one. The position of
/// `file` is at its start afterwards.
pub fn probe_archive(file: &mut (impl Read + Seek + Send)) -> Result<Option<Encoding>, Error> {
    let failed = |source| Error::ReadArchive { source };
    file.rewind().map_err(failed)?;
    let (encoding, decoded) = decode(&mut *file)?;
    let mut block = Vec::new();
    // Broken compressed data is a file like any other.
    let is_archive = decoded.take(512).read_to_end(&mut block).is_ok() && tar::is_header(&block);
    file.rewind().map_err(failed)?;
    Ok(is_archive.then_some(encoding))
}

fn decoder<'a, R: Read + Send + 'a>(
    encoding: Encoding,
    input: Input<R>,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let input = BufReader::with_capacity(64 * 1024, input);
    Ok(match encoding {
        Encoding::Plain => Box::new(input),
        Encoding::Gzip => Box::new(MultiGzDecoder::new(input)),
        Encoding::Bzip2 => Box::new(MultiBzDecoder::new(input)),
        Encoding::Xz => Box::new(XzReader::new_mem_limit(input, true, XZ_MEMORY_KIB)),
        Encoding::Zstd => Box::new(zstd_decoder(input)?),
    })
}

fn zstd_decoder<R: BufRead>(input: R) -> io::Result<ZstdDecoder<'static, R>> {
    let mut decoder = ZstdDecoder::with_buffer(input)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}
