//! Records of what a step made, by the key of the step: `cache/KK/KEY`, JSON.
//!
//! A record lists the blobs that it counts on and is not found without them. Knows nothing of what keys and values
//! mean. The modification time of a record's file tells when it was last used.

use std::io::Write;
use std::path::{Path, PathBuf};

use oci::{Descriptor, Digest};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::files::{self, Durability};
use crate::{Error, Store};

const RECORD_LIMIT: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Record<T> {
    blobs: Vec<Descriptor>,
    value: T,
}

impl Store {
    /// The value recorded under `key`, if all blobs that belong to it are there; notes that it is used.
    ///
    /// A damaged record, or one of another shape, is none.
    pub fn cache_get<T: DeserializeOwned>(&self, key: &Digest) -> Result<Option<T>, Error> {
        let path = path(self.dir(), key);
        let Some(record) = read::<T>(&path)? else { return Ok(None) };
        if !record.blobs.iter().all(|blob| self.has(blob)) {
            return Ok(None);
        }
        files::touch(&path);
        Ok(Some(record.value))
    }

    /// Records `value` under `key`, in the place of what was there. It counts as long as the store has `blobs`.
    pub fn cache_put<T: Serialize>(
        &self,
        key: &Digest,
        blobs: &[Descriptor],
        value: &T,
    ) -> Result<(), Error> {
        let path = path(self.dir(), key);
        if let Some(parent) = path.parent() {
            files::create_dir(parent, 0o755)?;
        }
        let record = oci::to_json(&Record { blobs: blobs.to_vec(), value });
        files::replace(self.layout.temporaries(), &path, Durability::Lazy, |file| file.write_all(&record))
    }
}

/// The directory of all records in the store `root`.
pub(crate) fn dir(root: &Path) -> PathBuf {
    root.join("cache")
}

/// The blobs of the record in the file `path`; `None` if it is damaged.
pub(crate) fn blobs_of(path: &Path) -> Result<Option<Vec<Descriptor>>, Error> {
    Ok(read::<serde::de::IgnoredAny>(path)?.map(|record| record.blobs))
}

fn path(root: &Path, key: &Digest) -> PathBuf {
    let digits = key.hex();
    dir(root).join(&digits[..2]).join(digits)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<Record<T>>, Error> {
    match files::read_bounded(path, RECORD_LIMIT) {
        Ok(text) => Ok(text.and_then(|text| serde_json::from_slice(&text).ok())),
        Err(Error::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
