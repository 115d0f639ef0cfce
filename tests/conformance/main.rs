//! System calls: a step gets from each the answer that the kernel gives to root in a namespace.
//!
//! This program is both sides of it. As a test it puts itself into an image, runs itself there in a step, as
//! `/conformance`, and holds what two such steps printed against each other, line by line. As `/conformance` it makes
//! the calls: `program` says how. It is static and needs nothing in the image.
//!
//! What it cannot make, since `unsafe` belongs to the sandbox alone: fork without exec, signal handlers, descriptors
//! that are not open, 32-bit calls, and the few old calls that neither the C library nor `rustix` makes any more
//! (`creat`, `stat`, `lstat`, `mknod`, `utime`, `utimes`, `futimesat`).
#![expect(clippy::print_stdout, reason = "a test harness talks to cargo")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod comparison;
mod differences;
mod program;

use std::panic;
use std::path::Path;
use std::process::ExitCode;

/// The tests by name.
const TESTS: [(&str, fn()); 4] = [
    ("enough_calls_are_made_and_none_is_lost", comparison::enough_calls_are_made_and_none_is_lost),
    ("overlay_and_vfs_answer_alike", comparison::overlay_and_vfs_answer_alike),
    (
        "a_single_id_in_namespaces_is_answered_as_root",
        comparison::a_single_id_in_namespaces_is_answered_as_root,
    ),
    (
        "a_single_id_without_namespaces_is_answered_as_root",
        comparison::a_single_id_without_namespaces_is_answered_as_root,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let (name, arguments) = arguments.split_first().map_or(("", &[][..]), |(name, rest)| (name, rest));
    let name = Path::new(name).file_name().unwrap_or_default();
    // Cargo puts a hash behind the name of a test.
    if !name.to_string_lossy().starts_with("conformance-") {
        return program::main(arguments);
    }
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let filters: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let fits = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let selected = TESTS.iter().filter(|(name, _)| fits(name) && !has("--ignored"));
    let mut failed = 0;
    for (name, test) in selected {
        if has("--list") {
            println!("{name}: test");
            continue;
        }
        let passed = panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += u8::from(!passed);
    }
    ExitCode::from(failed)
}
