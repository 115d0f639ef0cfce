//! Writing archives: one spelling for every entry, understood by every reader.
//!
//! The header is ustar. PAX records are added only for what ustar cannot say: names that do not fit, numbers that are
//! too large, fractions of seconds, times before 1970, and extended attributes. User and group names, atime and ctime
//! are never written: they belong to the machine.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{BLOCK, pax};
use crate::Error;
use crate::metadata::{Device, FileKind, Timestamp};
use crate::node::{Attributes, Node};
use crate::xattr::Xattrs;

/// A path and the link target that fit nowhere else.
const NAME: usize = 100;
const PREFIX: usize = 155;

/// Octal digits of the id fields and of the size and time fields.
const ID_DIGITS: usize = 7;
const SIZE_DIGITS: usize = 11;

/// Writes entries to an archive.
#[derive(Debug)]
pub(crate) struct Writer<W> {
    out: W,
    /// What is still to be written of the current entry's content.
    content: u64,
    padding: usize,
    /// PAX records of the current entry, kept for its memory.
    records: Records,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, content: 0, padding: 0, records: Records::default() }
    }

    /// Writes the header of `node`. Its `size` bytes must follow by [`content`](Self::content).
    pub(crate) fn node(&mut self, path: &Path, node: &Node) -> Result<(), Error> {
        let flag = match node.kind {
            FileKind::File => b'0',
            FileKind::Symlink => b'2',
            FileKind::CharDevice => b'3',
            FileKind::BlockDevice => b'4',
            FileKind::Directory => b'5',
            FileKind::Fifo => b'6',
            FileKind::Socket => return Err(unrepresentable(path, "it is a socket")),
        };
        self.header(path, flag, &node.attributes, node.size, node.target.as_os_str(), node.device)
    }

    /// Writes `path` as another name of `first`, which was written before.
    pub(crate) fn hard_link(
        &mut self,
        path: &Path,
        first: &Path,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        // What the two names share is told once.
        let attributes = Attributes { xattrs: Xattrs::new(), ..attributes.clone() };
        self.header(path, b'1', &attributes, 0, first.as_os_str(), Device::default())
    }

    /// Writes a part of the current entry's content.
    pub(crate) fn content(&mut self, bytes: &[u8]) -> Result<(), Error> {
        debug_assert!(bytes.len() as u64 <= self.content, "content and header agree");
        self.content -= bytes.len() as u64;
        self.write(bytes)
    }

    /// Ends the archive with two zero blocks.
    pub(crate) fn finish(mut self) -> Result<W, Error> {
        self.end_entry()?;
        self.write(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }

    fn header(
        &mut self,
        path: &Path,
        flag: u8,
        attributes: &Attributes,
        size: u64,
        link: &OsStr,
        device: Device,
    ) -> Result<(), Error> {
        self.end_entry()?;
        let mut records = std::mem::take(&mut self.records);
        records.clear();
        let mut header = Header::new(flag);
        header.name(&entry_name(path, flag), &mut records);
        header.link(link.as_bytes(), &mut records);
        header.attributes(attributes, &mut records);
        header.size(size, &mut records);
        if !header.device(device) {
            return Err(unrepresentable(path, "its device numbers are too large"));
        }
        records.xattrs(path, attributes)?;
        self.records(&mut records)?;
        self.records = records;
        self.content = size;
        self.padding = padding(size);
        self.write(&header.finish())
    }

    /// Writes the PAX header that extends the entry after it, if there is anything to say.
    fn records(&mut self, records: &mut Records) -> Result<(), Error> {
        let Some(data) = records.encode() else { return Ok(()) };
        let mut header = Header::new(b'x');
        header.field(0, b"PaxHeaders.0/entry");
        header.octal(100, ID_DIGITS, 0o644);
        header.octal(124, SIZE_DIGITS, data.len() as u64);
        self.write(&header.finish())?;
        self.write(data)?;
        self.write(&[0; BLOCK][..padding(data.len() as u64)])
    }

    fn end_entry(&mut self) -> Result<(), Error> {
        debug_assert_eq!(self.content, 0, "content and header agree");
        self.write(&[0; BLOCK][..self.padding])?;
        self.padding = 0;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(|source: io::Error| Error::WriteArchive { source })
    }
}

/// One header block. Fields that do not fit are zero, and a record says it.
struct Header([u8; BLOCK]);

impl Header {
    fn new(flag: u8) -> Self {
        let mut header = Self([0; BLOCK]);
        header.field(257, b"ustar\x0000");
        header.0[156] = flag;
        for (offset, digits) in
            [(100, ID_DIGITS), (108, ID_DIGITS), (116, ID_DIGITS), (329, ID_DIGITS), (337, ID_DIGITS)]
        {
            header.octal(offset, digits, 0);
        }
        header.octal(124, SIZE_DIGITS, 0);
        header.octal(136, SIZE_DIGITS, 0);
        header
    }

