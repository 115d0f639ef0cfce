//! `RUN --mount=type=cache`: directories of the store that steps find again, in this build and in later ones.
//!
//! What is in them was written by steps, so no path in them is followed but inside of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use containerfile::{CacheMount, MountFlag, MountSpec, Sharing};
use layer::{Adjust, Copier, FileKind, Owners, Ownership, Root};
use oci::Digest;
use ownership::Table;
use sandbox::{Link, Source, Submounts};
use store::{CacheSharing, HeldCacheMount, StagedCacheMount};

use super::mount::{Mounted, RunMount, limits};
use super::{INSTRUCTION, RunOp, Surroundings};
use crate::copy::find_one;
use crate::error::{Cause, Error};
use crate::event::Event;
use crate::owners::{Keeping, StepTable};
use crate::plan::Origin;
use crate::snapshot::chain;
use crate::solve::Solver;

/// How long between two looks at a directory that another one has.
const PAUSE: Duration = Duration::from_millis(100);
const FILL: &str = "fill a new cache";

/// The cache directories of one RUN.
pub(super) struct Caches {
    held: BTreeMap<Digest, HeldCache>,
    /// By the number of the mount.
    keys: BTreeMap<usize, (Digest, Ownership)>,
}

/// A cache directory in use.
pub(super) struct HeldCache {
    directory: HeldCacheMount,
    root: Root,
    /// What its ownership table said when it was taken hold of.
    before: Table,
}

impl HeldCache {
    fn new(directory: HeldCacheMount, keeping: Keeping) -> Result<Self, Error> {
        let owners = match keeping {
            Keeping::Disk => Owners::on_disk(),
            Keeping::Tables => Owners::in_table(Table::load(&directory.ownership())?),
        };
        let before = owners.table().unwrap_or_default();
        let failed = |source| Cause::Layer { action: "open a cache".to_owned(), source };
        let root = Root::open_with(directory.root(), owners).map_err(failed)?;
        // A builder that was killed has not kept what its step has removed.
        root.forget_removed().map_err(failed)?;
        Ok(Self { directory, root, before })
    }

    /// Whom its files belong to.
    pub(super) fn owners(&self) -> &Owners {
        self.root.owners()
    }

    /// Keeps what a step has said of its files, beside what other steps have said meanwhile.
    pub(super) fn learn(&self, step: &StepTable) -> Result<(), Error> {
        step.tell(&self.root)?;
        let path = self.directory.ownership();
        let mut kept = Table::load(&path)?;
        kept.apply(&self.before, &self.owners().table().unwrap_or_default());
        Ok(kept.save(&path)?)
    }
}

impl Solver<'_> {
    /// Takes hold of every cache directory of `op`.
    ///
    /// In the order of their keys: two steps that want the same two never wait for each other.
    pub(super) fn hold_caches(&self, op: &RunOp, around: &Surroundings<'_>) -> Result<Caches, Error> {
        let mut wanted: BTreeMap<Digest, (&RunMount, &CacheMount, Sharing)> = BTreeMap::new();
        let mut keys = BTreeMap::new();
        for (index, mount) in op.mounts.iter().enumerate() {
            let MountSpec::Cache(cache) = &mount.spec else { continue };
            let key = self.cache_key(op, cache, mount.from.as_ref());
            keys.insert(index, (key, around.ownership(cache)));
            let entry = wanted.entry(key).or_insert((mount, cache, cache.sharing));
            // One directory under two targets is held once, as the stricter of them asks.
            if strictness(cache.sharing) > strictness(entry.2) {
                entry.2 = cache.sharing;
            }
        }
        let mut held = BTreeMap::new();
        for (key, (mount, cache, sharing)) in wanted {
            let directory = self.hold(key, mount, cache, sharing, around);
            let cache = directory.and_then(|held| HeldCache::new(held, self.shared.host()?.keeping));
            held.insert(key, cache.map_err(|error| error.at(mount.place.clone()))?);
        }
        Ok(Caches { held, keys })
    }

    /// What tells one cache from another: its namespace, its id, and what it began with.
    fn cache_key(&self, op: &RunOp, cache: &CacheMount, from: Option<&Origin>) -> Digest {
        let top = |layers: &[_]| chain(layers).pop().map(|chain| chain.to_string());
        let seed = match from {
            Some(Origin::Image(reference)) => {
                self.bases.of(reference, &self.options.platform).and_then(|base| top(&base.layers))
            }
            Some(Origin::Stage(index)) => self.stages.get(index).and_then(|stage| top(&stage.layers)),
            Some(Origin::Context | Origin::Named(_)) => cache.from.clone(),
            Some(Origin::Scratch) | None => None,
        };
        let source = seed.as_ref().map(|_| &cache.source);
        Digest::of(&oci::to_json(&(&op.cache_namespace, &cache.id, seed.as_ref(), source)))
    }

    fn hold(
        &self,
        key: Digest,
        mount: &RunMount,
        cache: &CacheMount,
        sharing: Sharing,
        around: &Surroundings<'_>,
    ) -> Result<HeldCacheMount, Error> {
        let sharing = match sharing {
            Sharing::Shared => CacheSharing::Shared,
            Sharing::Locked => CacheSharing::Exclusive,
            Sharing::Private => CacheSharing::Own,
        };
        let mut told = false;
        loop {
            match self.shared.store.cache_mount(&key, sharing)? {
                store::CacheMount::Ready(held) => return Ok(held),
                store::CacheMount::Missing(staged) => self.fill_cache(staged, mount, cache, around)?,
                store::CacheMount::Taken { by } => {
                    if !told {
                        let what = waiting_for(cache, by);
                        self.shared.event(Event::StepWaiting { step: around.step.clone(), what });
                        told = true;
                    }
                    if self.shared.cancel.wait(PAUSE) {
                        return Err(Cause::Cancelled.into());
                    }
                }
            }
        }
    }

    /// Makes a new cache directory what it begins as.
    fn fill_cache(
        &self,
        staged: StagedCacheMount,
        mount: &RunMount,
        cache: &CacheMount,
        around: &Surroundings<'_>,
    ) -> Result<(), Error> {
        let ownership = around.ownership(cache);
        self.shared.check_ids(ownership.uid, ownership.gid)?;
        let failed = |source| Cause::Layer { action: FILL.to_owned(), source };
        let root = Root::open_with(staged.root(), self.shared.host()?.keeping.owners()).map_err(failed)?;
        if let Some(origin) = &mount.from {
            self.seed(&root, cache, origin)?;
        }
        root.set_ownership(Path::new(""), &ownership).map_err(failed)?;
        if let Some(table) = root.owners().table() {
            table.save(&staged.ownership())?;
        }
        Ok(staged.commit()?)
    }

    fn seed(&self, to: &Root, cache: &CacheMount, origin: &Origin) -> Result<(), Error> {
        let reading = self.reading(origin, INSTRUCTION)?;
        let found = find_one(&reading, &cache.source, false, INSTRUCTION)?;
        let Some(from) = reading.root() else { return Ok(()) };
        if found.kind != FileKind::Directory {
            let why = "a cache begins with a directory".to_owned();
            let text = cache.source.clone();
            return Err(Cause::InvalidArgument { what: "source of a cache mount", text, why }.into());
        }
        let failed = |source| Cause::Layer { action: FILL.to_owned(), source };
        let owner = (!reading.keeps_owners()).then_some((0, 0));
        let mut copier = Copier::new(from, to, Adjust { owner, mode: None });
        for entry in &found.entries {
            copier.copy(&found.path_of(entry), entry).map_err(failed)?;
        }
        copier.finish().map_err(failed)?;
        Ok(())
    }
}

