//! podman, made to run containers on a test machine of any kind.
#![expect(clippy::disallowed_methods, reason = "a test helper may spawn the real thing")]

use std::process::Command;

/// Pulls and runs `image` from a registry without verification, with podman as root, and returns what it printed.
///
/// crun refuses a machine that has both versions of cgroups, and limits that it cannot raise; both are worked around in
/// a mount namespace and with limits of our own. Nothing of the container stays.
pub fn podman_run(image: &str, arguments: &[&str]) -> String {
    const SCRIPT: &str = "test -e /sys/fs/cgroup/cgroup.controllers || \
        mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec podman \"$@\"";
    let storage = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "podman"])
        .arg("--root")
        .arg(storage.path().join("graph"))
        .arg("--runroot")
        .arg(storage.path().join("run"))
        .args(["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none", "run", "--rm"])
        .args(["--tls-verify=false", "--network=none", "--cgroups=disabled"])
        .args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"])
        .args(arguments.iter().take_while(|argument| argument.starts_with('-')))
        .arg(image)
        .args(arguments.iter().skip_while(|argument| argument.starts_with('-')))
        .output()
        .expect("unshare(1) and podman");
    assert!(output.status.success(), "podman run {image}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
