//! Who makes the calls: a thread that has become another user, or another process of this program.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus};
use std::thread;

use rustix::fs::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::PROGRAM;
use super::report::{Seen, acting_as};

/// Does something as another user. Credentials are of a thread, to the kernel, so nobody else becomes that user.
pub(crate) fn as_user(uid: u32, gid: u32, groups: &[u32], act: impl FnOnce() + Send) {
    in_thread(&format!("{uid}:{gid}"), || {
        let groups: Vec<_> = groups.iter().copied().map(Gid::from_raw).collect();
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        set_thread_groups(&groups).expect("root sets groups");
        set_thread_res_gid(gid, gid, gid).expect("root becomes any group");
        set_thread_res_uid(uid, uid, uid).expect("root becomes any user");
        act();
    });
}

/// Does something in a thread of its own, whose credentials end with it.
pub(crate) fn in_thread(actor: &str, act: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            acting_as(actor);
            act();
        });
        thread.join().expect("what a theme does in a thread");
    });
}

/// This program, about to play a part.
pub(crate) fn part(arguments: &[&str]) -> Command {
    program(PROGRAM, arguments)
}

/// A program that knows itself for this one, wherever it lies.
#[expect(clippy::disallowed_methods, reason = "a program that tests execve executes")]
pub(crate) fn program(path: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.arg0("conformance").args(arguments);
    command
}

impl Seen for ExitStatus {
    fn seen(&self) -> String {
        match (self.code(), self.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "neither exit nor signal".to_owned(),
        }
    }
}
