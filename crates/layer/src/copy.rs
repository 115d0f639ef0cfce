//! Copying entries from one tree into another, one at a time, with everything that makes them what they are.
//!
//! Which entries are copied, and what a destination means, is the caller's business.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, linkat, openat};
use rustix::io::Errno;

use crate::Error;
use crate::adjust::Adjust;
use crate::content::Content;
use crate::deferred::Deferred;
use crate::error::Context;
use crate::metadata::{FileKind, Inode, Metadata};
use crate::node::{Attributes, NEW_FILE, Node, Opened};
use crate::root::Root;

/// Copies entries between two trees.
///
/// Kept are kind, owner, mode, mtime to the nanosecond, `user.*` attributes and file capabilities, holes, and hard
/// links among the entries that one copier copies. Content is shared (reflink) where the file system can.
#[derive(Debug)]
pub struct Copier<'a> {
    from: &'a Root,
    to: &'a Root,
    adjust: Adjust<'a>,
    /// The first copy of each source file with several names, and the way back from it.
    links: HashMap<Inode, PathBuf>,
    linked: HashMap<PathBuf, Inode>,
    dirs: Deferred,
}

impl<'a> Copier<'a> {
    /// A copier from `from` to `to`, which may be the same root. `adjust` is for every copy.
    pub fn new(from: &'a Root, to: &'a Root, adjust: Adjust<'a>) -> Self {
        Self { from, to, adjust, links: HashMap::new(), linked: HashMap::new(), dirs: Deferred::default() }
    }

    /// Copies the entry `source` itself (a directory without what is in it) to `destination`.
    ///
    /// Both paths must be canonical ([`Root::resolve`]), so that a link in a directory's place is an error and never
    /// followed, and the directory of `destination` must exist. An existing directory takes the source's attributes;
    /// an existing entry of another kind is replaced, but never a directory by anything else or the reverse. Sockets
    /// are left out. Attributes of directories are set by [`finish`](Self::finish).
    pub fn copy(&mut self, source: &Path, destination: &Path) -> Result<(), Error> {
        let metadata = self.from.lstat_exact(source)?;
        let metadata = metadata.ok_or_else(|| Error::io("copy", source, Errno::NOENT))?;
        let Opened { mut node, metadata, file } = match metadata.kind {
            FileKind::Socket => return Ok(()),
            _ => Opened::read(self.from, source, &metadata)?,
        };
        self.adjust.node(&mut node);
        if metadata.is_hard_linked() && self.link(&metadata, destination)? {
            return Ok(());
        }
        match file {
            Some(file) => {
                let copy = self.create_file(destination)?;
                Content { file: &file, metadata: &metadata, path: source }.clone_to(&copy, destination)?;
                node.attributes.apply(self.to.owners(), &copy, destination)?;
            }
            None => self.create(destination, &node)?,
        }
        if metadata.is_hard_linked() {
            self.links.insert(metadata.inode, destination.to_owned());
            self.linked.insert(destination.to_owned(), metadata.inode);
        }
        Ok(())
    }

    /// Makes the regular file `destination` from `content`, with `attributes` as they are.
    ///
    /// The rules for paths and for what is replaced are those of [`copy`](Self::copy).
    pub fn write(
        &mut self,
        destination: &Path,
        content: &mut dyn Read,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        let mut file = self.create_file(destination)?;
        std::io::copy(content, &mut file).context("write", destination)?;
        attributes.apply(self.to.owners(), &file, destination)
    }

    /// Sets the attributes of all copied directories. Nothing may be copied into them afterwards.
    pub fn finish(self) -> Result<(), Error> {
        self.dirs.apply(self.to)
    }

    /// Links `destination` to the first copy of the same file; `false` when this is the first.
    fn link(&mut self, source: &Metadata, destination: &Path) -> Result<bool, Error> {
        let Some(first) = self.links.get(&source.inode).cloned() else { return Ok(false) };
        if first == destination {
            return Ok(true);
        }
        let first_dir = self.to.open_parent(&first).context("link", &first)?;
        let first_name = first.file_name().unwrap_or_default();
        self.replace(destination, FileKind::File, |dir, name| {
            linkat(&first_dir, first_name, dir, name, AtFlags::empty())
        })?;
        Ok(true)
    }

    fn create_file(&mut self, destination: &Path) -> Result<File, Error> {
        self.replace(destination, FileKind::File, |dir, name| {
            openat(dir, name, NEW_FILE, Mode::RUSR | Mode::WUSR)
        })
        .map(File::from)
    }

    fn create(&mut self, destination: &Path, node: &Node) -> Result<(), Error> {
        if node.kind == FileKind::Directory {
            self.create_dir(destination, node)?;
            self.dirs.set(destination, node.attributes.clone());
            return Ok(());
        }
        let owners = self.to.owners();
        self.replace(destination, node.kind, |dir, name| node.create(owners, dir, name))
            .map_err(|error| node.explain(error))?;
        let dir = self.to.open_parent(destination).context("open the parent directory of", destination)?;
        node.apply_at(owners, dir.as_fd(), name_of(destination), destination)
    }

    fn create_dir(&self, destination: &Path, node: &Node) -> Result<(), Error> {
        match self.to.lstat_exact(destination)? {
            Some(existing) if existing.kind == FileKind::Directory => Ok(()),
            Some(existing) => Err(refused(destination, existing.kind, node.kind)),
            None => {
                let dir = self.to.open_parent(destination).context("make the directory", destination)?;
                node.create(self.to.owners(), dir.as_fd(), name_of(destination))
                    .context("make the directory", destination)
            }
        }
    }

    /// Makes an entry with `make`, after removing what is there, which may be anything but a directory.
    fn replace<T>(
        &mut self,
        destination: &Path,
        kind: FileKind,
        make: impl Fn(BorrowedFd<'_>, &OsStr) -> rustix::io::Result<T>,
    ) -> Result<T, Error> {
        let dir = self.to.open_parent(destination).context("open the parent directory of", destination)?;
        let name = name_of(destination);
        match make(dir.as_fd(), name) {
            Err(Errno::EXIST) => {}
            answer => return answer.context("make", destination),
        }
        // What is removed is no longer the first copy of anything.
        if let Some(inode) = self.linked.remove(destination) {
            self.links.remove(&inode);
        }
        match self.to.owners().unlink(dir.as_fd(), name, AtFlags::empty()) {
            Ok(()) => make(dir.as_fd(), name).context("make", destination),
            Err(Errno::ISDIR) => Err(refused(destination, FileKind::Directory, kind)),
            Err(errno) => Err(Error::io("replace", destination, errno)),
        }
    }
}

fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or(OsStr::new("."))
}

fn refused(path: &Path, existing: FileKind, replacement: FileKind) -> Error {
    Error::Replacement { path: path.to_owned(), existing: existing.name(), replacement: replacement.name() }
}
