//! An OCI image layout in a directory (image specification, `image-layout.md`): the part of a store that other tools
//! read, and the form of an exported image.
//!
//! Knows the files and how `index.json` is changed by several processes; not what its entries are named.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use oci::{Descriptor, Digest, MediaType};
use serde_json::{Map, Value, json};

use crate::files::{self, Durability};
use crate::lock::{self, Mode};
use crate::{Error, graph};

const VERSION: &str = "1.0.0";
/// An index of a store that has seen a hundred thousand names is below this.
const INDEX_LIMIT: u64 = 64 << 20;

/// The directory of a layout, and a directory on the same file system for files under way.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    dir: PathBuf,
    temporaries: PathBuf,
}

impl Layout {
    /// Opens the layout in `dir`, making it if there is none.
    pub(crate) fn open(dir: &Path, temporaries: &Path) -> Result<Self, Error> {
        let layout = Self { dir: dir.to_owned(), temporaries: temporaries.to_owned() };
        files::create_dir(&layout.blobs(), 0o755)?;
        let marker = dir.join("oci-layout");
        match files::read_bounded(&marker, INDEX_LIMIT)? {
            Some(text) => check_version(&marker, &text)?,
            None => layout.write(&marker, &oci_layout(), Durability::Lazy)?,
        }
        if !layout.index_path().exists() {
            layout.update_index(|_| ())?;
        }
        Ok(layout)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn temporaries(&self) -> &Path {
        &self.temporaries
    }

    /// The directory of all blobs.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.dir.join("blobs/sha256")
    }

    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Whether the blob is there with the size that the descriptor gives.
    pub(crate) fn has(&self, descriptor: &Descriptor) -> bool {
        self.blob_path(&descriptor.digest).metadata().is_ok_and(|m| m.is_file() && m.len() == descriptor.size)
    }

    /// `index.json` as it is.
    pub(crate) fn index(&self) -> Result<IndexFile, Error> {
        IndexFile::read(&self.index_path())
    }

    /// Changes `index.json` while nobody else does; what `change` leaves alone is written back as it was.
    pub(crate) fn update_index<T>(&self, change: impl FnOnce(&mut IndexFile) -> T) -> Result<T, Error> {
        let failed = |source| Error::io("open", &self.dir, source);
        let dir = File::open(&self.dir).map_err(failed)?;
        lock::lock(&dir, &self.dir, Mode::Exclusive)?;
        let path = self.index_path();
        let mut index = IndexFile::read(&path)?;
        let result = change(&mut index);
        self.write(&path, &index.to_json(), Durability::Synced)?;
        Ok(result)
    }

    fn index_path(&self) -> PathBuf {
        self.dir.join("index.json")
    }

    fn write(&self, path: &Path, content: &[u8], durability: Durability) -> Result<(), Error> {
        files::replace(&self.temporaries, path, durability, |file| file.write_all(content))
    }
}

/// The content of the `oci-layout` file.
pub(crate) fn oci_layout() -> Vec<u8> {
    oci::to_json(&json!({ "imageLayoutVersion": VERSION }))
}

fn check_version(path: &Path, text: &[u8]) -> Result<(), Error> {
    let marker: Value = parse(path, text)?;
    match &marker["imageLayoutVersion"] {
        Value::String(version) if version == VERSION => Ok(()),
        found => Err(Error::LayoutVersion { path: path.to_owned(), found: found.to_string() }),
    }
}

/// `index.json`, of which everything that we do not understand is kept as it is.
#[derive(Debug)]
pub(crate) struct IndexFile {
    fields: Map<String, Value>,
    entries: Vec<Value>,
}

impl IndexFile {
    /// An index without entries.
    pub(crate) fn empty() -> Self {
        let mut fields = Map::new();
        fields.insert("schemaVersion".to_owned(), json!(2));
        fields.insert("mediaType".to_owned(), json!(MediaType::OCI_INDEX));
        Self { fields, entries: Vec::new() }
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let Some(text) = files::read_bounded(path, INDEX_LIMIT)? else { return Ok(Self::empty()) };
        let mut fields: Map<String, Value> = parse(path, &text)?;
        let entries = match fields.remove("manifests") {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        };
        Ok(Self { fields, entries })
    }

    /// The entries; those that are no descriptors we could follow (a sha512 digest) are `None`.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Option<Descriptor>> {
        self.entries.iter().map(descriptor)
    }

    /// Removes the entries for which `keep` is false and returns their number; foreign ones stay.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Descriptor) -> bool) -> usize {
        let before = self.entries.len();
        self.entries.retain(|entry| descriptor(entry).is_none_or(|descriptor| keep(&descriptor)));
        before - self.entries.len()
    }

    /// Adds an entry at the end.
    pub(crate) fn push(&mut self, descriptor: &Descriptor) {
        self.entries.push(json!(descriptor));
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut fields = self.fields.clone();
        fields.insert("manifests".to_owned(), Value::Array(self.entries.clone()));
        oci::to_json(&fields)
    }
}

fn descriptor(entry: &Value) -> Option<Descriptor> {
    serde_json::from_value(entry.clone()).ok()
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T, Error> {
    graph::parse(path, "image layout", text)
}
