//! One Containerfile, one digest: whatever the snapshots lie on, whoever builds, however often.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]
#![expect(clippy::disallowed_methods, reason = "foreign tools judge what was built")]

use std::path::Path;
use std::process::Command;

use test_support::{TestBuilder, check_layout, ordinary_user};

/// What snapshots get wrong: removals, renames and links across steps, replaced kinds, owners, set-id bits, names.
const CONTAINERFILE: &str = r#"
FROM scratch AS base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir -p /d/sub /keep /opaque/in && echo one > /d/one && ln /d/one /d/two && echo a > /opaque/a && echo b > /opaque/in/b
RUN mv /d/one /d/moved && ln /d/two /d/three && echo more >> /d/two
FROM base
RUN rm -rf /opaque && mkdir /opaque && echo new > /opaque/c
RUN rm -rf /d/sub && echo file > /d/sub && rm /keep -r && ln -s /d /keep
RUN chown -R 1000:2000 /d && cp /bin/busybox /su && chmod 4711 /su && mkfifo /pipe && mkdir -m 1777 /tmp
RUN dd if=/dev/zero of=/sparse bs=1 count=1 seek=1000000 2>/dev/null && touch "/$(printf 'odd \377 name')"
RUN n=$(printf '%0120d' 7); mkdir -p /$n/$n && echo deep > /$n/$n/$n
RUN true
COPY --from=base /d /copied
COPY --chown=7:8 context /context
WORKDIR /made/here
USER 1000
RUN id > /tmp/id
CMD ["sh"]
"#;

fn prepare(builder: &TestBuilder) {
    builder.file("Containerfile", CONTAINERFILE).file("context/file", "content").file("context/dir/x", "x");
    std::fs::copy("/bin/busybox", builder.dir().join("busybox")).unwrap();
}

fn new_builder() -> TestBuilder {
    TestBuilder::new(env!("CARGO_BIN_EXE_builder")).env("SOURCE_DATE_EPOCH", "1700000000")
}

fn digest(builder: &TestBuilder, flags: &[&str]) -> String {
    let mut arguments = vec!["build", "--digest-file", "digest", "-t", "localhost/app:1", "."];
    arguments.splice(1..1, flags.iter().copied());
    builder.run(&arguments).success();
    builder.read("digest")
}

#[test]
fn overlay_vfs_and_an_ordinary_user_give_one_digest() {
    let overlay = new_builder();
    prepare(&overlay);
    let expected = digest(&overlay, &["--storage-driver=overlay"]);
    let vfs = new_builder();
    prepare(&vfs);
    assert_eq!(digest(&vfs, &["--storage-driver=vfs"]), expected, "vfs");
    let (uid, gid) = ordinary_user();
    for driver in ["--storage-driver=overlay", "--storage-driver=vfs"] {
        let user = new_builder().as_user(uid, gid);
        prepare(&user);
        assert_eq!(digest(&user, &[driver]), expected, "an ordinary user with {driver}");
    }
    check_layout(&overlay.root());
}

#[test]
fn times_make_a_build_reproducible() {
    for flag in ["--source-date-epoch=1600000000", "--timestamp=1600000000"] {
        let first = new_builder();
        prepare(&first);
        let expected = digest(&first, &[flag]);
        assert_eq!(digest(&first, &[flag, "--no-cache"]), expected, "{flag}");
        let again = new_builder();
        prepare(&again);
        assert_eq!(digest(&again, &[flag]), expected, "{flag} in another store");
        let (_, config) = check_layout(&again.root()).pop().unwrap();
        assert_eq!(config.created.as_deref(), Some("2020-09-13T12:26:40Z"));
    }
}

#[test]
fn umoci_unpacks_what_the_builder_exports() {
    let builder = new_builder();
    prepare(&builder);
    digest(&builder, &["-o", "type=oci,tar=false,dest=layout", "-o", "type=local,dest=exported"]);
    let layout = builder.dir().join("layout:1");
    let unpacked = builder.dir().join("unpacked");
    let umoci =
        Command::new("umoci").args(["unpack", "--image"]).arg(layout).arg(&unpacked).output().unwrap();
    assert!(umoci.status.success(), "{}", String::from_utf8_lossy(&umoci.stderr));
    assert_eq!(tree(&unpacked.join("rootfs")), tree(&builder.dir().join("exported")));
}

/// Every entry with kind, mode, owner, links, size and target, but no time: umoci's are its own.
fn tree(dir: &Path) -> String {
    let found = Command::new("find")
        .args([".", "-mindepth", "1", "-printf", "%P %y %m %U:%G %n %s %l\\n"])
        .current_dir(dir)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&found.stdout);
    let is_dir = |line: &&str| line.split(' ').nth(1) == Some("d");
    let mut lines: Vec<_> =
        text.lines()
            // The size and links of a directory are the file system's.
            .map(|line| {
                if is_dir(&line) {
                    line.split(' ').take(4).collect::<Vec<_>>().join(" ")
                } else {
                    line.into()
                }
            })
            .collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn a_step_leaves_no_trace_of_its_mounts() {
    let builder = new_builder();
    prepare(&builder);
    let text = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"true\"]\n\
                RUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo x >> /etc/hosts; echo x > /etc/resolv.conf\"]\n";
    builder.file("Containerfile", text);
    digest(&builder, &["-o", "type=local,dest=out"]);
    assert_eq!(tree(&builder.dir().join("out")).lines().count(), 2, "{}", tree(&builder.dir().join("out")));
    let (manifest, config) = check_layout(&builder.root()).pop().unwrap();
    assert_eq!(manifest.layers.len(), 1, "a step that changed nothing has no layer");
    assert_eq!(config.history.len(), 3);
}
