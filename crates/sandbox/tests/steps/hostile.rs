//! Images and steps that mean harm.

use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::PathBuf;

use sandbox::{Access, Error, Limits, Link, Mount, Protection, RunSpec, Source, TmpfsStart};

use crate::Test;
use crate::setting::{Setting, Who, run, success};

pub(crate) const TESTS: &[Test] = &[
    ("links_in_place_of_mount_points_stay_inside", Who::ALL, links_stay_inside),
    ("a_file_in_place_of_a_mount_point_is_refused", Who::ALL, a_file_as_mount_point_is_refused),
    ("a_working_directory_leads_nowhere_else", Who::ALL, a_working_directory_leads_nowhere_else),
    ("a_bind_source_stays_in_its_root", Who::ALL, a_bind_source_stays_in_its_root),
    ("swapped_links_never_lead_out", &[Who::Root, Who::Single, Who::Traced], swapped_links_never_lead_out),
    ("the_way_up_from_a_directory_that_was_moved_ends_inside", Who::ALL, the_way_up_ends_inside),
    ("the_builder_cannot_be_read_or_written", Who::ALL, the_builder_cannot_be_reached),
    ("devices_are_opened_in_dev_alone", &[Who::Root], devices_are_opened_in_dev_alone),
    ("nodes_of_the_machine_are_not_changed", &[Who::Pod, Who::Masked, Who::Traced], nodes_are_not_changed),
    ("processes_of_others_say_nothing", Who::ALL, processes_of_others_say_nothing),
    ("a_step_cannot_see_or_kill_the_builder", Who::ALL, the_builder_cannot_be_killed),
    ("removal_of_mount_points_spares_what_is_not_ours", Who::ALL, removal_spares_what_is_not_ours),
];

fn links_stay_inside(setting: &Setting) {
    let outside = setting.path("outside");
    fs::create_dir(&outside).unwrap();
    for name in ["proc", "dev", "sys"] {
        let absolute = setting.path(&format!("outside/{name}"));
        fs::create_dir(&absolute).unwrap();
        symlink(&absolute, setting.root().join(name)).unwrap();
    }
    symlink("../../../../../../../../../etc", setting.root().join("up")).unwrap();
    let bind = Mount::bind(PathBuf::from("/dev/null"), "/up/canary", Access::ReadOnly);
    let spec =
        RunSpec { mounts: vec![bind], ..setting.script("stat -c %F /dev/null /proc/self/fd/0 /etc/canary") };
    assert!(success(&spec).starts_with("character special file"));
    assert!(!PathBuf::from("/etc/canary").exists());
    for name in ["proc", "dev", "sys"] {
        assert_eq!(fs::read_dir(outside.join(name)).unwrap().count(), 0, "{name}");
    }
    // What was made for them inside the root is gone as well.
    assert_eq!(fs::read_dir(setting.root()).unwrap().count(), 8);
}

fn a_file_as_mount_point_is_refused(setting: &Setting) {
    fs::write(setting.root().join("proc"), "").unwrap();
    let error = run(&setting.script("true")).unwrap_err();
    assert_eq!(error.to_string(), "cannot mount on `/proc` in the image: it is not a directory");
    fs::remove_file(setting.root().join("proc")).unwrap();
    let bind = Mount::bind(setting.path("state"), "/etc/passwd", Access::ReadOnly);
    let error = run(&RunSpec { mounts: vec![bind], ..setting.script("true") }).unwrap_err();
    assert_eq!(error.to_string(), "cannot mount on `/etc/passwd` in the image: it is not a directory");
    assert!(!setting.root().join("proc").exists());
}

/// CVE-2024-21626.
fn a_working_directory_leads_nowhere_else(setting: &Setting) {
    let _open: Vec<_> = (0..5).map(|_| File::open("/").unwrap()).collect();
    for number in 0..20 {
        let spec = RunSpec { cwd: format!("/proc/self/fd/{number}").into(), ..setting.script("ls") };
        run(&spec).unwrap_err();
    }
    symlink("/", setting.root().join("home/slash")).unwrap();
    let spec = RunSpec { cwd: "/home/slash/../home".into(), ..setting.script("ls") };
    assert_eq!(success(&spec), "slash\n");
}

/// CVE-2024-1753.
fn a_bind_source_stays_in_its_root(setting: &Setting) {
    let stage = setting.path("stage");
    fs::create_dir_all(stage.join("dir")).unwrap();
    symlink("/", stage.join("slash")).unwrap();
    symlink("../../../..", stage.join("dir/up")).unwrap();
    for path in ["slash", "dir/up", "..", "/", "dir/../../.."] {
        let source = Source { root: stage.clone(), path: path.into(), link: Link::Followed };
        let bind = Mount::bind(source, "/mnt", Access::ReadWrite);
        let spec = RunSpec { mounts: vec![bind], ..setting.script("ls /mnt") };
        assert_eq!(success(&spec), "dir\nslash\n", "{path}");
    }
}

