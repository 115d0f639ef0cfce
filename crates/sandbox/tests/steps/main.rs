//! Steps in namespaces and supervised ones, as every identity that root of the machine can take on.
//!
//! Each test is a process of its own: this program executes itself with the test's name, becomes the identity, enters
//! its namespaces, and runs the test there. It needs root, busybox-static and uidmap, and fails without them.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test harness talks to cargo")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attacker;
mod death;
mod hostile;
mod lifetime;
mod lookups;
mod mounts;
mod process;
mod setting;

use std::process::{Command, ExitCode, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use setting::{Setting, Who};

/// A test, and as whom it runs.
type Test<Body = fn(&Setting)> = (&'static str, &'static [Who], Body);

/// Runs one test in this process.
const IN_PROCESS: &str = "--in-process";
/// Is a builder that must be killed.
const ENDLESS: &str = "--endless";
/// Prints its effective user id.
const PRINT_EUID: &str = "--print-euid";

fn main() -> ExitCode {
    sandbox::child_hook();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [flag, name] if flag == IN_PROCESS => {
            run_here(name);
            return ExitCode::SUCCESS;
        }
        [flag, who] if flag == ENDLESS => {
            let who = Who::ALL.iter().find(|known| format!("{known:?}") == *who).unwrap();
            death::run_endlessly(&Setting::enter(*who));
            return ExitCode::SUCCESS;
        }
        [flag, what @ ..] if flag == attacker::ATTACK => {
            attacker::main(what);
            return ExitCode::SUCCESS;
        }
        [flag] if flag == PRINT_EUID => {
            println!("{}", rustix::process::geteuid().as_raw());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let names = selected(&arguments);
    if arguments.iter().any(|argument| argument == "--list") {
        for name in names {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    run_all(&names)
}

/// Every test by its full name, ready to run.
fn all() -> Vec<(String, Box<dyn Fn()>)> {
    let mut all: Vec<(String, Box<dyn Fn()>)> = Vec::new();
    let full_name = |who: Who, name: &str| format!("{who:?}::{name}").to_lowercase();
    for (name, identities, test) in
        [process::TESTS, mounts::TESTS, hostile::TESTS, attacker::TESTS, lifetime::TESTS, lookups::TESTS]
            .concat()
    {
        for who in identities {
            all.push((full_name(*who, name), Box::new(move || test(&Setting::enter(*who)))));
        }
    }
    for (name, identities, test) in death::TESTS {
        for who in *identities {
            all.push((full_name(*who, name), Box::new(move || test(*who))));
        }
    }
    all
}

/// The part of libtest's command line that cargo-nextest and people use.
fn selected(arguments: &[String]) -> Vec<String> {
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--ignored") {
        return Vec::new();
    }
    let filters: Vec<_> =
        arguments.iter().filter(|argument| !argument.starts_with('-') && *argument != "terse").collect();
    let fits = |name: &String| {
        filters.is_empty()
            || filters
                .iter()
                .any(|filter| if has("--exact") { *filter == name } else { name.contains(*filter) })
    };
    all().into_iter().map(|(name, _)| name).filter(fits).collect()
}

fn run_here(name: &str) {
    let tests = all();
    let (_, test) = tests.iter().find(|(known, _)| known == name).expect("a test of this name");
    test();
}

fn run_all(names: &[String]) -> ExitCode {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let output = run_in_process(name);
                    let passed = output.status.success();
                    println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
                    if !passed {
                        failed.lock().unwrap().push((name, output));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    for (name, output) in &failed {
        eprintln!("---- {name} ({}) ----\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    println!("\ntest result: {} passed; {} failed", names.len() - failed.len(), failed.len());
    ExitCode::from(u8::from(!failed.is_empty()))
}

fn run_in_process(name: &str) -> Output {
    this_program(&[IN_PROCESS, name]).env("BUILDER_SECRET", "hunter2").output().expect("this program runs")
}

#[expect(clippy::disallowed_methods, reason = "a test harness starts tests")]
fn this_program(arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments);
    command
}
