//! The same Containerfile gives the same image in every pod, from `privileged` to the Pod Security Standard
//! `restricted`: one digest for each workload, whatever the pod allows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use tempfile::TempDir;
use test_support::{Built, Medium, Pod, Profile, RootFs, assert_same_image, check_layout, each};

const COPY: &str = "FROM scratch\nCOPY . /\n";
const RUN: &str = "FROM scratch\nCOPY busybox /bin/sh\nRUN echo x > /f\n";

/// Users, files that belong to them, and what they may not do.
const USERS: &str = r#"FROM scratch
COPY busybox /bin/busybox
COPY --chown=7:8 dir /copied
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN <<EOF
set -e
mkdir -p /etc /home /srv
mkdir -m 1777 /tmp
printf 'root:x:0:0::/:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n' > /etc/passwd
printf 'root:x:0:\napp:x:1000:\nstaff:x:2000:app\n' > /etc/group
mkdir -m 700 /home/app
chown app:app /home/app
chown app:staff /srv
chmod 2775 /srv
echo of root > /srv/secret
chmod 600 /srv/secret
touch /srv/file
ln /srv/file /srv/same
ln -s file /srv/link
chown -h app /srv/link
chown 60000:60001 /srv/same
chmod 6755 /srv/file
mkfifo -m 640 /srv/pipe
chown 0:staff /srv/pipe
cp -a /copied /srv/copy
tar -cf - -C /srv . | tar -xf - -C /home/app
su app -c 'id; touch /srv/by-su; cat /srv/secret 2>&1 || true' > /seen
EOF
USER app
RUN id >> /srv/seen; touch /srv/mine; chmod 4711 /srv/mine; for file in /etc/new /copied/new; do touch $file 2>> /srv/seen; done; \
    chown root /srv/mine 2>> /srv/seen; rm /tmp/x 2>/dev/null; stat -c '%n %u %g %a %F' /srv/* /home/app/* /copied/* >> /srv/seen
"#;

/// The shell of Debian, with what loads it; opening the library by name shows that it is still the file itself.
const RUN_DYNAMIC: &str = "FROM scratch\nCOPY lib /lib\nCOPY lib64 /lib64\nCOPY dash /bin/sh\nCOPY busybox /bin/busybox\n\
    RUN sh -c 'test /lib/x86_64-linux-gnu/libc.so.6 -ef /dev/fd/3' 3< /lib/x86_64-linux-gnu/libc.so.6\n\
    RUN sh -c 'test -x /bin/busybox && echo x > /f'\n";

#[test]
fn files_are_copied_into_the_same_image_everywhere() {
    assert_same_image(build_everywhere(COPY));
}

#[test]
fn a_command_runs_into_the_same_image_everywhere() {
    assert_same_image(build_everywhere(RUN));
}

#[test]
fn users_and_their_files_are_the_same_everywhere() {
    assert_same_image(build_everywhere(USERS));
}

#[test]
fn a_volume_of_any_kind_gives_the_same_image() {
    let root_fs = root_fs();
    let media = [Medium::Disk, Medium::NoExec, Medium::Memory, Medium::Image];
    let pods = ["privileged", "userns-crio", "nonroot-setuid", "nonroot", "restricted-crio", "restricted-ro"];
    let all = pods.iter().flat_map(|name| media.map(|medium| (Profile::named(name), medium)));
    assert_same_image(each(all, |(profile, medium)| build(profile, medium, &root_fs, USERS)));
}

#[test]
fn a_program_finds_its_libraries_on_a_volume_that_executes_nothing() {
    let root_fs = root_fs();
    let all = [("nonroot", Medium::Disk), ("nonroot", Medium::NoExec), ("restricted", Medium::NoExec)];
    assert_same_image(each(all, |(name, medium)| build(Profile::named(name), medium, &root_fs, RUN_DYNAMIC)));
}

/// Neither HOME nor TMPDIR nor anything else.
const NO_ENVIRONMENT: [&str; 5] = ["env", "-i", "/usr/bin/builder", "build", "/context"];

#[test]
fn without_environment_and_name_a_user_needs_one_volume() {
    let (root_fs, context) = (root_fs(), context(USERS));
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
    let (root_fs, context) = (root_fs(), context(COPY));
    let pod = Pod::new(Profile::named("restricted-ro"), &root_fs).bind_read_only(context.path(), "/context");
    let output = pod.run(&NO_ENVIRONMENT).exits(1);
    assert!(output.stderr.starts_with("error: cannot create the store in `/tmp`\n"), "{output}");
    assert!(output.stderr.contains("Read-only file system"), "{output}");
    assert!(output.stderr.contains("hint: give a directory that this user can write to"), "{output}");
}

/// Builds in each profile.
fn build_everywhere(containerfile: &str) -> Vec<Built> {
    let root_fs = root_fs();
    each(Profile::ALL, |profile| build(profile, Medium::Disk, &root_fs, containerfile))
}

/// The image of builder, with what lets a user who may escalate have many ids.
fn root_fs() -> RootFs {
    RootFs::new().with_subordinate_ids().program(env!("CARGO_BIN_EXE_builder"), "usr/bin/builder")
}

/// Builds in a pod that can write nothing but one emptyDir.
fn build(profile: Profile, medium: Medium, root_fs: &RootFs, containerfile: &str) -> Built {
    let context = context(containerfile);
    let pod = Pod::new(profile, root_fs)
        .empty_dir("/work", medium)
        .bind_read_only(context.path(), "/context")
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .env("BUILDER_ROOT", "/work/state");
    let name = format!("{} on {medium:?}", profile.name);
    let output =
        pod.run(&["sh", "-c", "builder build --digest-file /work/digest /context && cat /work/digest"]);
    if output.code() != 0 {
        return (name, Err(output));
    }
    if medium == Medium::Disk {
        check_layout(&pod.on_node("/work").join("state"));
    }
    (name, Ok(output.text().lines().last().unwrap().to_owned()))
}

/// A context with busybox, a link, modes of every kind, and directories; as everyone may read it, it is that of any pod.
fn context(containerfile: &str) -> TempDir {
    let context = tempfile::tempdir().unwrap();
    let dir = context.path();
    fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(dir.join("dir/empty")).unwrap();
    fs::copy("/bin/busybox", dir.join("busybox")).unwrap();
    fs::copy("/bin/dash", dir.join("dash")).unwrap();
    for library in ["lib/x86_64-linux-gnu/libc.so.6", "lib64/ld-linux-x86-64.so.2"] {
        fs::create_dir_all(dir.join(library).parent().unwrap()).unwrap();
        fs::copy(Path::new("/").join(library), dir.join(library)).unwrap();
    }
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
    context
}
