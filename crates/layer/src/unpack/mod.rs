//! Putting an archive into a live tree: a layer onto what lies below it, or an archive that a user adds.
//!
//! The tree may be a plain directory or a mounted overlay. Nothing in the archive is believed: names and link targets
//! are looked up inside of the root, files are made new and never written through, limits hold for everything.

mod parents;
mod placed;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, ftruncate, linkat, openat};
use rustix::io::Errno;

use self::parents::{Parent, Parents};
use self::placed::Placed;
use crate::Error;
use crate::adjust::Adjust;
use crate::deferred::Deferred;
use crate::error::Context;
use crate::metadata::{FileKind, Metadata};
use crate::node::{NEW_FILE, Node};
use crate::root::{Root, remove_entry};
use crate::tar::{Entry, Kind, Limits, Reader, Segment};

const CHUNK: usize = 128 * 1024;
const WHITEOUT: &[u8] = b".wh.";
const WHITEOUT_SPECIAL: &[u8] = b".wh..wh.";
const WHITEOUT_OPAQUE: &[u8] = b".wh..wh..opq";

/// How an archive is put into a tree.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnpackOptions<'a> {
    /// Whether the archive is a layer, and `.wh.` names remove what earlier layers made (image specification,
    /// `layer.md`, "Whiteouts"). In other archives they are names like any other.
    pub whiteouts: bool,
    /// What is changed in every entry.
    pub adjust: Adjust<'a>,
    /// How much the archive may hold.
    pub limits: Limits,
}

/// What was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unpacked {
    /// The number of entries, whiteouts among them.
    pub entries: u64,
    /// The bytes of file content, without holes.
    pub bytes: u64,
}

/// Unpacks an uncompressed archive into the directory `dir` of `root`, and reads `tar` to its end.
///
/// Entries may come in any order and more than once: the last one wins. A directory meeting a directory only takes the
/// new attributes; in every other case what was there is removed. Missing parents are made, 0755 and owned by root (or
/// the adjusted owner). Names and hard links that climb out of the archive are refused; absolute ones start in `dir`; symbolic
/// links in the place of directories are followed inside of `root`. Attributes of directories are set at the end.
///
/// Fails without taking back what was done.
pub fn unpack(
    tar: impl Read,
    root: &Root,
    dir: &Path,
    options: &UnpackOptions<'_>,
) -> Result<Unpacked, Error> {
    let mut reader = Reader::new(tar, options.limits);
    let mut unpacker = Unpacker::new(root, root.resolve(dir)?, options);
    while let Some(entry) = reader.next()? {
        unpacker.entry(entry, &mut reader)?;
    }
    unpacker.dirs.apply(root)?;
    Ok(unpacker.unpacked)
}

struct Unpacker<'a> {
    root: &'a Root,
    base: PathBuf,
    options: &'a UnpackOptions<'a>,
    parents: Parents,
    placed: Placed,
    dirs: Deferred,
    buffer: Vec<u8>,
    unpacked: Unpacked,
}

impl<'a> Unpacker<'a> {
    fn new(root: &'a Root, base: PathBuf, options: &'a UnpackOptions<'a>) -> Self {
        Self {
            root,
            base,
            options,
            parents: Parents::new(options),
            placed: Placed::default(),
            dirs: Deferred::default(),
            buffer: vec![0; CHUNK],
            unpacked: Unpacked::default(),
        }
    }

    fn entry<R: Read>(&mut self, entry: Entry, reader: &mut Reader<R>) -> Result<(), Error> {
        self.unpacked.entries += 1;
        let relative = contained(&entry.path)?;
        let Some(name) = relative.file_name() else { return self.base_directory(&entry) };
        if self.options.whiteouts && name.as_bytes().starts_with(WHITEOUT) {
            return self.whiteout(&entry.path, &self.base.join(&relative));
        }
        let parent =
            self.parents.open(self.root, &self.base.join(&relative), &mut self.placed, &mut self.dirs)?;
        let path = parent.path.join(name);
        match entry.kind {
            Kind::HardLink(target) => self.hard_link(&entry.path, &target, &parent, &path)?,
            Kind::Node(node) => self.node(self.adapted(node), &parent, &path, reader)?,
        }
        if self.options.whiteouts {
            self.placed.note(&path);
        }
        Ok(())
    }

    /// The entry for the root of the archive: in a layer it describes the root directory, elsewhere nothing.
    fn base_directory(&mut self, entry: &Entry) -> Result<(), Error> {
        match &entry.kind {
            Kind::Node(node) if node.kind == FileKind::Directory => {
                if self.options.whiteouts {
                    self.dirs.set(&self.base, self.adapted(node.clone()).attributes);
                }
                Ok(())
            }
            _ => Err(Error::entry(&entry.path, "no name")),
        }
    }

    fn node<R: Read>(
        &mut self,
        node: Node,
        parent: &Parent,
        path: &Path,
        reader: &mut Reader<R>,
    ) -> Result<(), Error> {
        if node.kind == FileKind::CharDevice && node.device == crate::Device::default() {
            return Err(Error::WhiteoutDevice { path: path.to_owned() });
        }
        match node.kind {
            FileKind::File => {
                let private = Mode::RUSR | Mode::WUSR;
                let file =
                    self.replace(parent, path, |dir, name| openat(dir, name, NEW_FILE, private))?.into();
                self.content(&file, node.size, path, reader)?;
                node.attributes.apply(self.root.owners(), &file, path)
            }
            FileKind::Directory => {
                self.directory(&node, parent, path)?;
                self.dirs.set(path, node.attributes);
                Ok(())
            }
            _ => {
                let owners = self.root.owners();
                let made = self.replace(parent, path, |dir, name| node.create(owners, dir, name));
                made.map_err(|error| node.explain(error))?;
                node.apply_at(owners, parent.fd.as_fd(), name_of(path), path)
            }
        }
    }