impl Caches {
    /// Mounts the directory of `cache`.
    pub(super) fn mount(
        &self,
        index: usize,
        cache: &CacheMount,
        mount: &RunMount,
        mounted: &mut Mounted,
    ) -> Result<(), Error> {
        let Some((key, ownership)) = self.keys.get(&index) else { return Ok(()) };
        let Some(held) = self.held.get(key) else { return Ok(()) };
        // With `from` the source says what a new cache begins with, without it a part of the cache.
        let path = match &mount.from {
            None => PathBuf::from(cache.source.trim_start_matches('/')),
            Some(_) => PathBuf::new(),
        };
        if !path.as_os_str().is_empty() {
            let made = held.root.create_dir_all(&path, ownership);
            made.map_err(|source| Cause::Layer {
                action: format!("make `{}` in the cache", cache.source),
                source,
            })?;
        }
        mounted.mounts.push(sandbox::Mount::Bind {
            source: Source { root: held.root.path().to_owned(), path, link: Link::Followed },
            target: cache.target.clone().into(),
            limits: limits(cache.read_only, &cache.flags),
            submounts: Submounts::LeftOut,
        });
        Ok(())
    }

    /// What must be kept while the step runs.
    pub(super) fn into_held(self) -> Vec<HeldCache> {
        self.held.into_values().collect()
    }
}

impl Surroundings<'_> {
    /// Whose a new cache is: the user's of the step if it is to be given to them.
    fn ownership(&self, cache: &CacheMount) -> Ownership {
        let given_away = cache.flags.contains(&MountFlag::Chown) && (cache.uid, cache.gid) == (0, 0);
        let (uid, gid) = if given_away { (self.user.uid, self.user.gid) } else { (cache.uid, cache.gid) };
        Ownership { uid, gid, mode: cache.mode }
    }
}

fn strictness(sharing: Sharing) -> u8 {
    match sharing {
        Sharing::Shared => 0,
        Sharing::Private => 1,
        Sharing::Locked => 2,
    }
}

fn waiting_for(cache: &CacheMount, by: Option<u32>) -> String {
    let id = cache.id.as_deref().unwrap_or_default();
    match by {
        Some(process) if process != std::process::id() => {
            format!("the cache `{id}`, which process {process} is using")
        }
        _ => format!("the cache `{id}`, which another step is using"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use store::Store;

    use super::*;
    use crate::owners::tests::{give, seen};

    #[test]
    fn a_cache_keeps_what_two_steps_say_of_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let hold = || store.cache_mount(&Digest::of(b"key"), CacheSharing::Shared).unwrap();
        let store::CacheMount::Missing(staged) = hold() else { panic!("there is one") };
        for name in ["a", "b"] {
            fs::write(staged.root().join(name), name).unwrap();
        }
        staged.commit().unwrap();
        let held = || {
            let store::CacheMount::Ready(held) = hold() else { panic!("there is none") };
            HeldCache::new(held, Keeping::Tables).unwrap()
        };
        for (cache, name, uid) in [(held(), "a", 1), (held(), "b", 2)] {
            let step = seen(dir.path(), std::iter::once(&cache.root));
            give(&step, &cache.root.path().join(name), uid);
            cache.learn(&step).unwrap();
            step.remove().unwrap();
        }
        let cache = held();
        let uid = |name: &str| cache.root.lstat(Path::new(name)).unwrap().unwrap().uid;
        assert_eq!((uid("a"), uid("b")), (1, 2));
    }
}
