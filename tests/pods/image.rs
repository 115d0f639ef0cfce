//! What a build in a pod gave: the image, how it was made, and how long that took.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use test_support::{Entry, ImageTree, Output, Profile};

/// An image that was built in a pod.
pub(crate) struct Image {
    pub(crate) profile: Profile,
    pub(crate) digest: String,
    /// What it holds, if its volume outlived the container.
    pub(crate) tree: Option<ImageTree>,
    /// What the build told.
    pub(crate) output: Output,
}

impl Image {
    /// Where this is not the same as the other, a path a line.
    pub(crate) fn differences(&self, other: &Self) -> String {
        let (Some(ours), Some(theirs)) = (&self.tree, &other.tree) else { return String::new() };
        let mut text = String::new();
        for path in ours.entries.keys().chain(theirs.entries.keys()).collect::<BTreeSet<_>>() {
            let (our, their) = (ours.entries.get(path), theirs.entries.get(path));
            if our != their {
                let (name, other) = (self.profile.name, other.profile.name);
                writeln!(text, "{path}: {name} {our:?}, {other} {their:?}").unwrap();
            }
        }
        text
    }
}

/// The entries that are not simply root's, a line each: mode, owner, path, extended attributes.
pub(crate) fn special_entries(tree: &ImageTree) -> String {
    let mut text = String::new();
    for (path, entry) in &tree.entries {
        let mode = entry.get("mode").map_or("-", String::as_str);
        let attributes = attributes(entry);
        if entry["owner"] != "0:0" || mode.len() == 4 && !mode.starts_with('0') || !attributes.is_empty() {
            writeln!(text, "{mode:4} {:11} {path}{attributes}", entry["owner"]).unwrap();
        }
    }
    text
}

fn attributes(entry: &Entry) -> String {
    let attributes = entry.iter().filter(|(key, _)| key.contains('.'));
    let shown = attributes.map(|(key, value)| format!(" {key}={}", value.escape_default()));
    shown.collect::<Vec<_>>().concat()
}
