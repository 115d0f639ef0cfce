//! Nothing of a step outlives it, nor the builder.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sandbox::{Cancellation, Error, Exit, Feature, Isolation, ProbeSettings, Requested, RunSpec, Stream};

use crate::Test;
use crate::setting::{Setting, Who, give_up_sys_admin, run, success};

pub(crate) const TESTS: &[Test] = &[
    ("background_processes_end_with_the_command", Who::ALL, background_processes_end),
    ("background_processes_end_without_a_pid_namespace", &[Who::Pod, Who::Single], end_without_pid_namespace),
    ("cancellation_ends_a_step_at_once", Who::ALL, cancellation_ends_a_step),
    (
        "cancellation_works_without_a_pid_namespace",
        &[Who::Pod, Who::Single],
        cancellation_without_pid_namespace,
    ),
    ("orphans_are_reaped", Who::ALL, orphans_are_reaped),
    ("steps_run_at_the_same_time", Who::ALL, steps_run_at_the_same_time),
    ("a_killed_keeper_is_reported", Who::ALL, a_killed_keeper_is_reported),
    ("a_denied_user_namespace_is_explained", &[Who::Pod], a_denied_user_namespace_is_explained),
    ("a_threaded_process_is_refused", &[Who::Root], a_threaded_process_is_refused),
    ("nothing_stays_mounted", Who::ALL, nothing_stays_mounted),
];

/// Unlike any other number that is slept here.
pub(crate) fn sleeper(id: u32) -> String {
    format!("sleep 77{}{id}", std::process::id())
}

pub(crate) fn is_running(command: &str) -> bool {
    let wanted = command.replace(' ', "\0");
    fs::read_dir("/proc").unwrap().any(|entry| {
        // One that ends meanwhile does not count.
        let cmdline = fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
        cmdline.windows(wanted.len()).any(|window| window == wanted.as_bytes())
    })
}

fn background_processes_end(setting: &Setting) {
    let sleeper = sleeper(1);
    let script = format!("{sleeper} & (setsid {sleeper} &) & echo started");
    let start = Instant::now();
    assert_eq!(setting.output_of(&script), "started\n");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(!is_running(&sleeper));
}

/// With a limit of none, the kernel refuses every new pid namespace below this user namespace.
fn deny_pid_namespaces() {
    fs::write("/proc/sys/user/max_pid_namespaces", "0").unwrap();
}

fn end_without_pid_namespace(setting: &Setting) {
    deny_pid_namespaces();
    background_processes_end(setting);
    assert_eq!(run(&setting.script("exit 9")).unwrap().exit, Exit::Code(9));
}

fn cancellation_ends_a_step(setting: &Setting) {
    let sleeper = sleeper(2);
    let spec = setting.script(&format!("{sleeper} & echo ready; {sleeper}"));
    let cancellation = Cancellation::new().unwrap();
    let start = Instant::now();
    // The output says when there is something to cancel.
    let mut cancel = |stream, bytes: &[u8]| {
        assert_eq!((stream, bytes), (Stream::Stdout, &b"ready\n"[..]));
        cancellation.cancel();
    };
    assert_eq!(sandbox::run(&spec, &mut cancel, &cancellation), Err(Error::Cancelled));
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(!is_running(&sleeper));
}

fn cancellation_without_pid_namespace(setting: &Setting) {
    deny_pid_namespaces();
    cancellation_ends_a_step(setting);
}

fn orphans_are_reaped(setting: &Setting) {
    let script = "for i in $(seq 20); do (true & true & true); done; sleep 0.2; grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l";
    if setting.proc.is_allowed() {
        assert_eq!(setting.output_of(script), "0\n");
    } else {
        success(&setting.script(script));
    }
}

fn steps_run_at_the_same_time(setting: &Setting) {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let steps: Vec<_> = (0..4)
            .map(|number| {
                let root = setting.path(&format!("root{number}"));
                fs::create_dir_all(root.join("bin")).unwrap();
                for name in ["busybox", "sh", "sleep", "echo"] {
                    fs::copy("/bin/busybox", root.join("bin").join(name)).unwrap();
                }
                let spec = RunSpec { rootfs: root, ..setting.script(&format!("sleep 0.3; echo {number}")) };
                scope.spawn(move || success(&spec))
            })
            .collect();
        for (number, step) in steps.into_iter().enumerate() {
            assert_eq!(step.join().unwrap(), format!("{number}\n"));
        }
    });
    assert!(start.elapsed() < Duration::from_secs(10));
}

fn a_threaded_process_is_refused(setting: &Setting) {
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || stopped.recv());
        let answer = sandbox::probe(&setting.path("state"), &sandbox::ProbeSettings::default());
        let facts = answer.unwrap();
        let denial = facts.denial(Feature::SingleMap);
        drop(stop);
        assert!(denial.unwrap().why.contains("2 threads"));
    });
}

fn a_killed_keeper_is_reported(setting: &Setting) {
    let sleeper = sleeper(4);
    let children = || fs::read_to_string("/proc/thread-self/children").unwrap();
    assert_eq!(children(), "");
    let mut kill_it = |_, _: &[u8]| {
        let keeper = Pid::from_raw(children().trim().parse().unwrap()).unwrap();
        kill_process(keeper, Signal::KILL).unwrap();
    };
    let spec = setting.script(&format!("{sleeper} & echo ready; {sleeper}"));
    let answer = sandbox::run(&spec, &mut kill_it, &Cancellation::new().unwrap());
    assert_eq!(answer, Err(Error::Lost { process: "step".to_owned(), signal: Some(9) }));
    let start = Instant::now();
    while is_running(&sleeper) {
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

fn a_denied_user_namespace_is_explained(setting: &Setting) {
    // The limit of this user namespace, not the machine's.
    fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
    give_up_sys_admin();
    let facts = sandbox::probe(&setting.path("state"), &ProbeSettings::default()).unwrap();
    let namespaces = Requested { isolation: Some(Isolation::Namespaces) };
    let error = sandbox::choose(&facts, namespaces).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot isolate RUN steps here: unshare denied: user.max_user_namespaces is 0"
    );
    assert_eq!(error.hint().as_deref(), Some("on the node: sysctl -w user.max_user_namespaces=15000"));
}

fn nothing_stays_mounted(setting: &Setting) {
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    setting.output_of("true");
    assert_eq!(mounts(), before);
    assert_eq!(fs::read_dir(setting.path("state")).unwrap().count(), 0);
}
