//! Pods are what they claim to be: each fact as a process inside sees it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::time::Duration;

use test_support::{Medium, Output, Pod, Profile, RootFs, Seccomp};

fn sh(pod: &Pod<'_>, script: &str) -> Output {
    pod.run(&["sh", "-c", script])
}

/// The value of a line of /proc/self/status inside.
fn status(pod: &Pod<'_>, key: &str) -> String {
    let output = pod.run(&["grep", &format!("^{key}:"), "/proc/self/status"]).success();
    output.text().split_once(':').unwrap().1.trim().to_owned()
}

#[test]
fn a_process_has_the_ids_and_restrictions_of_its_profile() {
    let root_fs = RootFs::new();
    for profile in Profile::ALL {
        let pod = Pod::new(profile, &root_fs);
        let facts = ["Uid", "Gid", "NoNewPrivs", "Seccomp"].map(|key| status(&pod, key));
        let ids = |id: u32| [id.to_string(), id.to_string(), id.to_string(), id.to_string()].join("\t");
        let number = |set: bool, value: u8| if set { value.to_string() } else { "0".to_owned() };
        let expected = [
            ids(profile.uid),
            ids(profile.gid),
            number(!profile.escalation, 1),
            number(profile.seccomp != Seccomp::Unconfined, 2),
        ];
        assert_eq!(facts, expected, "{}", profile.name);
    }
}

#[test]
fn only_root_holds_the_capabilities_of_the_bounding_set() {
    let root_fs = RootFs::new();
    for profile in Profile::ALL {
        let pod = Pod::new(profile, &root_fs);
        let [held, bounding] =
            ["CapEff", "CapBnd"].map(|key| u64::from_str_radix(&status(&pod, key), 16).unwrap());
        assert_eq!(held, if profile.uid == 0 { bounding } else { 0 }, "{}", profile.name);
        if let Some(names) = profile.bounding_set() {
            assert_eq!(bounding.count_ones() as usize, names.len(), "{}", profile.name);
        }
    }
}

#[test]
fn a_user_namespace_is_that_of_a_kubelet() {
    let root_fs = RootFs::new();
    for profile in Profile::ALL {
        let output = Pod::new(profile, &root_fs).run(&["cat", "/proc/self/uid_map"]).success();
        let map: Vec<_> = output.text().split_whitespace().map(str::to_owned).collect();
        let expected =
            if profile.user_namespace { ["0", "1000000", "65536"] } else { ["0", "0", "4294967295"] };
        assert_eq!(map, expected, "{}", profile.name);
    }
}

#[test]
fn the_root_is_an_overlay_and_owned_by_root_in_every_pod() {
    let root_fs = RootFs::new();
    for profile in Profile::ALL {
        let pod = Pod::new(profile, &root_fs);
        let text = sh(&pod, "stat -c '%u %a' /bin/busybox /tmp /home/build").success().text();
        assert_eq!(text, "0 755\n0 1777\n1000 755", "{}", profile.name);
        let mounts = pod.run(&["cat", "/proc/mounts"]).success().text();
        let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).unwrap();
        assert!(root.starts_with("overlay "), "{}: {root}", profile.name);
        let written = sh(&pod, "echo x > /tmp/x");
        assert_eq!(written.code() == 0, !profile.read_only, "{}: {written}", profile.name);
    }
}

#[test]
fn only_privileged_pods_see_and_set_what_is_of_the_node() {
    let root_fs = RootFs::new();
    for profile in Profile::ALL {
        let script = "(: >> /proc/sys/kernel/hostname) 2>/dev/null && echo settings; \
            test \"$(ls /sys/firmware)\" && echo firmware; cat /proc/keys 2>&1 | grep -q . && echo keys; :";
        let seen = sh(&Pod::new(profile, &root_fs), script).success().text();
        assert_eq!(seen.contains("settings"), profile.is_privileged(), "{}: {seen}", profile.name);
        assert!(profile.is_privileged() || seen.is_empty(), "{}: {seen}", profile.name);
    }
}

#[test]
fn volumes_and_files_of_the_kubelet_are_there() {
    let root_fs = RootFs::new();
    for profile in Profile::ALL {
        let bound = tempfile::tempdir().unwrap();
        fs::write(bound.path().join("in"), "bound").unwrap();
        let pod = Pod::new(profile, &root_fs)
            .empty_dir("/work", Medium::Disk)
            .empty_dir("/memory", Medium::Memory)
            .bind_read_only(bound.path(), "/mnt/bound")
            .cwd("/work")
            .env("NAME", "value");
        let script = "set -e; echo $NAME > file; echo x > /memory/x; stat -f -c %T /memory; cat /mnt/bound/in; pwd; \
            ! echo x 2>/dev/null > /mnt/bound/x; hostname; grep -q pod /etc/hosts; test -w /dev/termination-log; \
            cat /var/run/secrets/kubernetes.io/serviceaccount/token";
        let text = sh(&pod, script).success().text();
        assert_eq!(text, "tmpfs\nbound/work\npod\nthe token of the pod's account", "{}", profile.name);
        assert_eq!(fs::read_to_string(pod.on_node("/work").join("file")).unwrap(), "value\n");
        assert_eq!(sh(&pod, "cat file; ls /memory").success().text(), "value", "a second container");
    }
}

