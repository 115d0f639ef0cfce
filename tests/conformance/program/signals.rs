//! Signals, stops, exits and process groups of a process's own children.

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{SigSet, Signal as NixSignal, raise};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions, WaitStatus,
};
use rustix::process::{getpgid, getpgrp, getpid, getsid, kill_process, kill_process_group, pidfd_open};
use rustix::process::{pidfd_send_signal, setpgid, setsid, test_kill_process, waitid, waitpid};

use super::actors::{as_user, part};
use super::report::{Seen, tell};

pub(crate) fn run() {
    ends();
    stops();
    groups();
    by_descriptor();
    permissions();
    own();
    at_once();
}

/// A child that waits until it is ended.
fn child() -> (Child, Pid) {
    waiting(&mut part(&["wait"]))
}

/// Starts a part that waits, and returns when it does.
fn waiting(part: &mut Command) -> (Child, Pid) {
    let mut child = started(part);
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let pid = Pid::from_child(&child);
    (child, pid)
}

fn started(part: &mut Command) -> Child {
    part.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

impl Seen for WaitStatus {
    fn seen(&self) -> String {
        match (self.exit_status(), self.terminating_signal(), self.stopping_signal()) {
            (Some(code), _, _) => format!("exit {code}"),
            (_, Some(signal), _) => format!("signal {signal}"),
            (_, _, Some(signal)) => format!("stopped by {signal}"),
            _ if self.continued() => "continued".to_owned(),
            _ => "unknown".to_owned(),
        }
    }
}

impl Seen for WaitIdStatus {
    fn seen(&self) -> String {
        match (self.exit_status(), self.terminating_signal(), self.stopping_signal()) {
            (Some(code), _, _) => format!("exit {code}"),
            (_, Some(signal), _) => format!("signal {signal} dumped {}", self.dumped()),
            (_, _, Some(signal)) => format!("stopped by {signal}"),
            _ => format!("continued {} trapped {}", self.continued(), self.trapped()),
        }
    }
}

fn ends() {
    for signal in [Signal::TERM, Signal::KILL, Signal::INT, Signal::HUP, Signal::USR1, Signal::ALARM] {
        let (mut child, pid) = child();
        tell!("kill(child, {signal:?})" => kill_process(pid, signal));
        tell!(child.wait());
        tell!(test_kill_process(pid));
    }
    let (mut child, pid) = child();
    tell!(test_kill_process(pid));
    tell!("kill(child, CHLD)" => kill_process(pid, Signal::CHILD));
    tell!(child.try_wait());
    drop(child.stdin.take());
    tell!(child.wait());
    tell!(waitpid(Some(pid), WaitOptions::empty()).map(|_| ()));
    tell!(waitpid(None, WaitOptions::NOHANG).map(|_| ()));
    tell!(part(&["exit", "42"]).status());
}

fn stops() {
    let (mut child, pid) = child();
    let wait = |options| waitpid(Some(pid), options).map(|found| found.map(|(_, status)| status));
    for _ in 0..2 {
        tell!(kill_process(pid, Signal::STOP));
        tell!(wait(WaitOptions::UNTRACED));
        tell!(wait(WaitOptions::UNTRACED | WaitOptions::NOHANG).map(|status| status.is_some()));
        tell!(kill_process(pid, Signal::CONT));
        tell!(wait(WaitOptions::CONTINUED));
    }
    tell!(kill_process(pid, Signal::STOP));
    tell!(waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT));
    tell!(waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED));
    tell!(kill_process(pid, Signal::TERM));
    // What is stopped takes it when it goes on.
    tell!(wait(WaitOptions::NOHANG));
    tell!(kill_process(pid, Signal::CONT));
    tell!(child.wait());
}

fn groups() {
    let (mut leader, group) = waiting(part(&["wait"]).process_group(0));
    tell!(getpgid(Some(group)).map(|pid| pid == group));
    tell!(getpgid(None).map(|pid| pid == getpgrp()));
    let (mut member, _) = waiting(part(&["wait"]).process_group(group.as_raw_nonzero().get()));
    tell!(getpgid(Some(Pid::from_child(&member))).map(|pid| pid == group));
    tell!("setpgid of one that has executed" => setpgid(Some(group), None));
    tell!(getsid(Some(group)).map(|sid| Ok(sid) == getsid(None)));
    tell!(kill_process_group(group, Signal::STOP));
    for member in [&leader, &member] {
        let pid = Pid::from_child(member);
        tell!("waitid(STOPPED)" => waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED));
    }
    tell!(kill_process_group(group, Signal::KILL));
    tell!(leader.wait());
    tell!(member.wait());
    tell!(kill_process_group(group, Signal::KILL));
    // This process leads no group, so it may found a session, once.
    tell!(setsid().map(|sid| sid == getpid()));
    tell!(setsid().map(|sid| sid == getpid()));
    tell!(getsid(None).map(|sid| sid == getpid()));
    tell!(setpgid(None, None));
}

fn by_descriptor() {
    let (mut child, pid) = child();
    let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    tell!(pidfd_send_signal(&descriptor, Signal::STOP));
    tell!(waitid(WaitId::PidFd(descriptor.as_fd()), WaitIdOptions::STOPPED));
    tell!(pidfd_send_signal(&descriptor, Signal::KILL));
    tell!(waitid(WaitId::PidFd(descriptor.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT));
    tell!(child.wait());
    tell!(pidfd_send_signal(&descriptor, Signal::KILL));
    tell!(pidfd_open(pid, PidfdFlags::empty()).map(|_| ()));
}

fn permissions() {
    let (mut of_root, root_pid) = child();
    as_user(1000, 1000, &[], || {
        tell!(test_kill_process(root_pid));
        tell!(kill_process(root_pid, Signal::TERM));
        let (mut own, pid) = child();
        tell!(kill_process(pid, Signal::TERM));
        tell!(own.wait());
    });
    let (mut theirs, pid) = waiting(part(&["wait"]).uid(1000));
    as_user(1000, 1000, &[], || {
        tell!(test_kill_process(pid));
    });
    as_user(2000, 2000, &[], || {
        tell!(test_kill_process(pid));
    });
    tell!(kill_process(pid, Signal::TERM));
    tell!(theirs.wait());
    drop(of_root.stdin.take());
    tell!(of_root.wait());
}

fn own() {
    let set = SigSet::from(NixSignal::SIGUSR1);
    tell!(set.thread_block());
    tell!(raise(NixSignal::SIGUSR1));
    tell!("sigwait" => set.wait().map(|signal| signal as i32));
    tell!(kill_process(getpid(), Signal::USR1));
    tell!("sigwait" => set.wait().map(|signal| signal as i32));
    tell!("a program that inherits the mask" => part(&["exit", "3"]).status());
}

/// Signals that come while the child is only about to be the program.
fn at_once() {
    for _ in 0..20 {
        let mut child = started(&mut part(&["wait"]));
        let pid = Pid::from_child(&child);
        tell!("stop at once" => kill_process(pid, Signal::STOP));
        tell!("stopped at once" => waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED | WaitIdOptions::EXITED));
        tell!("go on" => kill_process(pid, Signal::CONT));
        drop(child.stdin.take());
        tell!("stopped at once, then ended" => child.wait());
        let mut child = started(&mut part(&["wait"]));
        tell!("end at once" => kill_process(Pid::from_child(&child), Signal::TERM));
        tell!("ended at once" => child.wait());
    }
}
