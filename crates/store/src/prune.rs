//! Removes what no image and no cache record needs, while no build runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use oci::Digest;

use crate::graph::{self, Broken};
use crate::images::REF_NAME;
use crate::layout::Layout;
use crate::{Error, Store, cache, cache_mounts, files, layers, remove};

/// Which of the things that only save time are kept: cache records with their blobs, unpacked layers, and the
/// directories of cache mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// All of them.
    #[default]
    All,
    /// Those that were used at this time or later.
    UsedSince(SystemTime),
    /// None of them.
    Nothing,
}

/// What to remove beside blobs that nothing refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PruneOptions {
    /// What stays of the cache.
    pub cache: Keep,
    /// Whether images without a name go as well.
    pub unnamed_images: bool,
}

/// What a prune has removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Names and unnamed images taken out of the index.
    pub images: usize,
    /// Blobs.
    pub blobs: usize,
    /// Unpacked layers.
    pub layers: usize,
    /// Directories of cache mounts.
    pub cache_mounts: usize,
    /// Cache records, the damaged ones among them.
    pub cache_records: usize,
    /// Bytes of disk freed.
    pub bytes: u64,
}

impl Store {
    /// Removes what `options` say, and every blob that is then needed by no image and no cache record.
    ///
    /// [`Error::InUse`] if another process has the store open, or this one has anything of it under way. Images whose
    /// index entry we cannot follow make it fail before anything is removed.
    pub fn prune(&mut self, options: &PruneOptions) -> Result<Pruned, Error> {
        let root = self.dir().to_owned();
        let in_use = || Error::InUse { path: root.clone() };
        let session = Arc::get_mut(&mut self.session).ok_or_else(in_use)?;
        let trash = files::create_private_dir(session.dir(), "trash-")?;
        let layout = &self.layout;
        let swept = session.exclusively(&root, || sweep(layout, &trash, options));
        // Builds may go on while the trees of the layers are removed, which takes long.
        let bytes = remove::remove_tree(&trash)?;
        let mut pruned = swept?;
        pruned.bytes += bytes;
        Ok(pruned)
    }
}

fn sweep(layout: &Layout, trash: &Path, options: &PruneOptions) -> Result<Pruned, Error> {
    let mut pruned = Pruned::default();
    if options.unnamed_images {
        let named = |entry: &oci::Descriptor| entry.annotations.contains_key(REF_NAME);
        pruned.images = layout.update_index(|index| index.retain(named))?;
    }
    let mut needed = blobs_of_images(layout)?;
    pruned.cache_records = sweep_cache(layout, options.cache, &mut needed)?;
    pruned.layers = sweep_dirs(&layers::dir(layout.dir()), options.cache, trash, "layer")?;
    for mounts in files::sorted_entries(&cache_mounts::dir(layout.dir()))? {
        let name = format!("cache-mount-{}", pruned.cache_mounts);
        pruned.cache_mounts += sweep_dirs(&mounts, options.cache, trash, &name)?;
        // The directory of a key is removed when its last one is.
        drop(fs::remove_dir(&mounts));
    }
    for blob in files::sorted_entries(&layout.blobs())? {
        let keep = files::digest_named(&blob).is_none_or(|digest| needed.contains(&digest));
        if !keep {
            pruned.bytes += disk_usage(&blob);
            pruned.blobs += 1;
            remove_file(&blob)?;
        }
    }
    Ok(pruned)
}

fn blobs_of_images(layout: &Layout) -> Result<BTreeSet<Digest>, Error> {
    let index = layout.index()?;
    let entries: Option<Vec<_>> = index.entries().collect();
    let Some(entries) = entries else {
        let path = layout.dir().join("index.json");
        let why = "it has an entry that is no descriptor of a sha256 digest".to_owned();
        return Err(Error::Malformed { path, source: oci::Error::Inconsistent { what: "image index", why } });
    };
    Ok(graph::reach(layout, entries, Broken::Skip)?.into_keys().collect())
}

/// Removes records and adds the blobs of those that stay to `needed`.
fn sweep_cache(layout: &Layout, keep: Keep, needed: &mut BTreeSet<Digest>) -> Result<usize, Error> {
    let mut removed = 0;
    for prefix in files::sorted_entries(&cache::dir(layout.dir()))? {
        for record in files::sorted_entries(&prefix)? {
            let blobs = cache::blobs_of(&record)?.filter(|blobs| blobs.iter().all(|blob| layout.has(blob)));
            match blobs {
                Some(blobs) if is_kept(keep, &record)? => needed.extend(blobs.iter().map(|blob| blob.digest)),
                _ => {
                    remove_file(&record)?;
                    removed += 1;
                }
            }
        }
    }
    Ok(removed)
}

/// Moves the directories in `dir` to `trash`, each under a name that begins with `prefix`, so that none is ever there in
/// part.
fn sweep_dirs(dir: &Path, keep: Keep, trash: &Path, prefix: &str) -> Result<usize, Error> {
    let mut removed = 0;
    for entry in files::sorted_entries(dir)? {
        if !is_kept(keep, &entry)? {
            let target: PathBuf = trash.join(format!("{prefix}-{removed}"));
            fs::rename(&entry, &target).map_err(|source| Error::io("remove", &entry, source))?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_kept(keep: Keep, path: &Path) -> Result<bool, Error> {
    match keep {
        Keep::All => Ok(true),
        Keep::Nothing => Ok(false),
        Keep::UsedSince(time) => {
            let used = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
            Ok(used.map_err(|source| Error::io("read the times of", path, source))? >= time)
        }
    }
}

fn disk_usage(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    path.symlink_metadata().map_or(0, |metadata| metadata.blocks() * 512)
}

fn remove_file(path: &Path) -> Result<(), Error> {
    fs::remove_file(path).map_err(|source| Error::io("remove", path, source))
}
