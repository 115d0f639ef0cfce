//! Tries the sandbox by hand: shows what is allowed here, then runs one command in a root file system.
//!
//! `cargo run -p sandbox --example step -- STATE_DIR [ROOTFS COMMAND [ARGUMENT]...]`
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to who runs it")]

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use sandbox::{
    Cancellation, CapabilitySet, Feature, Network, ProbeSettings, Protection, Requested, RunSpec, Stream,
};

fn main() -> ExitCode {
    sandbox::child_hook();
    match try_sandbox() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("error: {error}");
            error.hint().inspect(|hint| eprintln!("hint: {hint}"));
            ExitCode::FAILURE
        }
    }
}

fn try_sandbox() -> Result<u8, sandbox::Error> {
    let mut arguments = std::env::args_os().skip(1);
    let Some(state_dir) = arguments.next() else {
        eprintln!("usage: step STATE_DIR [ROOTFS COMMAND [ARGUMENT]...]");
        return Ok(2);
    };
    let facts = sandbox::probe(&PathBuf::from(state_dir), &ProbeSettings::default())?;
    for feature in Feature::ALL {
        let denial = facts.denial(feature);
        println!("{feature}: {}", denial.map_or("allowed".to_owned(), |denial| format!("denied ({denial})")));
    }
    let choice = sandbox::choose(&facts, Requested::default())?;
    println!("{choice}");
    let Some(rootfs) = arguments.next() else { return Ok(0) };
    let _entered = sandbox::enter(&choice)?;
    let spec = RunSpec {
        isolation: choice.isolation?,
        rootfs: rootfs.into(),
        ownership: None,
        mounts: Vec::new(),
        argv: arguments.collect(),
        env: vec![("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())],
        cwd: "/".into(),
        uid: 0,
        gid: 0,
        groups: Vec::new(),
        secret_env: Vec::new(),
        capabilities: CapabilitySet::DEFAULT,
        protection: Protection::Masked,
        network: Network::Host,
        hostname: "builder".to_owned(),
    };
    let mut print = |stream, bytes: &[u8]| {
        let written = match stream {
            Stream::Stdout => std::io::stdout().write_all(bytes),
            Stream::Stderr => std::io::stderr().write_all(bytes),
        };
        // Nobody may be reading.
        drop(written);
    };
    let exit = sandbox::run(&spec, &mut print, &Cancellation::new()?)?;
    Ok(u8::try_from(exit.status()).unwrap_or(u8::MAX))
}
