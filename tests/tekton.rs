//! `builder tekton` against the contract of OpenShift Pipelines' `buildah-ns` task, with a real registry.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]
#![expect(clippy::disallowed_methods, reason = "foreign tools judge what was built")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use saphyr::{LoadableYamlNode as _, Yaml};
use test_support::{DockerRegistry, Options, Output, TestBuilder, check_layout, podman_run};

const CONTAINERFILE: &str = "FROM scratch\nARG TEXT=none\nCOPY busybox /bin/busybox\n\
    LABEL text=$TEXT\nCMD [\"/bin/busybox\", \"echo\", \"it runs\"]\n";

/// A pod of the task: its workspace is the working directory of the step.
fn step(image: &str, variables: &[(&str, &str)]) -> TestBuilder {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder"));
    builder.file("Dockerfile", CONTAINERFILE).file("results/none", "");
    fs::copy("/bin/busybox", builder.dir().join("busybox")).unwrap();
    let source = builder.dir().display().to_string();
    let result = |name: &str| format!("{source}/results/{name}");
    let (url, digest) = (result("IMAGE_URL"), result("IMAGE_DIGEST"));
    let defaults = [
        ("PARAMS_IMAGE", image),
        ("PARAMS_DOCKERFILE", "./Dockerfile"),
        ("PARAMS_CONTEXT", "."),
        ("PARAMS_STORAGE_DRIVER", "vfs"),
        ("PARAMS_FORMAT", "oci"),
        ("PARAMS_BUILD_EXTRA_ARGS", ""),
        ("PARAMS_PUSH_EXTRA_ARGS", ""),
        ("PARAMS_SKIP_PUSH", "false"),
        ("PARAMS_TLS_VERIFY", "false"),
        ("PARAMS_VERBOSE", "false"),
        ("WORKSPACES_SOURCE_BOUND", "true"),
        ("WORKSPACES_SOURCE_PATH", &source),
        ("WORKSPACES_DOCKERCONFIG_BOUND", "false"),
        ("WORKSPACES_DOCKERCONFIG_PATH", ""),
        ("WORKSPACES_RHEL_ENTITLEMENT_BOUND", "false"),
        ("WORKSPACES_RHEL_ENTITLEMENT_PATH", ""),
        ("RESULTS_IMAGE_URL_PATH", &url),
        ("RESULTS_IMAGE_DIGEST_PATH", &digest),
    ];
    defaults.iter().chain(variables).fold(builder, |builder, (name, value)| builder.env(name, *value))
}

/// `IMAGE_URL` and `IMAGE_DIGEST`, if both were written.
fn results(builder: &TestBuilder) -> Option<(String, String)> {
    let read = |name: &str| fs::read_to_string(builder.dir().join("results").join(name)).ok();
    Some((read("IMAGE_URL")?, read("IMAGE_DIGEST")?))
}

fn fails(builder: &TestBuilder, arguments: &[&str]) -> Output {
    let output = builder.run(arguments).exits(1);
    let left = fs::read_dir(builder.dir().join("results")).unwrap().count();
    assert_eq!(left, 1, "no result after a failure\n{output}");
    output
}