    fn directory(&mut self, node: &Node, parent: &Parent, path: &Path) -> Result<(), Error> {
        let owners = self.root.owners();
        match node.create(owners, parent.fd.as_fd(), name_of(path)) {
            Ok(()) => {
                self.placed.note_fresh(path);
                return Ok(());
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::io("make the directory", path, errno)),
        }
        let existing = Metadata::read(&parent.fd, name_of(path)).context("read the metadata of", path)?;
        if existing.kind == FileKind::Directory {
            return Ok(());
        }
        self.replace(parent, path, |dir, name| node.create(owners, dir, name))?;
        self.placed.note_fresh(path);
        Ok(())
    }

    fn hard_link(&mut self, entry: &Path, target: &Path, parent: &Parent, path: &Path) -> Result<(), Error> {
        let missing = || Error::LinkTarget { path: entry.to_owned(), target: target.to_owned() };
        let existing = self.root.resolve_parent(&self.base.join(contained(target)?))?;
        let metadata = self.root.lstat_exact(&existing)?.ok_or_else(missing)?;
        if self.root.lstat_exact(path)?.is_some_and(|there| there.inode == metadata.inode) {
            return Ok(());
        }
        let target_dir = self.root.open_parent(&existing).context("link", &existing)?;
        self.replace(parent, path, |dir, name| {
            linkat(&target_dir, name_of(&existing), dir, name, AtFlags::empty())
        })
    }

    /// Makes an entry with `make`, after removing what is in its place.
    fn replace<T>(
        &mut self,
        parent: &Parent,
        path: &Path,
        make: impl Fn(BorrowedFd<'_>, &OsStr) -> rustix::io::Result<T>,
    ) -> Result<T, Error> {
        let (dir, name) = (parent.fd.as_fd(), name_of(path));
        match make(dir, name) {
            Err(Errno::EXIST) => {}
            answer => return answer.context("make", path),
        }
        remove_entry(self.root.owners(), dir, name, path)?;
        self.removed(path);
        make(dir, name).context("make", path)
    }

    fn content<R: Read>(
        &mut self,
        file: &File,
        size: u64,
        path: &Path,
        reader: &mut Reader<R>,
    ) -> Result<(), Error> {
        let mut end = 0;
        for segment in reader.take_segments() {
            self.segment(file, segment, path, reader)?;
            // GNU tar ends a hole at the end of a file with a run of no bytes, which makes the file no longer.
            if segment.length > 0 {
                end = segment.offset + segment.length;
            }
        }
        // A file that ends in a hole.
        if end < size {
            ftruncate(file, size).context("set the size of", path)?;
        }
        Ok(())
    }

    fn segment<R: Read>(
        &mut self,
        file: &File,
        run: Segment,
        path: &Path,
        reader: &mut Reader<R>,
    ) -> Result<(), Error> {
        let mut done = 0;
        while done < run.length {
            let wanted = CHUNK.min(usize::try_from(run.length - done).unwrap_or(CHUNK));
            let read =
                reader.read(&mut self.buffer[..wanted]).map_err(|source| reader.read_failed(source))?;
            file.write_all_at(&self.buffer[..read], run.offset + done).context("write", path)?;
            done += read as u64;
        }
        self.unpacked.bytes += run.length;
        Ok(())
    }

    fn whiteout(&mut self, entry: &Path, path: &Path) -> Result<(), Error> {
        let name = name_of(path).as_bytes();
        // What aufs kept for itself (`.wh..wh.plnk`) means nothing.
        if name.starts_with(WHITEOUT_SPECIAL) && name != WHITEOUT_OPAQUE {
            return Ok(());
        }
        let Some(parent) = self.parents.open_existing(self.root, path, &mut self.dirs)? else {
            return Ok(());
        };
        let removed = if name == WHITEOUT_OPAQUE {
            self.placed.remove_lower_in(self.root, &parent.path)?
        } else {
            let name = OsStr::from_bytes(&name[WHITEOUT.len()..]);
            if matches!(name.as_bytes(), b"" | b"." | b"..") {
                return Err(Error::entry(entry, "no name after `.wh.`"));
            }
            self.placed.remove_lower(self.root, parent.path.join(name))?
        };
        for path in removed {
            self.removed(&path);
        }
        Ok(())
    }

    /// Forgets what was known about a path and below it.
    fn removed(&mut self, path: &Path) {
        self.parents.forget();
        self.dirs.forget(path);
    }

    fn adapted(&self, mut node: Node) -> Node {
        self.options.adjust.node(&mut node);
        node
    }
}

fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or(OsStr::new("."))
}

/// The relative path that `name` means in an archive; an error when it climbs out of it.
fn contained(name: &Path) -> Result<PathBuf, Error> {
    let mut contained = PathBuf::new();
    for component in name.components() {
        match component {
            Component::Normal(name) => contained.push(name),
            Component::ParentDir if !contained.pop() => return Err(Error::Escape { path: name.to_owned() }),
            _ => {}
        }
    }
    Ok(contained)
}
