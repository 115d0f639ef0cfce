//! A user of this machine who is nobody special.

#![expect(clippy::disallowed_methods, reason = "a test helper may spawn the real thing")]

use std::process::Command;

const NAME: &str = "builder-test";

/// The ids of an ordinary user with subordinate ids, made if there is none; Debian's useradd hands them out.
pub fn ordinary_user() -> (u32, u32) {
    let id = |flag| {
        let output = Command::new("id").args([flag, NAME]).output().expect("id(1)");
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    let lookup = || Some((id("-u")?, id("-g")?));
    lookup().unwrap_or_else(|| {
        // Another test may be faster.
        Command::new("useradd").args(["--create-home", NAME]).output().expect("useradd(8)");
        lookup().expect("the user exists")
    })
}
