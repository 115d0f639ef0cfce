//! What an image takes from its base: layers byte for byte, and a config of which nothing is lost.

#![expect(clippy::disallowed_methods, reason = "skopeo puts foreign images into the registry")]
#![expect(clippy::unwrap_used, reason = "a test has no better answer")]

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use test_support::{DockerRegistry, Options, SHELL, TestBuilder, write_image};

fn new_builder() -> TestBuilder {
    TestBuilder::new(env!("CARGO_BIN_EXE_builder")).with_busybox()
}

/// An archive of regular files.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o640);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Puts an image of other hands into the registry, and returns its name and the digest of its manifest.
fn push(registry: &DockerRegistry, config: Value, layers: &[Vec<u8>]) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    write_image(dir.path(), config, layers);
    let name = format!("{}/foreign/base:1", registry.host());
    let (source, target) = (format!("oci:{}:latest", dir.path().display()), format!("docker://{name}"));
    let mut skopeo = Command::new("skopeo");
    skopeo.args([
        "copy",
        "--quiet",
        "--insecure-policy",
        "--preserve-digests",
        "--dest-tls-verify=false",
        &source,
        &target,
    ]);
    let output = skopeo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let index: Value = serde_json::from_slice(&fs::read(dir.path().join("index.json")).unwrap()).unwrap();
    (name, index["manifests"][0]["digest"].as_str().unwrap().to_owned())
}

/// The config of the image that was built last, as it is written.
fn raw_config(builder: &TestBuilder) -> Value {
    builder.run(&["inspect", "localhost/app:1"]).success().json()["config"].clone()
}

#[test]
fn layers_and_unknown_fields_of_a_base_are_kept() {
    let registry = DockerRegistry::start(Options::default());
    let config = json!({
        "architecture": "amd64", "os": "linux", "os.features": ["f"], "created": "2020-01-02T03:04:05Z",
        "author": "someone", "future": {"a": [1, 2.5]}, "container": "gone", "docker_version": "gone",
        "config": {
            "Env": ["A=1"], "Cmd": ["old"], "Entrypoint": ["/e"], "User": "5", "WorkingDir": "/w",
            "Labels": {"a": "1"}, "StopSignal": "TERM", "Shell": ["/bin/x", "-c"], "Memory": 7,
            "Healthcheck": {"Test": ["CMD", "check"], "Interval": 1_000_000_000_u64, "Later": true},
        },
    });
    let layers = [archive(&[("a", "one"), ("b", "one")]), archive(&[("a", "two"), (".wh.b", "")])];
    let (base, digest) = push(&registry, config, &layers);
    let builder = new_builder();
    let text = format!("FROM {base}\nCOPY busybox /busybox\nLABEL b=2\n");
    let (manifest, image) = builder.build(&text, &["--tls-verify=false", "--timestamp=0"]);

    let digests: Vec<_> = manifest.layers.iter().map(|layer| layer.digest).collect();
    assert_eq!(digests[..2], layers.each_ref().map(|layer| oci::Digest::of(layer)));
    assert_eq!(digests.len(), 3);
    assert_eq!((builder.read_exported("a"), builder.exported("b").exists()), ("two".into(), false));
    assert_eq!(manifest.annotations["org.opencontainers.image.base.name"], base);
    assert_eq!(manifest.annotations["org.opencontainers.image.base.digest"], digest);

    let told: Vec<_> = image.history.iter().filter_map(|entry| entry.created_by.as_deref()).collect();
    assert_eq!(told, ["a test", "a test", "COPY busybox /busybox # buildkit", "LABEL b=2"]);
    let config = raw_config(&builder);
    assert_eq!(config["future"], json!({"a": [1, 2.5]}));
    assert_eq!(config["os.features"], json!(["f"]));
    assert_eq!((&config["container"], &config["docker_version"]), (&Value::Null, &Value::Null));
    let exec = &config["config"];
    assert_eq!(exec["Env"][0], "A=1");
    assert_eq!(
        (&exec["Memory"], &exec["User"], &exec["StopSignal"]),
        (&json!(7), &json!("5"), &json!("TERM"))
    );
    assert_eq!(exec["Labels"], json!({"a": "1", "b": "2"}));
    assert_eq!(exec["Healthcheck"]["Later"], true);
    assert_eq!((&exec["Cmd"], &exec["Shell"]), (&json!(["old"]), &json!(["/bin/x", "-c"])));
}

#[test]
fn copy_and_from_find_images_of_the_store_and_of_a_registry() {
    let registry = DockerRegistry::start(Options::default());
    let config = json!({"architecture": "amd64", "os": "linux"});
    let (foreign, digest) = push(&registry, config, &[archive(&[("dir/file", "foreign")])]);
    let pinned = format!("{}@{digest}", foreign.strip_suffix(":1").unwrap());
    let builder = new_builder();
    builder.file("Local", "FROM scratch\nCOPY Local /local\n");
    builder.run(&["build", "-f", "Local", "-t", "localhost/local:1", "."]).success();
    let text = format!(
        "ARG IMAGE={foreign}\nFROM localhost/local:1\nCOPY --from=localhost/local:1 /local /again\nCOPY --from={foreign} /dir /tag\n\
         COPY --from={pinned} /dir/file /digest\nFROM $IMAGE AS shadowed\nCOPY --from=0 /again /again\n"
    );
    builder.build(&text, &["--tls-verify=false", "--target=0"]);
    for path in ["tag/file", "digest"] {
        assert_eq!(builder.read_exported(path), "foreign", "{path}");
    }
    assert_eq!(builder.read_exported("again"), builder.read_exported("local"));
    builder.build(&text, &["--tls-verify=false"]);
    assert_eq!(builder.read_exported("dir/file"), "foreign");
    assert!(builder.exported("again").exists());
}

#[test]
fn a_stage_shadows_an_image_and_a_base_of_no_layers_builds() {
    let registry = DockerRegistry::start(Options::default());
    let (empty, _) = push(&registry, json!({"architecture": "amd64", "os": "linux"}), &[]);
    let builder = new_builder();
    builder.file("Local", "FROM scratch\nLABEL from=store\n");
    builder.run(&["build", "-f", "Local", "-t", "localhost/shell:latest", "-t", "shell", "."]).success();
    let text = format!(
        "{SHELL}LABEL from=stage\nFROM shell AS next\nFROM {empty}\nCOPY --from=next /bin/busybox /b\n"
    );
    let (_, config) = builder.build(&text, &["--tls-verify=false", "--target=next"]);
    assert_eq!(config.config.labels["from"], "stage");
    let (manifest, config) = builder.build(&text, &["--tls-verify=false"]);
    assert_eq!((manifest.layers.len(), config.config.labels.len()), (1, 0));
}
