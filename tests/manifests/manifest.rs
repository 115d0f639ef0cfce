//! A manifest of `deploy/pods`: what its pod asks for, and what it runs.
//!
//! Knows the form of a Job and nothing of which pods there are.

use std::fs;
use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value};

/// A Job with one container that builds, and what clones the sources before.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    /// The name of its file without `.yaml`.
    pub name: String,
    /// What stands in the file, comments among it.
    pub text: String,
    /// The object in it.
    pub job: Value,
}

/// A container of a manifest as a runtime is asked for it.
#[derive(Debug)]
pub(crate) struct Container {
    /// The command with its arguments.
    pub argv: Vec<String>,
    /// The environment.
    pub env: Vec<(String, String)>,
}

impl Manifest {
    /// Every manifest, in the order of their names.
    pub(crate) fn all() -> Vec<Self> {
        let entries = fs::read_dir(dir()).unwrap();
        let mut all: Vec<_> = entries.map(|entry| Self::read(&entry.unwrap().path())).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// The manifest in `deploy/pods/NAME.yaml`.
    pub(crate) fn named(name: &str) -> Self {
        Self::read(&dir().join(name).with_extension("yaml"))
    }

    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let documents = Yaml::load_from_str(&text).unwrap();
        assert_eq!(documents.len(), 1, "{} holds one object", path.display());
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let job = to_json(&documents[0]);
        Self { name, text, job }
    }

    /// The pod: `metadata` and `spec`.
    pub(crate) fn pod(&self) -> &Value {
        &self.job["spec"]["template"]
    }

    /// The only container of this kind, `containers` or `initContainers`.
    pub(crate) fn only(&self, kind: &str) -> &Value {
        let all = self.pod()["spec"][kind].as_array().unwrap();
        assert_eq!(all.len(), 1, "{} has one of {kind}", self.name);
        &all[0]
    }

    /// What a container of this kind runs.
    pub(crate) fn container(&self, kind: &str) -> Container {
        let container = self.only(kind);
        let words = |key: &str| container[key].as_array().into_iter().flatten().map(text);
        let env = container["env"].as_array().into_iter().flatten();
        Container {
            argv: words("command").chain(words("args")).collect(),
            env: env.map(|variable| (text(&variable["name"]), text(&variable["value"]))).collect(),
        }
    }

    /// Where a container of this kind sees each volume, with the volume.
    pub(crate) fn mounts(&self, kind: &str) -> Vec<(String, &Value)> {
        let volume = |name: &Value| {
            let all = self.pod()["spec"]["volumes"].as_array().unwrap();
            all.iter().find(|volume| volume["name"] == *name).unwrap_or_else(|| panic!("no volume {name}"))
        };
        let mounts = self.only(kind)["volumeMounts"].as_array().unwrap();
        mounts.iter().map(|mount| (text(&mount["mountPath"]), volume(&mount["name"]))).collect()
    }

    /// What is set for a container of this kind, by itself or else for the pod.
    pub(crate) fn security(&self, kind: &str, field: &str) -> &Value {
        let own = &self.only(kind)["securityContext"][field];
        if own.is_null() { &self.pod()["spec"]["securityContext"][field] } else { own }
    }
}

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/pods")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is a text")).to_owned()
}

fn to_json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Boolean(value)) => (*value).into(),
        Yaml::Value(Scalar::Integer(value)) => (*value).into(),
        Yaml::Value(Scalar::String(value)) => value.as_ref().into(),
        Yaml::Sequence(values) => values.iter().map(to_json).collect(),
        Yaml::Mapping(entries) => {
            let entries =
                entries.iter().map(|(key, value)| (key.as_str().unwrap().to_owned(), to_json(value)));
            entries.collect::<Map<_, _>>().into()
        }
        other => panic!("a manifest has no {other:?}"),
    }
}
