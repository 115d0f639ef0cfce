//! Memory does not grow with the size of a layer.

#![expect(clippy::print_stderr, reason = "the figure is worth reading")]

use std::fs::{self, File};
use std::io;
use std::time::Duration;

use test_support::TestBuilder;

const GIB: u64 = 1 << 30;
const LIMIT_KIB: u64 = 128 * 1024;

#[test]
fn a_gibibyte_of_noise_needs_little_memory() {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder"));
    let noise = File::open("/dev/urandom").unwrap();
    let mut file = File::create(builder.dir().join("noise")).unwrap();
    io::copy(&mut io::Read::take(noise, GIB), &mut file).unwrap();
    builder.file("Containerfile", "FROM scratch\nCOPY noise /noise\n");
    let arguments = ["build", "--compression-level", "1", "."];
    let mut child = builder.command(&arguments).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        // The kernel's own high-water mark; it is gone with the process.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(child.wait().unwrap().success());
    assert!(peak > 0, "the process was seen");
    assert!(peak < LIMIT_KIB, "peak resident memory was {peak} KiB");
    eprintln!("peak resident memory: {peak} KiB");
}
