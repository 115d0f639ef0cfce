//! `RUN --mount=type=bind`: files of a context, a stage or an image, seen by one step.
//!
//! What a step writes to them is thrown away with the step, so that it never reaches the tree they come from.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use containerfile::{BindMount, MountFlag};
use layer::{Adjust, Copier, FileKind, Flow, Metadata, Owners, Root, walk};
use oci::{Digest, Digester};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use sandbox::{Durability, Link, Overlay, Source, Submounts, Upper};

use super::mount::{Mounted, limits};
use super::{INSTRUCTION, Surroundings};
use crate::copy::{Match, find_one};
use crate::error::{Cause, Error};
use crate::input::Reading;
use crate::owners::Keeping;
use crate::plan::Origin;
use crate::snapshot::chain;
use crate::solve::Solver;

/// The name of a copy in its directory.
const COPY: &str = "copy";

/// What a bind mount shows.
pub(super) struct BindInput {
    /// Stands for all of its content.
    pub(super) key: Digest,
    files: Files,
}

enum Files {
    /// Of an image, which the key names already: it need not be there before the step runs.
    Later(Origin),
    There(Reading, Match),
}

impl Solver<'_> {
    /// Reads `source` in the tree that `origin` means; a link at its end is followed unless it is `kept`.
    pub(super) fn bind_input(&self, source: &str, kept: bool, origin: &Origin) -> Result<BindInput, Error> {
        if let Origin::Image(reference) = origin
            && let Some(base) = self.bases.of(reference, &self.options.platform)
        {
            let top = chain(&base.layers).pop().map_or_else(String::new, |chain| chain.to_string());
            return Ok(BindInput { key: Digest::of(top.as_bytes()), files: Files::Later(origin.clone()) });
        }
        let reading = self.reading(origin, INSTRUCTION)?;
        let found = find_one(&reading, source, kept, INSTRUCTION)?;
        Ok(BindInput { key: content(&reading, &found)?, files: Files::There(reading, found) })
    }

    /// Mounts what `bind` shows.
    pub(super) fn bind(
        &self,
        bind: &BindMount,
        input: &BindInput,
        around: &Surroundings<'_>,
        mounted: &mut Mounted,
    ) -> Result<(), Error> {
        let source = match &input.files {
            Files::There(reading, found) => self.shown(bind, reading, found, around, mounted)?,
            Files::Later(origin) => {
                let reading = self.reading(origin, INSTRUCTION)?;
                let found = find_one(&reading, &bind.source, keeps_link(bind), INSTRUCTION)?;
                let source = self.shown(bind, &reading, &found, around, mounted)?;
                mounted.readings.push(reading);
                source
            }
        };
        let alone = bind.flags.contains(&MountFlag::NonRecursive);
        mounted.mounts.push(sandbox::Mount::Bind {
            source,
            target: bind.target.clone().into(),
            limits: limits(bind.read_only, &bind.flags),
            submounts: if alone { Submounts::LeftOut } else { Submounts::Included },
        });
        Ok(())
    }

    /// What the step is shown: the files themselves where it may see all of them and change none, else a tree of its
    /// own.
    fn shown(
        &self,
        bind: &BindMount,
        reading: &Reading,
        found: &Match,
        around: &Surroundings<'_>,
        mounted: &mut Mounted,
    ) -> Result<Source, Error> {
        let Some(root) = reading.root() else { return self.own_dir(mounted).map(Source::from) };
        if bind.flags.contains(&MountFlag::Chown) {
            return self.own_copy(root, found, Some((around.user.uid, around.user.gid)), mounted);
        }
        let source = if is_plain(reading, root, found)? {
            let link = if found.kind == FileKind::Symlink { Link::Kept } else { Link::Followed };
            mounted.owners.push(root.owners().clone());
            Source { root: root.path().to_owned(), path: found.source.clone(), link }
        } else {
            let (path, owners) = self.visible_copy(reading, root, found)?;
            mounted.owners.push(owners);
            path.into()
        };
        if bind.read_only {
            return Ok(source);
        }
        // The files of an overlay are in another file system than those that a table is about.
        if found.kind == FileKind::Directory
            && self.shared.host()?.keeping == Keeping::Disk
            && let Some(path) = self.overlay(&source.root.join(&source.path), mounted)?
        {
            return Ok(path.into());
        }
        self.own_copy(root, found, (!reading.keeps_owners()).then_some((0, 0)), mounted)
    }

    /// A copy that lasts as long as `mounted`.
    fn own_copy(
        &self,
        root: &Root,
        found: &Match,
        owner: Option<(u32, u32)>,
        mounted: &mut Mounted,
    ) -> Result<Source, Error> {
        let dir = self.own_dir(mounted)?;
        let owners = self.shared.host()?.keeping.owners();
        copy(root, found, &dir, &owners, owner)?;
        mounted.owners.push(owners);
        Ok(dir.join(COPY).into())
    }

    /// A directory that lasts as long as `mounted`.
    fn own_dir(&self, mounted: &mut Mounted) -> Result<PathBuf, Error> {
        let dir = self.shared.new_dir("bind")?;
        mounted.dirs.push(dir.clone());
        Ok(dir)
    }

    /// What of a context can be seen, owned by root; made once for all steps, which must not change it.
    fn visible_copy(
        &self,
        reading: &Reading,
        root: &Root,
        found: &Match,
    ) -> Result<(PathBuf, Owners), Error> {
        let mut copies = self.contexts.copies.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (reading.name.clone(), found.source.clone());
        if let Some(known) = copies.get(&key) {
            return Ok(known.clone());
        }
        let dir = self.shared.new_dir("context")?;
        let owners = self.shared.host()?.keeping.owners();
        copy(root, found, &dir, &owners, Some((0, 0)))?;
        let made = (dir.join(COPY), owners);
        copies.insert(key, made.clone());
        Ok(made)
    }

    /// The directory `lower` under another path, where what is written to it lasts as long as `mounted`; none where
    /// the kernel refuses that.
    pub(super) fn overlay(&self, lower: &Path, mounted: &mut Mounted) -> Result<Option<PathBuf>, Error> {
        let host = self.shared.host()?;
        let Some(xattrs) = host.overlay else { return Ok(None) };
        let dir = self.own_dir(mounted)?;
        let [upper, work, merged] = ["upper", "work", "merged"].map(|name| dir.join(name));
        for path in [&upper, &work, &merged] {
            let made = std::fs::create_dir(path);
            made.map_err(|source| Cause::Io { action: "make the directory", path: path.clone(), source })?;
        }
        let upper = Some(Upper { dir: upper, work, durability: Durability::Volatile });
        let overlay = Overlay { lower: vec![lower.to_owned()], upper, xattrs };
        // Not every file system can be below an overlay.
        let Ok(guard) = sandbox::mount_overlay(&overlay, &merged) else { return Ok(None) };
        mounted.overlays.push(guard);
        Ok(Some(merged))
    }
}

