//! As what a step's command runs, and how its end is told.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use sandbox::{Cancellation, Error, Exit, IdKind, Network, RunSpec};

use crate::Test;
use crate::setting::{Outcome, Setting, Who, run, success};

pub(crate) const TESTS: &[Test] = &[
    ("root_has_the_default_capabilities_and_no_ambient_ones", Who::ALL, root_has_the_default_capabilities),
    ("a_user_has_no_capabilities", Who::MANY_IDS, a_user_has_no_capabilities),
    ("a_user_may_open_the_outputs_again", Who::MANY_IDS, a_user_may_open_the_outputs_again),
    ("groups_are_those_of_the_step", Who::MANY_IDS, groups_are_those_of_the_step),
    ("a_user_who_does_not_exist_is_named", &[Who::Single], a_missing_user_is_named),
    ("a_group_who_does_not_exist_is_named", &[Who::Subordinate], a_missing_group_is_named),
    ("a_program_whose_code_cannot_be_read_runs", Who::ALL, a_program_that_cannot_be_read_runs),
    ("the_environment_is_exact", Who::ALL, the_environment_is_exact),
    ("nobody_looks_into_the_builder", Who::ALL, nobody_looks_into_the_builder),
    ("no_descriptors_are_inherited", Who::ALL, no_descriptors_are_inherited),
    ("signals_and_umask_are_default", Who::ALL, signals_and_umask_are_default),
    ("the_host_name_is_the_given_one", Who::ALL, the_host_name_is_the_given_one),
    ("the_exit_is_passed_on", Who::ALL, the_exit_is_passed_on),
    ("a_command_that_cannot_start_is_explained", Who::ALL, a_failed_start_is_explained),
    ("output_arrives_whole_on_both_streams", &[Who::Root, Who::Single], output_arrives_whole),
    ("without_network_only_loopback_is_there", Who::ALL, without_network_only_loopback),
    ("process_1_is_the_command_where_there_is_no_init", Who::SUPERVISED, process_1_is_the_command),
    ("setuid_programs_work", Who::MANY_IDS, setuid_programs_work),
    ("a_step_needs_no_program_of_the_machine", &[Who::Pod], a_static_binary_is_enough),
];

fn root_has_the_default_capabilities(setting: &Setting) {
    let status = setting.output_of("grep Cap /proc/self/status");
    let all = "00000000a80425fb";
    let none = "0000000000000000";
    for (name, expected) in [("Inh", none), ("Prm", all), ("Eff", all), ("Bnd", all), ("Amb", none)] {
        assert!(status.contains(&format!("Cap{name}:\t{expected}")), "{status}");
    }
}

fn a_user_has_no_capabilities(setting: &Setting) {
    let spec = RunSpec { uid: 1000, gid: 1001, ..setting.script("grep Cap /proc/self/status; id -u; id -g") };
    let status = success(&spec);
    let none = "0000000000000000";
    for (name, expected) in
        [("Inh", none), ("Prm", none), ("Eff", none), ("Bnd", "00000000a80425fb"), ("Amb", none)]
    {
        assert!(status.contains(&format!("Cap{name}:\t{expected}")), "{status}");
    }
    assert!(status.ends_with("1000\n1001\n"), "{status}");
}

fn a_user_may_open_the_outputs_again(setting: &Setting) {
    let script = "echo out > /dev/stdout; echo err > /dev/stderr; cat /proc/self/environ > /dev/null; ls /proc/self/fd > /dev/null";
    let outcome = run(&RunSpec { uid: 1000, gid: 1000, ..setting.script(script) }).unwrap();
    assert!(
        outcome.exit.is_success() && outcome.stdout == "out\n" && outcome.stderr == "err\n",
        "{outcome:?}"
    );
}

fn groups_are_those_of_the_step(setting: &Setting) {
    let spec = RunSpec { uid: 1, gid: 2, groups: vec![3, 44], ..setting.script("id -G") };
    assert_eq!(success(&spec), "2 3 44\n");
    assert_eq!(setting.output_of("id -G"), "0\n");
}

fn a_missing_user_is_named(setting: &Setting) {
    let user = RunSpec { uid: 1000, ..setting.script("true") };
    assert_eq!(run(&user).unwrap_err(), Error::IdNotMapped { kind: IdKind::Uid, id: 1000 });
    let group = RunSpec { gid: 7, ..setting.script("true") };
    assert_eq!(run(&group).unwrap_err(), Error::IdNotMapped { kind: IdKind::Gid, id: 7 });
    assert!(setting.choice.to_string().contains("identity: single (/etc/subuid: no ids for uid 54322"));
}

