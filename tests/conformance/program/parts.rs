//! What other processes of this program do for a theme: show what they got, or wait to be ended.

use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::process::{self, ExitCode};
use std::{env, fs, io};

use super::calls::{capget, chown, identity};
use super::report::tell;
use super::{directories, execution, identities};

/// Plays the part of this name; 2 if there is none.
pub(crate) fn play(arguments: &[&str]) -> ExitCode {
    match arguments {
        ["exit", code, ..] => return ExitCode::from(code.parse::<u8>().expect("a number below 256")),
        ["show", "chown"] => {
            tell!("chown(a file of root)" => chown("/t/programs/conformance", Some(1), Some(1)));
        }
        ["show", "directory"] => {
            tell!(env::current_dir());
        }
        ["show", "descriptors"] => show_descriptors(),
        ["process"] => identities::process(),
        ["jail"] => directories::in_a_jail(),
        ["execute", how] => execution::execute(how),
        ["wait"] => {
            io::stdout().write_all(b"\n").expect("telling that the wait begins");
            drop(io::stdin().read_to_end(&mut Vec::new()));
        }
        ["abort"] => process::abort(),
        // A script puts its own name between.
        _ if arguments.contains(&"identity") => show_identity(),
        _ if arguments.contains(&"arguments") => show_arguments(),
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}

fn show_identity() {
    tell!(identity());
    tell!(capget());
}

fn show_arguments() {
    let arguments: Vec<_> = env::args_os().collect();
    tell!("argv" => Ok::<_, io::Error>(arguments));
    tell!("AT_EXECFN" => Ok::<_, io::Error>(rustix::param::linux_execfn()));
    tell!(env::current_exe());
    tell!("the name of the thread" => rustix::thread::name());
}

/// Which descriptors came over, by number; 0, 1 and 2 always do.
fn show_descriptors() {
    let dir = fs::read_dir("/proc/self/fd").map(|entries| {
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let mut numbers: Vec<i32> = numbers.collect();
        numbers.sort_unstable();
        numbers
    });
    // The directory that is read is among them, and is the last.
    tell!("descriptors" => dir.map(|mut numbers| {
        numbers.pop();
        numbers
    }));
    tell!("standard input" => rustix::fs::fstat(io::stdin()).map(|stat| stat.st_mode & 0o170_000));
    tell!("its number" => Ok::<_, io::Error>(io::stdin().as_raw_fd()));
}