fn skopeo(image: &str, format: &str) -> String {
    let arguments = ["inspect", "--tls-verify=false", "--format", format, &format!("docker://{image}")];
    let output = Command::new("skopeo").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_results_are_those_of_the_pushed_image() {
    let registry = DockerRegistry::start(Options::default());
    let image = format!("{}/team/app:1", registry.host());
    let builder = step(&image, &[]);
    // The default of BUILD_ARGS is one empty argument.
    builder.run(&["tekton", ""]).success();
    let (url, digest) = results(&builder).unwrap();
    assert_eq!(url, image, "verbatim, without a newline");
    assert_eq!(digest, skopeo(&image, "{{.Digest}}"));
}

#[test]
fn the_demo_image_is_pushed_pulled_and_run() {
    let registry = DockerRegistry::start(Options::default());
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo");
    let image = format!("{}/demo:1", registry.host());
    let source = fixtures.display().to_string();
    let variables = [
        ("WORKSPACES_SOURCE_PATH", source.as_str()),
        ("PARAMS_DOCKERFILE", "Containerfile"),
        ("PARAMS_CONTEXT", &source),
    ];
    let builder = step(&image, &variables);
    let base = fixtures.join("base.Containerfile").display().to_string();
    builder.run(&["build", "-t", "localhost/demo-base:1", "-f", &base, "/bin"]).success();
    builder.run(&["tekton"]).success();
    let (_, digest) = results(&builder).unwrap();
    assert_eq!(digest, skopeo(&image, "{{.Digest}}"));
    let page = podman_run(&image, &["--entrypoint=/bin/cat", "/srv/www/index.html"]);
    assert!(page.contains("hello from builder"), "{page}");
}

#[test]
fn build_arguments_come_as_arguments_and_as_quoted_words() {
    let registry = DockerRegistry::start(Options::default());
    let image = format!("{}/app:1", registry.host());
    let label = "{{index .Labels \"text\"}}";
    step(&image, &[]).run(&["tekton", "TEXT=an argument"]).success();
    assert_eq!(skopeo(&image, label), "an argument");
    let quoted = [("PARAMS_BUILD_EXTRA_ARGS", "--build-arg \"TEXT=two words\"")];
    step(&image, &quoted).run(&["tekton", ""]).success();
    assert_eq!(skopeo(&image, label), "two words");
}

#[test]
fn skipping_the_push_still_tells_the_results() {
    let builder = step("registry.invalid/app:1", &[("PARAMS_SKIP_PUSH", "true")]);
    builder.run(&["tekton", ""]).success();
    let (url, digest) = results(&builder).unwrap();
    assert_eq!(url, "registry.invalid/app:1");
    let images = builder.run(&["inspect", "registry.invalid/app:1"]).success();
    assert!(images.text().contains(&digest), "{images}");
}

#[test]
fn a_failure_tells_no_results() {
    // Nothing listens on port 1.
    fails(&step("127.0.0.1:1/app:1", &[("PARAMS_PUSH_EXTRA_ARGS", "--retry 0")]), &["tekton", ""]);
    let missing = fails(&step("localhost/app:1", &[("PARAMS_DOCKERFILE", "none")]), &["tekton", ""]);
    assert!(missing.stderr.contains("none"), "{missing}");
    fails(&step("localhost/app:1", &[("WORKSPACES_SOURCE_BOUND", "false")]), &["tekton", ""]);
    fails(&step("", &[]), &["tekton", ""]);
    let broken = step("localhost/app:1", &[("PARAMS_SKIP_PUSH", "true")]);
    broken.file("Dockerfile", "FROM scratch\nCOPY none /\n");
    fails(&broken, &["tekton", ""]);
}

#[test]
fn credentials_come_from_either_file_of_the_workspace() {
    for name in ["config.json", ".dockerconfigjson"] {
        let auth = test_support::Auth::Htpasswd("me", "secret");
        let registry = DockerRegistry::start(Options { auth, ..Options::default() });
        let image = format!("{}/app:1", registry.host());
        let config = tempfile::tempdir().unwrap();
        let path = config.path().display().to_string();
        let variables = [("WORKSPACES_DOCKERCONFIG_BOUND", "true"), ("WORKSPACES_DOCKERCONFIG_PATH", &path)];
        let neither = fails(&step(&image, &variables), &["tekton", ""]);
        assert!(neither.stderr.contains("config.json"), "{neither}");
        let auths = format!("{{\"auths\": {{\"{}\": {{\"auth\": \"bWU6c2VjcmV0\"}}}}}}", registry.host());
        fs::write(config.path().join(name), auths).unwrap();
        let builder = step(&image, &variables);
        builder.run(&["tekton", ""]).success();
        assert!(results(&builder).is_some(), "{name}");
    }
}

#[test]
fn an_entitlement_is_seen_by_steps_and_by_no_layer() {
    let entitlement = tempfile::tempdir().unwrap();
    fs::write(entitlement.path().join("key.pem"), "of the subscription").unwrap();
    let path = entitlement.path().display().to_string();
    let variables = [
        ("PARAMS_SKIP_PUSH", "true"),
        ("WORKSPACES_RHEL_ENTITLEMENT_BOUND", "true"),
        ("WORKSPACES_RHEL_ENTITLEMENT_PATH", &path),
    ];
    let builder = step("localhost/app:1", &variables);
    let run = "RUN [\"/bin/busybox\", \"grep\", \"subscription\", \"/etc/pki/entitlement/key.pem\"]\n";
    builder.file("Dockerfile", format!("FROM scratch\nCOPY busybox /bin/busybox\n{run}"));
    builder.run(&["tekton", ""]).success();
    let (manifest, _) = check_layout(&builder.root()).pop().unwrap();
    assert_eq!(manifest.layers.len(), 1, "the step has left no trace");
}

#[test]
fn a_source_from_a_config_map_is_read_through_its_links() {
    let builder = step("localhost/app:1", &[("PARAMS_SKIP_PUSH", "true")]);
    fs::create_dir(builder.dir().join("..2026")).unwrap();
    fs::rename(builder.dir().join("Dockerfile"), builder.dir().join("..2026/Dockerfile")).unwrap();
    symlink("..2026", builder.dir().join("..data")).unwrap();
    symlink("..data/Dockerfile", builder.dir().join("Dockerfile")).unwrap();
    builder.run(&["tekton", ""]).success();
    assert!(results(&builder).is_some());
}

#[test]
fn the_task_has_the_params_workspaces_and_results_of_buildah_ns() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/tekton/builder-ns.yaml");
    let text = fs::read_to_string(path).unwrap();
    let documents = Yaml::load_from_str(&text).unwrap();
    let spec = &documents[0]["spec"];
    let names = |list: &str| -> BTreeSet<String> {
        let entries = spec[list].as_sequence().unwrap_or_else(|| panic!("no {list}"));
        entries.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
    };
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let params = [
        "IMAGE",
        "DOCKERFILE",
        "BUILD_ARGS",
        "CONTEXT",
        "STORAGE_DRIVER",
        "FORMAT",
        "BUILD_EXTRA_ARGS",
        "PUSH_EXTRA_ARGS",
        "SKIP_PUSH",
        "TLS_VERIFY",
        "VERBOSE",
    ];
    assert!(names("params").is_superset(&set(&params)), "{:?}", names("params"));
    assert_eq!(names("workspaces"), set(&["source", "dockerconfig", "rhel-entitlement"]));
    assert_eq!(names("results"), set(&["IMAGE_URL", "IMAGE_DIGEST"]));
    for name in params.iter().filter(|name| **name != "BUILD_ARGS") {
        assert!(text.contains(&format!("PARAMS_{name}")), "the step gets PARAMS_{name}");
    }
    assert!(text.contains("$(params.BUILD_ARGS[*])"));
    assert!(text.contains("io.kubernetes.cri-o.userns-mode"));
}