/// Whether a link is to be mounted itself.
pub(super) fn keeps_link(bind: &BindMount) -> bool {
    bind.flags.contains(&MountFlag::NoDereference)
}

/// The digest of everything that a step can see of the files, but their times.
fn content(reading: &Reading, found: &Match) -> Result<Digest, Error> {
    let mut digester = Digester::new();
    let Some(root) = reading.root() else { return Ok(digester.finish()) };
    let with_owner = reading.keeps_owners();
    let print = |entry: &PathBuf| root.fingerprint(&found.path_of(entry), with_owner);
    let digests: Result<Vec<_>, _> = found.entries.par_iter().map(print).collect();
    let digests = digests.map_err(|source| failed("read what is to be mounted", source))?;
    for (entry, digest) in found.entries.iter().zip(digests) {
        let name = entry.as_os_str().as_encoded_bytes();
        digester.update(&(name.len() as u64).to_be_bytes());
        digester.update(name);
        digester.update(digest.as_bytes());
    }
    Ok(digester.finish())
}

/// Whether a step may be shown the files as they are: the ignore file hides none of them, and root owns all of a
/// context, so that an image never depends on who has checked it out.
fn is_plain(reading: &Reading, root: &Root, found: &Match) -> Result<bool, Error> {
    let failed = |source| failed("read what is to be mounted", source);
    if reading.keeps_owners() {
        return Ok(true);
    }
    let is_of_root = |metadata: &Metadata| (metadata.uid, metadata.gid) == (0, 0);
    let mut plain = root.lstat(&found.source).map_err(failed)?.is_some_and(|top| is_of_root(&top));
    if found.kind != FileKind::Directory {
        return Ok(plain);
    }
    let mut rules = reading.filter().walk();
    let walked = walk(root, &found.source, |entry| {
        let is_dir = entry.metadata.kind == FileKind::Directory;
        plain = plain && is_of_root(entry.metadata) && rules.allows(&found.source.join(entry.path), is_dir);
        Ok::<_, layer::Error>(if plain { Flow::Descend } else { Flow::Skip })
    });
    walked.map(|()| plain).map_err(failed)
}

/// Copies what can be seen to [`COPY`] in `dir`.
fn copy(
    root: &Root,
    found: &Match,
    dir: &Path,
    owners: &Owners,
    owner: Option<(u32, u32)>,
) -> Result<(), Error> {
    let failed = |source| failed("copy what is to be mounted", source);
    let to = Root::open_with(dir, owners.clone()).map_err(failed)?;
    let mut copier = Copier::new(root, &to, Adjust { owner, mode: None });
    if found.kind == FileKind::Directory {
        copier.copy(&found.source, Path::new(COPY)).map_err(failed)?;
    }
    for entry in &found.entries {
        let target = if entry.as_os_str().is_empty() { COPY.into() } else { Path::new(COPY).join(entry) };
        copier.copy(&found.path_of(entry), &target).map_err(failed)?;
    }
    copier.finish().map_err(failed)
}

fn failed(action: &str, source: layer::Error) -> Error {
    Cause::Layer { action: action.to_owned(), source }.into()
}
