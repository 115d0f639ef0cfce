//! Programs of the machine, run to their end.
#![expect(clippy::disallowed_methods, reason = "a test helper may spawn the real thing")]

use std::path::Path;
use std::process::Command;

/// Runs a program that must succeed in `dir`, and returns what it printed.
pub fn tool(program: &str, arguments: &[&str], dir: impl AsRef<Path>) -> String {
    let output = Command::new(program).args(arguments).current_dir(dir).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {told}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