    fn name(&mut self, name: &[u8], records: &mut Records) {
        if name.len() <= NAME {
            self.field(0, name);
        } else if let Some(slash) = split(name) {
            self.field(345, &name[..slash]);
            self.field(0, &name[slash + 1..]);
        } else {
            self.field(0, &name[..NAME]);
            records.push("path", name.to_vec());
        }
    }

    fn link(&mut self, link: &[u8], records: &mut Records) {
        self.field(157, &link[..link.len().min(NAME)]);
        if link.len() > NAME {
            records.push("linkpath", link.to_vec());
        }
    }

    fn attributes(&mut self, attributes: &Attributes, records: &mut Records) {
        self.octal(100, ID_DIGITS, attributes.mode.into());
        for (offset, key, id) in [(108, "uid", attributes.uid), (116, "gid", attributes.gid)] {
            if !self.octal(offset, ID_DIGITS, id.into()) {
                records.push(key, id.to_string().into_bytes());
            }
        }
        let Timestamp { secs, nanos } = attributes.mtime;
        let fits = u64::try_from(secs).is_ok_and(|secs| self.octal(136, SIZE_DIGITS, secs));
        if !fits || nanos != 0 {
            records.push("mtime", pax::format_time(attributes.mtime));
        }
    }

    fn size(&mut self, size: u64, records: &mut Records) {
        if !self.octal(124, SIZE_DIGITS, size) {
            records.push("size", size.to_string().into_bytes());
        }
    }

    fn device(&mut self, device: Device) -> bool {
        self.octal(329, ID_DIGITS, device.major.into()) && self.octal(337, ID_DIGITS, device.minor.into())
    }

    /// The block with its checksum, which is computed as if its own field were spaces.
    fn finish(mut self) -> [u8; BLOCK] {
        self.field(148, b"        ");
        let sum = self.0.iter().map(|byte| u64::from(*byte)).sum();
        self.octal(148, 6, sum);
        self.0
    }

    fn field(&mut self, offset: usize, value: &[u8]) {
        self.0[offset..offset + value.len()].copy_from_slice(value);
    }

    /// Writes `digits` octal digits and a NUL; `false` and nothing when `value` needs more.
    fn octal(&mut self, offset: usize, digits: usize, value: u64) -> bool {
        if value >> (3 * digits) != 0 {
            return false;
        }
        for place in 0..digits {
            let digit = (value >> (3 * (digits - 1 - place))) & 7;
            self.0[offset + place] = b'0' + digit as u8;
        }
        self.0[offset + digits] = 0;
        true
    }
}

/// The PAX records of one entry.
#[derive(Debug, Default)]
struct Records {
    list: Vec<(Vec<u8>, Vec<u8>)>,
    data: Vec<u8>,
}

impl Records {
    fn clear(&mut self) {
        self.list.clear();
        self.data.clear();
    }

    fn push(&mut self, key: &str, value: Vec<u8>) {
        self.list.push((key.as_bytes().to_vec(), value));
    }

    fn xattrs(&mut self, path: &Path, attributes: &Attributes) -> Result<(), Error> {
        for (name, value) in &attributes.xattrs {
            if name.as_bytes().contains(&b'=') {
                return Err(unrepresentable(path, "the name of an extended attribute contains `=`"));
            }
            self.list.push(([pax::XATTR.as_bytes(), name.as_bytes()].concat(), value.clone()));
        }
        Ok(())
    }

    /// The records in the order of their keys; `None` when there are none.
    fn encode(&mut self) -> Option<&[u8]> {
        self.list.sort_unstable();
        for (key, value) in &self.list {
            pax::push_record(&mut self.data, key, value);
        }
        (!self.data.is_empty()).then_some(&self.data)
    }
}

/// The name of an entry: relative, a directory with a slash at its end.
fn entry_name(path: &Path, flag: u8) -> Vec<u8> {
    let mut name = path.as_os_str().as_bytes().to_vec();
    if name.is_empty() {
        name.push(b'.');
    }
    if flag == b'5' {
        name.push(b'/');
    }
    name
}

/// Where a long name can be divided into prefix and name: at the last slash that leaves a prefix of at most 155 bytes.
fn split(name: &[u8]) -> Option<usize> {
    let last = name.len() - 1;
    let slash = name[..last.min(PREFIX + 1)].iter().rposition(|byte| *byte == b'/')?;
    (slash > 0 && name.len() - slash - 1 <= NAME).then_some(slash)
}

fn padding(size: u64) -> usize {
    (size.next_multiple_of(BLOCK as u64) - size) as usize
}

fn unrepresentable(path: &Path, problem: &'static str) -> Error {
    Error::Unrepresentable { path: path.to_owned(), problem }
}
