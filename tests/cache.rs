//! The step cache: what is known is not done again, and nothing else is taken for known.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]

use std::fs;

use test_support::{Output, TestBuilder, check_layout};

const CONTAINERFILE: &str = r#"
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ARG VERSION=1
COPY a /a
RUN echo $VERSION > /version
COPY b /b
"#;

fn new_builder() -> TestBuilder {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder"));
    builder.file("Containerfile", CONTAINERFILE).file("a", "a").file("b", "b");
    fs::copy("/bin/busybox", builder.dir().join("busybox")).unwrap();
    builder
}

fn build(builder: &TestBuilder, flags: &[&str]) -> (Output, String) {
    let mut arguments = vec!["build", "--digest-file", "digest", "."];
    arguments.splice(1..1, flags.iter().copied());
    let output = builder.run(&arguments).success();
    let digest = builder.read("digest");
    (output, digest)
}

/// How many of the six steps were taken from the cache.
fn cached(output: &Output) -> usize {
    output.stderr.matches("CACHED").count()
}

#[test]
fn an_unchanged_build_does_nothing_and_gives_the_same_image() {
    let builder = new_builder();
    let (first, digest) = build(&builder, &[]);
    assert_eq!(cached(&first), 0, "{first}");
    let (second, again) = build(&builder, &[]);
    assert_eq!((cached(&second), again), (6, digest), "{second}");
    check_layout(&builder.root());
}

#[test]
fn a_changed_file_counts_from_its_copy_on() {
    let builder = new_builder();
    build(&builder, &[]);
    builder.file("b", "changed");
    assert_eq!(cached(&build(&builder, &[]).0), 5);
    builder.file("a", "changed");
    // COPY a, RUN and COPY b are done; both ADDs of busybox and the ARG are known.
    assert_eq!(cached(&build(&builder, &[]).0), 3);
}

#[test]
fn a_time_alone_does_not_count() {
    let builder = new_builder();
    build(&builder, &[]);
    let file = fs::File::options().write(true).open(builder.dir().join("a")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(cached(&build(&builder, &[]).0), 6);
}

#[test]
fn a_build_argument_counts_where_a_run_sees_it() {
    let builder = new_builder();
    build(&builder, &[]);
    assert_eq!(cached(&build(&builder, &["--build-arg=VERSION=2"]).0), 3);
    assert_eq!(cached(&build(&builder, &["--build-arg=VERSION=2"]).0), 6);
    assert_eq!(cached(&build(&builder, &[]).0), 6);
}

#[test]
fn no_cache_does_everything_and_remembers_it() {
    let builder = new_builder();
    build(&builder, &[]);
    assert_eq!(cached(&build(&builder, &["--no-cache"]).0), 0);
    assert_eq!(cached(&build(&builder, &[]).0), 6);
}

#[test]
fn a_record_counts_only_with_its_blobs() {
    let builder = new_builder();
    let (_, digest) = build(&builder, &["--source-date-epoch=1"]);
    let (manifest, _) = check_layout(&builder.root()).pop().unwrap();
    let layer = manifest.layers.last().unwrap().digest.hex();
    fs::remove_file(builder.root().join("blobs/sha256").join(layer)).unwrap();
    let (output, again) = build(&builder, &["--source-date-epoch=1"]);
    assert_eq!((cached(&output), again), (5, digest), "{output}");
}

#[test]
fn steps_before_a_failure_are_remembered() {
    let builder = new_builder();
    builder.file("Containerfile", format!("{CONTAINERFILE}\nRUN exit 3\n"));
    builder.run(&["build", "."]).exits(3);
    builder.file("Containerfile", CONTAINERFILE);
    assert_eq!(cached(&build(&builder, &[]).0), 6);
}
