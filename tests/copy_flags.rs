//! `--chmod`, `--exclude`, `--parents` and `--link` of COPY and ADD.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::Path;

use test_support::{SHELL, TestBuilder};

fn new_builder() -> TestBuilder {
    TestBuilder::new(env!("CARGO_BIN_EXE_builder")).with_busybox()
}

/// A context with a few trees.
fn with_files(paths: &[&str]) -> TestBuilder {
    let builder = new_builder();
    for path in paths {
        builder.file(path, *path);
    }
    builder
}

/// All files and directories below `dir` of the exported root file system.
fn tree(builder: &TestBuilder, dir: &str) -> Vec<String> {
    fn below(dir: &Path, base: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).expect("an exported directory") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(base).expect("a path below").display().to_string();
            if path.symlink_metadata().expect("its metadata").is_dir() {
                found.push(name + "/");
                below(&path, base, found);
            } else {
                found.push(name);
            }
        }
    }
    let mut found = Vec::new();
    let base = builder.exported(dir);
    below(&base, &base, &mut found);
    found.sort();
    found
}

fn mode(builder: &TestBuilder, path: &str) -> u32 {
    fs::symlink_metadata(builder.exported(path)).expect("an exported file").mode() & 0o7777
}

#[test]
fn symbolic_modes_change_what_is_there() {
    let builder = with_files(&["d/plain", "d/program", "d/sub/x"]);
    for (path, mode) in [("d/plain", 0o640), ("d/program", 0o750), ("d/sub", 0o700), ("d/sub/x", 0o600)] {
        fs::set_permissions(builder.dir().join(path), PermissionsExt::from_mode(mode)).expect("chmod");
    }
    symlink("plain", builder.dir().join("d/link")).expect("a link");
    builder.build(
        "FROM scratch\nARG WHO=go\nCOPY --chmod=u=rwX,$WHO=rX d /a/b/\nCOPY --chmod=a+s d/plain /set\n\
         COPY --chmod=0421 d /octal/\nCOPY --chmod=o=w <<EOF /text\nx\nEOF\nADD --chmod=g-r d/plain /added\n",
        &[],
    );
    for (path, expected) in [
        ("a", 0o755),
        ("a/b/plain", 0o644),
        ("a/b/program", 0o755),
        ("a/b/sub", 0o755),
        ("a/b/sub/x", 0o644),
        ("a/b/link", 0o777),
        ("set", 0o6640),
        ("octal", 0o421),
        ("octal/sub", 0o421),
        ("octal/program", 0o421),
        ("text", 0o642),
        ("added", 0o600),
    ] {
        assert_eq!(mode(&builder, path), expected, "{path}");
    }
}

#[test]
fn what_is_excluded_is_not_copied() {
    let builder =
        with_files(&["d/a.txt", "d/b.md", "d/sub/c.txt", "d/sub/keep.txt", "d/deep/x/y.txt", "e.txt"]);
    for (text, expected) in [
        (
            "COPY --exclude=*.txt d /",
            &["b.md", "deep/", "deep/x/", "deep/x/y.txt", "sub/", "sub/c.txt", "sub/keep.txt"] as &[_],
        ),
        ("COPY --exclude=**/*.txt --exclude=deep d /", &["b.md", "sub/"]),
        (
            "COPY --exclude=sub --exclude=!sub/keep.txt --exclude=deep d /",
            &["a.txt", "b.md", "sub/", "sub/keep.txt"],
        ),
        ("COPY --exclude=deep --exclude=!deep/none --exclude=sub d /", &["a.txt", "b.md"]),
        ("COPY --exclude=*.txt d/a.txt d/b.md e.txt /x/", &["x/", "x/b.md"]),
        ("COPY --exclude=a* d/*.* /x/", &["x/", "x/b.md"]),
        ("ADD --exclude=** d /x/", &["x/"]),
    ] {
        builder.build(&format!("FROM scratch\n{text}\n"), &[]);
        assert_eq!(tree(&builder, ""), expected, "{text}");
    }
    // What is excluded is no part of the cache key, and what an ignore file hides stays hidden.
    let text =
        "FROM scratch AS one\nCOPY d /\nFROM scratch\nCOPY --from=one --exclude=*.txt --exclude=deep / /\n";
    builder.file(".dockerignore", "d/sub/c.txt\n");
    let (before, _) = builder.build(text, &[]);
    assert_eq!(tree(&builder, ""), ["b.md", "sub/", "sub/keep.txt"]);
    builder.file("d/a.txt", "changed");
    let (after, _) = builder.build(text, &[]);
    assert_eq!(before.layers, after.layers);
}

