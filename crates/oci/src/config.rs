//! The image config: what a runtime needs to start a container, and how the image came to be.
//!
//! The type holds Docker's fields beside OCI's (HEALTHCHECK, ONBUILD and SHELL live only here) and keeps every
//! unknown field, so that a config read from a base image loses nothing on its way into a new one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::DiffId;
use crate::raw::null_as_default;

type Other = BTreeMap<String, serde_json::Value>;

/// The image config (image specification, `config.md`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImageConfig {
    /// RFC 3339 time of creation.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created: Option<String>,
    /// Who made the image (MAINTAINER).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub author: Option<String>,
    /// The processor architecture in Go's spelling.
    #[serde(default)]
    pub architecture: String,
    /// The operating system in Go's spelling.
    #[serde(default)]
    pub os: String,
    /// The variant of the processor.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub variant: Option<String>,
    /// What a container is started with.
    #[serde(default, deserialize_with = "null_as_default")]
    pub config: ExecConfig,
    /// The layers by their uncompressed digests.
    pub rootfs: RootFs,
    /// One entry an instruction, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default, deserialize_with = "null_as_default")]
    pub history: Vec<History>,
    /// Everything else (`os.version`, `os.features`, vendors' keys), kept as it is.
    #[serde(flatten)]
    pub other: Other,
}

/// The inner `config` object: execution parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExecConfig {
    /// `user[:group]`, names or ids.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub user: String,
    /// Ports as `80/tcp`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default, with = "empty_objects")]
    pub exposed_ports: BTreeSet<String>,
    /// Variables as `NAME=value`, in the order they were set.
    #[serde(skip_serializing_if = "Vec::is_empty", default, deserialize_with = "null_as_default")]
    pub env: Vec<String>,
    /// The program and its first arguments.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub entrypoint: Option<Vec<String>>,
    /// The arguments a container's user may replace.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cmd: Option<Vec<String>>,
    /// Whether `Cmd` is a single, already escaped command line (Windows and BuildKit's shell form).
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub args_escaped: bool,
    /// Directories that hold data of the container.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default, with = "empty_objects")]
    pub volumes: BTreeSet<String>,
    /// The working directory of the program.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub working_dir: String,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default, deserialize_with = "null_as_default")]
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the program to end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stop_signal: Option<String>,
    /// How to see that the container works; Docker's field.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub healthcheck: Option<Healthcheck>,
    /// Instructions for builds that are FROM this image; Docker's field.
    #[serde(skip_serializing_if = "Vec::is_empty", default, deserialize_with = "null_as_default")]
    pub on_build: Vec<String>,
    /// The shell of shell-form instructions; Docker's field.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shell: Option<Vec<String>>,
    /// Everything else, kept as it is.
    #[serde(flatten)]
    pub other: Other,
}

/// A health check as Docker stores it. Durations are nanoseconds; zero means the engine's default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", arg…]` or `["CMD-SHELL", command]`.
    #[serde(skip_serializing_if = "Vec::is_empty", default, deserialize_with = "null_as_default")]
    pub test: Vec<String>,
    /// Time between two checks.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub interval: u64,
    /// Time after which a check has failed.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub timeout: u64,
    /// Time in which failures do not count.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub start_period: u64,
    /// Time between two checks while starting.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub start_interval: u64,
    /// Failures in a row that make a container unhealthy.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub retries: u64,
    /// Everything else, kept as it is.
    #[serde(flatten)]
    pub other: Other,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The layers of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Bottom first.
    #[serde(default, deserialize_with = "null_as_default")]
    pub diff_ids: Vec<DiffId>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".to_owned(), diff_ids: Vec::new() }
    }
}

/// One entry of the history.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// RFC 3339 time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created: Option<String>,
    /// The instruction, in the builder's form.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_by: Option<String>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub author: Option<String>,
    /// A remark of the builder.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub comment: Option<String>,
    /// Whether the entry made no layer.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub empty_layer: bool,
    /// Everything else, kept as it is.
    #[serde(flatten)]
    pub other: Other,
}

/// Go's `map[string]struct{}`: a set written as an object of empty objects.
mod empty_objects {
    use std::collections::{BTreeMap, BTreeSet};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize)]
    struct Empty {}

    pub(super) fn serialize<S: Serializer>(set: &BTreeSet<String>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(set.iter().map(|name| (name, Empty {})))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<String>, D::Error> {
        let map = Option::<BTreeMap<String, serde_json::Value>>::deserialize(deserializer)?;
        Ok(map.unwrap_or_default().into_keys().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Raw, to_json};

    const DOCKER: &str = r#"{
        "architecture":"amd64","os":"linux","container":"abc","docker_version":"1","created":"2026-01-02T03:04:05Z",
        "config":{"User":"","ExposedPorts":{"80/tcp":{}},"Env":["A=b"],"Cmd":["sh"],"Volumes":null,"OnBuild":["RUN x"],
          "Labels":null,"Shell":["/bin/bash","-c"],"Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":5},"Foo":{"b":1}},
        "rootfs":{"type":"layers","diff_ids":[]},"history":[{"created_by":"x","empty_layer":true}],"moby.x":[1]}"#;

    #[test]
    fn docker_and_unknown_fields_survive_a_round_trip() {
        let raw = Raw::<ImageConfig>::parse("image config", DOCKER.into()).unwrap();
        let config = raw.value();
        assert_eq!(config.config.on_build, ["RUN x"]);
        assert_eq!(config.config.healthcheck.as_ref().unwrap().interval, 5);
        let again: serde_json::Value = serde_json::from_slice(&to_json(config)).unwrap();
        assert_eq!(again["moby.x"], serde_json::json!([1]));
        assert_eq!(again["config"]["Foo"], serde_json::json!({"b": 1}));
        assert_eq!(again["config"]["ExposedPorts"], serde_json::json!({"80/tcp": {}}));
        assert_eq!(again["config"]["Shell"][0], "/bin/bash");
        assert_eq!(again["container"], "abc");
    }

    #[test]
    fn an_empty_entrypoint_is_not_an_absent_one() {
        let config = ExecConfig { entrypoint: Some(vec![]), ..ExecConfig::default() };
        assert_eq!(to_json(&config), br#"{"Entrypoint":[]}"#);
    }

    #[test]
    fn what_we_write_the_community_types_read() {
        let config = ImageConfig {
            architecture: "amd64".into(),
            os: "linux".into(),
            config: ExecConfig {
                exposed_ports: BTreeSet::from(["80/tcp".into()]),
                env: vec!["A=b".into()],
                labels: BTreeMap::from([("k".into(), "v".into())]),
                ..ExecConfig::default()
            },
            ..ImageConfig::default()
        };
        let read = oci_spec::image::ImageConfiguration::from_reader(to_json(&config).as_slice()).unwrap();
        assert_eq!(read.config().as_ref().unwrap().env().as_ref().unwrap(), &["A=b"]);
    }
}
