//! The same Containerfile gives the same image in every pod, from `privileged` to the Pod Security Standard
//! `restricted`: one digest for each workload, whatever the pod allows.
//!
//! With `--nocapture` the tests print how long it took, as the table of README.md.

#![expect(clippy::print_stdout, reason = "what differs is told, and the table is for people")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod image;
mod times;
mod workload;

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use test_support::{ImageTree, Medium, Output, Pod, Profile, RootFs, assert_same_image, check_layout, each};

use image::{Image, special_entries};
use workload::{CHROOT, COPY, PACKAGES, RUN, RUN_DYNAMIC, USERS, Workload};

/// An image, or what the build said instead, by the name of the pod.
type Built = (String, Result<Image, Output>);

#[test]
fn files_are_copied_into_the_same_image_everywhere() {
    let _tree = built_everywhere(&COPY);
}

#[test]
fn a_command_runs_into_the_same_image_everywhere() {
    let _tree = built_everywhere(&RUN);
}

#[test]
fn a_step_changes_its_root_where_the_pod_denies_it() {
    let pods = ["privileged", "root-nocaps", "restricted-crio", "restricted"];
    let all = pods.map(|name| (Profile::named(name), Medium::Disk));
    assert_same_image(build_in(all, &CHROOT).into_iter().map(with_digest));
}

#[test]
fn users_and_their_files_are_the_same_everywhere() {
    insta::assert_snapshot!("users", special_entries(&built_everywhere(&USERS)));
}

#[test]
fn packages_are_installed_into_the_same_image_everywhere() {
    insta::assert_snapshot!("packages", special_entries(&built_everywhere(&PACKAGES)));
}

#[test]
fn a_volume_of_any_kind_gives_the_same_image() {
    let media = [Medium::Disk, Medium::NoExec, Medium::Memory, Medium::Image];
    let pods = ["privileged", "userns-crio", "nonroot-setuid", "nonroot", "restricted-crio", "restricted-ro"];
    let all = pods.iter().flat_map(|name| media.map(|medium| (Profile::named(name), medium)));
    assert_same_image(build_in(all, &USERS).into_iter().map(with_digest));
}

#[test]
fn a_program_finds_its_libraries_on_a_volume_that_executes_nothing() {
    let all = [("nonroot", Medium::Disk), ("nonroot", Medium::NoExec), ("restricted", Medium::NoExec)];
    let all = all.map(|(name, medium)| (Profile::named(name), medium));
    assert_same_image(build_in(all, &RUN_DYNAMIC).into_iter().map(with_digest));
}

/// Neither HOME nor TMPDIR nor anything else.
const NO_ENVIRONMENT: [&str; 5] = ["env", "-i", "/usr/bin/builder", "build", "/context"];

#[test]
fn without_environment_and_name_a_user_needs_one_volume() {
    let (root_fs, context) = (root_fs(), USERS.context());
    for name in ["privileged", "userns", "restricted-crio", "restricted-ro"] {
        let pod = Pod::new(Profile::named(name), &root_fs)
            .empty_dir("/tmp", Medium::Disk)
            .bind_read_only(context.path(), "/context");
        let output = pod.run(&NO_ENVIRONMENT).success();
        assert!(output.stderr.contains("the store /tmp/builder-"), "{output}");
        assert_eq!(fs::read_dir(pod.on_node("/tmp")).unwrap().count(), 0, "{name} leaves nothing");
    }
}

#[test]
fn where_nothing_can_be_written_the_cure_is_told() {
    let (root_fs, context) = (root_fs(), COPY.context());
    let pod = Pod::new(Profile::named("restricted-ro"), &root_fs).bind_read_only(context.path(), "/context");
    let output = pod.run(&NO_ENVIRONMENT).exits(1);
    assert!(output.stderr.starts_with("error: cannot create the store in `/tmp`\n"), "{output}");
    assert!(output.stderr.contains("Read-only file system"), "{output}");
    assert!(output.stderr.contains("hint: give a directory that this user can write to"), "{output}");
}

/// What the one image holds that comes out of every pod.
fn built_everywhere(workload: &Workload) -> ImageTree {
    let builds = build_in(Profile::ALL.map(|profile| (profile, Medium::Disk)), workload);
    let images: Vec<_> = builds.iter().filter_map(|(_, built)| built.as_ref().ok()).collect();
    times::print_with(workload, &images);
    for pair in images.windows(2) {
        print!("{}", pair[0].differences(pair[1]));
    }
    let tree = images.first().and_then(|image| image.tree.clone());
    assert_same_image(builds.into_iter().map(with_digest));
    tree.unwrap()
}

fn with_digest((name, built): Built) -> test_support::Built {
    (name, built.map(|image| image.digest))
}

/// Builds in each of the pods. Tests take turns, so that no more pods run at once than [`each`] has.
fn build_in(pods: impl IntoIterator<Item = (Profile, Medium)>, workload: &Workload) -> Vec<Built> {
    static TURN: Mutex<()> = Mutex::new(());
    let (root_fs, context) = (root_fs(), workload.context());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    each(pods, |(profile, medium)| {
        let built = build(profile, medium, &root_fs, context.path());
        (format!("{} on {medium:?}", profile.name), built)
    })
}

/// The image of builder, with what lets a user who may escalate have many ids.
fn root_fs() -> RootFs {
    RootFs::new().with_subordinate_ids().program(env!("CARGO_BIN_EXE_builder"), "usr/bin/builder")
}

/// Builds in a pod that can write nothing but one emptyDir.
fn build(profile: Profile, medium: Medium, root_fs: &RootFs, context: &Path) -> Result<Image, Output> {
    let pod = Pod::new(profile, root_fs)
        .empty_dir("/work", medium)
        .bind_read_only(context, "/context")
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .env("BUILDER_ROOT", "/work/state");
    let output =
        pod.run(&["sh", "-c", "builder build --digest-file /work/digest /context && cat /work/digest"]);
    if output.code() != 0 {
        return Err(output);
    }
    let store = pod.on_node("/work").join("state");
    let tree = (medium == Medium::Disk).then(|| {
        check_layout(&store);
        ImageTree::from_layout(&store)
    });
    Ok(Image { profile, tree, digest: output.text().lines().last().unwrap().to_owned(), output })
}
