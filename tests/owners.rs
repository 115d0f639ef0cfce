//! Somebody with one id, who can give files to nobody, makes the images that root makes.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]

use std::fs;

use serde_json::json;
use tar::EntryType;
use test_support::{TestBuilder, ordinary_user, write_image};

/// No subordinate ids belong to it.
const USER: u32 = 54_321;

const CONTAINERFILE: &str = "
FROM oci:img:latest AS base
COPY context/file /plain
COPY --chown=5:6 --chmod=4711 context/file /owned/file
COPY --chmod=000 context /closed
COPY --chown=4294967294:7 --chmod=1777 context /many
ADD archive.tar /added
USER 1000:1001
WORKDIR /made/here

FROM base
COPY --from=base /bin/su /dev/disk /copied/
COPY --from=base --chown=7 /etc /again
COPY --link --chown=8:9 <<TEXT /linked/script
text
TEXT
FROM scratch
COPY --from=1 / /
";

fn new_builder() -> TestBuilder {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder")).env("SOURCE_DATE_EPOCH", "1700000000");
    builder.file("Containerfile", CONTAINERFILE).file("context/file", "content").file("context/dir/x", "x");
    let archive = archive();
    fs::write(builder.dir().join("archive.tar"), &archive).unwrap();
    let config = json!({ "architecture": oci::Platform::host().architecture, "os": "linux", "config": {} });
    write_image(&builder.dir().join("img"), config, &[archive]);
    builder
}

/// Entries that only root can make.
fn archive() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |kind: EntryType, name: &str, mode, (uid, gid), content: &str| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(uid);
        header.set_gid(gid);
        header.set_size(0);
        header.set_mtime(1_600_000_000);
        if kind.is_hard_link() || kind.is_symlink() {
            return tar.append_link(&mut header, name, content).unwrap();
        }
        if kind.is_character_special() || kind.is_block_special() {
            header.set_device_major(7).unwrap();
            header.set_device_minor(3).unwrap();
        }
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    };
    add(EntryType::Directory, "bin/", 0o555, (0, 0), "");
    add(EntryType::Regular, "bin/su", 0o4755, (0, 42), "su");
    add(EntryType::Link, "bin/sg", 0o4755, (0, 42), "bin/su");
    add(EntryType::Symlink, "bin/sh", 0o777, (3, 4), "su");
    add(EntryType::Directory, "dev/", 0o755, (0, 0), "");
    add(EntryType::Char, "dev/null", 0o666, (0, 0), "");
    add(EntryType::Block, "dev/disk", 0o660, (0, 6), "");
    add(EntryType::Fifo, "dev/pipe", 0o600, (9, 9), "");
    add(EntryType::Directory, "etc/", 0o2700, (100, 100), "");
    add(EntryType::Regular, "etc/shadow", 0, (0, 42), "secret");
    add(EntryType::Directory, "tmp/", 0o1777, (0, 0), "");
    tar.into_inner().unwrap()
}

fn digest(builder: &TestBuilder, flags: &[&str]) -> String {
    let arguments = ["build", "--digest-file", "digest", "-t", "localhost/app:1", "."];
    builder.run(&[&arguments[..1], flags, &arguments[1..]].concat()).success();
    builder.read("digest")
}

#[test]
fn one_id_gives_the_digest_that_root_gives() {
    let expected = digest(&new_builder(), &["--storage-driver=overlay"]);
    assert_eq!(digest(&new_builder(), &["--storage-driver=vfs"]), expected, "vfs");
    let user = new_builder().as_user(USER, USER);
    assert_eq!(digest(&user, &[]), expected, "one id");
}

#[test]
fn devices_are_in_the_images_of_who_may_make_none() {
    const TEXT: &str = "
FROM oci:img:latest
COPY busybox /bin/busybox
ADD archive.tar /added
RUN [\"/bin/busybox\", \"chmod\", \"640\", \"/added/dev/disk\"]
RUN [\"/bin/busybox\", \"mv\", \"/added/dev/null\", \"/moved\"]
FROM scratch
COPY --from=0 / /
";
    let new_builder = || {
        let builder = new_builder().with_busybox();
        builder.file("Containerfile", TEXT);
        builder
    };
    let expected = digest(&new_builder(), &[]);
    let (uid, gid) = ordinary_user();
    for driver in ["overlay", "vfs"] {
        let user = new_builder().as_user(uid, gid);
        assert_eq!(digest(&user, &["--storage-driver", driver]), expected, "{driver}");
    }
}

#[test]
fn layers_of_the_cache_come_with_their_owners() {
    let user = new_builder().as_user(USER, USER);
    digest(&user, &[]);
    user.file("Containerfile", format!("{CONTAINERFILE}COPY --from=1 /bin/su /last\n"));
    user.run(&["build", "--output", "type=tar,dest=out.tar", "."]).success();
    let mut archive = tar::Archive::new(fs::File::open(user.dir().join("out.tar")).unwrap());
    let entries = archive.entries().unwrap().map(Result::unwrap);
    let owned: Vec<_> = entries
        .map(|entry| {
            let header = entry.header();
            let path = entry.path().unwrap().display().to_string();
            (path, header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap())
        })
        .collect();
    for (path, mode, uid, gid) in [
        ("bin/su", 0o4755, 0, 42),
        ("etc/", 0o2700, 100, 100),
        ("last", 0o4755, 0, 42),
        ("copied/disk", 0o660, 0, 6),
        ("again/shadow", 0, 7, 7),
        ("linked/script", 0o644, 8, 9),
        ("many/", 0o1777, 4_294_967_294, 7),
        ("made/here/", 0o755, 1000, 1001),
    ] {
        assert!(owned.contains(&(path.to_owned(), mode, uid, gid)), "{path}: {owned:?}");
    }
}

#[test]
fn overlay_is_refused_to_one_id() {
    let user = new_builder().as_user(USER, USER);
    let output = user.run(&["build", "--storage-driver=overlay", "."]).exits(1);
    assert!(output.stderr.contains("error: overlay cannot be used with one id"), "{output}");
    let output = user.run(&["doctor"]);
    assert!(output.text().contains("storage driver: vfs"), "{output}");
}

#[test]
fn steps_see_and_change_owners_in_either_isolation() {
    const STEPS: &str = "
FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
COPY --chown=1:2 --chmod=2750 context /given
RUN [ \"$(busybox stat -c %u:%g:%a /given)\" = 1:2:2750 ] && busybox chown -R 3:4 /given/dir
RUN busybox mknod /disk b 7 3 && busybox cp /bin/sh /tool && busybox chown 5:6 /tool && busybox chmod 6711 /tool
USER 5:6
RUN [ \"$(busybox id -u):$(busybox id -g)\" = 5:6 ] && ! busybox touch /given/x
";
    let new_builder = || {
        let builder = new_builder().with_busybox();
        builder.file("Containerfile", STEPS);
        builder
    };
    let expected = digest(&new_builder(), &["--isolation=namespaces", "--storage-driver=vfs"]);
    for isolation in ["namespaces", "trace"] {
        let user = new_builder().as_user(USER, USER);
        assert_eq!(digest(&user, &["--isolation", isolation]), expected, "{isolation}");
    }
}
