//! The program that makes system calls and prints what came of each.
//!
//! `/conformance THEME` makes the calls of a theme in a directory of its own, `/t/THEME`; `/conformance all` makes all,
//! each theme in a process of its own, so that one that fails takes no other with it. A theme has other processes of
//! this program play a part: `/conformance show …`.

mod actors;
mod attributes;
mod calls;
mod directories;
mod execution;
mod identities;
mod lookup;
mod modes;
mod names;
mod open;
mod owners;
mod parts;
mod permissions;
mod privileged;
mod programs;
mod report;
mod sequences;
mod signals;
mod sockets;
mod stat;
mod times;
mod watches;

use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;
use std::{env, fs, io, thread};

use actors::part;
use report::{begin, tell};

/// Where the program lies in the image.
pub(crate) const PROGRAM: &str = "/conformance";

/// What stands before the lines of a process that plays a part in a theme.
pub(crate) const PART: &str = "part";

/// The themes by name, in the order of `all`.
pub(crate) const THEMES: [(&str, fn()); 18] = [
    ("open", open::run),
    ("lookup", lookup::run),
    ("stat", stat::run),
    ("names", names::run),
    ("directories", directories::run),
    ("modes", modes::run),
    ("owners", owners::run),
    ("times", times::run),
    ("attributes", attributes::run),
    ("identities", identities::run),
    ("permissions", permissions::run),
    ("programs", programs::run),
    ("execution", execution::run),
    ("sockets", sockets::run),
    ("watches", watches::run),
    ("signals", signals::run),
    ("sequences", sequences::run),
    ("privileged", privileged::run),
];

/// Themes whose answers depend on what a step may, and are printed only.
pub(crate) const UNCOMPARED: [&str; 1] = ["privileged"];

/// How long a theme may take; it takes a second.
const LIMIT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(5);

/// Does what the arguments say.
pub(crate) fn main(arguments: &[String]) -> ExitCode {
    match arguments {
        [all] if all == "all" => {
            begin("all");
            for (theme, _) in THEMES {
                tell!("theme {theme}" => in_own_process(theme));
            }
            ExitCode::SUCCESS
        }
        [name] if let Some((theme, run)) = THEMES.iter().find(|(theme, _)| theme == name) => {
            begin(theme);
            in_own_directory(theme, *run);
            ExitCode::SUCCESS
        }
        _ => {
            begin(PART);
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            parts::play(&arguments)
        }
    }
}

/// Waits for its end, but not for ever: one call that never returns would take all other answers with it.
fn in_own_process(theme: &str) -> io::Result<ExitStatus> {
    let mut child = part(&[theme]).spawn()?;
    for _ in 0..LIMIT.as_millis() / PAUSE.as_millis() {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(PAUSE);
    }
    child.kill()?;
    child.wait()
}

fn in_own_directory(theme: &str, run: fn()) {
    calls::umask(0o022).unwrap();
    let dir = Path::new("/t").join(theme);
    fs::create_dir_all(&dir).unwrap();
    env::set_current_dir(&dir).unwrap();
    run();
    env::set_current_dir("/").unwrap();
    fs::remove_dir_all("/t").unwrap();
}
