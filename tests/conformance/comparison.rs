//! The program run in steps, and what it printed in one held against what it printed in another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::fs;
use std::sync::OnceLock;

use test_support::TestBuilder;

use crate::differences::{DIFFERENCES, Difference};
use crate::program::{PART, PROGRAM, THEMES, UNCOMPARED};

/// What it printed with vfs, whose files lie on the same file system as those of a step without namespaces.
fn expected() -> &'static Lines {
    static EXPECTED: OnceLock<Lines> = OnceLock::new();
    EXPECTED.get_or_init(|| step(new_builder(), &["--isolation=namespaces", "--storage-driver=vfs"]))
}

pub(crate) fn enough_calls_are_made_and_none_is_lost() {
    let lines = expected();
    for theme in THEMES.iter().map(|(theme, _)| *theme) {
        let count = lines.0.keys().filter(|key| is_of(key, theme)).count();
        assert!(count >= 15, "{theme} has {count} lines\n{lines}");
        let end = &lines.0[&(format!("all: theme {theme}"), 0)];
        assert_eq!(end, "exit 0", "{theme} did not come to its end\n{lines}");
    }
    assert!(lines.0.len() >= 300, "the program made {} calls", lines.0.len());
}

pub(crate) fn overlay_and_vfs_answer_alike() {
    assert_alike(
        expected(),
        &step(new_builder(), &["--isolation=namespaces", "--storage-driver=overlay"]),
        &[],
    );
}

pub(crate) fn a_single_id_without_namespaces_is_answered_as_root() {
    let builder = new_builder().as_user(1000, 1000);
    assert_alike(expected(), &step(builder, &["--isolation=trace", "--storage-driver=vfs"]), DIFFERENCES);
}

pub(crate) fn a_single_id_in_namespaces_is_answered_as_root() {
    let builder = new_builder().as_user(1000, 1000);
    assert_alike(
        expected(),
        &step(builder, &["--isolation=namespaces", "--storage-driver=vfs"]),
        DIFFERENCES,
    );
}

/// What the program printed: the result of each call by its name and how often that name was there before.
struct Lines(BTreeMap<(String, usize), String>);

impl Lines {
    /// What a process that plays a part prints belongs to the call that started it, whose own line comes after it.
    fn parse<'a>(printed: impl Iterator<Item = &'a str>) -> Self {
        let (mut lines, mut seen) = (BTreeMap::new(), BTreeMap::<_, usize>::new());
        let mut parts = Vec::new();
        for (call, result) in printed.filter_map(|line| line.split_once(" = ")) {
            if call.starts_with(PART) {
                parts.push((call, result));
                continue;
            }
            let of_parts = parts.drain(..).map(|(part, result)| (format!("{call} > {part}"), result));
            for (call, result) in of_parts.chain([(call.to_owned(), result)]) {
                let before = seen.entry(call.clone()).or_default();
                lines.insert((call, *before), result.to_owned());
                *before += 1;
            }
        }
        Self(lines)
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|((call, _), result)| writeln!(formatter, "{call} = {result}"))
    }
}

fn new_builder() -> TestBuilder {
    TestBuilder::new(env!("CARGO_BIN_EXE_builder"))
}

/// Runs the whole program in a step of a build with these flags.
#[expect(clippy::needless_pass_by_value, reason = "its directories go with it")]
fn step(builder: TestBuilder, flags: &[&str]) -> Lines {
    fs::copy("/proc/self/exe", builder.dir().join("conformance")).unwrap();
    builder.file(
        "Containerfile",
        format!("FROM scratch\nCOPY conformance {PROGRAM}\nRUN [\"{PROGRAM}\", \"all\"]\n"),
    );
    let output = builder.run(&[&["build", "-t", "localhost/app:1"], flags, &["."]].concat()).success();
    // `#4 0.1 theme: call = result`
    let lines = Lines::parse(output.stderr.lines().filter_map(|line| line.splitn(3, ' ').nth(2)));
    assert!(!lines.0.is_empty(), "the program printed nothing\n{output}");
    lines
}

fn is_of((call, _): &(String, usize), theme: &str) -> bool {
    call.strip_prefix(theme).is_some_and(|rest| rest.starts_with([':', ' ']))
}

/// Fails with every difference that is not meant, and every meant one that there is not, so that one run shows all.
#[track_caller]
fn assert_alike(expected: &Lines, actual: &Lines, meant: &[Difference]) {
    let keys: BTreeSet<_> = expected.0.keys().chain(actual.0.keys()).collect();
    let (mut wrong, mut count, mut met) = (String::new(), 0, BTreeSet::new());
    for key in keys.into_iter().filter(|key| !UNCOMPARED.iter().any(|theme| is_of(key, theme))) {
        let [expected, actual] = [expected, actual].map(|lines| lines.0.get(key).map(String::as_str));
        if expected == actual {
            continue;
        }
        let known = meant.iter().flat_map(|difference| difference.calls).find(|call| key.0.contains(**call));
        if let Some(call) = known {
            met.insert(call);
            continue;
        }
        let [expected, actual] = [expected, actual].map(|result| result.unwrap_or("(no such line)"));
        writeln!(wrong, "{}\n  expected {expected}\n  was      {actual}", key.0).unwrap();
        count += 1;
    }
    for Difference { why, calls } in meant {
        for call in calls.iter().filter(|call| !met.contains(call)) {
            writeln!(wrong, "{call}\n  is answered alike, although {why}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{count} answers differ:\n{wrong}");
}
