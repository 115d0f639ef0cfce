//! Every flag of every instruction, and every option of every mount, makes another image, or an error or warning that
//! names it: none is read and forgotten.
//!
//! The flags and options are those that the parsers list, so that a new one without a row here fails.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]
#![expect(clippy::disallowed_methods, reason = "file systems are mounted by mount(8)")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

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

/// Types of mounts, options as they are written in both dialects with the value of the last for all of them, and steps
/// with `{}` where one stands or not.
///
/// `TYPE` is the type, with an id that nothing else has for a cache, and `NEW` such an id. There are a secret `s`, an
/// ssh agent, a cache `held` that another builder is using, and something mounted at `outer/sub` in the context.
const MOUNTS: [(&str, &str, &str); 33] = [
    ("bind", "type=bnid", "RUN --mount=target=/s{} true"),
    ("cache|tmpfs|secret|ssh", "type=TYPE", "RUN --mount=target=/s{} ls /s > /seen"),
    ("bind|cache|tmpfs|ssh", "target|dst|destination=/s", "WORKDIR /w\nRUN --mount=type=TYPE{} LIST"),
    ("secret", "target|dst|destination=/t", "RUN --mount=type=secret,id=s{} LIST"),
    ("bind", "source|src=d", "RUN --mount=type=bind,target=/s{} ls /s > /seen"),
    (
        "cache",
        "source|src=part",
        "RUN --mount=type=cache,id=NEW,target=/s{} touch /s/f\nRUN --mount=type=cache,id=NEW,target=/s LIST",
    ),
    ("secret", "source|src=s", "RUN --mount=type=secret,target=/t{} LIST"),
    ("bind|cache", "from=links", "RUN --mount=type=TYPE,target=/s{} LIST"),
    (
        "cache",
        "id=NEW",
        "RUN --mount=type=cache,target=/s touch /s/f\nRUN --mount=type=cache,target=/s{} LIST",
    ),
    ("secret", "id=s", "RUN --mount=type=secret,target=/t{} LIST"),
    ("ssh", "id=none", "RUN --mount=type=ssh,target=/s{} LIST"),
    (
        "bind|secret|ssh",
        "readonly|ro=false",
        "RUN --mount=type=TYPE,target=/s{} touch /s/f && touch /seen; true",
    ),
    ("cache|tmpfs", "readonly|ro", "RUN --mount=type=TYPE,target=/s{} touch /s/f && touch /seen; true"),
    ("bind", "readwrite|rw", "RUN --mount=type=bind,target=/s{} touch /s/f && touch /seen; true"),
    (
        "cache|tmpfs",
        "readwrite|rw=false",
        "RUN --mount=type=TYPE,target=/s{} touch /s/f && touch /seen; true",
    ),
    ("bind|cache", "nosuid|noexec", "RUN --mount=type=TYPE,target=/s{} MOUNTED"),
    ("bind|cache", "nodev=false", "RUN --mount=type=TYPE,target=/s{} MOUNTED"),
    ("tmpfs", "noexec", "RUN --mount=type=tmpfs,target=/s{} MOUNTED"),
    ("tmpfs", "nosuid|nodev=false", "RUN --mount=type=tmpfs,target=/s{} MOUNTED"),
    ("bind", "bind-nonrecursive", "RUN --mount=type=bind,source=outer,target=/s{} ls /s/sub > /seen"),
    ("bind", "no-dereference", "RUN --mount=type=bind,source=link,target=/s{} readlink /s > /seen; true"),
    (
        "bind|cache",
        "u|chown",
        "RUN mkdir -m 777 /out\nUSER 7:8\nRUN --mount=type=TYPE,target=/s{} STAT /out/seen",
    ),
    ("bind|cache", "private|rprivate=false", "RUN --mount=type=TYPE,target=/s{} true"),
    ("bind|cache", "bind-propagation=shared", "RUN --mount=type=TYPE,target=/s{} true"),
    (
        "bind|cache",
        "shared|rshared|slave|rslave|unbindable|runbindable",
        "RUN --mount=type=TYPE,target=/s{} true",
    ),
    ("bind|cache", "z|relabel|consistency", "RUN --mount=type=TYPE,target=/s{} true"),
    ("cache", "sharing=private", "RUN --mount=type=cache,id=held,target=/s{} ls /s > /seen"),
    ("cache|tmpfs|secret|ssh", "mode|tmpfs-mode=0711", "RUN --mount=type=TYPE,target=/s{} STAT /seen"),
    ("cache|secret|ssh", "uid|gid=7", "RUN --mount=type=TYPE,target=/s{} STAT /seen"),
    ("tmpfs", "size|tmpfs-size=64k", "RUN --mount=type=tmpfs,target=/s{} stat -f -c %b /s > /seen"),
    ("tmpfs", "tmpcopyup", "COPY a /s/\nRUN --mount=type=tmpfs,target=/s{} LIST"),
    ("secret", "env=V", "RUN --mount=type=secret,id=s{} echo ${#V} > /seen"),
    ("secret|ssh", "required", "RUN --mount=type=TYPE,id=none{} true"),
];

