//! The shell blocks of README.md do what it says: they run as they stand, one after another, in a copy of what they
//! name.

#![expect(clippy::disallowed_methods, reason = "the reader of the README has a shell")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

#[test]
fn the_shell_blocks_of_the_readme_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binary = Path::new(env!("CARGO_BIN_EXE_builder"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let blocks: Vec<_> =
        readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 3, "README.md has shell blocks");
    let dir = tempfile::tempdir().unwrap();
    symlink(root.join("fixtures"), dir.path().join("fixtures")).unwrap();
    let shell = Command::new("bash")
        .args(["-euxc", &blocks.concat()])
        .current_dir(dir.path())
        .env_clear()
        .env("HOME", dir.path())
        .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", binary.parent().unwrap().display()))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&shell.stderr);
    assert!(shell.status.success(), "{told}");
    let printed = String::from_utf8_lossy(&shell.stdout);
    for expected in ["localhost/demo", "org.opencontainers.image.version", "isolation: namespaces"] {
        assert!(printed.contains(expected), "no {expected} in {printed}");
    }
    let digest = fs::read_to_string(dir.path().join("demo.digest")).unwrap();
    let index = fs::read_to_string(dir.path().join("demo-image/index.json")).unwrap();
    assert!(index.contains(&digest), "{digest} is not in {index}");
}