/// CVE-2024-23651: another step swaps a directory for a link while this one is prepared.
fn swapped_links_never_lead_out(setting: &Setting) {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::sync::atomic::{AtomicBool, Ordering};

    let cache = setting.path("cache");
    fs::create_dir_all(cache.join("sub")).unwrap();
    symlink("/", cache.join("link")).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                renameat_with(CWD, cache.join("sub"), CWD, cache.join("link"), RenameFlags::EXCHANGE)
                    .unwrap();
            }
        });
        for _ in 0..30 {
            let source = Source { root: cache.clone(), path: "sub".into(), link: Link::Followed };
            let bind = Mount::bind(source, "/mnt", Access::ReadWrite);
            let spec = RunSpec { mounts: vec![bind], ..setting.script("ls -d /mnt/etc") };
            match run(&spec) {
                Ok(outcome) => assert!(!outcome.exit.is_success(), "{outcome:?}"),
                Err(Error::Refused { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// Another step, which sees more of the same files, moves the directory that this one stands in out of its sight.
fn the_way_up_ends_inside(setting: &Setting) {
    let outside = setting.path("outside");
    fs::create_dir_all(outside.join("cache/a/b")).unwrap();
    fs::write(outside.join("token"), "hunter2").unwrap();
    let bind = Mount::bind(outside.join("cache"), "/mnt", Access::ReadWrite);
    let script = "cd /mnt/a/b; exec 5<. 6<..; touch /mnt/ready
        for try in $(seq 500); do [ -e /mnt/moved ] && break; sleep 0.02; done; ls /mnt
        for up in .. ../.. ../../.. ../../../.. ../../../../../../../../..; do
            for from in . /proc/self/fd/5 /proc/self/fd/6; do
                cat $from/$up/token; ls -d $from/$up/outside $from/$up/state $from/$up/boot
                echo > $from/$up/written
            done
        done 2>/dev/null; true";
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !outside.join("cache/ready").exists() {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            fs::rename(outside.join("cache/a"), outside.join("a")).unwrap();
            fs::write(outside.join("cache/moved"), "").unwrap();
        });
        let output = success(&RunSpec { mounts: vec![bind], ..setting.script(script) });
        assert_eq!(output, "moved\nready\n");
    });
    let left: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.len() == 3 && !setting.path("written").exists(), "{left:?}");
}

fn the_builder_cannot_be_reached(setting: &Setting) {
    let own = setting.output_of("sleep 0.1; echo $PPID");
    assert_eq!(own, "1\n");
    // Process 1 is one of ours, or the step's own command.
    let script = "for p in /proc/[0-9]*; do case $(readlink $p/exe) in ''|/bin/busybox) ;; *) echo $p/exe;; esac
        case $(readlink $p/root) in ''|/) ;; *) echo $p/root;; esac; done
        [ $(readlink /proc/1/exe) ] && exit
        cat /proc/1/environ /proc/1/maps /proc/1/mem /proc/1/fd/* 2>/dev/null; ls /proc/1/root 2>/dev/null; true";
    assert_eq!(setting.output_of(script), "");
}

fn devices_are_opened_in_dev_alone(setting: &Setting) {
    let script = "for null in /tmp/null /dev/new /dev/shm/null; do
            busybox mknod $null c 1 3 && (echo > $null) 2>/dev/null && echo $null
        done; echo > /dev/null && echo dev; chmod 600 /dev/null && stat -c %a /dev/null";
    assert_eq!(setting.output_of(script), "dev\n600\n");
    // The image has it all the same.
    assert!(fs::metadata(setting.root().join("tmp/null")).unwrap().file_type().is_char_device());
    let spec =
        RunSpec { protection: Protection::Unmasked, ..setting.script("echo > /tmp/null && echo insecure") };
    assert_eq!(success(&spec), "insecure\n");
}

/// They are shown where none can be made.
fn nodes_are_not_changed(setting: &Setting) {
    // What it would become if it were changed.
    assert_eq!(setting.output_of("chmod 666 /dev/null 2>/dev/null || echo refused"), "refused\n");
}

fn processes_of_others_say_nothing(setting: &Setting) {
    let (own, parent) = (std::process::id(), std::os::unix::process::parent_id());
    let files =
        ["cmdline", "oom_score_adj", "comm"].map(|name| format!("/proc/{own}/{name} /proc/{parent}/{name}"));
    assert_eq!(setting.output_of(&format!("ls {} 2>/dev/null; true", files.join(" "))), "");
}

fn the_builder_cannot_be_killed(setting: &Setting) {
    let script = "for p in /proc/[0-9]*; do n=${p#/proc/}; [ $n = $$ ] || kill -KILL $n 2>/dev/null; done; kill -KILL -1; exit 5";
    let outcome = run(&setting.script(script)).unwrap();
    // It may at most have killed itself, under another's number.
    assert!(outcome.exit.status() == 5 || outcome.exit.status() == 137, "{outcome:?}");
    assert_eq!(setting.output_of("echo alive"), "alive\n");
}

/// CVE-2024-23652.
fn removal_spares_what_is_not_ours(setting: &Setting) {
    let outside = setting.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("token"), "").unwrap();
    let tmpfs = Mount::Tmpfs {
        target: "/mnt/place/token".into(),
        size: None,
        mode: Some(0o755),
        limits: Limits::default(),
        start: TmpfsStart::Empty,
    };
    let link = format!(
        "cd /mnt && rm -rf place 2>/dev/null; ln -s {} /mnt/link; echo > /mnt/file",
        outside.display()
    );
    success(&RunSpec { mounts: vec![tmpfs], ..setting.script(&link) });
    assert!(outside.join("token").exists());
    assert!(setting.root().join("mnt/file").exists());
    assert!(!setting.root().join("mnt/place").exists());
    assert!(fs::symlink_metadata("/dev/null").unwrap().file_type().is_char_device());
}
