//! A step that means harm in real pods, from `privileged` to `restricted`: what the pod was given for the builder, the
//! step does not get.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;
use test_support::{Medium, Pod, Profile, RootFs, SHELL};

use crate::steps::{assert_nothing_reached, attacker, steps};

/// In namespaces of its own, in a mapped user namespace, and without any, by root and by others; with what is denied to
/// them besides.
const PODS: [(&str, &[&str]); 7] = [
    ("privileged", &[]),
    ("root", &[]),
    ("root-seccomp", &[]),
    ("nonroot-setuid", &[]),
    ("restricted-crio", &[]),
    ("restricted", &[]),
    // As where the kernel has no Landlock: what is only its to refuse is not tried.
    ("restricted", &["landlock_create_ruleset"]),
];

/// Before the build, what a step looks for is where people have it.
const SETTING: &str = "mkdir -p /work/home/.docker /work/victim/d /work/shown
    for f in home/.docker/config.json auth.json secret victim/f; do echo '{\"auths\":{},\"x\":\"of-the-builder\"}' > /work/$f; done
    chmod 777 /work/victim; export HOME=/work/home REGISTRY_AUTH_FILE=/work/auth.json CI_JOB_TOKEN=of-the-builder
    builder build --secret id=s,src=/work/secret /context 2>&1 || exit $?
    test $(cat /work/victim/f | wc -l) = 1 -a $(ls /work/victim | wc -l) = 2 || echo reached: the victim changed";

#[test]
fn a_step_that_tries_everything_reaches_nothing_in_any_pod() {
    let root_fs =
        RootFs::new().with_subordinate_ids().program(env!("CARGO_BIN_EXE_builder"), "usr/bin/builder");
    for (name, denied) in PODS {
        let is_traced = !["privileged", "root", "nonroot-setuid"].contains(&name);
        let tries = tries(is_traced);
        let context = context(&tries);
        let pod = Pod::new(Profile::named(name), &root_fs)
            .deny_syscalls(denied)
            .empty_dir("/work", Medium::Disk)
            .bind_read_only(context.path(), "/context")
            .env("BUILDER_ROOT", "/work/state");
        let output = pod.run(&["sh", "-c", SETTING]);
        let place = format!("{name} without {denied:?}");
        assert!(output.text().contains("isolation: trace") == is_traced, "{place}: {output}");
        assert_nothing_reached(&place, &output, tries.len());
    }
}

fn tries(is_traced: bool) -> Vec<&'static str> {
    let common = [
        "read /var/run/secrets/kubernetes.io/serviceaccount/token /work/auth.json /work/home/.docker/config.json",
        "read /work/secret /work/state/index.json /context/Containerfile /usr/bin/builder",
        "write /work/victim",
        "race /work/victim",
        "write-through /shown/file /run/secrets/s",
        "kernel",
        "terminals",
        "key",
        "ipc 4711",
        "leave-ipc 98765",
        "descriptors",
        "group",
        "be-reached",
        "environments of-the-builder",
    ];
    let others = if is_traced { ["builder", "filter"].as_slice() } else { &["builder in-namespace"] };
    common.iter().chain(others).copied().collect()
}

fn context(tries: &[&str]) -> TempDir {
    let context = tempfile::tempdir().unwrap();
    let dir = context.path();
    fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
    fs::copy("/bin/busybox", dir.join("busybox")).unwrap();
    fs::write(dir.join("attacker"), attacker()).unwrap();
    fs::set_permissions(dir.join("attacker"), Permissions::from_mode(0o755)).unwrap();
    fs::write(dir.join("file"), "content").unwrap();
    let steps = steps("--mount=type=bind,target=/shown --mount=type=secret,id=s", tries);
    let text = format!("{SHELL}FROM shell\nCOPY attacker /\nWORKDIR /tmp\n{steps}");
    fs::write(dir.join("Containerfile"), text).unwrap();
    context
}