fn a_missing_group_is_named(setting: &Setting) {
    let last = 65536 + 10;
    let spec = RunSpec { groups: vec![5, last], ..setting.script("id -G") };
    assert!(success(&spec).contains(&last.to_string()));
    let beyond = RunSpec { groups: vec![5, last + 1], ..setting.script("true") };
    assert_eq!(run(&beyond).unwrap_err(), Error::IdNotMapped { kind: IdKind::Gid, id: last + 1 });
}

/// elf(5): the segments with code have the flag `PF_X` alone.
fn a_program_that_cannot_be_read_runs(setting: &Setting) {
    const EXECUTABLE: u8 = 1;
    const READABLE: u8 = 4;
    let mut program = fs::read(setting.root().join("bin/busybox")).unwrap();
    let half = |at: usize| usize::from(u16::from_le_bytes([program[at], program[at + 1]]));
    let (size, count) = (half(54), half(56));
    let table = half(32);
    for flags in (0..count).map(|index| table + index * size + 4) {
        if program[flags] == EXECUTABLE | READABLE {
            program[flags] = EXECUTABLE;
        }
    }
    let path = setting.root().join("bin/unreadable");
    fs::write(&path, program).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(setting.output_of("exec -a busybox unreadable echo it runs"), "it runs\n");
}

#[expect(clippy::disallowed_methods, reason = "what the builder has is what must not be found")]
fn the_environment_is_exact(setting: &Setting) {
    assert_eq!(std::env::var("BUILDER_SECRET").unwrap(), "hunter2");
    let spec = RunSpec {
        argv: ["env"].map(Into::into).into(),
        env: vec![("PATH".to_owned(), "/bin".to_owned()), ("A".to_owned(), "b = c\nd".to_owned())],
        ..setting.script("")
    };
    assert_eq!(success(&spec), "PATH=/bin\nA=b = c\nd\n");
    // Neither its own processes' nor, where the pod's /proc is seen, the builder's.
    let found = setting.output_of("cat /proc/[0-9]*/environ 2>/dev/null | grep -c hunter2 || true");
    assert_eq!(found, "0\n");
}

fn no_descriptors_are_inherited(setting: &Setting) {
    let leaked = File::open("/").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    assert!(leaked.as_raw_fd() > 2);
    // The fourth is that of the directory being listed.
    assert_eq!(setting.output_of("ls /proc/self/fd"), "0\n1\n2\n3\n");
    assert_eq!(setting.output_of("readlink /proc/self/fd/0"), "/dev/null\n");
}

fn signals_and_umask_are_default(setting: &Setting) {
    // No shell between, which would have signals of its own.
    let spec = RunSpec { argv: ["cat", "/proc/self/status"].map(Into::into).into(), ..setting.script("") };
    let status = success(&spec);
    let none = "0000000000000000";
    assert!(status.contains("Umask:\t0022"), "{status}");
    assert!(
        status.contains(&format!("SigBlk:\t{none}")) && status.contains(&format!("SigIgn:\t{none}")),
        "{status}"
    );
}

fn the_host_name_is_the_given_one(setting: &Setting) {
    assert_eq!(setting.output_of("hostname"), "builder\n");
}

fn the_exit_is_passed_on(setting: &Setting) {
    let exit = |script: &str| run(&setting.script(script)).unwrap().exit;
    assert_eq!(exit("exit 7"), Exit::Code(7));
    assert_eq!(exit("true"), Exit::Code(0));
    // As process 1 it would be spared this signal.
    assert_eq!(exit("kill -TERM $$; exit 1"), Exit::Signal(15));
    assert_eq!(exit("kill -KILL $$"), Exit::Signal(9));
    // Its reaper is out of its reach.
    assert_eq!(exit("kill -KILL 1; kill -TERM 1; sleep 0.1; exit 3"), Exit::Code(3));
}