#[test]
fn parents_of_a_source_are_copied_with_it() {
    let builder = with_files(&["a/b/c.txt", "a/b/d.md", "a/x/c.txt", "other/b/c.txt", "top.txt"]);
    fs::set_permissions(builder.dir().join("a/b"), PermissionsExt::from_mode(0o711)).expect("chmod");
    for (text, expected) in [
        ("COPY --parents a/b/c.txt top.txt /", &["a/", "a/b/", "a/b/c.txt", "top.txt"] as &[_]),
        ("COPY --parents ./a/b /x", &["x/", "x/a/", "x/a/b/", "x/a/b/c.txt", "x/a/b/d.md"]),
        ("COPY --parents a/./b/c.txt /", &["b/", "b/c.txt"]),
        ("COPY --parents */b/*.txt /", &["a/", "a/b/", "a/b/c.txt", "other/", "other/b/", "other/b/c.txt"]),
        (
            "COPY --parents **/c.txt /",
            &["a/", "a/b/", "a/b/c.txt", "a/x/", "a/x/c.txt", "other/", "other/b/", "other/b/c.txt"],
        ),
        ("COPY --parents a/./**/*.md /", &["b/", "b/d.md"]),
        ("COPY --parents */./b/c.txt /", &["b/", "b/c.txt"]),
        ("COPY --parents --exclude=**/*.md a/b /", &["a/", "a/b/", "a/b/c.txt"]),
        ("COPY --parents *.none a/x/ /", &["a/", "a/x/", "a/x/c.txt"]),
        (
            "COPY --parents a/b/c.txt /n\nCOPY --from=0 --parents /n/./a /",
            &["a/", "a/b/", "a/b/c.txt", "n/", "n/a/", "n/a/b/", "n/a/b/c.txt"],
        ),
    ] {
        let text = text.replace("COPY --from=0", "COPY --from=two");
        let text = format!("FROM scratch AS two\nCOPY --parents a/b/c.txt /n\nFROM scratch\n{text}\n");
        builder.build(&text, &[]);
        assert_eq!(tree(&builder, ""), expected, "{text}");
        if builder.exported("a/b").exists() {
            assert_eq!(mode(&builder, "a/b"), 0o711, "{text}");
        }
    }
    builder.file(".dockerignore", "a/x").file("Containerfile", "FROM scratch\nCOPY --parents a/x/c.txt /\n");
    let output = builder.run(&["build", "."]).exits(1);
    assert!(output.stderr.contains("`a/x/c.txt` is excluded by .dockerignore:1"), "{output}");
}

#[test]
fn a_linked_copy_does_not_depend_on_what_is_below() {
    for driver in ["overlay", "vfs"] {
        let builder = with_files(&["a/b"]);
        let text = |base: &str| {
            format!(
                "{SHELL}FROM shell\nRUN echo {base} > /base && echo 'me:x:7:8::/:' > /etc/passwd || \
                 (mkdir -p /etc && echo 'me:x:7:8::/:' > /etc/passwd)\nRUN mkdir /usr && ln -s /usr /lib\n\
                 COPY --link --chown=me --chmod=u=rw,go= a /x/\nCOPY --link a/b /lib/new\n\
                 RUN cat /x/b /base > /seen\n"
            )
        };
        let flags = ["--storage-driver", driver];
        let (one, config) = builder.build(&text("1"), &flags);
        assert_eq!(builder.read_exported("seen"), "a/b1\n", "{driver}");
        assert_eq!(mode(&builder, "x/b"), 0o600);
        let metadata = fs::metadata(builder.exported("x/b")).expect("a copied file");
        assert_eq!((metadata.uid(), metadata.gid()), (7, 8));
        // The link in the destination is replaced, not followed.
        assert!(!builder.exported("usr/new").exists() && builder.exported("lib/new").exists());
        let of = |manifest: &oci::Manifest| {
            let layers: Vec<_> = manifest.layers.iter().map(|layer| layer.digest).collect();
            layers[layers.len() - 3..layers.len() - 1].to_vec()
        };
        assert_eq!(config.rootfs.diff_ids.len(), one.layers.len());
        // On another base nothing is copied again, and the layers are the same.
        let (two, _) = builder.build(&text("2"), &flags);
        assert_eq!(of(&one), of(&two));
        assert_ne!(one.layers.last(), two.layers.last());
    }
}

#[test]
fn a_linked_copy_is_cached_on_any_base() {
    let builder = with_files(&["a"]);
    let text = |base: &str| format!("{SHELL}FROM shell\nRUN echo {base} > /base\nCOPY --link a /\n");
    builder.build(&text("1"), &[]);
    builder.file("Containerfile", text("2"));
    let output = builder.run(&["build", "--progress=plain", "."]).success();
    let lines: BTreeMap<_, _> = output
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once(' '))
        .map(|(number, rest)| (number.to_owned(), rest.to_owned()))
        .collect();
    assert_eq!(lines.values().last().map(String::as_str), Some("CACHED"), "{output}");
    assert!(output.stderr.contains("RUN echo 2"), "{output}");
}
