//! What pods take away: each thing that isolation is made of, alone and in pairs. A build works in some mode and gives
//! the same image, or fails at once with a line that names what is denied, and the cure.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use tar::{EntryType, Header};
use test_support::{Medium, Pod, Profile, RootFs};

/// The machines of CI have two cores.
const AT_A_TIME: usize = 2;

/// Seconds in which a build that cannot work has failed.
const AT_ONCE: f64 = 2.0;

/// What is there without any step: owners, special bits and a capability.
const FILES: &str = "FROM scratch\nCOPY busybox /bin/busybox\nCOPY --chown=7:8 --chmod=4750 file /copied\nADD capable.tar /\n";

/// A step that sees whom files belong to, and makes some for others.
const STEP: &str = r#"RUN ["/bin/busybox", "sh", "-ec", "b=/bin/busybox; $b stat -c '%n %u %g %a' /copied /capable > /seen; $b touch /f; \
    $b chown 5:6 /f; $b chmod 2755 /f; $b mkdir -m 700 /d; $b chown 9 /d; $b id >> /seen"]
"#;

/// Something that a pod can take away.
struct Thing {
    name: &'static str,
    /// What a message calls it.
    told: &'static str,
    take: for<'a> fn(Pod<'a>) -> Pod<'a>,
}

const THINGS: [Thing; 8] = [
    Thing { name: "unshare", told: "unshare denied by seccomp", take: |pod| pod.deny_syscalls(&["unshare"]) },
    Thing {
        name: "mount",
        told: "mount denied by seccomp",
        take: |pod| {
            pod.deny_syscalls(&["mount", "umount2", "open_tree", "move_mount", "mount_setattr"])
                .deny_syscalls(&["fsopen", "fsconfig", "fsmount", "fspick"])
        },
    },
    Thing {
        name: "chroot",
        told: "pivot_root denied by seccomp",
        take: |pod| pod.deny_syscalls(&["chroot", "pivot_root"]),
    },
    Thing { name: "ptrace", told: "ptrace denied by seccomp", take: |pod| pod.deny_syscalls(&["ptrace"]) },
    Thing {
        name: "setxattr",
        told: "the extended attribute security.capability",
        take: |pod| pod.deny_syscalls(&["setxattr", "lsetxattr", "fsetxattr"]),
    },
    Thing {
        name: "Landlock",
        told: "without Landlock",
        take: |pod| {
            pod.deny_syscalls(&["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"])
        },
    },
    Thing {
        name: "/proc",
        told: "/proc",
        take: |pod| pod.mask("/proc/kcore").mask("/proc/keys").mask("/proc/timer_list"),
    },
    Thing {
        name: "userns",
        told: "user.max_user_namespaces is 0",
        take: |pod| pod.sysctl("user.max_user_namespaces", 0),
    },
];

/// Calls that the filters of older runtimes refuse, or do not know.
const CALLS: [Thing; 8] = [
    Thing { name: "seccomp", told: "seccomp denied by seccomp", take: |pod| pod.deny_syscalls(&["seccomp"]) },
    Thing { name: "pidfd_open", told: "pidfd_open denied", take: |pod| pod.deny_syscalls(&["pidfd_open"]) },
    Thing { name: "openat2", told: "openat2 is denied", take: |pod| pod.deny_syscalls(&["openat2"]) },
    Thing {
        name: "openat2 (ENOSYS)",
        told: "openat2 is denied",
        take: |pod| pod.lack_syscalls(&["openat2"]),
    },
    Thing {
        name: "process_vm_*",
        told: "process_vm_readv denied",
        take: |pod| pod.deny_syscalls(&["process_vm_readv", "process_vm_writev"]),
    },
    Thing {
        name: "process_vm_* (ENOSYS)",
        told: "process_vm_readv denied",
        take: |pod| pod.lack_syscalls(&["process_vm_readv", "process_vm_writev"]),
    },
    Thing {
        name: "memfd_create",
        told: "memfd_create denied",
        take: |pod| pod.deny_syscalls(&["memfd_create"]),
    },
    Thing {
        name: "close_range",
        told: "close_range denied",
        take: |pod| pod.deny_syscalls(&["close_range"]),
    },
];

/// Root to whom nothing is denied, root as a pod has it, and a bare uid that nothing is denied either.
fn profiles() -> [Profile; 3] {
    let privileged = Profile::named("privileged");
    [privileged, Profile::named("root"), Profile { uid: 1000, gid: 1000, escalation: false, ..privileged }]
}