fn a_failed_start_is_explained(setting: &Setting) {
    let root = setting.root();
    fs::write(root.join("bin/text"), "no program").unwrap();
    fs::write(root.join("bin/script"), "#!/no/such/shell\n").unwrap();
    fs::write(root.join("bin/plain"), "#!/bin/sh\n").unwrap();
    fs::copy("/bin/ls", root.join("bin/dynamic")).unwrap();
    for name in ["text", "script", "dynamic"] {
        fs::set_permissions(root.join("bin").join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let failure = |program: &str| {
        let spec = RunSpec { argv: vec![program.into()], ..setting.script("") };
        run(&spec).unwrap_err().to_string()
    };
    let table = [
        ("nothing", "`nothing` not found in the image"),
        ("/bin/nothing", "`/bin/nothing` not found in the image"),
        ("/bin/sh/x", "`/bin/sh/x` not found in the image"),
        ("text", "cannot execute `/bin/text`: exec format error"),
        ("script", "cannot execute `/bin/script`: its interpreter `/no/such/shell` is not in the image"),
        ("plain", "cannot execute `plain`: permission denied"),
        ("/bin", "cannot execute `/bin`: permission denied"),
    ];
    for (program, expected) in table {
        assert_eq!(failure(program), expected);
    }
    assert!(failure("dynamic").starts_with("cannot execute `/bin/dynamic`: its interpreter `/lib"));
    let nul = RunSpec { argv: vec!["sh".into(), "a\0b".into()], ..setting.script("") };
    assert_eq!(run(&nul).unwrap_err(), Error::NulByte { what: "argument 1".to_owned() });
    let nowhere = RunSpec { cwd: "/no/such".into(), ..setting.script("true") };
    assert_eq!(run(&nowhere).unwrap_err(), Error::WorkingDirectory { path: "/no/such".to_owned() });
}

fn output_arrives_whole(setting: &Setting) {
    let script = "seq 200000 & seq 200000 >&2; wait";
    let expected = (1..=200_000).map(|number| format!("{number}\n")).collect::<Vec<_>>().concat();
    let Outcome { stdout, stderr, .. } = run(&setting.script(script)).unwrap();
    assert!(stdout == expected && stderr == expected, "{} and {} bytes", stdout.len(), stderr.len());
}

fn without_network_only_loopback(setting: &Setting) {
    if setting.who == Who::Traced {
        let try_port = |address| format!("busybox nc -w 1 {address} 9 2>&1");
        let script = ["192.0.2.1", "2001:db8::1", "127.0.0.1", "::1"].map(try_port).join("; ");
        let answers = run(&RunSpec { network: Network::None, ..setting.script(&script) }).unwrap().stdout;
        assert_eq!(answers.matches("unreachable").count(), 2, "{answers}");
        assert_eq!(answers.matches("refused").count(), 2, "{answers}");
        return;
    }
    let spec = RunSpec {
        network: Network::None,
        ..setting.script(
            "grep -c : /proc/self/net/dev; busybox nc -w 1 127.0.0.1 9 2>&1 | grep -q refused && echo up",
        )
    };
    assert!(success(&spec).ends_with("1\nup\n"));
}

fn nobody_looks_into_the_builder(setting: &Setting) {
    let hidden = rustix::process::DumpableBehavior::NotDumpable;
    assert_eq!(rustix::process::dumpable_behavior().unwrap(), hidden);
    assert_eq!(setting.output_of("echo works"), "works\n");
}

fn process_1_is_the_command(setting: &Setting) {
    let script = "cat /proc/1/comm; readlink /proc/1/root; readlink /proc/1/cwd; ls -d /proc/1 /proc/2; echo > /proc/1/comm";
    let outcome = run(&setting.script(script)).unwrap();
    assert_eq!(outcome.stdout, "sh\n/\n/\n/proc/1\n");
    assert!(outcome.stderr.contains("/proc/2: No such file"), "{outcome:?}");
}

fn setuid_programs_work(setting: &Setting) {
    // Busybox gives such rights up at once; this program does not.
    let copy = setting.root().join("bin/euid");
    fs::copy("/proc/self/exe", &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).unwrap();
    let argv = ["euid", crate::PRINT_EUID].map(Into::into).into();
    let spec = RunSpec { uid: 1000, gid: 1000, argv, ..setting.script("") };
    assert_eq!(success(&spec), "0\n");
}

fn a_static_binary_is_enough(setting: &Setting) {
    let bare = setting.path("bare");
    fs::create_dir(&bare).unwrap();
    fs::copy("/bin/busybox", bare.join("echo")).unwrap();
    let spec = RunSpec {
        rootfs: bare.clone(),
        argv: ["/echo", "hello"].map(Into::into).into(),
        env: Vec::new(),
        ..setting.script("")
    };
    assert_eq!(success(&spec), "hello\n");
    let left: Vec<_> = fs::read_dir(&bare).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["echo"]);
    let cancelled = Cancellation::new().unwrap();
    cancelled.cancel();
    assert_eq!(sandbox::run(&spec, &mut |_, _| {}, &cancelled), Err(Error::Cancelled));
}
