//! COPY and ADD: which entries go where, and what of them is kept.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use test_support::{SHELL, TestBuilder, tool};

fn new_builder() -> TestBuilder {
    TestBuilder::new(env!("CARGO_BIN_EXE_builder")).with_busybox()
}

fn set_mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Mode and owner of an exported file, as `755 0:0`.
fn ownership(builder: &TestBuilder, path: &str) -> String {
    let metadata = fs::symlink_metadata(builder.exported(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    format!("{:o} {}:{}", metadata.mode() & 0o7777, metadata.uid(), metadata.gid())
}

fn names(builder: &TestBuilder, dir: &str) -> Vec<String> {
    let entries = fs::read_dir(builder.exported(dir)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_directory_keeps_its_ownership_where_it_was_before() {
    let builder = new_builder();
    builder.file("d/sub/x", "x");
    for (path, mode) in [("d", 0o700), ("d/sub", 0o711), ("d/sub/x", 0o604)] {
        set_mode(builder.dir().join(path), mode);
        chown(builder.dir().join(path), Some(1234), Some(1234)).unwrap();
    }
    let text = format!(
        "{SHELL}RUN mkdir -p /old/sub && chmod 1777 /old /old/sub && chown 5:6 /old /old/sub\n\
         COPY d /new\nCOPY d /old\nCOPY --chown=3:4 d /owned\nCOPY --chmod=2750 d /mode\n"
    );
    builder.build(&text, &[]);
    for (path, expected) in [
        ("new", "755 0:0"),
        ("new/sub", "711 0:0"),
        ("new/sub/x", "604 0:0"),
        ("old", "1777 5:6"),
        ("old/sub", "711 0:0"),
        ("owned", "755 3:4"),
        ("owned/sub/x", "604 3:4"),
        ("mode", "2750 0:0"),
        ("mode/sub", "2750 0:0"),
        ("mode/sub/x", "2750 0:0"),
    ] {
        assert_eq!(ownership(&builder, path), expected, "{path}");
    }
}

#[test]
fn a_copy_from_a_stage_keeps_owners_links_and_kinds() {
    let text = format!(
        "{SHELL}RUN mkdir -p /d/sub && cd /d && echo a > a && ln a b && ln a sub/c && ln -s a link && mkfifo pipe && \
         chown -R 7:8 /d && chmod 6751 /d/a\n\
         FROM scratch\nCOPY --from=shell /d /d\nCOPY --from=0 /d/a /d/b /files/\nCOPY --from=shell --chown=1:2 /d/a /owned\n\
         COPY --from=shell /d/link /followed\n"
    );
    let builder = new_builder();
    builder.build(&text, &[]);
    for (path, expected) in
        [("d/a", "6751 7:8"), ("d/sub", "755 7:8"), ("files/b", "6751 7:8"), ("owned", "6751 1:2")]
    {
        assert_eq!(ownership(&builder, path), expected, "{path}");
    }
    let inode = |path: &str| fs::symlink_metadata(builder.exported(path)).unwrap().ino();
    assert!(inode("d/a") == inode("d/b") && inode("d/a") == inode("d/sub/c"), "one file with three names");
    assert_eq!(inode("files/a"), inode("files/b"), "within one COPY");
    assert_ne!(inode("files/a"), inode("d/a"), "but not between two");
    assert_eq!(fs::read_link(builder.exported("d/link")).unwrap(), Path::new("a"));
    assert!(fs::symlink_metadata(builder.exported("d/pipe")).unwrap().file_type().is_fifo());
    assert!(fs::symlink_metadata(builder.exported("followed")).unwrap().is_file());
}

#[test]
fn names_of_owners_are_those_of_the_image() {
    let text = format!(
        "{SHELL}COPY <<passwd <<group /etc/\nroot:x:9:9::/:\nweb:x:101:102::/:\npasswd\nwww:x:103:web\ngroup\n\
         FROM shell\nCOPY --chown=web busybox /user\nCOPY --chown=web:www busybox /group\nCOPY --chown=root busybox /root\n\
         COPY --chown=55 busybox /number\nCOPY --chown=55:www busybox /mixed\nADD --chown=:www busybox /empty\n"
    );
    let builder = new_builder();
    builder.file("Containerfile", &text);
    builder.run(&["build", "."]).exits(1);
    builder.build(&text.replace("ADD --chown=:www busybox /empty\n", ""), &[]);
    for (path, expected) in
        [("user", "101:102"), ("group", "101:103"), ("root", "9:9"), ("number", "55:55"), ("mixed", "55:103")]
    {
        assert_eq!(ownership(&builder, path).split_once(' ').unwrap().1, expected, "{path}");
    }
}

#[test]
fn times_attributes_and_set_id_bits_are_kept() {
    let builder = new_builder();
    builder.file("d/file", "x").file("capable", "x");
    let file = builder.dir().join("d/file");
    set_mode(&file, 0o6755);
    tool("setfattr", &["-n", "user.key", "-v", "value", "file"], builder.dir().join("d"));
    tool("setcap", &["cap_net_raw+ep", "capable"], builder.dir());
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    builder.build("FROM scratch\nCOPY --chown=1:1 d capable /d/\nCOPY d/file /renamed\n", &[]);
    for path in ["d/file", "renamed"] {
        let metadata = fs::metadata(builder.exported(path)).unwrap();
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1_000_000_000, 123_456_789), "{path}");
        assert_eq!(metadata.mode() & 0o7777, 0o6755, "{path}");
        let listed = tool("getfattr", &["-d", path], builder.exported(""));
        assert!(listed.contains("user.key=\"value\""), "{path}: {listed}");
    }
    assert_eq!(tool("getcap", &["d/capable"], builder.exported("")).trim(), "d/capable cap_net_raw=ep");
}

#[test]
fn a_destination_is_a_directory_if_it_says_so_or_is_one() {
    let builder = new_builder();
    builder.file("f", "f").file("g", "g").file("d/x", "x");
    let text = format!(
        "{SHELL}FROM shell\nWORKDIR /work\nRUN mkdir -p /real/deep && ln -s /real /absolute && ln -s ../real/deep /work/up\n\
         COPY f relative\nCOPY f g ./into/\nCOPY d f merged/\nCOPY f /absolute/one\nCOPY f up\nCOPY d /absolute/deep\n\
         COPY f /dir/\nCOPY f /dir\nCOPY g /dir/f\n"
    );
    builder.build(&text, &[]);
    for path in [
        "work/relative",
        "work/into/g",
        "work/merged/x",
        "work/merged/f",
        "real/one",
        "real/deep/f",
        "real/deep/x",
    ] {
        assert!(builder.exported(path).is_file(), "{path}");
    }
    assert_eq!((names(&builder, "dir"), builder.read_exported("dir/f")), (vec!["f".into()], "g".into()));
    assert!(fs::symlink_metadata(builder.exported("absolute")).unwrap().is_symlink(), "the link stays");
}

#[test]
fn patterns_match_names_and_links_at_the_top_are_followed() {
    let builder = new_builder();
    for path in ["a1.txt", "a2.txt", "b.txt", "x/one.rs", "y/one.rs", "y/z/two.rs"] {
        builder.file(path, path);
    }
    symlink("y", builder.dir().join("a-link")).unwrap();
    builder.file("[odd]", "odd");
    let text = "FROM scratch\nCOPY a?.txt /q/\nCOPY [ab]*.txt /class/\nCOPY */one.rs /stars/\nCOPY **/two.rs /deep/\n\
                COPY a-l* /links/\nCOPY x/../y/./one.rs ../../b.txt /dots/\nCOPY nothing* b.txt /some/\n\
                COPY [\"[[]odd]\", \"/odd\"]\n";
    builder.build(text, &[]);
    assert_eq!(names(&builder, "q"), ["a1.txt", "a2.txt"]);
    assert_eq!(names(&builder, "class"), ["a1.txt", "a2.txt", "b.txt"]);
    assert_eq!(builder.read_exported("stars/one.rs"), "y/one.rs", "the last of two wins");
    assert!(!builder.exported("deep").exists(), "`**` is one element");
    assert_eq!(names(&builder, "links"), ["one.rs", "z"]);
    assert_eq!(names(&builder, "dots"), ["b.txt", "one.rs"]);
    assert_eq!(names(&builder, "some"), ["b.txt"]);
    assert_eq!(builder.read_exported("odd"), "odd");
}

#[test]
fn an_ignore_file_of_the_containerfile_comes_first() {
    let builder = new_builder();
    for path in ["a", "b", "d/e/keep", "d/e/drop", "d/other", "c.log", "n/c.log"] {
        builder.file(path, path);
    }
    let ignored = "# comment\nbusybox\n*ignore\nContainerfile\n";
    builder.file(".dockerignore", format!("{ignored}a\nd\n!d/e/keep\n**/*.log\n"));
    builder.build("FROM scratch\nCOPY . /\n", &[]);
    assert_eq!(names(&builder, ""), ["b", "d", "n"]);
    assert_eq!((names(&builder, "d"), names(&builder, "d/e")), (vec!["e".into()], vec!["keep".into()]));
    assert!(names(&builder, "n").is_empty());
    builder.file("Containerfile.dockerignore", format!("{ignored}b\nd\nn\n"));
    builder.build("FROM scratch\nCOPY . /\n", &[]);
    assert_eq!(names(&builder, ""), ["a", "c.log"]);
}

#[test]
fn an_archive_keeps_what_is_in_it_and_goes_where_links_lead() {
    let builder = new_builder();
    builder.file("in/bin/tool", "tool").file("in/lib/l", "l");
    let inside = builder.dir().join("in");
    symlink("tool", inside.join("bin/link")).unwrap();
    fs::hard_link(inside.join("bin/tool"), inside.join("bin/hard")).unwrap();
    tool("mkfifo", &["bin/pipe"], &inside);
    tool("truncate", &["-s", "1M", "lib/sparse"], &inside);
    tool("setfattr", &["-n", "user.key", "-v", "value", "lib/l"], &inside);
    set_mode(inside.join("bin/tool"), 0o4711);
    let pack = ["--xattrs", "--sparse", "--owner=:7", "--group=:8", "-cf", "../in.tar", "."];
    tool("tar", &pack, &inside);
    let text = format!(
        "{SHELL}RUN mkdir -p /usr/lib && ln -s usr/lib /lib && ln -s usr/lib /lib64 && mkdir -m 700 /keep\n\
         ADD in.tar /\nADD in.tar /keep\nCOPY in.tar /packed\nADD --chown=1:2 in.tar /owned/deep/\n"
    );
    builder.build(&text, &[]);
    let inode = |path: &str| fs::symlink_metadata(builder.exported(path)).unwrap().ino();
    assert_eq!(ownership(&builder, "bin/tool"), "4711 7:8");
    assert_eq!(inode("bin/tool"), inode("bin/hard"));
    assert!(fs::symlink_metadata(builder.exported("bin/pipe")).unwrap().file_type().is_fifo());
    assert_eq!(fs::read_link(builder.exported("bin/link")).unwrap(), Path::new("tool"));
    assert_eq!(fs::metadata(builder.exported("keep/lib/sparse")).unwrap().len(), 1 << 20);
    assert!(tool("getfattr", &["-d", "l"], builder.exported("keep/lib")).contains("user.key=\"value\""));
    assert!(builder.exported("packed").is_file(), "COPY does not unpack");
    assert_eq!(ownership(&builder, "owned/deep/bin/tool"), "4711 1:2");
    assert!(builder.exported("bin/busybox").exists(), "what was there before stays");
}