#[test]
fn whatever_is_taken_away_a_build_works_or_says_why_not() {
    let mut rows: Vec<Vec<&Thing>> = vec![Vec::new()];
    for (number, first) in THINGS.iter().enumerate() {
        rows.push(vec![first]);
        rows.extend(THINGS[number + 1..].iter().map(|second| vec![first, second]));
    }
    insta::assert_snapshot!(table(&rows), @r"
    without                 root                          root of a pod                 uid 1000
    nothing                 namespaces                    namespaces                    trace
    unshare                 trace                         trace                         trace
    unshare, mount          trace                         trace                         trace
    unshare, chroot         trace                         trace                         trace
    unshare, ptrace         RUN needs unshare or ptrace   RUN needs unshare or ptrace   RUN needs unshare or ptrace
    unshare, setxattr       trace                         trace                         trace
    unshare, Landlock       trace without Landlock        trace without Landlock        trace without Landlock
    unshare, /proc          trace                         trace                         trace
    unshare, userns         trace                         trace                         trace
    mount                   trace                         trace                         trace
    mount, chroot           trace                         trace                         trace
    mount, ptrace           RUN needs mount or ptrace     RUN needs mount or ptrace     RUN needs mount or ptrace
    mount, setxattr         trace                         trace                         trace
    mount, Landlock         trace without Landlock        trace without Landlock        trace without Landlock
    mount, /proc            trace                         trace                         trace
    mount, userns           trace                         trace                         trace
    chroot                  trace                         trace                         trace
    chroot, ptrace          RUN needs chroot or ptrace    RUN needs chroot or ptrace    RUN needs chroot or ptrace
    chroot, setxattr        trace                         trace                         trace
    chroot, Landlock        trace without Landlock        trace without Landlock        trace without Landlock
    chroot, /proc           trace                         trace                         trace
    chroot, userns          trace                         trace                         trace
    ptrace                  namespaces                    namespaces                    RUN needs ptrace
    ptrace, setxattr        build needs setxattr          build needs setxattr          RUN needs ptrace
    ptrace, Landlock        namespaces                    namespaces                    RUN needs ptrace
    ptrace, /proc           namespaces                    namespaces                    RUN needs ptrace
    ptrace, userns          namespaces                    RUN needs ptrace or userns    RUN needs ptrace or userns
    setxattr                trace                         trace                         trace
    setxattr, Landlock      trace without Landlock        trace without Landlock        trace without Landlock
    setxattr, /proc         trace                         trace                         trace
    setxattr, userns        trace                         trace                         trace
    Landlock                namespaces                    namespaces                    trace without Landlock
    Landlock, /proc         namespaces                    namespaces                    trace without Landlock
    Landlock, userns        namespaces                    trace without Landlock        trace without Landlock
    /proc                   namespaces                    namespaces                    trace
    /proc, userns           namespaces                    trace                         trace
    userns                  namespaces                    trace                         trace
    ");
}

#[test]
fn calls_that_older_filters_refuse_are_done_without_or_named() {
    let rows: Vec<_> = CALLS.iter().map(|call| vec![call]).collect();
    insta::assert_snapshot!(table(&rows), @r"
    without                 root                          root of a pod                 uid 1000
    seccomp                 namespaces                    namespaces                    RUN needs seccomp
    pidfd_open              RUN needs pidfd_open          RUN needs pidfd_open          RUN needs pidfd_open
    openat2                 build needs openat2           build needs openat2           build needs openat2
    openat2 (ENOSYS)        build needs openat2 (ENOSYS)  build needs openat2 (ENOSYS)  build needs openat2 (ENOSYS)
    process_vm_*            namespaces                    namespaces                    trace
    process_vm_* (ENOSYS)   namespaces                    namespaces                    trace
    memfd_create            namespaces                    namespaces                    RUN needs memfd_create
    close_range             namespaces                    namespaces                    trace
    ");
}

/// Builds in each profile without the things of each row. How each build went is in the table; that images are the same
/// is checked.
fn table(rows: &[Vec<&Thing>]) -> String {
    let root_fs = RootFs::new().program(env!("CARGO_BIN_EXE_builder"), "usr/bin/builder");
    let cells: Vec<_> = (0..rows.len()).flat_map(|row| (0..3).map(move |column| (row, column))).collect();
    let pending = Mutex::new(cells.into_iter());
    let built = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((row, column)) = next(&pending) {
                    let builds = build(profiles()[column], &root_fs, &rows[row]);
                    built.lock().unwrap().insert((row, column), builds);
                }
            });
        }
    });
    let built = built.into_inner().unwrap();
    for what in 0..2 {
        let digests: BTreeSet<_> =
            built.values().filter_map(|builds| builds[what].digest.as_deref()).collect();
        assert_eq!(digests.len(), 1, "{digests:?}");
    }
    let mut lines = vec![line("without", ["root", "root of a pod", "uid 1000"].map(str::to_owned))];
    for (row, things) in rows.iter().enumerate() {
        let names: Vec<_> = things.iter().map(|thing| thing.name).collect();
        let name = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        lines.push(line(&name, [0, 1, 2].map(|column| outcome(&built[&(row, column)], things))));
    }
    lines.join("\n")
}

