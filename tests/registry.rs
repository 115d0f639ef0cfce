//! Images to and from a real registry, judged by the tools that people run them with.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]

use std::fs;

use test_support::{
    Auth, DockerRegistry, FaultyRegistry, Options, TestBuilder, Tls, check_layout, podman_run, tool,
};

const CONTAINERFILE: &str = "FROM scratch\nCOPY busybox /bin/busybox\n\
    RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nCMD [\"echo\", \"it runs\"]\n";

fn new_builder() -> TestBuilder {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder"));
    builder.file("Containerfile", CONTAINERFILE);
    fs::copy("/bin/busybox", builder.dir().join("busybox")).unwrap();
    builder
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
    assert_eq!(tool("skopeo", &inspected, "/").trim(), digest);
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

/// What the registry itself saw, in place of what the builder tells.
#[test]
fn the_registry_is_sent_each_blob_once() {
    let registry = FaultyRegistry::start();
    let builder = new_builder();
    let name = |repository: &str| format!("{}/{repository}:1", registry.host());
    let upload = |repository: &str| format!("POST /v2/{repository}/blobs/uploads/");
    let content = |repository: &str| format!("PUT /v2/{repository}/blobs/uploads/");
    builder.run(&["build", "--tls-verify=false", "--push", "-t", &name("base"), "."]).success();
    let base = check_layout(&builder.root()).pop().unwrap().0;
    let blobs = base.layers.len() + 1;
    assert_eq!(registry.count(&content("base")), blobs, "{:?}", registry.requests());

    builder.run(&["push", "--tls-verify=false", &name("base")]).success();
    assert_eq!(registry.count(&upload("base")), blobs, "the second push uploads nothing");

    let other = new_builder();
    other.file("Containerfile", format!("FROM {}\nCMD [\"true\"]\n", name("base")));
    other.run(&["build", "--tls-verify=false", "--push", "-t", &name("app"), "."]).success();
    let mounted = |layer: &oci::Descriptor| {
        let asked = registry.requests().into_iter().map(|request| request.line());
        let mut mounts = asked.filter(|line| line.starts_with(&upload("app")) && line.contains("from=base"));
        let hex = layer.digest.hex();
        mounts.any(|line| line.contains(&hex[..])) && registry.blob("app", &layer.digest).is_some()
    };
    assert!(base.layers.iter().all(mounted), "{:?}", registry.requests());
    assert_eq!(registry.count(&content("app")), 1, "only the config is new: {:?}", registry.requests());
}

#[test]
fn credentials_may_be_for_a_part_of_a_registry() {
    let auth = Auth::Htpasswd("me", "secret");
    let registry = DockerRegistry::start(Options { auth, ..Options::default() });
    let builder = new_builder();
    let host = registry.host();
    // bWU6c2VjcmV0 is me:secret, bWU6d3Jvbmc= is me:wrong.
    let auths = format!(
        r#"{{"auths": {{"{host}": {{"auth": "bWU6d3Jvbmc="}}, "{host}/team": {{"auth": "bWU6c2VjcmV0"}}}}}}"#
    );
    builder.file("auth.json", auths);
    let push = |name: &str| {
        let name = format!("{host}/{name}");
        builder.run(&["build", "--tls-verify=false", "--authfile=auth.json", "--push", "-t", &name, "."])
    };
    push("team/app:1").success();
    let refused = push("other/app:1").exits(1);
    assert!(refused.stderr.contains("401"), "{refused}");
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
fn an_unknown_certificate_is_refused_unless_told_otherwise() {
    let tls = Tls::generate();
    let registry = DockerRegistry::start(Options { tls: Some(&tls), ..Options::default() });
    let builder = new_builder();
    let name = format!("{}/app:1", registry.host());
    let refused = builder.run(&["build", "--retry=0", "--push", "-t", &name, "."]).exits(1);
    assert!(refused.stderr.contains("certificate") && refused.stderr.contains("hint: "), "{refused}");
    builder.run(&["build", "--tls-verify=false", "--push", "-t", &name, "."]).success();
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
        let derived = new_builder();
        derived.file("Containerfile", format!("FROM {reference}\nRUN echo more > /more\n"));
        derived.run(&["build", "--tls-verify=false", "--pull=always", "."]).success();
        check_layout(&derived.root());
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
        "type=local,dest=local",
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
        let config = tool("skopeo", &["inspect", "--config", "--raw", &image], "/");
        assert_eq!(oci::Digest::of(config.as_bytes()).to_string(), builder.read("id"), "{image}");
    }
    let listed = tool("tar", &["-tf", &at("root.tar")], "/");
    assert!(listed.lines().any(|line| line.ends_with("bin/busybox")), "{listed}");
    assert_eq!(fs::read(builder.dir().join("local/bin/busybox")).unwrap(), fs::read("/bin/busybox").unwrap());
    check_layout(&builder.dir().join("oci"));

    tool("umoci", &["unpack", "--image", &format!("{}:1", at("oci")), &at("bundle")], "/");
    let applet = fs::read_link(builder.dir().join("bundle/rootfs/bin/ls")).unwrap();
    assert_eq!(applet.to_str(), Some("/bin/busybox"));
    let storage = [format!("--root={}", at("graph")), format!("--runroot={}", at("run"))];
    let load = ["--storage-driver=vfs", "--events-backend=none", "load", "--input", &at("docker.tar")];
    let loaded = tool("podman", &[&[&*storage[0], &*storage[1]], &load[..]].concat(), "/");
    assert!(loaded.contains("localhost/app:1"), "{loaded}");
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
