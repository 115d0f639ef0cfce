//! A step that means harm in real pods, from `privileged` to `restricted`: what the pod was given for the builder, the
//! step does not get.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use test_support::{Medium, Pod, Profile, RootFs};

use crate::steps::{assert_nothing_reached, attacker, steps};

const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const SECRET: &str = "of-the-builder";

/// In namespaces of its own, in a mapped user namespace, and without any, by root and by others.
const PROFILES: [&str; 6] =
    ["privileged", "root", "root-seccomp", "nonroot-setuid", "restricted-crio", "restricted"];

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
    for name in PROFILES {
        let is_traced = !["privileged", "root", "nonroot-setuid"].contains(&name);
        let read = format!(
            "read {TOKEN} /work/auth.json /work/home/.docker/config.json /work/secret /work/state/index.json"
        );
        let files = "write-through /shown/file /run/secrets/s";
        let mut tries = vec![
            if is_traced { "builder" } else { "builder in-namespace" },
            &read,
            "write /work/victim",
            files,
            "kernel",
            "terminals",
            "key",
            "ipc 4711",
            "descriptors",
            "group",
            "environments of-the-builder",
            "leave-ipc 98765",
        ];
        if is_traced {
            tries.push("filter");
        }
        let context = tempfile::tempdir().unwrap();
        let dir = context.path();
        fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
        fs::copy("/bin/busybox", dir.join("busybox")).unwrap();
        fs::write(dir.join("attacker"), attacker()).unwrap();
        fs::set_permissions(dir.join("attacker"), Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.join("file"), SECRET).unwrap();
        let containerfile = format!(
            "{}FROM shell\nCOPY attacker /\nWORKDIR /tmp\n{}",
            test_support::SHELL,
            steps("--mount=type=bind,target=/shown --mount=type=secret,id=s", &tries),
        );
        fs::write(dir.join("Containerfile"), containerfile).unwrap();
        let pod = Pod::new(Profile::named(name), &root_fs)
            .empty_dir("/work", Medium::Disk)
            .bind_read_only(dir, "/context")
            .env("BUILDER_ROOT", "/work/state");
        let output = pod.run(&["sh", "-c", SETTING]);
        assert!(output.text().contains("isolation: trace") == is_traced, "{name}: {output}");
        assert_nothing_reached(name, &output, tries.len());
    }
}
