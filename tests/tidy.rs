//! The rules of the house that neither the compiler nor clippy knows: which crate may use which, which words occur
//! where, what a file opens with, how long it may be, and that the map is true.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Dependency, DependencyKind, MetadataCommand, Package};

/// Which of our crates may use which; tests may use `test-support` besides. ARCHITECTURE.md draws the same map.
const EDGES: [(&str, &[&str]); 11] = [
    ("builder", &["containerfile", "engine", "layer", "oci", "registry", "sandbox", "store"]),
    ("containerfile", &[]),
    ("engine", &["containerfile", "git", "layer", "oci", "ownership", "registry", "sandbox", "store"]),
    ("git", &[]),
    ("layer", &["oci", "ownership"]),
    ("oci", &[]),
    ("ownership", &[]),
    ("registry", &["oci"]),
    ("sandbox", &["ownership"]),
    ("store", &["oci"]),
    ("test-support", &["oci"]),
];

/// Crates of others that only these of ours may ship, because of what they open the door to.
const RESERVED_CRATES: [(&str, &[&str]); 14] = [
    ("annotate-snippets", &["builder"]),
    ("anstream", &["builder"]),
    ("aws-lc-rs", &["engine"]),
    ("clap", &["builder"]),
    ("indicatif", &["builder"]),
    ("libc", &["sandbox"]),
    ("nix", &["sandbox"]),
    ("reqwest", &["registry"]),
    ("rustix", &["builder", "engine", "git", "layer", "sandbox", "store"]),
    ("rustls", &["registry"]),
    ("signal-hook", &["builder"]),
    ("tar-core", &["layer"]),
    ("tempfile", &["builder", "ownership", "store"]),
    ("tokio", &["registry"]),
];

/// Words that the code of these places may hold and no other, tests aside.
const RESERVED_WORDS: [(&str, &[&str]); 10] = [
    // The lint that bars environment, clock and processes is switched off where they belong.
    (
        "clippy::disallowed_methods",
        &["src/settings/environment.rs", "crates/git/src/command.rs", "crates/sandbox/src", TEST_SUPPORT],
    ),
    ("unsafe_code", &["crates/sandbox/src"]),
    ("clippy::print_", &[]),
    // Its order is another one in every run.
    ("HashMap", &["crates/layer/src", "crates/engine/src/snapshot"]),
    ("HashSet", &["crates/layer/src"]),
    ("TcpListener", &[TEST_SUPPORT]),
    ("TcpStream", &[TEST_SUPPORT]),
    // Sockets by which steps reach an agent; a pair of them that nobody else can find is no door.
    ("UnixListener", &["crates/sandbox/src"]),
    ("UnixStream::connect", &["crates/sandbox/src"]),
    ("TODO", &[]),
];

const TEST_SUPPORT: &str = "crates/test-support";

/// Crates that do no I/O, and how it would begin if they did.
const PURE: [&str; 2] = ["crates/containerfile", "crates/oci"];
const IO: [&str; 5] = ["std::fs", "std::os", "std::process", "std::thread", "Instant::now"];

/// Changing this number is a decision: say in the commit what a new package replaces.
const PACKAGES_IN_LOCK: usize = 321;

/// Lines a file may have without its tests.
const LINES: usize = 400;

const DRAWERS: [&str; 6] = ["common", "helpers", "misc", "types", "util", "utils"];

#[test]
fn crates_use_only_those_they_may() {
    let allowed: BTreeMap<_, _> = EDGES.into_iter().collect();
    let packages = packages();
    let ours: BTreeSet<_> = packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(ours, allowed.keys().copied().collect(), "EDGES has a row for each crate");
    let wrong = uses(&packages).filter(|(package, used)| {
        let for_tests = used.kind == DependencyKind::Development && used.name == "test-support";
        ours.contains(used.name.as_str())
            && !allowed[package.name.as_str()].contains(&&*used.name)
            && !for_tests
    });
    assert_none(wrong.map(|(package, used)| format!("{} must not depend on {}", package.name, used.name)));
}

