//! Images to and from a real registry, judged by the tools that people run them with.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]
#![expect(clippy::disallowed_methods, reason = "foreign tools judge what was built")]

use std::fs;
use std::process::Command;

use test_support::{Auth, DockerRegistry, Options, TestBuilder, Tls, check_layout, podman_run};

const CONTAINERFILE: &str = "FROM scratch\nCOPY busybox /bin/busybox\n\
    RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nCMD [\"echo\", \"it runs\"]\n";

fn new_builder() -> TestBuilder {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder"));
    builder.file("Containerfile", CONTAINERFILE);
    fs::copy("/bin/busybox", builder.dir().join("busybox")).unwrap();
    builder
}

fn tool(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {told}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_is_pushed_podman_runs_and_skopeo_knows_by_its_digest() {
    let registry = DockerRegistry::start(Options::default());
    let builder = new_builder();
    let name = format!("{}/team/app:1", registry.host());
    let files = ["--digest-file", "digest", "--iidfile", "id", "--metadata-file", "metadata"];
    let mut arguments = vec!["build", "--tls-verify=false", "--push", "-t", &name];
    arguments.extend(files);
    arguments.push(".");
    let printed = builder.run(&arguments).success().text();
    let digest = builder.read("digest");
    let inspected = ["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &format!("docker://{name}")];
    assert_eq!(tool("skopeo", &inspected).trim(), digest);
    assert_eq!(printed.trim(), builder.read("id"));
    let metadata: serde_json::Value = serde_json::from_str(&builder.read("metadata")).unwrap();
    assert_eq!(metadata["containerimage.digest"], digest.as_str());
    assert_eq!(metadata["image.name"], name.as_str());
    assert_eq!(podman_run(&name, &[]).trim(), "it runs");
}

#[test]
fn a_second_push_sends_no_blob_and_another_repository_mounts_the_base() {
    let registry = DockerRegistry::start(Options::default());
    let builder = new_builder();
    let name = |repository: &str| format!("{}/{repository}:1", registry.host());
    builder.run(&["build", "--tls-verify=false", "--push", "-t", &name("base"), "."]).success();
    let again = builder.run(&["push", "--tls-verify=false", &name("base")]).success();
    assert!(!again.stderr.contains("uploaded"), "{again}");
    let base = check_layout(&builder.root()).pop().unwrap().0.layers;

    // Another machine: it knows the base from the registry alone.
    let other = new_builder();
    other.file("Containerfile", format!("FROM {}\nRUN echo more > /more\n", name("base")));
    let pushed = other.run(&["build", "--tls-verify=false", "--push", "-t", &name("app"), "."]).success();
    assert!(pushed.stderr.contains("mounted"), "{pushed}");
    let (manifest, _) = check_layout(&other.root()).pop().unwrap();
    assert_eq!(manifest.layers[..base.len()], base, "base layers are reused byte for byte");
    let annotation = &manifest.annotations["org.opencontainers.image.base.name"];
    assert_eq!(*annotation, name("base"));
}

#[test]
fn a_private_ca_and_a_password_let_in() {
    let tls = Tls::generate();
    let auth = Auth::Htpasswd("me", "secret");
    let registry = DockerRegistry::start(Options { tls: Some(&tls), auth, ..Options::default() });
    let builder = new_builder();
    tls.fill_cert_dir(&builder.dir().join("certs"));
    let name = format!("{}/app:1", registry.host());
    let build = ["build", "--cert-dir", "certs", "--push", "-t", &name];

    let without = builder.run(&[&build[..], &["."]].concat()).exits(1);
    assert!(without.stderr.contains("401") && without.stderr.contains("no credentials for"), "{without}");
    let wrong = builder.run(&[&build[..], &["--creds", "me:wrong", "."]].concat()).exits(1);
    assert!(wrong.stderr.contains("401") && !wrong.stderr.contains("wrong\n"), "{wrong}");
    builder.run(&[&build[..], &["--creds", "me:secret", "."]].concat()).success();

    // bWU6c2VjcmV0 is me:secret.
    let auths = format!("{{\"auths\": {{\"{}\": {{\"auth\": \"bWU6c2VjcmV0\"}}}}}}", registry.host());
    builder.file("auth.json", &auths);
    builder.run(&[&build[..], &["--authfile", "auth.json", "."]].concat()).success();
    let configured = new_builder();
    configured.file("docker/config.json", &auths);
    let configured_dir = configured.dir().join("docker").display().to_string();
    let configured = configured.env("DOCKER_CONFIG", configured_dir);
    tls.fill_cert_dir(&configured.dir().join("certs"));
    configured.run(&["pull", "--cert-dir", "certs", &name]).success();
    assert_eq!(check_layout(&configured.root()).len(), 1);
}

#[test]
fn an_image_is_pulled_by_tag_and_by_digest() {
    let registry = DockerRegistry::start(Options::default());
    let builder = new_builder();
    let name = format!("{}/app:1", registry.host());
    let arguments = ["build", "--tls-verify=false", "--push", "--digest-file", "digest", "-t", &name, "."];
    builder.run(&arguments).success();
    let pinned = format!("{}/app@{}", registry.host(), builder.read("digest"));
    for reference in [&name, &pinned] {
        let other = new_builder();
        other.run(&["pull", "--tls-verify=false", reference]).success();
        assert_eq!(check_layout(&other.root()).len(), 1, "{reference}");
    }
}

#[test]
fn other_tools_read_every_output() {
    let builder = new_builder();
    let outputs = [
        "type=oci,dest=oci.tar",
        "type=oci,tar=false,dest=oci",
        "type=docker,dest=docker.tar",
        "type=tar,dest=root.tar",
    ];
    let mut arguments = vec!["build", "-t", "localhost/app:1", "--iidfile", "id"];
    arguments.extend(outputs.iter().flat_map(|output| ["-o", output]));
    arguments.push(".");
    builder.run(&arguments).success();
    let at = |name: &str| builder.dir().join(name).display().to_string();
    for image in [
        format!("oci-archive:{}", at("oci.tar")),
        format!("oci:{}:1", at("oci")),
        format!("docker-archive:{}", at("docker.tar")),
        format!("oci:{}:localhost/app:1", builder.root().display()),
    ] {
        let config = tool("skopeo", &["inspect", "--config", "--raw", &image]);
        assert_eq!(oci::Digest::of(config.as_bytes()).to_string(), builder.read("id"), "{image}");
    }
    let listed = tool("tar", &["-tf", &at("root.tar")]);
    assert!(listed.lines().any(|line| line.ends_with("bin/busybox")), "{listed}");
    check_layout(&builder.dir().join("oci"));
}

#[test]
fn a_failed_push_names_nothing() {
    let builder = new_builder();
    // Nothing listens on port 1.
    let arguments =
        ["build", "--push", "--retry", "0", "--digest-file", "digest", "-t", "127.0.0.1:1/app:1", "."];
    builder.run(&arguments).exits(1);
    assert!(!builder.dir().join("digest").exists());
    assert!(!builder.run(&["images"]).success().text().contains("app:1"));
}