/// What steps of [`MOUNTS`] do: tell what there is, how it is mounted, whose it is.
const DONE: [(&str, &str); 3] = [
    ("LIST", "ls -d /s /t /s/* /w /w/* /run/*/* > /seen 2>&1; true"),
    ("MOUNTED", "grep ' /s ' /proc/self/mounts | tr , '\\n' | grep ^no > /seen; true"),
    ("STAT", "stat -c '%a %u:%g' /s >"),
];

/// The name of a flag without dashes and value.
fn name(flag: &str) -> &str {
    flag.trim_start_matches('-').split('=').next().unwrap_or_default()
}

/// Where the parsers are.
fn parsers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/containerfile/src/instruction")
}

/// The names in what `text` lists as `("name", what`.
fn names<'a>(text: &'a str, what: &str) -> Vec<&'a str> {
    let what = format!("\", {what}");
    let before = text.split(&what).take(text.matches(&what).count());
    before.map(|text| text.rsplit("(\"").next().unwrap()).collect()
}

/// The flags that the parsers list, each with the name of its parser.
fn listed() -> BTreeSet<(String, String)> {
    let mut listed = BTreeSet::new();
    for file in fs::read_dir(parsers()).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let parser = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // ADD is read beside COPY; its list comes behind.
        let (first, second) = text.split_once("const ADD_FLAGS").unwrap_or((&text, ""));
        for (parser, text) in [(parser.as_str(), first), ("add", second)] {
            for kind in ["Value)", "Switch)", "List)"] {
                let names = names(text, kind).into_iter();
                listed.extend(names.map(|name| (parser.to_owned(), name.to_owned())));
            }
        }
    }
    listed
}

/// The options of mounts that the parser lists, each with every type of mount that takes it.
fn listed_options() -> BTreeSet<(String, String)> {
    let read = |file: &str| fs::read_to_string(parsers().join(file)).unwrap();
    let (kinds, keys) = (read("mount_resolve.rs"), read("mount.rs"));
    let pairs = names(&kinds, "Kind::")
        .into_iter()
        .flat_map(|kind| names(&keys, "Key::").into_iter().map(move |key| (kind.to_owned(), key.to_owned())));
    let is_taken = |(kind, key): &(String, String)| {
        let parsed = containerfile::Mount::parse_alone(&format!("type={kind},{key}"));
        parsed.err().is_none_or(|error| !error.message.contains("is not an option of"))
    };
    pairs.filter(is_taken).collect()
}

/// Each type and option of [`MOUNTS`] by itself, with its step.
fn mount_rows() -> Vec<(&'static str, String, &'static str)> {
    let mut rows = Vec::new();
    for (kinds, options, step) in MOUNTS {
        let (names, value) = options.find('=').map_or((options, ""), |at| options.split_at(at));
        for kind in kinds.split('|') {
            rows.extend(names.split('|').map(|name| (kind, format!("{name}{value}"), step)));
        }
    }
    rows
}

fn new_builder() -> TestBuilder {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder")).with_busybox().env("S", "hunter2");
    for path in ["a", "d/in/x", "d/y"] {
        builder.file(path, path);
    }
    symlink("d", builder.dir().join("link")).unwrap();
    let mut archive = tar::Builder::new(fs::File::create(builder.dir().join("t.tar")).unwrap());
    archive.append_path_with_name(builder.dir().join("a"), "member").unwrap();
    archive.finish().unwrap();
    builder
}

/// The files of an image, what its config says of how and where it runs, and the warnings of mounts.
type Made = (BTreeMap<String, Entry>, [Value; 2], Vec<String>);