#[test]
fn doors_to_network_kernel_and_terminal_are_reserved() {
    let packages = packages();
    let reserved: BTreeMap<_, _> = RESERVED_CRATES.into_iter().collect();
    let wrong = uses(&packages)
        .filter(|(package, used)| used.kind != DependencyKind::Development && package.name != "test-support")
        .filter(|(package, used)| {
            reserved.get(used.name.as_str()).is_some_and(|users| !users.contains(&package.name.as_str()))
        });
    assert_none(wrong.map(|(package, used)| format!("{} must not depend on {}", package.name, used.name)));
}

#[test]
fn every_dependency_is_used() {
    let (packages, sources) = (packages(), sources());
    let wrong = uses(&packages).filter(|(package, used)| {
        let dir = package.manifest_path.parent().unwrap().strip_prefix(root()).unwrap();
        let shipped = used.kind != DependencyKind::Development;
        let places: Vec<_> = ["src", "tests", "benches", "examples"][..if shipped { 1 } else { 4 }]
            .iter()
            .map(|part| dir.join(part).into_std_path_buf())
            .collect();
        let name = format!("{}::", used.name.replace('-', "_"));
        !sources.iter().any(|source| {
            let text = if shipped { source.code() } else { &source.text };
            places.iter().any(|place| source.path.starts_with(place)) && text.contains(&name)
        })
    });
    assert_none(wrong.map(|(package, used)| format!("{} does not use {}", package.name, used.name)));
}

#[test]
fn reserved_words_stay_in_their_places() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (word, places) in RESERVED_WORDS {
            let here = places.iter().any(|place| source.path.starts_with(place));
            let lines = source.code().lines().enumerate().filter(|_| !here);
            wrong.extend(
                lines
                    .filter(|(_, line)| line.contains(word) && !line.trim_start().starts_with("//"))
                    .map(|(number, _)| format!("{}: {word} does not belong here", source.place(number))),
            );
        }
    }
    assert_none(wrong);
}

#[test]
fn the_language_and_the_oci_words_do_no_io() {
    let pure = |source: &&Source| PURE.iter().any(|dir| source.path.starts_with(dir)) && !source.is_test();
    let mut wrong = Vec::new();
    for source in sources().iter().filter(pure) {
        let found = IO.iter().filter(|module| source.code().contains(*module));
        wrong.extend(found.map(|module| format!("{} uses {module}", source.path.display())));
    }
    assert_none(wrong);
}

#[test]
fn unsafe_blocks_are_in_the_sandbox_and_say_why() {
    let is_unsafe = |line: &str| {
        let code = line.trim_start();
        !code.starts_with("//")
            && ["unsafe {", "unsafe fn", "unsafe impl"].iter().any(|form| code.contains(form))
    };
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.path != Path::new(file!())) {
        let lines: Vec<_> = source.text.lines().collect();
        for (number, _) in lines.iter().enumerate().filter(|(_, line)| is_unsafe(line)) {
            if !source.path.starts_with("crates/sandbox") {
                wrong.push(format!("{}: unsafe outside of the sandbox", source.place(number)));
            }
            if !lines[number.saturating_sub(6)..number].iter().any(|line| line.contains("// SAFETY:")) {
                wrong.push(format!("{}: unsafe without a SAFETY line", source.place(number)));
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = sources().into_iter().filter(|source| !source.text.starts_with("//! "));
    assert_none(silent.map(|source| format!("{} opens without //!", source.path.display())));
}

#[test]
fn files_are_short() {
    let code = |source: &Source| source.code().lines().count();
    let long = sources().into_iter().filter(|source| !source.is_test() && code(source) > LINES);
    assert_none(long.map(|source| {
        format!("{} has {} lines without tests, more than {LINES}", source.path.display(), code(&source))
    }));
}

#[test]
fn no_module_is_a_drawer() {
    let is_drawer = |name: &str| DRAWERS.contains(&name.trim_end_matches(".rs"));
    let wrong = sources().into_iter().filter(|source| {
        let in_path = source.path.iter().any(|part| is_drawer(&part.to_string_lossy()));
        let modules = source.text.lines().filter_map(|line| line.trim_start().strip_prefix("mod "));
        in_path || modules.filter_map(|rest| rest.split([' ', ';']).next()).any(is_drawer)
    });
    assert_none(wrong.map(|source| format!("{} has a module named for nothing", source.path.display())));
}

#[test]
fn the_number_of_packages_is_a_decision() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let packages = lock.lines().filter(|line| *line == "[[package]]").count();
    assert_eq!(
        packages,
        PACKAGES_IN_LOCK,
        "Cargo.lock has another number of packages: if that is meant, change PACKAGES_IN_LOCK in {} and say in the \
         commit what the new ones replace",
        file!()
    );
}

#[test]
fn texts_are_tidy() {
    let mut wrong = Vec::new();
    for (path, text) in texts() {
        let path = path.display();
        let blank = text.lines().enumerate().filter(|(_, line)| line.ends_with([' ', '\t']));
        wrong
            .extend(blank.map(|(number, _)| format!("{path}:{}: blanks at the end of the line", number + 1)));
        if !text.is_empty() && !text.ends_with('\n') {
            wrong.push(format!("{path}: no newline at the end"));
        }
    }
    assert_none(wrong);
}

#[test]
fn the_map_is_true() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let silent = EDGES.iter().filter(|(name, _)| !map.contains(&format!("`{name}`")));
    let mut wrong: Vec<_> =
        silent.map(|(name, _)| format!("ARCHITECTURE.md says nothing of {name}")).collect();
    for (path, text) in texts().iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "md")) {
        let named = text.split('`').skip(1).step_by(2).filter(|code| is_path(code));
        wrong.extend(named.filter_map(missing).map(|why| format!("{}: {why}", path.display())));
    }
    assert_none(wrong);
}

