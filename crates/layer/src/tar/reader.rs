//! Reading archives that nobody vouches for: tar-core parses, the policy is ours.
//!
//! Header data is bounded (1 MiB an entry), every value that is used must be well formed, and what follows a header is
//! skipped exactly as Go's `archive/tar` does, so that both see the same entries.

use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use tar_core::parse::{ParseError, ParseEvent, ParsedEntry, Parser};
use tar_core::{EntryType, HEADER_SIZE, Header};

use super::limits::{Limits, Metered};
use super::{BLOCK, pax};
use crate::Error;
use crate::metadata::{Device, FileKind, Timestamp};
use crate::node::{Attributes, Node};
use crate::xattr::{self, Xattrs};

/// An entry of an archive. Its name is as the archive has it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
}

/// What an entry makes.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A new file, directory, link, pipe or device.
    Node(Node),
    /// Another name of the entry with this name in the archive.
    HardLink(PathBuf),
}

/// A run of data in a sparse file; the bytes between runs are zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// Header data of one entry in bytes: extensions, of which tar-core accepts 1 MiB, and a sparse map.
const MAX_HEADER: usize = 1536 * 1024;

/// Reads the entries of an archive one after the other, and the content of each in between.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    input: Metered<BufReader<R>>,
    limits: Limits,
    parser: Parser,
    header: Vec<u8>,
    entries: u64,
    segments: Vec<Segment>,
    /// What is left of the current entry's content, and the padding after it.
    content: u64,
    padding: u64,
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(input: R, limits: Limits) -> Self {
        let parser_limits = tar_core::parse::Limits {
            max_metadata_size: 1024 * 1024,
            // limits.h: no kernel call takes a longer one.
            max_path_len: Some(4096),
            ..Default::default()
        };
        let mut parser = Parser::new(parser_limits);
        // Numbers of PAX records are read again by `Entry::read`, which is stricter and knows negative times.
        parser.set_ignore_pax_errors(true);
        let input = Metered::new(BufReader::with_capacity(64 * 1024, input), limits.bytes);
        Self {
            input,
            limits,
            parser,
            header: Vec::new(),
            entries: 0,
            segments: Vec::new(),
            content: 0,
            padding: 0,
        }
    }

    /// The next entry; `None` at the end of the archive, when the input has been read to its end.
    ///
    /// Content of the entry before that was not read is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Error> {
        self.skip(self.content + self.padding)?;
        (self.content, self.padding) = (0, 0);
        loop {
            self.header.clear();
            if !self.read_block()? || self.header.iter().all(|byte| *byte == 0) {
                io::copy(&mut self.input, &mut io::sink()).map_err(|source| self.read_failed(source))?;
                return Ok(None);
            }
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(Error::TooManyEntries { limit: self.limits.entries });
            }
            if let Some(entry) = self.parse_entry()? {
                return Ok(Some(entry));
            }
        }
    }

    /// The error behind a failed read of content.
    pub(crate) fn read_failed(&self, source: io::Error) -> Error {
        if self.input.is_exceeded() {
            return Error::TooManyBytes { limit: self.limits.bytes };
        }
        Error::ReadArchive { source }
    }

    /// Parses the header that begins with the block already read; `None` for a global header, which no reader of
    /// layers applies.
    fn parse_entry(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            match self.parse()? {
                Step::NeedData(size) => self.fill(size)?,
                Step::Global => return Ok(None),
                Step::Entry(entry) => return Ok(Some(entry)),
            }
        }
    }

    /// The runs of data of the current entry, in order. Their bytes follow each other in the content.
    pub(crate) fn take_segments(&mut self) -> Vec<Segment> {
        std::mem::take(&mut self.segments)
    }

    /// The number of bytes read so far: directly after [`Self::next`], where the content begins.
    pub(crate) fn position(&self) -> u64 {
        self.input.position()
    }

    fn parse(&mut self) -> Result<Step, Error> {
        let malformed = |source| Error::Malformed { entries: self.entries - 1, source };
        let (entry, size, segments, consumed) = match self.parser.parse(&self.header).map_err(malformed)? {
            ParseEvent::NeedData { min_bytes } => return Ok(Step::NeedData(min_bytes)),
            ParseEvent::GlobalExtensions { .. } => return Ok(Step::Global),
            ParseEvent::End { .. } => return Err(malformed(ParseError::OrphanedMetadata)),
            ParseEvent::Entry { consumed, entry } => {
                let size = size_of(&entry)?;
                (entry, size, None, consumed)
            }
            ParseEvent::SparseEntry { consumed, entry, sparse_map, real_size } => {
                let map =
                    sparse_map.iter().map(|run| Segment { offset: run.offset, length: run.length }).collect();
                (entry, real_size, Some(map), consumed)
            }
        };
        let on_disk = if segments.is_some() { entry.size } else { size };
        let whole = Segment { offset: 0, length: size };
        let segments: Vec<Segment> = segments.unwrap_or_else(|| if size == 0 { vec![] } else { vec![whole] });
        check_segments(&segments, size, on_disk, &entry)?;
        debug_assert_eq!(consumed, self.header.len(), "blocks are read one at a time");
        let entry = Entry::read(&entry, size)?;
        self.segments = segments;
        self.content = on_disk;
        self.padding = on_disk.next_multiple_of(BLOCK as u64) - on_disk;
        Ok(Step::Entry(entry))
    }

    /// Reads whole blocks until the header has `size` bytes. Never reads past the block that is needed: what follows
    /// a header is content.
    ///
    /// The parser may ask for less than there is, when all it knows is that the end of a line is missing.
    fn fill(&mut self, size: usize) -> Result<(), Error> {
        let size = size.max(self.header.len() + 1);
        if size > MAX_HEADER {
            return Err(self.malformed(ParseError::InvalidSize(size as u64)));
        }
        while self.header.len() < size {
            if !self.read_block()? {
                return Err(truncated());
            }
        }
        Ok(())
    }

    /// Reads one block into the header; `false` when the input is at its end.
    fn read_block(&mut self) -> Result<bool, Error> {
        let read = (&mut self.input)
            .take(HEADER_SIZE as u64)
            .read_to_end(&mut self.header)
            .map_err(|source| self.read_failed(source))?;
        match read {
            0 => Ok(false),
            HEADER_SIZE => Ok(true),
            _ => Err(truncated()),
        }
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Error> {
        let skipped = io::copy(&mut (&mut self.input).take(bytes), &mut io::sink())
            .map_err(|source| self.read_failed(source))?;
        if skipped == bytes { Ok(()) } else { Err(truncated()) }
    }

    fn malformed(&self, source: ParseError) -> Error {
        Error::Malformed { entries: self.entries - 1, source }
    }
}

