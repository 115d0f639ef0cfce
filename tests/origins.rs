//! Where files come from: named contexts, stages in any order, images of other platforms, triggers that copy.

use std::fs;

use test_support::{DockerRegistry, Options, SHELL, TestBuilder};

fn new_builder() -> TestBuilder {
    TestBuilder::new(env!("CARGO_BIN_EXE_builder")).with_busybox()
}

#[test]
fn a_named_directory_is_copied_from_with_its_own_ignore_file() {
    let builder = new_builder();
    builder.file("other/a", "1").file("other/b", "2").file("other/.dockerignore", "b");
    let text = "FROM scratch\nARG WHICH=Lib\nCOPY --from=$WHICH . /lib/\n";
    builder.build(text, &["--build-context", "lib=other"]);
    assert_eq!(builder.read_exported("lib/a"), "1");
    assert!(!builder.exported("lib/b").exists());
    // Another file, another layer.
    builder.file("other/a", "3");
    builder.build(text, &["--build-context", "lib=other"]);
    assert_eq!(builder.read_exported("lib/a"), "3");
}

#[test]
fn a_named_directory_is_a_base() {
    let builder = new_builder();
    builder.file("rootfs/etc/a", "1").file("rootfs/bin/sh", fs::read("/bin/busybox").unwrap());
    fs::set_permissions(
        builder.dir().join("rootfs/bin/sh"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let text = "FROM base\nRUN echo 2 > /etc/b\n";
    let (_, config) = builder.build(text, &["--build-context", "base=rootfs"]);
    assert_eq!((builder.read_exported("etc/a"), builder.read_exported("etc/b")), ("1".into(), "2\n".into()));
    assert_eq!(config.rootfs.diff_ids.len(), 2);
}

#[test]
fn a_named_context_comes_before_a_stage_and_an_image() {
    let builder = new_builder();
    builder.file("other/a", "context").file("a", "stage");
    let text = "FROM scratch AS one\nCOPY a /\nFROM scratch\nCOPY --from=one a /\n";
    builder.build(text, &[]);
    assert_eq!(builder.read_exported("a"), "stage");
    builder.build(text, &["--build-context=one=other"]);
    assert_eq!(builder.read_exported("a"), "context");
    let text = "FROM scratch\nCOPY --from=q.io/no/such:image a /\n";
    builder.build(text, &["--build-context=q.io/no/such:image=other"]);
    assert_eq!(builder.read_exported("a"), "context");
    // An image by any of its spellings.
    let text = "FROM alpine\nCOPY --from=alpine a /b\n";
    builder.build(text, &["--build-context=docker.io/library/alpine:latest=other"]);
    assert_eq!(builder.read_exported("b"), "context");
}

#[test]
fn a_name_for_an_image_replaces_a_base() {
    let builder = new_builder();
    builder.file("a", "1").file("Base", "FROM scratch\nCOPY a /\nLABEL from=here\n");
    builder.run(&["build", "-f", "Base", "-t", "localhost/base:1", "."]).success();
    let text = "FROM alpine\n";
    for flags in [
        &["--build-context=alpine=docker-image://localhost/base:1"] as &[&str],
        &["--build-context=alpine=container-image://localhost/base:1"],
        &["--from=localhost/base:1"],
    ] {
        let (_, config) = builder.build(text, flags);
        assert_eq!(config.config.labels["from"], "here", "{flags:?}");
        assert_eq!(builder.read_exported("a"), "1");
    }
}

#[test]
fn a_name_for_a_stage_may_be_of_a_later_one() {
    let builder = new_builder();
    let text = "FROM scratch AS last\nCOPY --from=data a /\nFROM scratch AS made\nCOPY <<EOF /a\nlate\nEOF\n";
    builder.build(text, &["--target=last", "--build-context=data=target:made"]);
    assert_eq!(builder.read_exported("a"), "late\n");
    builder.file("Containerfile", "FROM scratch AS one\nCOPY --from=x /a /\nFROM one AS two\n");
    let output = builder.run(&["build", "--target=one", "--build-context=x=target:two", "."]).exits(1);
    assert!(output.stderr.contains("stage `one` needs itself"), "{output}");
    let output = builder.run(&["build", "--build-context=x=target:none", "."]).exits(1);
    assert!(output.stderr.contains("there is no stage `none`"), "{output}");
}

#[test]
fn triggers_of_a_base_copy_and_mount_from_stages_and_images() {
    let registry = DockerRegistry::start(Options::default());
    let builder = new_builder();
    let image = format!("{}/tools:1", registry.host());
    builder.file("a", "image").file("Tools", "FROM scratch\nCOPY a /a\n");
    builder.run(&["build", "-f", "Tools", "-t", &image, "--push", "--tls-verify=false", "."]).success();
    let base = format!(
        "{SHELL}FROM shell\nONBUILD COPY --from=assets /x /x\nONBUILD COPY --from={image} /a /a\n\
         ONBUILD COPY <<EOF /b\nONBUILD COPY --from=assets\nEOF\nONBUILD RUN cat /x /a /b > /all\n"
    );
    builder.file("Base", base);
    builder.run(&["build", "-f", "Base", "-t", "localhost/base:1", "."]).success();
    // Nothing in the text needs the stage `assets`.
    builder.file("x", "stage");
    builder.build(
        "FROM scratch AS assets\nCOPY x /x\nFROM localhost/base:1\n",
        &["--tls-verify=false", "--no-cache"],
    );
    assert_eq!(builder.read_exported("all"), "stageimageONBUILD COPY --from=assets\n");
    let output = {
        builder.file("Containerfile", "FROM localhost/base:1\n");
        builder.run(&["build", "--retry=0", "."]).exits(1)
    };
    assert!(output.stderr.contains("Containerfile:1:6"), "{output}");
}

#[test]
fn a_stage_of_another_platform_gives_its_files_and_its_name() {
    let builder = new_builder();
    builder.file("a", "1");
    let text =
        "FROM --platform=linux/s390x scratch AS other\nCOPY a /\nFROM scratch\nCOPY --from=other a /\n";
    let (_, config) = builder.build(text, &[]);
    assert_eq!(config.architecture, oci::Platform::host().architecture);
    let (_, config) = builder.build(text, &["--target=other"]);
    assert_eq!(config.architecture, "s390x");
    let (_, config) =
        builder.build("FROM scratch\nARG TARGETARCH\nLABEL for=$TARGETARCH\n", &["--platform=linux/arm64"]);
    assert_eq!((config.architecture.as_str(), config.config.labels["for"].as_str()), ("arm64", "arm64"));
}

#[test]
fn the_command_line_changes_what_stages_inherit() {
    let builder = new_builder();
    builder.file("Base", "FROM scratch\nENV A=base B=base\nLABEL a=base b=base\n");
    builder.run(&["build", "-f", "Base", "-t", "localhost/base:1", "."]).success();
    let (_, config) = builder.build(
        "FROM localhost/base:1 AS one\nENV C=$B\nFROM one\nENV D=$A\nLABEL c=own\n",
        &["--env=B=flag", "--unsetenv=A", "--unsetlabel=a", "--unsetlabel=c"],
    );
    assert_eq!(config.config.env[1..], ["B=flag", "C=flag", "D=base"]);
    let labels: Vec<_> = config.config.labels.keys().map(String::as_str).collect();
    assert_eq!(labels, ["b", "c"]);
}
