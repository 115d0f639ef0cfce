//! The same Containerfile gives the same image in every pod, from `privileged` to the Pod Security Standard
//! `restricted`: one digest for each workload, whatever the pod allows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use test_support::{Medium, Output, Pod, Profile, RootFs, check_layout};

/// The machines of CI have two cores.
const AT_A_TIME: usize = 2;

/// Pods in which not even a build without RUN works yet. This list is to become empty.
const CANNOT_COPY_YET: [&str; 8] = [
    "restricted",
    "restricted-crio",
    "restricted-ro",
    "root-crio-seccomp",
    "root-nocaps",
    "root-seccomp",
    "userns",
    "userns-crio-seccomp",
];

/// Pods in which no RUN works yet. This list is to become empty.
const CANNOT_RUN_YET: [&str; 8] = CANNOT_COPY_YET;

#[test]
fn files_are_copied_into_the_same_image_everywhere() {
    assert_same_image("FROM scratch\nCOPY . /\n", &CANNOT_COPY_YET);
}

#[test]
fn a_command_runs_into_the_same_image_everywhere() {
    assert_same_image("FROM scratch\nCOPY busybox /bin/sh\nRUN echo x > /f\n", &CANNOT_RUN_YET);
}

/// Builds in each pod; all but those that `cannot` must succeed and agree on the digest, and those must fail.
#[track_caller]
fn assert_same_image(containerfile: &str, cannot: &[&str]) {
    let mut digests = BTreeMap::<_, Vec<_>>::new();
    let mut wrong = Vec::new();
    for (name, built) in build_everywhere(containerfile) {
        match (built, cannot.contains(&name)) {
            (Ok(digest), false) => digests.entry(digest).or_default().push(name),
            (Ok(_), true) => wrong.push(format!("{name}: builds, and is still listed as a pod that cannot")),
            (Err(_), true) => {}
            (Err(output), false) => wrong.push(format!("{name}: {output}")),
        }
    }
    assert!(wrong.is_empty(), "{}\n{digests:#?}", wrong.join("\n"));
    assert_eq!(digests.len(), 1, "{digests:#?}");
}

/// The digest of the image, or what the build said instead, for each profile.
fn build_everywhere(containerfile: &str) -> BTreeMap<&'static str, Result<String, Output>> {
    let root_fs =
        RootFs::new().with_subordinate_ids().program(env!("CARGO_BIN_EXE_builder"), "usr/bin/builder");
    let pending = Mutex::new(Profile::ALL.into_iter());
    let results = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(profile) = next(&pending) {
                    let built = build(profile, &root_fs, containerfile);
                    results.lock().unwrap().insert(profile.name, built);
                }
            });
        }
    });
    results.into_inner().unwrap()
}

fn next(pending: &Mutex<impl Iterator<Item = Profile>>) -> Option<Profile> {
    pending.lock().unwrap().next()
}

/// Builds in a pod that has nothing but one emptyDir, with the context in it.
fn build(profile: Profile, root_fs: &RootFs, containerfile: &str) -> Result<String, Output> {
    let pod = Pod::new(profile, root_fs)
        .empty_dir("/work", Medium::Disk)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .env("BUILDER_ROOT", "/work/state")
        .cwd("/work/context");
    let volume = pod.on_node("/work");
    write_context(&volume.join("context"), containerfile);
    let output = pod.run(&["builder", "build", "--digest-file", "/work/digest", "."]);
    if output.code() != 0 {
        return Err(output);
    }
    check_layout(&volume.join("state"));
    Ok(fs::read_to_string(volume.join("digest")).unwrap())
}

/// A context with busybox, a link, modes of every kind, and directories; as everyone may read it, it is that of any pod.
fn write_context(dir: &Path, containerfile: &str) {
    fs::create_dir_all(dir.join("dir/empty")).unwrap();
    fs::copy("/bin/busybox", dir.join("busybox")).unwrap();
    symlink("dir/file", dir.join("link")).unwrap();
    for (name, content, mode) in [
        ("Containerfile", containerfile, 0o644),
        ("dir/file", "content\n", 0o444),
        ("dir/program", "#!/bin/sh\n", 0o755),
        ("dir/setuid", "#!/bin/sh\n", 0o4755),
    ] {
        fs::write(dir.join(name), content).unwrap();
        fs::set_permissions(dir.join(name), Permissions::from_mode(mode)).unwrap();
    }
}
