//! A build that is interrupted ends at once, and nothing of it stays: no process, no mount, no name.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]
#![expect(clippy::disallowed_methods, reason = "signals are sent as a user sends them")]

use std::fs;
use std::io::Read as _;
use std::process::Command;
use std::time::{Duration, Instant};

use test_support::TestBuilder;

/// How long the end may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(5);

/// Builds until a step sleeps, sends the signal, and tells how the builder ended and what it left.
fn interrupt(signal: &str, marker: &str) -> Option<i32> {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder"));
    fs::copy("/bin/busybox", builder.dir().join("busybox")).unwrap();
    let sleep = format!("[\"/bin/busybox\", \"sh\", \"-c\", \"echo started; /bin/busybox sleep {marker}\"]");
    builder.file("Containerfile", format!("FROM scratch\nCOPY busybox /bin/busybox\nRUN {sleep}\n"));
    let arguments = ["build", "-t", "localhost/app:1", "--digest-file", "digest", "."];
    let mut child = builder.command(&arguments).spawn().unwrap();
    let mut seen = Vec::new();
    let stderr = child.stderr.as_mut().unwrap();
    let mut byte = [0];
    while !seen.ends_with(b"started\n") {
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    // What the shell has said, it says before it starts the program.
    let started = Instant::now();
    while !is_running(marker) {
        assert!(started.elapsed() < LIMIT, "the step does not run");
        std::thread::sleep(Duration::from_millis(10));
    }
    let sent = Instant::now();
    Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    let status = child.wait().unwrap();
    while is_running(marker) {
        assert!(sent.elapsed() < LIMIT, "the step still runs");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(sent.elapsed() < LIMIT, "the end took {:?}", sent.elapsed());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(builder.root().to_str().unwrap()), "{mounts}");
    assert!(!builder.dir().join("digest").exists());
    let images = builder.run(&["images"]).success();
    assert!(!images.text().contains("localhost/app"), "{images}");
    status.code()
}

/// Whether any process has this argument.
fn is_running(marker: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| line.split(|byte| *byte == 0).any(|word| word == marker.as_bytes()))
}

#[test]
fn ctrl_c_ends_a_build() {
    assert_eq!(interrupt("-INT", "30011"), Some(130));
}

#[test]
fn a_pod_that_is_deleted_ends_a_build() {
    assert_eq!(interrupt("-TERM", "30012"), Some(130));
}

#[test]
fn a_killed_builder_takes_its_steps_along() {
    assert_eq!(interrupt("-KILL", "30013"), None);
}