/// The content of the current entry; sparse files without their holes.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.content).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.input.read(&mut buffer[..wanted])?;
        if read == 0 {
            return Err(unexpected_end());
        }
        self.content -= read as u64;
        Ok(read)
    }
}

enum Step {
    NeedData(usize),
    Global,
    Entry(Entry),
}

impl Entry {
    fn read(parsed: &ParsedEntry<'_>, size: u64) -> Result<Self, Error> {
        let path = path_of(parsed.path.to_vec());
        let refuse = |problem| Error::entry(&path, problem);
        if parsed.path.contains(&0) {
            return Err(refuse("a NUL in its name"));
        }
        let mut attributes = Attributes {
            mode: parsed.mode & 0o7777,
            uid: id(parsed.uid).ok_or_else(|| refuse("a user id that no system has"))?,
            gid: id(parsed.gid).ok_or_else(|| refuse("a group id that no system has"))?,
            // GNU base-256 times before 1970 are two's complement.
            mtime: Timestamp::from_secs(parsed.mtime.cast_signed()),
            xattrs: Xattrs::new(),
        };
        apply_pax(parsed.pax.unwrap_or_default(), &mut attributes).map_err(refuse)?;
        let target = path_of(parsed.link_target.as_deref().unwrap_or_default().to_vec());
        if parsed.entry_type.is_hard_link() {
            return Ok(Self { path, kind: Kind::HardLink(target) });
        }
        let kind = kind_of(parsed).ok_or_else(|| refuse("an unknown type"))?;
        let device = match kind {
            FileKind::CharDevice | FileKind::BlockDevice => Device {
                major: parsed.dev_major.unwrap_or_default(),
                minor: parsed.dev_minor.unwrap_or_default(),
            },
            _ => Device::default(),
        };
        let target = if kind == FileKind::Symlink { target } else { PathBuf::new() };
        if kind == FileKind::Symlink && target.as_os_str().is_empty() {
            return Err(refuse("an empty link target"));
        }
        Ok(Self { path, kind: Kind::Node(Node { kind, attributes, size, device, target }) })
    }
}

