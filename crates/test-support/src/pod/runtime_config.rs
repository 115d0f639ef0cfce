//! The OCI runtime config (`config.json`) that a kubelet and its runtime make of a pod.
//!
//! Knows the form in which crun is asked for a container, and nothing of how it is started.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::profile::{Profile, Seccomp};
use super::{ID_BASE, ID_COUNT, Pod, seccomp};

/// Hidden from every container that is not privileged, because they tell of the node.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Settings of the node, for every container that is not privileged.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The capabilities of linux/capability.h by their numbers.
const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// A directory or file of the node in the container.
#[derive(Debug, Clone)]
pub(super) struct Mount {
    pub(super) source: String,
    pub(super) destination: String,
    /// `rw`, `ro` or `noexec`.
    pub(super) option: &'static str,
}

/// The config of a container of `pod` that runs `argv` in the root file system at `root`.
pub(super) fn config(pod: &Pod, root: &Path, mounts: &[Mount], argv: &[&str]) -> Value {
    let profile = &pod.profile;
    let mut all = kernel_mounts(pod);
    all.extend(mounts.iter().map(|mount| bind(&mount.source, &mount.destination, &["rbind", mount.option])));
    let mut config = json!({
        "ociVersion": "1.0.2",
        "root": { "path": root, "readonly": profile.read_only },
        "hostname": "pod",
        "process": process(pod, argv),
        "mounts": all,
        "linux": linux(pod),
    });
    if !pod.sysctls.is_empty() {
        config["hooks"] = json!({ "createContainer": [set_sysctls(&pod.sysctls)] });
    }
    config
}

fn process(pod: &Pod, argv: &[&str]) -> Value {
    let profile = &pod.profile;
    let bounding = capabilities(profile);
    let held = if profile.uid == 0 { bounding.as_slice() } else { &[] };
    let groups = if profile.uid == 0 { Vec::new() } else { vec![profile.gid] };
    let env: Vec<_> = pod.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    json!({
        "terminal": false,
        "user": { "uid": profile.uid, "gid": profile.gid, "additionalGids": groups },
        "args": argv,
        "cwd": pod.cwd,
        "env": env,
        "noNewPrivileges": !profile.escalation,
        "capabilities": {
            "bounding": bounding,
            "effective": held,
            "permitted": held,
            "inheritable": [],
            "ambient": [],
        },
    })
}

fn linux(pod: &Pod) -> Value {
    let profile = &pod.profile;
    let mut namespaces = vec!["pid", "ipc", "uts", "mount", "cgroup"];
    let kept = |paths: &[&str]| if profile.is_privileged() { Vec::new() } else { owned(paths) };
    let masked = [kept(&MASKED), pod.masked.clone()].concat();
    let mut linux = json!({
        "resources": {},
        "maskedPaths": masked,
        "readonlyPaths": kept(&READ_ONLY),
    });
    if pod.has_user_namespace() {
        namespaces.push("user");
        let (first, count) = if profile.user_namespace { (ID_BASE, ID_COUNT) } else { (0, u32::MAX) };
        let map = json!([{ "containerID": 0, "hostID": first, "size": count }]);
        linux["uidMappings"] = map.clone();
        linux["gidMappings"] = map;
    }
    linux["namespaces"] = namespaces.iter().map(|name| json!({ "type": name })).collect();
    if profile.is_privileged() {
        let fuse = json!({ "path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666 });
        linux["devices"] = json!([fuse]);
    }
    let runtime = (profile.seccomp == Seccomp::RuntimeDefault).then_some(profile.runtime);
    if let Some(filter) = seccomp::config(runtime, &capabilities(profile), &pod.denied) {
        linux["seccomp"] = filter;
    }
    linux
}

fn kernel_mounts(pod: &Pod) -> Vec<Value> {
    const CLOSED: [&str; 3] = ["nosuid", "noexec", "nodev"];
    let options = |more: &[&'static str]| [&CLOSED, more].concat();
    let access = if pod.profile.is_privileged() { "rw" } else { "ro" };
    let mount = |kind: &str, destination: &str, options: &[&str]| {
        let source = if destination == "/dev/shm" { "shm" } else { kind };
        json!({ "destination": destination, "type": kind, "source": source, "options": options })
    };
    let mut mounts = vec![
        mount("proc", "/proc", &CLOSED),
        mount("tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("devpts", "/dev/pts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
        mount("tmpfs", "/dev/shm", &options(&["mode=1777", "size=65536k"])),
        mount("mqueue", "/dev/mqueue", &CLOSED),
    ];
    // sysfs shows a network namespace: that of the node does not belong to the user namespace of a pod.
    mounts.push(if pod.has_user_namespace() {
        bind("/sys", "/sys", &options(&["rbind", "ro"]))
    } else {
        mount("sysfs", "/sys", &options(&[access]))
    });
    mounts.push(bind("/sys/fs/cgroup", "/sys/fs/cgroup", &options(&["rbind", access])));
    mounts
}

fn bind(source: &str, destination: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": "bind", "source": source, "options": options })
}

/// A hook that runs as root of the container's user namespace, where limits of `user.*` are its own.
fn set_sysctls(sysctls: &[(String, u64)]) -> Value {
    // crun fails where a hook does not read what it is told of the container.
    let mut script = vec!["cat > /dev/null".to_owned()];
    let path = |name: &str| name.replace('.', "/");
    script.extend(sysctls.iter().map(|(name, value)| format!("echo {value} > /proc/sys/{}", path(name))));
    json!({ "path": "/bin/sh", "args": ["sh", "-ec", script.join("\n")] })
}

/// The bounding set of a container.
fn capabilities(profile: &Profile) -> Vec<String> {
    profile.bounding_set().map_or_else(
        || {
            let own = own_bounding_set();
            let held = CAPABILITIES.iter().enumerate().filter(|(number, _)| own >> number & 1 == 1);
            held.map(|(_, name)| (*name).to_owned()).collect()
        },
        |names| owned(&names),
    )
}

/// The capabilities that a child of this process may hold, a bit each; see `proc_pid_status(5)`.
fn own_bounding_set() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).expect("a line CapBnd");
    u64::from_str_radix(line.trim(), 16).expect("a number in hexadecimal")
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