/// What the image is, without its history, which tells the flag anyway; or the error.
fn build(builder: &TestBuilder, text: &str, flags: &[&str]) -> Result<Made, String> {
    builder.file("Containerfile", text);
    let image = builder.dir().join("../image");
    fs::remove_dir_all(&image).ok();
    let arguments = ["build", "--timestamp=0", "-o", "type=oci,tar=false,dest=../image", "."];
    let output = builder.run(&[&arguments, flags].concat());
    if output.code() != 0 {
        return Err(output.stderr);
    }
    let warnings = output.stderr.lines().filter(|line| line.starts_with("warning[MountOption"));
    let ImageTree { entries, config, .. } = ImageTree::from_layout(&image);
    let config = [config["config"].clone(), config["architecture"].clone()];
    Ok((entries, config, warnings.map(str::to_owned).collect()))
}

/// Whether a flag or option with one of these `names` was honoured, or refused by name.
///
/// An error is of the option if there is none without it, and its line in the excerpt is not all that names it.
fn has_effect(names: &[&str], with: &Result<Made, String>, without: &Result<Made, String>) -> bool {
    let names_it = |line: &str| names.iter().any(|name| line.contains(name)) && !line.contains(" | ");
    let named = |error: &String| error.lines().any(names_it);
    without.is_ok() && with != without && with.as_ref().err().is_none_or(named)
}

/// A file system of its own in the context.
struct Mounted(PathBuf);

impl Mounted {
    fn new(dir: PathBuf) -> Self {
        fs::create_dir_all(&dir).unwrap();
        assert!(Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&dir).status().unwrap().success());
        fs::write(dir.join("f"), "f").unwrap();
        Self(dir)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().unwrap();
    }
}

/// A builder with a step that has the cache `held`.
struct Holder(Child);

impl Holder {
    fn new(builder: &TestBuilder) -> Self {
        let step = "RUN --mount=type=cache,id=held,target=/s touch /s/in; sleep 1000\n";
        builder.file("holder", format!("{SHELL}{step}"));
        let mut child = builder.command(&["build", "-f", "holder", "."]).spawn().unwrap();
        let is_in = |cache: fs::DirEntry| cache.path().join("0/fs/in").exists();
        let caches = builder.root().join("cache-mounts");
        while !fs::read_dir(&caches).is_ok_and(|mut all| all.any(|cache| is_in(cache.unwrap()))) {
            assert_eq!(child.try_wait().unwrap(), None, "the step has ended");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
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
        let with = build(&builder, &format!("{stages}{}\n", text.replace("{}", flag)), &[]);
        let without = build(&builder, &format!("{stages}{}\n", text.replace("{} ", "")), &[]);
        if !has_effect(&[name(flag)], &with, &without) {
            idle.push(format!("`{flag}` has no effect in `{text}`: {with:?}"));
        }
    }
    assert!(idle.is_empty(), "\n{}", idle.join("\n"));
}

#[test]
fn every_option_of_every_mount_has_a_row() {
    let rows = mount_rows().into_iter().map(|(kind, option, _)| (kind.to_owned(), name(&option).to_owned()));
    assert_eq!(rows.collect::<BTreeSet<_>>(), listed_options());
}

/// Mounts a file system, for which it needs to be root.
#[test]
fn no_option_of_a_mount_is_without_effect() {
    let builder = new_builder();
    let _mounted = Mounted::new(builder.dir().join("outer/sub"));
    let _holder = Holder::new(&builder);
    let _agent = UnixListener::bind(builder.home().join("agent")).unwrap();
    let flags = ["--secret=id=s,env=S", "--ssh=default=../home/agent"];
    let mut ids = 0..;
    let mut without = BTreeMap::new();
    let mut idle = Vec::new();
    for (kind, option, step) in mount_rows() {
        let step = DONE.iter().fold(step.to_owned(), |step, (word, done)| step.replace(word, done));
        let step = step.replace("TYPE", if kind == "cache" { "cache,id=NEW" } else { kind });
        let mut made = |option: &str| {
            let option = option.replace("TYPE", kind);
            let id = format!("id-{}", ids.next().unwrap());
            let step = step.replace("{}", &option).replace("NEW", &id);
            build(&builder, &format!("{SHELL}FROM scratch AS links\nCOPY a /a\nFROM shell\n{step}\n"), &flags)
        };
        let with = made(&format!(",{option}"));
        let without = without.entry(step.clone()).or_insert_with(|| made(""));
        // Of a propagation, the error names the value.
        let names: Vec<_> = option.split('=').collect();
        if !has_effect(&names, &with, without) {
            idle.push(format!("`{option}` has no effect in `{step}`: {with:?}, {without:?}"));
        }
    }
    assert!(idle.is_empty(), "\n{}", idle.join("\n"));
}