/// Whether what stands between backquotes is a path of this repository, or a test in one: `tests/a.rs::name`.
fn is_path(code: &str) -> bool {
    ["src/", "crates/", "tests/", "fixtures/", "deploy/"].iter().any(|dir| code.starts_with(dir))
}

/// What is wrong with the name of a path, or of a test in a file.
fn missing(name: &str) -> Option<String> {
    let (path, test) = name.split_once("::").map_or((name, None), |(path, test)| (path, Some(test)));
    if !root().join(path).exists() {
        return Some(format!("there is no {path}"));
    }
    let test = test?;
    let text = fs::read_to_string(root().join(path)).unwrap();
    (!text.contains(&format!("fn {test}("))).then(|| format!("{path} has no {test}"))
}

/// A file of Rust.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Without the tests at its end.
    fn code(&self) -> &str {
        self.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default()
    }

    fn is_test(&self) -> bool {
        let dirs = ["tests", "benches", "examples"];
        self.path.iter().any(|part| dirs.iter().any(|dir| part == *dir))
            || self.path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"))
    }

    /// `number` counts from 0.
    fn place(&self, number: usize) -> String {
        format!("{}:{}", self.path.display(), number + 1)
    }
}

fn sources() -> Vec<Source> {
    let rust = texts().into_iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "rs"));
    rust.map(|(path, text)| Source { path, text }).collect()
}

/// The texts of this repository by their paths in it, but for the fixtures of the language and of
/// fuzzing: they hold blanks and line ends of every kind on purpose.
fn texts() -> BTreeMap<PathBuf, String> {
    let passed_over =
        [".git", "target", "fixtures/containerfile", "fixtures/fuzz"].map(|dir| root().join(dir));
    let mut pending = vec![root().to_owned()];
    let mut texts = BTreeMap::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() && !passed_over.contains(&path) {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if let Ok(text) = fs::read_to_string(&path) {
            texts.insert(path.strip_prefix(root()).unwrap().to_owned(), text);
        }
    }
    texts
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn packages() -> Vec<Package> {
    MetadataCommand::new().no_deps().exec().unwrap().packages
}

/// Who depends on what.
fn uses(packages: &[Package]) -> impl Iterator<Item = (&Package, &Dependency)> {
    packages.iter().flat_map(|package| package.dependencies.iter().map(move |used| (package, used)))
}

/// Fails with every one of `wrong`, so that one run shows all.
fn assert_none(wrong: impl IntoIterator<Item = String>) {
    let wrong: Vec<_> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
