//! Small images for the tests, and the foreign tools that judge them.
#![expect(clippy::disallowed_methods, reason = "the judges are programs")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use oci::{Descriptor, DiffId, Digest, History, ImageConfig, Manifest, MediaType, Reference, to_json};
use store::Store;

/// A store in a new directory, which lives as long as the second value.
pub(crate) fn store() -> (Store, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Store::open(&dir.path().join("store")).unwrap(), dir)
}

pub(crate) fn reference(name: &str) -> Reference {
    name.parse().unwrap()
}

/// Stores an image of one plain layer and one gzip layer; `content` makes it different from others.
pub(crate) fn image(store: &Store, content: &str) -> Descriptor {
    let bottom = tar(&[("etc/", None), ("etc/hello", Some(content))]);
    let top = tar(&[("etc/", None), ("etc/top", Some(content))]);
    let layers = vec![
        store.put_bytes(MediaType::OCI_LAYER, &bottom).unwrap(),
        store.put_bytes(MediaType::OCI_LAYER_GZIP, &gzip(&top)).unwrap(),
    ];
    manifest(store, &[DiffId(Digest::of(&bottom)), DiffId(Digest::of(&top))], layers)
}

/// Stores a manifest of `layers`, and a config for it.
pub(crate) fn manifest(store: &Store, diff_ids: &[DiffId], layers: Vec<Descriptor>) -> Descriptor {
    let mut config =
        ImageConfig { os: "linux".into(), architecture: "amd64".into(), ..ImageConfig::default() };
    // umoci stat crashes on an entry without a time.
    let entry = History { created: Some("2026-01-02T03:04:05Z".into()), ..History::default() };
    config.config.cmd = Some(vec!["/etc/hello".into()]);
    config.rootfs.diff_ids = diff_ids.to_vec();
    config.history = diff_ids.iter().map(|_| entry.clone()).collect();
    let config = store.put_bytes(MediaType::OCI_CONFIG, &to_json(&config)).unwrap();
    let manifest = to_json(&Manifest::new(config, layers));
    store.put_bytes(MediaType::OCI_MANIFEST, &manifest).unwrap()
}

pub(crate) fn tar(entries: &[(&str, Option<&str>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_ustar();
        let content = content.unwrap_or_default();
        header.set_entry_type(if name.ends_with('/') {
            tar::EntryType::Directory
        } else {
            tar::EntryType::Regular
        });
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        archive.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip =
        Command::new("gzip").arg("-n").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    gzip.stdin.take().unwrap().write_all(bytes).unwrap();
    gzip.wait_with_output().unwrap().stdout
}

/// Runs a program that must succeed and returns what it printed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Starts the ignored test `name` of this test binary as a process in `dir`; see [`is_child`].
pub(crate) fn child(name: &str, dir: &Path) -> Command {
    std::fs::write(dir.join("child"), "").unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture"]).current_dir(dir);
    command
}

/// As [`child`], but first runs `mounts`, a shell script, in a mount namespace that ends with the process.
pub(crate) fn child_with_mounts(name: &str, dir: &Path, mounts: &str) -> Command {
    let child = child(name, dir);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", &format!("{mounts}; exec \"$@\""), "sh"]);
    command.arg(child.get_program()).args(child.get_args()).current_dir(dir);
    command
}

/// Whether this process was started by [`child`]; else an ignored test was asked for by hand and has nothing to do.
pub(crate) fn is_child() -> bool {
    Path::new("child").exists()
}

/// The paths below `dir`, relative to it, directories with a slash, in order; without what sessions leave open.
pub(crate) fn listing(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut ahead = vec![dir.to_owned()];
    while let Some(path) = ahead.pop() {
        for entry in std::fs::read_dir(&path).unwrap() {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(dir).unwrap().display().to_string();
            if entry.file_type().unwrap().is_dir() {
                ahead.push(entry.path());
                found.push(name + "/");
            } else {
                found.push(name);
            }
        }
    }
    found.sort();
    found
}
