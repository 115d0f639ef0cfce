//! From selected entries to where COPY puts them.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use containerfile::Chmod;
use layer::{
    Adjust, Attributes, Copier, FileKind, ModeChange, Ownership, Root, Timestamp, UnpackOptions, Xattrs,
};

use super::CopyOp;
use super::selection::{Match, below_top};
use crate::error::{Cause, Error};
use crate::input::Group;

/// Carries out `op`: copies the files of `groups` into `to`. `owner` is what `--chown` means in `to`; `now` is the time of
/// files that have none of their own.
pub(crate) fn place(
    op: &CopyOp,
    groups: &[Group],
    to: &Root,
    owner: Option<(u32, u32)>,
    now: i64,
) -> Result<(), Error> {
    // Patterns without a match make no directory either.
    if groups.iter().all(|group| group.matches.is_empty()) && op.heredocs.is_empty() {
        return Ok(());
    }
    let placement = Placement { op, to, owner };
    placement.make_parents()?;
    for group in groups {
        placement.copy(group)?;
    }
    placement.write_heredocs(now)
}

struct Placement<'a> {
    op: &'a CopyOp,
    to: &'a Root,
    owner: Option<(u32, u32)>,
}

impl Placement<'_> {
    fn copy(&self, group: &Group) -> Result<(), Error> {
        let Some(from) = group.reading.root() else { return Ok(()) };
        let kept = if group.reading.keeps_owners() { None } else { Some((0, 0)) };
        let change = self.mode_change();
        let adjust = Adjust { owner: self.owner.or(kept), mode: change.as_deref().map(ModeChange) };
        let mut copier = Copier::new(from, self.to, adjust);
        let mut directories = Vec::new();
        for found in &group.matches {
            if group.unpack && self.unpack(from, found)? {
                continue;
            }
            let target = self.target(found.kind, Path::new(&found.name))?;
            for entry in &found.entries {
                let copied = copier.copy(&below_top(&found.source, entry), &below_top(&target, entry));
                copied.map_err(|error| self.failed(error))?;
            }
            if found.kind == FileKind::Directory {
                directories.push((&found.source, target));
            }
        }
        copier.finish().map_err(|error| self.failed(error))?;
        for (source, target) in directories {
            let metadata = from.lstat(source).map_err(|error| self.failed(error))?;
            let mtime = metadata.map_or_else(Timestamp::default, |metadata| metadata.mtime);
            self.to.set_mtime(&target, mtime).map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// What directories are like that are made on the way: `--chown` and `--chmod` are for them too.
    fn ownership(&self) -> Ownership {
        let (uid, gid) = self.owner.unwrap_or((0, 0));
        // A symbolic mode is for what is copied, as in BuildKit's copier.
        let mode = self.op.chmod.as_ref().and_then(Chmod::octal).unwrap_or(0o755);
        Ownership { uid, gid, mode }
    }

    /// What `--chmod` does.
    fn mode_change(&self) -> Option<Box<dyn Fn(u32, bool) -> u32>> {
        let chmod = self.op.chmod.clone()?;
        Some(Box::new(move |mode, is_dir| chmod.apply(mode, is_dir)))
    }

    fn make_parents(&self) -> Result<(), Error> {
        let destination = Path::new(&self.op.destination);
        let is_dir = self.op.destination.ends_with('/');
        let parent = if is_dir { destination } else { destination.parent().unwrap_or(destination) };
        self.make_dir(parent)
    }

    fn make_dir(&self, path: &Path) -> Result<(), Error> {
        self.to.create_dir_all(path, &self.ownership()).map(drop).map_err(|error| self.failed(error))
    }

    /// Where an entry of this kind goes; an existing directory takes a file by its name.
    fn target(&self, kind: FileKind, name: &Path) -> Result<PathBuf, Error> {
        let destination = Path::new(&self.op.destination);
        let existing = self.to.stat(destination).map_err(|error| self.failed(error))?;
        let is_dir = existing.is_some_and(|metadata| metadata.kind == FileKind::Directory);
        if kind == FileKind::Directory {
            if existing.is_some() && !is_dir {
                return Err(self.mismatch(name, "directory", &self.op.destination, "file"));
            }
            self.make_dir(destination)?;
        }
        let target = self.to.resolve(destination).map_err(|error| self.failed(error))?;
        Ok(if is_dir && kind != FileKind::Directory { target.join(name) } else { target })
    }

    /// Unpacks `found` into the destination if it is an archive.
    fn unpack(&self, from: &Root, found: &Match) -> Result<bool, Error> {
        if found.kind != FileKind::File {
            return Ok(false);
        }
        let failed = |source| Cause::Layer {
            action: format!("unpack the archive `{}`", found.source.display()),
            source,
        };
        let mut file = from.open_file(&found.source).map_err(failed)?;
        if layer::probe_archive(&mut file).map_err(failed)?.is_none() {
            return Ok(false);
        }
        self.make_dir(Path::new(&self.op.destination))?;
        let (_, tar) = layer::decode(file).map_err(failed)?;
        let change = self.mode_change();
        let adjust = Adjust { owner: self.owner, mode: change.as_deref().map(ModeChange) };
        let options = UnpackOptions { adjust, ..UnpackOptions::default() };
        layer::unpack(tar, self.to, Path::new(&self.op.destination), &options).map_err(failed)?;
        Ok(true)
    }

    fn write_heredocs(&self, now: i64) -> Result<(), Error> {
        let (uid, gid) = self.owner.unwrap_or((0, 0));
        let attributes = Attributes {
            mode: self.op.chmod.as_ref().map_or(0o644, |chmod| chmod.apply(0o644, false)),
            uid,
            gid,
            mtime: Timestamp::from_secs(now),
            xattrs: Xattrs::new(),
        };
        for (name, text) in &self.op.heredocs {
            let target = self.target(FileKind::File, Path::new(name))?;
            let mut copier = Copier::new(self.to, self.to, Adjust::default());
            copier
                .write(&target, &mut Cursor::new(text.as_bytes()), &attributes)
                .and_then(|()| copier.finish())
                .map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    fn failed(&self, error: layer::Error) -> Error {
        match error {
            layer::Error::Replacement { path, existing, replacement } => {
                let target = format!("/{}", path.display());
                self.mismatch(&path, replacement, &target, existing)
            }
            source => Cause::Layer { action: format!("copy to `{}`", self.op.destination), source }.into(),
        }
    }

    fn mismatch(
        &self,
        path: &Path,
        source_kind: &'static str,
        target: &str,
        target_kind: &'static str,
    ) -> Error {
        let path = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let target = target.to_owned();
        let cause = Cause::KindMismatch { path, source_kind, target, target_kind };
        Error::from(cause).at(self.op.place.clone())
    }
}