#[test]
fn every_volume_can_be_written_and_those_on_disk_stay() {
    let root_fs = RootFs::new();
    for name in ["privileged", "userns", "restricted-ro"] {
        let mut pod = Pod::new(Profile::named(name), &root_fs);
        for (destination, medium) in [
            ("/disk", Medium::Disk),
            ("/noexec", Medium::NoExec),
            ("/memory", Medium::Memory),
            ("/image", Medium::Image),
        ] {
            pod = pod.empty_dir(destination, medium);
        }
        let written = "cd $dir; cp /bin/busybox true; ./true 2>/dev/null && echo $dir;";
        let script = format!("for dir in /disk /noexec /memory /image; do {written} done; :");
        assert_eq!(sh(&pod, &script).success().text(), "/disk\n/memory\n/image", "{name}");
        let left = sh(&pod, "ls /[dmni]*/true").success().text();
        assert_eq!(left, "/disk/true\n/image/true\n/noexec/true", "{name}");
    }
}

#[test]
fn nothing_of_a_pod_stays() {
    let root_fs = RootFs::new();
    let pod = Pod::new(Profile::named("restricted"), &root_fs).empty_dir("/image", Medium::Image);
    let volume = pod.on_node("/image").to_owned();
    sh(&pod, "echo x > /image/x").success();
    let panicked =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || drop(sh(&pod, "exit 3").success())));
    assert!(panicked.is_err() && !volume.parent().unwrap().exists());
    let name = volume.parent().unwrap().to_str().unwrap();
    for file in ["/proc/self/mountinfo", "/proc/mounts"] {
        assert!(!fs::read_to_string(file).unwrap().contains(name));
    }
}

#[test]
fn what_a_build_may_want_can_be_taken_away_from_every_pod() {
    let denied =
        ["unshare", "clone3", "mount", "pivot_root", "chroot", "ptrace", "setxattr", "mknodat", "chown"];
    let landlock = ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"];
    let root_fs = RootFs::new();
    for profile in Profile::ALL {
        let pod = Pod::new(profile, &root_fs).deny_syscalls(&denied).deny_syscalls(&landlock);
        let output = sh(&pod.mask("/proc/sys"), "unshare -m true").exits(1);
        assert!(output.stderr.contains("Operation not permitted"), "{}: {output}", profile.name);
    }
}

#[test]
fn runtime_default_denies_namespaces() {
    let root_fs = RootFs::new();
    for profile in Profile::ALL {
        let denied = profile.seccomp == Seccomp::RuntimeDefault;
        let output = sh(&Pod::new(profile, &root_fs), "unshare -U true");
        assert_eq!(output.code() != 0, denied, "{}: {output}", profile.name);
    }
}

#[test]
fn system_calls_can_be_taken_away() {
    let root_fs = RootFs::new();
    for name in ["privileged", "root-seccomp", "userns-crio", "restricted-crio", "restricted"] {
        let pod = Pod::new(Profile::named(name), &root_fs).empty_dir("/work", Medium::Disk).cwd("/work");
        sh(&pod, "mkdir made").success();
        let output = sh(&pod.deny_syscalls(&["mkdir", "mkdirat"]), "mkdir another").exits(1);
        assert!(output.stderr.contains("Operation not permitted"), "{name}: {output}");
    }
}

#[test]
fn paths_can_be_hidden() {
    let root_fs = RootFs::new();
    for name in ["privileged", "restricted"] {
        let pod = Pod::new(Profile::named(name), &root_fs);
        assert!(!pod.run(&["cat", "/proc/version"]).success().text().is_empty());
        assert_eq!(pod.mask("/proc/version").run(&["cat", "/proc/version"]).success().text(), "", "{name}");
    }
}

#[test]
fn limits_of_namespaces_are_of_the_pod_alone() {
    const LIMIT: &str = "/proc/sys/user/max_user_namespaces";
    let root_fs = RootFs::new();
    let before = fs::read_to_string(LIMIT).unwrap();
    for name in ["privileged", "userns-crio", "nonroot"] {
        let pod = Pod::new(Profile::named(name), &root_fs).sysctl("user.max_user_namespaces", 0);
        let output = sh(&pod, &format!("cat {LIMIT}; unshare -U true"));
        assert!(output.text() == "0" && output.code() != 0, "{name}: {output}");
        assert!(output.stderr.contains("No space left"), "{name}: {output}");
    }
    assert_eq!(fs::read_to_string(LIMIT).unwrap(), before);
}

#[test]
fn a_container_that_takes_too_long_is_killed_with_all_of_it() {
    let root_fs = RootFs::new();
    let pod = Pod::new(Profile::named("restricted"), &root_fs).timeout(Duration::from_secs(2));
    let run = || sh(&pod, "sleep 98761 & sleep 98761");
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
    let processes = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read(entry.unwrap().path().join("cmdline")).ok());
    let left = processes.filter(|line| line.windows(5).any(|word| word == b"98761")).count();
    assert_eq!(left, 0);
}

#[test]
fn a_user_maps_subordinate_ids_where_escalation_is_allowed() {
    let root_fs = RootFs::new().with_subordinate_ids();
    for (name, works) in [("nonroot-setuid", true), ("nonroot", false)] {
        let script = "unshare -U sleep 5 & sleep 0.5; newuidmap $! 0 1000 1 1 100000 65536";
        let output = sh(&Pod::new(Profile::named(name), &root_fs), script);
        assert_eq!(output.code() == 0, works, "{name}: {output}");
    }
}
