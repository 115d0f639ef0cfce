//! Every flag of every instruction makes another image, or an error that names it: none is read and forgotten.
//!
//! The flags are those that the parsers of the instructions list, so that a new one without a row here fails.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use test_support::{Entry, GitServer, ImageTree, SHELL, TestBuilder};

/// The parser of an instruction, the flag as it is written, and instructions with `{}` where it stands or not.
///
/// A stage `shell` with busybox is above them, and a file `a`, a link `link` and a directory `d` in the context.
const ROWS: [(&str, &str, &str); 24] = [
    ("from", "--platform=linux/arm64", "FROM {} scratch\nCOPY a /"),
    ("from", "--after=nowhere", "FROM {} scratch\nCOPY a /"),
    ("copy", "--from=shell", "FROM scratch\nCOPY {} busybox* bin* /"),
    ("copy", "--chown=7:8", "FROM scratch\nCOPY {} a /"),
    ("copy", "--chmod=0421", "FROM scratch\nCOPY {} a /"),
    ("copy", "--link", "FROM scratch\nCOPY d /d\nCOPY --from=links / /\nCOPY {} a /to/a"),
    ("copy", "--parents", "FROM scratch\nCOPY {} d/in/x /"),
    ("copy", "--exclude=in", "FROM scratch\nCOPY {} d /"),
    ("add", "--chown=7:8", "FROM scratch\nADD {} a /"),
    ("add", "--chmod=0421", "FROM scratch\nADD {} a /"),
    ("add", "--link", "FROM scratch\nCOPY d /d\nCOPY --from=links / /\nADD {} a /to/a"),
    ("add", "--exclude=in", "FROM scratch\nADD {} d /"),
    ("add", "--checksum=sha256:00", "FROM scratch\nADD {} a /"),
    ("add", "--keep-git-dir", "FROM scratch\nADD {} GIT /"),
    ("add", "--unpack=false", "FROM scratch\nADD {} t.tar /"),
    ("run", "--mount=type=bind,target=/m", "FROM shell\nRUN {} [ ! -e /m/a ] || touch /seen"),
    ("run", "--network=none", "FROM shell\nRUN {} readlink /proc/self/ns/net > /net"),
    ("run", "--security=insecure", "FROM shell\nRUN {} true"),
    ("run", "--device=vendor.com/class=device", "FROM shell\nRUN {} true"),
    ("healthcheck", "--interval=7s", "FROM scratch\nHEALTHCHECK {} CMD x"),
    ("healthcheck", "--timeout=7s", "FROM scratch\nHEALTHCHECK {} CMD x"),
    ("healthcheck", "--start-period=7s", "FROM scratch\nHEALTHCHECK {} CMD x"),
    ("healthcheck", "--start-interval=7s", "FROM scratch\nHEALTHCHECK {} CMD x"),
    ("healthcheck", "--retries=7", "FROM scratch\nHEALTHCHECK {} CMD x"),
];

/// The name of a flag without dashes and value.
fn name(flag: &str) -> &str {
    flag.trim_start_matches('-').split('=').next().unwrap_or_default()
}

/// The flags that the parsers list, as `("name", Kind)`, each with the name of its parser.
fn listed() -> BTreeSet<(String, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/containerfile/src/instruction");
    let mut listed = BTreeSet::new();
    for file in fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let parser = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // ADD is read beside COPY; its list comes behind.
        let (first, second) = text.split_once("const ADD_FLAGS").unwrap_or((&text, ""));
        for (parser, text) in [(parser.as_str(), first), ("add", second)] {
            for kind in ["Value)", "Switch)", "List)"] {
                let kind = format!("\", {kind}");
                let before = text.split(&kind).take(text.matches(&kind).count());
                let names = before.map(|text| text.rsplit("(\"").next().unwrap());
                listed.extend(names.map(|name| (parser.to_owned(), name.to_owned())));
            }
        }
    }
    listed
}

fn new_builder() -> TestBuilder {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder")).with_busybox();
    for path in ["a", "d/in/x", "d/y"] {
        builder.file(path, path);
    }
    let mut archive = tar::Builder::new(fs::File::create(builder.dir().join("t.tar")).unwrap());
    archive.append_path_with_name(builder.dir().join("a"), "member").unwrap();
    archive.finish().unwrap();
    builder
}

/// The files of an image, and what its config says of how and where it runs.
type Made = (BTreeMap<String, Entry>, [Value; 2]);

/// What the image is, without its history, which tells the flag anyway; or the error.
fn build(builder: &TestBuilder, text: &str) -> Result<Made, String> {
    builder.file("Containerfile", text);
    let image = builder.dir().join("../image");
    fs::remove_dir_all(&image).ok();
    let output = builder.run(&["build", "--timestamp=0", "-o", "type=oci,tar=false,dest=../image", "."]);
    if output.code() != 0 {
        return Err(output.stderr);
    }
    let ImageTree { entries, config, .. } = ImageTree::from_layout(&image);
    Ok((entries, [config["config"].clone(), config["architecture"].clone()]))
}

#[test]
fn every_flag_has_a_row() {
    let rows = ROWS.map(|(parser, flag, _)| (parser.to_owned(), name(flag).to_owned()));
    assert_eq!(BTreeSet::from(rows), listed());
}

#[test]
fn no_flag_is_without_effect() {
    let builder = new_builder();
    let stages = format!(
        "{SHELL}FROM shell AS made\nRUN mkdir /l && ln -s d /l/to\nFROM scratch AS links\nCOPY --from=made /l/ /\n"
    );
    let git = GitServer::start();
    git.repository("a.git", |dir| fs::write(dir.join("a"), "a").unwrap());
    let mut idle = Vec::new();
    for (_, flag, text) in ROWS {
        let text = text.replace("GIT", &git.url("a.git"));
        let with = build(&builder, &format!("{stages}{}\n", text.replace("{}", flag)));
        let without = build(&builder, &format!("{stages}{}\n", text.replace("{} ", "")));
        // An error is of the flag if there is none without it, and its line in the excerpt is not all that names it.
        let named =
            |error: &String| error.lines().any(|line| line.contains(name(flag)) && !line.contains(" | "));
        if without.is_err() || with == without || !with.as_ref().err().is_none_or(named) {
            idle.push(format!("`{flag}` has no effect in `{text}`: {with:?}"));
        }
    }
    assert!(idle.is_empty(), "\n{}", idle.join("\n"));
}
