//! `RUN --mount=type=bind`: files of a context, a stage or an image, seen by one step.
//!
//! What a step writes to them is thrown away with the step, so that it never reaches the tree they come from.

use std::path::{Path, PathBuf};

use containerfile::{BindMount, MountFlag};
use layer::{Adjust, Copier, FileKind, Flow, Metadata, Root, walk};
use oci::{Digest, Digester};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use sandbox::{Link, Overlay, Source, Submounts, Upper};

use super::mount::{Mounted, limits};
use super::{INSTRUCTION, Surroundings};
use crate::copy::{Match, find_one};
use crate::error::{Cause, Error};
use crate::input::Reading;
use crate::plan::Origin;
use crate::snapshot::chain;
use crate::solve::Solver;

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
    pub(super) fn bind_input(&self, bind: &BindMount, origin: &Origin) -> Result<BindInput, Error> {
        if let Origin::Image(reference) = origin
            && let Some(base) = self.bases.of(reference, &self.options.platform)
        {
            let top = chain(&base.layers).pop().map_or_else(String::new, |chain| chain.to_string());
            return Ok(BindInput { key: Digest::of(top.as_bytes()), files: Files::Later(origin.clone()) });
        }
        let reading = self.reading(origin, INSTRUCTION)?;
        let found = find(&reading, bind)?;
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
                let found = find(&reading, bind)?;
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

    /// The files themselves where the step can see all of them and change none; else a tree of its own.
    fn shown(
        &self,
        bind: &BindMount,
        reading: &Reading,
        found: &Match,
        around: &Surroundings<'_>,
        mounted: &mut Mounted,
    ) -> Result<Source, Error> {
        let Some(root) = reading.root() else {
            let dir = self.shared.host()?.new_dir("bind")?;
            mounted.dirs.push(dir.clone());
            return Ok(dir.into());
        };
        let given_away = bind.flags.contains(&MountFlag::Chown);
        let is_whole = !given_away && !hides(reading, root, found)?;
        if is_whole && bind.read_only {
            let link = if found.kind == FileKind::Symlink { Link::Kept } else { Link::Followed };
            return Ok(Source { root: root.path().to_owned(), path: found.source.clone(), link });
        }
        if is_whole
            && found.kind == FileKind::Directory
            && is_owned(root, found)?
            && let Some(path) = self.overlay(&root.path().join(&found.source), mounted)?
        {
            return Ok(path.into());
        }
        let owner = match (given_away, reading.keeps_owners()) {
            (true, _) => Some((around.user.uid, around.user.gid)),
            (false, true) => None,
            (false, false) => Some((0, 0)),
        };
        let dir = self.shared.host()?.new_dir("bind")?;
        mounted.dirs.push(dir.clone());
        copy(root, found, &dir, owner)?;
        Ok(dir.join("copy").into())
    }

    /// The directory `lower` under another path, where what is written to it lasts as long as `mounted`; none where
    /// the kernel refuses that.
    pub(super) fn overlay(&self, lower: &Path, mounted: &mut Mounted) -> Result<Option<PathBuf>, Error> {
        let host = self.shared.host()?;
        let Some(xattrs) = host.overlay else { return Ok(None) };
        let dir = host.new_dir("bind")?;
        mounted.dirs.push(dir.clone());
        let [upper, work, merged] = ["upper", "work", "merged"].map(|name| dir.join(name));
        for path in [&upper, &work, &merged] {
            let made = std::fs::create_dir(path);
            made.map_err(|source| Cause::Io { action: "make the directory", path: path.clone(), source })?;
        }
        let upper = Some(Upper { dir: upper, work });
        let overlay = Overlay { lower: vec![lower.to_owned()], upper, xattrs };
        // Not every file system can be below an overlay.
        let Ok(guard) = sandbox::mount_overlay(&overlay, &merged) else { return Ok(None) };
        mounted.overlays.push(guard);
        Ok(Some(merged))
    }
}

fn find(reading: &Reading, bind: &BindMount) -> Result<Match, Error> {
    find_one(reading, &bind.source, bind.flags.contains(&MountFlag::NoDereference), INSTRUCTION)
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

/// Whether the ignore file hides anything of what is mounted.
fn hides(reading: &Reading, root: &Root, found: &Match) -> Result<bool, Error> {
    if !reading.filter().has_rules() || found.kind != FileKind::Directory {
        return Ok(false);
    }
    let mut rules = reading.filter().walk();
    let mut hidden = false;
    let walked = walk(root, &found.source, |entry| {
        hidden = hidden
            || !rules.allows(&found.source.join(entry.path), entry.metadata.kind == FileKind::Directory);
        Ok::<_, layer::Error>(if hidden { Flow::Skip } else { Flow::Descend })
    });
    walked.map(|()| hidden).map_err(|source| failed("read what is to be mounted", source))
}

/// Whether all of a directory belongs to ids that exist here: overlay copies nothing else up (EOVERFLOW).
fn is_owned(root: &Root, found: &Match) -> Result<bool, Error> {
    /// proc(5), "/proc/sys/kernel/overflowuid": how other ids show.
    const OVERFLOW: u32 = 65534;
    let is_foreign = |metadata: &Metadata| metadata.uid == OVERFLOW || metadata.gid == OVERFLOW;
    let failed = |source| failed("read what is to be mounted", source);
    let mut foreign = root.lstat(&found.source).map_err(failed)?.is_some_and(|top| is_foreign(&top));
    let walked = walk(root, &found.source, |entry| {
        foreign = foreign || is_foreign(entry.metadata);
        Ok::<_, layer::Error>(if foreign { Flow::Skip } else { Flow::Descend })
    });
    walked.map(|()| !foreign).map_err(failed)
}

/// Copies what can be seen to `copy` in `dir`.
fn copy(root: &Root, found: &Match, dir: &Path, owner: Option<(u32, u32)>) -> Result<(), Error> {
    let failed = |source| failed("copy what is to be mounted", source);
    let to = Root::open(dir).map_err(failed)?;
    let mut copier = Copier::new(root, &to, Adjust { owner, mode: None });
    if found.kind == FileKind::Directory {
        copier.copy(&found.source, Path::new("copy")).map_err(failed)?;
    }
    for entry in &found.entries {
        let target = if entry.as_os_str().is_empty() { "copy".into() } else { Path::new("copy").join(entry) };
        copier.copy(&found.path_of(entry), &target).map_err(failed)?;
    }
    copier.finish().map_err(failed)
}

fn failed(action: &str, source: layer::Error) -> Error {
    Cause::Layer { action: action.to_owned(), source }.into()
}
