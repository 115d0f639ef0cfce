//! Writing a changeset as a layer: one pass over the tree, both digests on the way, memory that does not grow with the
//! size of files.

mod compress;
mod forbidden;
mod gzip;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::{DiffId, Digest, Digester, MediaType};

pub use self::compress::Compression;
pub use self::forbidden::Forbidden;

use self::compress::Compressor;
use crate::Error;
use crate::changes::{Change, Changeset};
use crate::content::Content;
use crate::metadata::{Device, FileKind, Inode, Timestamp};
use crate::node::{Attributes, Node, Opened};
use crate::root::Root;
use crate::tar::Writer;

/// Headers are small; whoever hashes and compresses wants more at a time.
const BUFFER: usize = 64 * 1024;

/// What becomes of the mtime of entries. Whiteouts always have the time 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timestamps {
    /// They stay as they are, to the nanosecond.
    #[default]
    Keep,
    /// Later ones become this many seconds after the epoch (`SOURCE_DATE_EPOCH`).
    Clamp(i64),
    /// All become this many seconds after the epoch.
    Force(i64),
}

/// How a layer is written.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// How the archive is compressed.
    pub compression: Compression,
    /// What becomes of times.
    pub timestamps: Timestamps,
    /// The number of threads that compress, at least one. Has no influence on the result; each takes about 5 MiB.
    pub threads: usize,
    /// What no entry may hold.
    pub forbidden: Option<Arc<Forbidden>>,
}

/// A layer that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The digest of the bytes that were written.
    pub digest: Digest,
    /// The digest of the archive before compression.
    pub diff_id: DiffId,
    /// The number of bytes that were written.
    pub size: u64,
    /// The size of the archive before compression in bytes.
    pub diff_size: u64,
    /// The layer's media type, as OCI spells it.
    pub media_type: MediaType,
}

/// Writes `changes` of the tree `root` to `out` as a layer.
///
/// The bytes depend on the tree, the changes, compression and timestamps alone. Fails when a file that is read changes
/// meanwhile, or when an entry
/// holds what is forbidden; what was written to `out` is of no use then.
pub fn pack(
    root: &Root,
    changes: &Changeset,
    options: &PackOptions,
    out: impl Write,
) -> Result<Packed, Error> {
    let failed = |source| Error::WriteArchive { source };
    let compressor = Compressor::new(options.compression, options.threads, Hashing::new(out))?;
    let mut packer = Packer {
        root,
        timestamps: options.timestamps,
        forbidden: options.forbidden.as_deref(),
        tar: Writer::new(BufWriter::with_capacity(BUFFER, Hashing::new(compressor))),
        links: HashMap::new(),
    };
    for (path, change) in changes.iter() {
        match change {
            Change::Present => packer.entry(path)?,
            Change::Whiteout => packer.whiteout(path)?,
        }
    }
    let uncompressed = packer.tar.finish()?.into_inner().map_err(|error| failed(error.into_error()))?;
    let mut compressed = uncompressed.inner.finish().map_err(failed)?;
    compressed.inner.flush().map_err(failed)?;
    Ok(Packed {
        size: compressed.digester.size(),
        digest: compressed.digester.finish(),
        diff_size: uncompressed.digester.size(),
        diff_id: DiffId(uncompressed.digester.finish()),
        media_type: options.compression.media_type(),
    })
}

struct Packer<'a, W> {
    root: &'a Root,
    timestamps: Timestamps,
    forbidden: Option<&'a Forbidden>,
    tar: Writer<W>,
    /// The first name of each file with several.
    links: HashMap<Inode, PathBuf>,
}

impl<W: Write> Packer<'_, W> {
    fn entry(&mut self, path: &Path) -> Result<(), Error> {
        let metadata =
            self.root.lstat_exact(path)?.ok_or_else(|| Error::Changed { path: path.to_owned() })?;
        let Opened { mut node, metadata, file } = Opened::read(self.root, path, &metadata)?;
        self.check(path, &node)?;
        node.attributes.mtime = self.timestamps.apply(node.attributes.mtime);
        if metadata.is_hard_linked() {
            if let Some(first) = self.links.get(&metadata.inode) {
                return self.tar.hard_link(path, first, &node.attributes);
            }
            self.links.insert(metadata.inode, path.to_owned());
        }
        self.tar.node(path, &node)?;
        match &file {
            Some(file) => {
                let content = Content { file, metadata: &metadata, path };
                let mut search = self.forbidden.map(Forbidden::search);
                content.for_each_piece(|piece| match search.as_mut().and_then(|search| search.piece(piece)) {
                    Some(what) => Err(forbidden(path, "content", what)),
                    None => self.tar.content(piece),
                })
            }
            None => Ok(()),
        }
    }

    /// Searches all of an entry but its content.
    fn check(&self, path: &Path, node: &Node) -> Result<(), Error> {
        let Some(strings) = self.forbidden else { return Ok(()) };
        let xattrs = node.attributes.xattrs.iter();
        let xattrs = xattrs.flat_map(|(name, value)| [name.as_bytes(), value.as_slice()]);
        let texts =
            [("name", path.as_os_str().as_bytes()), ("link target", node.target.as_os_str().as_bytes())];
        let parts = texts.into_iter().chain(xattrs.map(|bytes| ("extended attributes", bytes)));
        let found = parts.into_iter().find_map(|(part, bytes)| Some((part, strings.find(bytes)?)));
        found.map_or(Ok(()), |(part, what)| Err(forbidden(path, part, what)))
    }

    /// An empty file whose name says what was removed (image specification, `layer.md`, "Whiteouts").
    fn whiteout(&mut self, path: &Path) -> Result<(), Error> {
        let mut name = OsString::from(".wh.");
        name.push(path.file_name().unwrap_or_default());
        let node = Node {
            kind: FileKind::File,
            attributes: Attributes::default(),
            size: 0,
            device: Device::default(),
            target: PathBuf::new(),
        };
        self.check(path, &node)?;
        self.tar.node(&path.with_file_name(name), &node)
    }
}

fn forbidden(path: &Path, part: &'static str, what: &str) -> Error {
    Error::Forbidden { path: path.to_owned(), part, what: what.to_owned() }
}

impl Timestamps {
    fn apply(self, time: Timestamp) -> Timestamp {
        match self {
            Self::Keep => time,
            Self::Clamp(secs) => time.min(Timestamp::from_secs(secs)),
            Self::Force(secs) => Timestamp::from_secs(secs),
        }
    }
}

/// Passes bytes on and digests them.
#[derive(Debug)]
struct Hashing<W> {
    inner: W,
    digester: Digester,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, digester: Digester::new() }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digester.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
