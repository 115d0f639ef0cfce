//! The rules of the house that neither the compiler nor clippy knows: which crate may use which, what a file opens
//! with, how long it may be, and which words do not occur.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Which of our crates may use which. ARCHITECTURE.md draws the same map.
const EDGES: [(&str, &[&str]); 9] = [
    ("builder", &["containerfile", "engine", "layer", "oci", "registry", "sandbox", "store"]),
    ("containerfile", &[]),
    ("engine", &["containerfile", "layer", "oci", "registry", "sandbox", "store"]),
    ("layer", &["oci"]),
    ("oci", &[]),
    ("registry", &["oci"]),
    ("sandbox", &[]),
    ("store", &["oci"]),
    ("test-support", &["oci"]),
];

/// Crates that open a socket, start a process or read a clock do so in one place.
const FORBIDDEN: [(&str, &[&str]); 4] = [
    ("containerfile", &["nix", "reqwest", "rustix", "tokio"]),
    ("oci", &["nix", "reqwest", "rustix", "tokio"]),
    ("store", &["nix", "reqwest", "tokio"]),
    ("layer", &["nix", "reqwest", "tokio"]),
];

/// Changing this number is a decision: say in the commit what a new package replaces.
const PACKAGES_IN_LOCK: usize = 326;

/// Lines of code a file may have without its tests.
const LINES: usize = 400;

const DRAWERS: [&str; 6] = ["common", "helpers", "misc", "types", "util", "utils"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn packages() -> Vec<Package> {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    metadata.packages
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut pending: Vec<PathBuf> = ["src", "crates", "tests"].iter().map(|dir| root().join(dir)).collect();
    let mut sources = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            sources.push((path.strip_prefix(root()).unwrap().to_owned(), text));
        }
    }
    sources.sort();
    sources
}

/// Fails with every line of `wrong`, so that one run shows all.
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn crates_use_only_those_they_may() {
    let allowed: BTreeMap<_, _> = EDGES.into_iter().collect();
    let packages = packages();
    let ours: BTreeSet<_> = packages.iter().map(|package| package.name.to_string()).collect();
    assert_eq!(ours, allowed.keys().map(|name| (*name).to_owned()).collect());
    let mut wrong = Vec::new();
    for package in &packages {
        let uses = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        for name in uses.map(|dependency| dependency.name.as_str()).filter(|name| ours.contains(*name)) {
            if !allowed[package.name.as_str()].contains(&name) {
                wrong.push(format!("{} must not depend on {name}", package.name));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn test_support_is_for_tests_only() {
    let packages = packages();
    let users = packages.iter().filter(|package| {
        let normal =
            |d: &cargo_metadata::Dependency| d.kind == DependencyKind::Normal && d.name == "test-support";
        package.dependencies.iter().any(normal)
    });
    assert_none(&users.map(|package| format!("{} ships test-support", package.name)).collect::<Vec<_>>());
}

#[test]
fn crates_keep_to_their_boundary() {
    let packages = packages();
    let mut wrong = Vec::new();
    for (name, forbidden) in FORBIDDEN {
        let package = packages.iter().find(|package| package.name == name).unwrap();
        let normal = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
        wrong.extend(
            normal
                .filter(|d| forbidden.contains(&d.name.as_str()))
                .map(|d| format!("{name} uses {}", d.name)),
        );
    }
    assert_none(&wrong);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = sources().into_iter().filter(|(_, text)| !text.starts_with("//! "));
    assert_none(&silent.map(|(path, _)| format!("{} opens without //!", path.display())).collect::<Vec<_>>());
}

#[test]
fn files_are_short() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if path.starts_with("tests") || path.iter().any(|part| part == "tests") {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().lines().count();
        if code > LINES {
            wrong.push(format!("{} has {code} lines of code, more than {LINES}", path.display()));
        }
    }
    assert_none(&wrong);
}

#[test]
fn no_module_is_a_drawer() {
    let is_drawer = |path: &Path| {
        path.iter().any(|part| {
            let name = part.to_string_lossy();
            DRAWERS.contains(&name.trim_end_matches(".rs"))
        })
    };
    let drawers = sources().into_iter().filter(|(path, _)| is_drawer(path));
    assert_none(
        &drawers.map(|(path, _)| format!("{} is named for nothing", path.display())).collect::<Vec<_>>(),
    );
}

#[test]
fn unsafe_code_is_in_the_sandbox_and_says_why() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let lines: Vec<_> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let is_block =
                code.contains("unsafe {") || code.starts_with("unsafe fn") || code.starts_with("unsafe impl");
            if !is_block || code.starts_with("//") || code.contains('"') {
                continue;
            }
            let place = format!("{}:{}", path.display(), number + 1);
            if !path.starts_with("crates/sandbox") {
                wrong.push(format!("{place}: unsafe outside of the sandbox"));
            }
            let above = lines[number.saturating_sub(6)..=number].iter();
            if !above.into_iter().any(|line| line.contains("SAFETY:")) {
                wrong.push(format!("{place}: unsafe without a SAFETY line"));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn the_number_of_packages_is_a_decision() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let packages = lock.lines().filter(|line| *line == "[[package]]").count();
    assert_eq!(
        packages, PACKAGES_IN_LOCK,
        "Cargo.lock has another number of packages: if that is meant, change PACKAGES_IN_LOCK and say why in the commit"
    );
}

#[test]
fn lines_end_without_blanks() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let blank = text.lines().enumerate().filter(|(_, line)| line.ends_with([' ', '\t']));
        wrong.extend(blank.map(|(number, _)| format!("{}:{}", path.display(), number + 1)));
    }
    assert_none(&wrong);
}

#[test]
fn architecture_tells_of_every_crate() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let missing = EDGES.iter().filter(|(name, _)| !text.contains(&format!("`{name}`")));
    assert_none(
        &missing.map(|(name, _)| format!("ARCHITECTURE.md does not mention `{name}`")).collect::<Vec<_>>(),
    );
}