fn line(name: &str, cells: [String; 3]) -> String {
    let [first, second, third] = cells;
    format!("{name:<24}{first:<30}{second:<30}{third}")
}

fn next(pending: &Mutex<impl Iterator<Item = (usize, usize)>>) -> Option<(usize, usize)> {
    pending.lock().unwrap().next()
}

/// One build in a pod.
#[derive(Debug)]
struct Build {
    /// None if it failed.
    digest: Option<String>,
    stderr: String,
    seconds: f64,
}

/// The isolation; or what needs that, and what denies it.
fn outcome([files, step]: &[Build; 2], things: &[&Thing]) -> String {
    if files.digest.is_some() && step.digest.is_some() {
        let line = step.stderr.lines().find_map(|line| line.strip_prefix("isolation: "));
        return line.and_then(|line| line.split(',').next()).unwrap().to_owned();
    }
    let (failed, needs) = if files.digest.is_some() { (step, "RUN") } else { (files, "build") };
    let (_, error) = failed.stderr.split_once("error: ").unwrap_or_else(|| panic!("no error: {failed:?}"));
    let (error, hint) = error.split_once("hint: ").unwrap_or_else(|| panic!("no cure: {failed:?}"));
    assert!(hint.contains("seccomp") || hint.contains("doctor") || hint.contains("sysctl"), "{hint}");
    assert!(failed.seconds < AT_ONCE, "{failed:?}");
    let told = things.iter().filter(|thing| error.contains(thing.told)).map(|thing| thing.name);
    format!("{needs} needs {}", told.collect::<Vec<_>>().join(" or "))
}

/// Builds what has no step, and what has one.
fn build(profile: Profile, root_fs: &RootFs, things: &[&Thing]) -> [Build; 2] {
    const SCRIPT: &str = "for what in files step; do \
        time -p -o /work/$what.time builder --root /work/state-$what build --digest-file /work/$what.digest \
        -f /context/$what /context 2> /work/$what.stderr; done; exit 0";
    let context = tempfile::tempdir().unwrap();
    fs::set_permissions(context.path(), Permissions::from_mode(0o755)).unwrap();
    write_context(context.path());
    let pod = Pod::new(profile, root_fs)
        .empty_dir("/work", Medium::Disk)
        .bind_read_only(context.path(), "/context")
        .env("SOURCE_DATE_EPOCH", "1700000000");
    let pod = things.iter().fold(pod, |pod, thing| (thing.take)(pod));
    let output = pod.run(&["sh", "-c", SCRIPT]).success();
    let read = |name: String| fs::read_to_string(pod.on_node("/work").join(name)).ok();
    ["files", "step"].map(|what| {
        let time = read(format!("{what}.time")).unwrap_or_else(|| panic!("no time: {output}"));
        let seconds = time.lines().find_map(|line| line.strip_prefix("real ")?.trim().parse().ok());
        Build {
            digest: read(format!("{what}.digest")),
            stderr: read(format!("{what}.stderr")).unwrap(),
            seconds: seconds.unwrap_or_else(|| panic!("no time: {time}")),
        }
    })
}

fn write_context(dir: &Path) {
    fs::copy("/bin/busybox", dir.join("busybox")).unwrap();
    fs::write(dir.join("file"), "content\n").unwrap();
    fs::write(dir.join("capable.tar"), archive()).unwrap();
    fs::write(dir.join("files"), FILES).unwrap();
    fs::write(dir.join("step"), format!("{FILES}{STEP}")).unwrap();
}

/// A file with `cap_net_raw=ep`.
fn archive() -> Vec<u8> {
    const CAPABILITY: &[u8; 20] = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_pax_extensions([("SCHILY.xattr.security.capability", &CAPABILITY[..])]).unwrap();
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o755);
    header.set_size(0);
    tar.append_data(&mut header, "capable", &b""[..]).unwrap();
    tar.into_inner().unwrap()
}