/// Whether `block` is the header of a tar entry: 512 bytes, not all zero, with a right checksum.
pub(crate) fn is_header(block: &[u8]) -> bool {
    match <&[u8; HEADER_SIZE]>::try_from(block) {
        Ok(block) => {
            block.iter().any(|byte| *byte != 0) && Header::from_bytes(block).verify_checksum().is_ok()
        }
        Err(_) => false,
    }
}

/// Reads what tar-core leaves out of PAX records: exact times, carried attributes, and the proof that all is well
/// formed. Its own reading of numbers stands, for those this accepts.
fn apply_pax(data: &[u8], attributes: &mut Attributes) -> Result<(), &'static str> {
    for record in pax::records(data) {
        let (key, value) = record.map_err(|pax::MalformedRecord| "a malformed extended header")?;
        match key {
            // An empty value takes the record back: the header's own value counts.
            b"mtime" if !value.is_empty() => {
                attributes.mtime = pax::parse_time(value).ok_or("a malformed time")?;
            }
            b"uid" | b"gid" | b"size" if !value.is_empty() && pax::decimal(value).is_none() => {
                return Err("a malformed number in its extended header");
            }
            b"GNU.sparse.map" | b"GNU.sparse.name" => {}
            _ if key.starts_with(b"GNU.sparse.") && pax::decimal(value).is_none() => {
                return Err("a malformed sparse map");
            }
            _ => {
                if let Some(name) = key.strip_prefix(pax::XATTR.as_bytes()) {
                    let name = OsString::from_vec(name.to_vec());
                    if xattr::is_carried(&name) {
                        attributes.xattrs.insert(name, value.to_vec());
                    }
                }
            }
        }
    }
    Ok(())
}

/// Go's rule: only files have content; whatever size the header of another kind claims, nothing follows it.
fn size_of(entry: &ParsedEntry<'_>) -> Result<u64, Error> {
    match kind_of(entry) {
        Some(FileKind::File) => Ok(entry.size),
        Some(_) => Ok(0),
        None if entry.entry_type.is_hard_link() => Ok(0),
        None => Err(Error::entry(&path_of(entry.path.to_vec()), "an unknown type")),
    }
}

fn kind_of(entry: &ParsedEntry<'_>) -> Option<FileKind> {
    match entry.entry_type {
        // Before ustar, a slash at the end was the only mark of a directory.
        EntryType::Regular if entry.header.as_bytes()[156] == 0 && entry.path.ends_with(b"/") => {
            Some(FileKind::Directory)
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GnuSparse => Some(FileKind::File),
        EntryType::Directory => Some(FileKind::Directory),
        EntryType::Symlink => Some(FileKind::Symlink),
        EntryType::Fifo => Some(FileKind::Fifo),
        EntryType::Char => Some(FileKind::CharDevice),
        EntryType::Block => Some(FileKind::BlockDevice),
        _ => None,
    }
}

/// Runs of a sparse file must be in order, inside of the file, and account for all content.
fn check_segments(
    segments: &[Segment],
    size: u64,
    on_disk: u64,
    entry: &ParsedEntry<'_>,
) -> Result<(), Error> {
    let mut end = 0;
    let mut data = 0_u64;
    for segment in segments {
        let next = segment.offset.checked_add(segment.length);
        match next {
            Some(next) if segment.offset >= end && next <= size => end = next,
            _ => return Err(Error::entry(&path_of(entry.path.to_vec()), "a malformed sparse map")),
        }
        data += segment.length;
    }
    if data == on_disk {
        Ok(())
    } else {
        Err(Error::entry(&path_of(entry.path.to_vec()), "a malformed sparse map"))
    }
}

/// 2³²-1 is "no id" to the kernel.
fn id(number: u64) -> Option<u32> {
    u32::try_from(number).ok().filter(|id| *id != u32::MAX)
}

fn path_of(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

fn truncated() -> Error {
    Error::ReadArchive { source: unexpected_end() }
}

fn unexpected_end() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ends in the middle of an entry")
}
