//! Two images of one Containerfile, laid side by side: each way in which they differ as one value.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;
use test_support::{Entry, ImageTree};

/// Times from here on are those of the build and not of the context.
const NOW: u64 = 1_500_000_000;

/// One thing that is not the same, with what both sides have of it; nothing is an empty text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The path, or `config`.
    pub(crate) path: String,
    /// The key of the entry or of the config; `entry` where only one side has the path.
    pub(crate) key: String,
    /// What builder made.
    pub(crate) ours: String,
    /// What buildah made.
    pub(crate) theirs: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: ours `{}`, theirs `{}`", self.path, self.key, self.ours, self.theirs)
    }
}

/// All differences, files first; a build that fails on one side only is one as well.
pub(crate) fn compare(
    ours: &Result<ImageTree, String>,
    theirs: &Result<ImageTree, String>,
) -> Vec<Difference> {
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(_), Err(_)) => return Vec::new(),
        (ours, theirs) => {
            let told = |side: &Result<ImageTree, String>| side.as_ref().err().cloned().unwrap_or_default();
            return vec![difference("build", "error", told(ours), told(theirs))];
        }
    };
    let paths: BTreeSet<_> = ours.entries.keys().chain(theirs.entries.keys()).collect();
    let mut all = Vec::new();
    for path in paths {
        match (ours.entries.get(path), theirs.entries.get(path)) {
            (Some(ours), Some(theirs)) => all.extend(of_entries(path, ours, theirs)),
            (ours, theirs) => {
                let shown = |entry: Option<&Entry>| {
                    entry.map(|e| format!("{} {}", e["type"], e["owner"])).unwrap_or_default()
                };
                all.push(difference(path, "entry", shown(ours), shown(theirs)));
            }
        }
    }
    all.extend(of_configs(&ours.config, &theirs.config));
    all
}

fn of_entries(path: &str, ours: &Entry, theirs: &Entry) -> Vec<Difference> {
    let is_file = ours["type"] == "Regular";
    let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let shown = |entry: &Entry, key: &str| match entry.get(key).cloned().unwrap_or_default() {
        time if key == "mtime" && !is_file
            || time.parse().is_ok_and(|time: u64| key == "mtime" && time > NOW) =>
        {
            String::new()
        }
        value => value,
    };
    let pairs = keys.into_iter().map(|key| (key, shown(ours, key), shown(theirs, key)));
    pairs.filter(|(_, a, b)| a != b).map(|(key, a, b)| difference(path, key, a, b)).collect()
}

/// What says how the image is run, and the author; the history is of another make in each builder.
fn of_configs(ours: &Value, theirs: &Value) -> Vec<Difference> {
    let keys = |config: &Value| -> BTreeSet<String> {
        config["config"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
    };
    let (mine, other) = (&ours["config"], &theirs["config"]);
    let pairs = keys(ours).into_iter().chain(keys(theirs)).collect::<BTreeSet<_>>();
    let run = pairs.into_iter().map(|key| (shown(&mine[&key]), shown(&other[&key]), key));
    let whole =
        ["author", "os", "architecture"].map(|key| (shown(&ours[key]), shown(&theirs[key]), key.to_owned()));
    let all = run.chain(whole).filter(|(ours, theirs, _)| ours != theirs);
    all.map(|(ours, theirs, key)| difference("config", &key, ours, theirs)).collect()
}

/// A value as text; what means nothing is empty, however it is written.
fn shown(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(false) => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => String::new(),
        Value::Object(items) if items.is_empty() => String::new(),
        value => value.to_string(),
    }
}

fn difference(path: &str, key: &str, ours: String, theirs: String) -> Difference {
    Difference { path: path.to_owned(), key: key.to_owned(), ours, theirs }
}
