//! What an image holds, read from its layers with the `tar` crate and nothing of ours: the oracle of a comparison.
//!
//! Whiteouts and links are resolved in memory, no file is made. Start reading at [`ImageTree::apply`].

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read as _};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use oci::Digest;
use serde_json::Value;

/// One entry of a root file system, each field as text that can be compared and printed.
///
/// Keys are `type`, `mode`, `owner`, `content`, `target`, `device`, `mtime`, `links` (the first name that the file has)
/// and one for each extended attribute; what a kind of entry does not have is absent.
pub type Entry = BTreeMap<String, String>;

/// The root file system and the config of an image.
#[derive(Debug, Clone, Default)]
pub struct ImageTree {
    /// By path without a slash at its begin or end; the root itself is not an entry.
    pub entries: BTreeMap<String, Entry>,
    /// The image config as JSON.
    pub config: Value,
    /// How many files were read, which tells equal files of two layers apart.
    files: usize,
}

impl ImageTree {
    /// Reads the only image of an OCI image layout.
    pub fn from_layout(dir: &Path) -> Self {
        let index = json(&dir.join("index.json"));
        let blob = |descriptor: &Value| dir.join("blobs/sha256").join(hex(descriptor));
        Self::from_manifest(&json(&blob(&index["manifests"][0])), blob)
    }

    /// Reads an image that skopeo's transport `dir:` wrote.
    pub fn from_dir(dir: &Path) -> Self {
        Self::from_manifest(&json(&dir.join("manifest.json")), |descriptor| dir.join(hex(descriptor)))
    }

    fn from_manifest(manifest: &Value, blob: impl Fn(&Value) -> std::path::PathBuf) -> Self {
        let mut tree = Self { config: json(&blob(&manifest["config"])), ..Self::default() };
        for layer in manifest["layers"].as_array().expect("layers in a manifest") {
            tree.apply(&read(&blob(layer)));
        }
        tree.name_links();
        tree
    }

    /// Applies a layer, as it is or with gzip; see the OCI image specification, "Applying changesets".
    fn apply(&mut self, layer: &[u8]) {
        let mut bytes = layer.to_owned();
        if layer.starts_with(&[0x1f, 0x8b]) {
            bytes.clear();
            MultiGzDecoder::new(layer).read_to_end(&mut bytes).expect("a gzip layer");
        }
        let mut added = BTreeMap::new();
        let mut archive = tar::Archive::new(Cursor::new(bytes));
        for member in archive.entries().expect("a layer") {
            let mut member = member.expect("an entry of a layer");
            let path = String::from_utf8_lossy(&member.path_bytes()).into_owned();
            let path = path.trim_start_matches("./").trim_matches('/').to_owned();
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if name == ".wh..wh..opq" {
                self.remove(parent, false);
            } else if let Some(hidden) = name.strip_prefix(".wh.") {
                self.remove(&join(parent, hidden), true);
            } else if !path.is_empty() {
                let entry = match target(&member) {
                    Some(first) if member.header().entry_type().is_hard_link() => {
                        let first = first.trim_start_matches("./").trim_start_matches('/');
                        let first = added.get(first).or_else(|| self.entries.get(first));
                        first.unwrap_or_else(|| panic!("`{path}` links to nothing")).clone()
                    }
                    _ => entry(&mut member, self.files),
                };
                self.files += 1;
                if entry["type"] != "Directory" {
                    self.remove(&path, true);
                }
                added.insert(path, entry);
            }
        }
        self.entries.extend(added);
    }

    fn remove(&mut self, path: &str, itself: bool) {
        let below = if path.is_empty() { String::new() } else { format!("{path}/") };
        self.entries.retain(|name, _| !(name.starts_with(&below) || itself && name == path));
    }

    /// Two names of one file have the name in common that sorts first; until here it is a number.
    fn name_links(&mut self) {
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, entry) in &self.entries {
            if let Some(id) = entry.get("links") {
                names.entry(id.clone()).or_default().push(path.clone());
            }
        }
        for paths in names.values() {
            for path in paths {
                let entry = self.entries.get_mut(path).expect("invariant: a path of the map");
                entry.remove("links");
                if paths.len() > 1 {
                    entry.insert("links".to_owned(), paths[0].clone());
                }
            }
        }
    }
}

fn entry(member: &mut tar::Entry<'_, impl std::io::Read>, number: usize) -> Entry {
    let kind = member.header().entry_type();
    let mut entry = Entry::new();
    let mut set = |key: &str, value: String| entry.insert(key.to_owned(), value);
    set("type", format!("{kind:?}"));
    let header = member.header();
    let (uid, gid) = (header.uid().expect("a uid"), header.gid().expect("a gid"));
    set("owner", format!("{uid}:{gid}"));
    set("mtime", header.mtime().expect("a time").to_string());
    if !kind.is_symlink() {
        set("mode", format!("{:04o}", header.mode().expect("a mode") & 0o7777));
    }
    if kind.is_character_special() || kind.is_block_special() {
        set("device", format!("{:?}:{:?}", header.device_major(), header.device_minor()));
    }
    if let Some(target) = target(member) {
        set("target", target);
    }
    for extension in member.pax_extensions().expect("extended headers").into_iter().flatten() {
        let extension = extension.expect("an extended header");
        let key = String::from_utf8_lossy(extension.key_bytes());
        if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
            set(name, String::from_utf8_lossy(extension.value_bytes()).into_owned());
        }
    }
    if kind.is_file() {
        let mut content = Vec::new();
        member.read_to_end(&mut content).expect("the content of a file");
        set("content", format!("{} bytes, {}", content.len(), Digest::of(&content)));
        set("links", number.to_string());
    }
    entry
}

fn target(member: &tar::Entry<'_, impl std::io::Read>) -> Option<String> {
    member.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned())
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}

fn hex(descriptor: &Value) -> String {
    let digest = descriptor["digest"].as_str().expect("a digest in a descriptor");
    digest.trim_start_matches("sha256:").to_owned()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
