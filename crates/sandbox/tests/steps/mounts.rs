//! What a step finds mounted, and that nothing of it is left.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use sandbox::{
    Access, CapabilitySet, Durability, Limits, Link, Mount, Overlay, Protection, RunSpec, Source, Submounts,
    TmpfsStart, Upper,
};

use crate::Test;
use crate::setting::{Setting, Who, run, success};

pub(crate) const TESTS: &[Test] = &[
    ("devices_work", Who::ALL, devices_work),
    ("a_terminal_can_be_given_away", Who::MANY_IDS, a_terminal_can_be_given_away),
    ("paths_go_through_mounts_and_links_and_back", Who::ALL, paths_go_through_mounts_and_back),
    ("what_concerns_the_machine_is_hidden_or_read_only", Who::ALL, the_machine_is_hidden),
    ("what_concerns_the_machine_can_be_uncovered", Who::NAMESPACES, the_machine_can_be_uncovered),
    ("proc_is_new_where_the_kernel_allows", Who::NAMESPACES, proc_is_new_where_allowed),
    ("mount_points_leave_no_trace", Who::ALL, mount_points_leave_no_trace),
    ("what_a_step_makes_below_a_mount_point_stays", Who::ALL, what_a_step_makes_stays),
    ("a_dangling_link_leads_to_a_mount_point", Who::ALL, a_dangling_link_leads_to_a_mount_point),
    ("binds_are_read_only_or_not", Who::ALL, binds_are_read_only_or_not),
    ("tmpfs_has_its_size_and_mode", Who::ALL, tmpfs_has_its_size_and_mode),
    ("tmpfs_can_start_as_a_copy", Who::ALL, tmpfs_can_start_as_a_copy),
    ("limits_of_a_mount_hold", Who::ALL, limits_of_a_mount_hold),
    ("a_file_is_there_in_memory_only", Who::ALL, a_file_is_in_memory_only),
    ("a_file_has_its_owner", Who::MANY_IDS, a_file_has_its_owner),
    ("a_link_can_be_mounted_itself", Who::ALL, a_link_can_be_mounted_itself),
    ("secret_variables_win_and_do_not_show", Who::ALL, secret_variables_win),
    ("overlay_keeps_changes_apart", Who::NAMESPACES, overlay_keeps_changes_apart),
    ("overlay_takes_hundreds_of_trees", Who::NAMESPACES, overlay_takes_hundreds_of_trees),
    ("overlay_of_one_tree_is_read_only", Who::NAMESPACES, overlay_of_one_tree_is_read_only),
    ("mount_points_leave_no_trace_in_an_overlay", Who::NAMESPACES, no_trace_in_an_overlay),
];

fn devices_work(setting: &Setting) {
    let script = "set -e
        echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c
        echo x 2>/dev/null > /dev/full && exit 1
        echo shm > /dev/shm/f; cat /dev/shm/f; echo fd | cat /dev/fd/0; stat -c %a /dev/null /dev/shm
        readlink /dev/ptmx; stat -c %F /dev/pts/ptmx; : <> /dev/ptmx";
    let expected = "3\n4\nshm\nfd\n666\n1777\npts/ptmx\ncharacter special file\n";
    assert_eq!(setting.output_of(script), expected);
}

fn a_terminal_can_be_given_away(setting: &Setting) {
    let script = "describe() { stat -c '%u %g %a %F' $1; }
        tty() { exec 3<>/dev/ptmx; echo /dev/pts/$(sed -n 's/^tty-index:[^0-9]*//p' /proc/self/fdinfo/3); }
        tty > /tmp/name; name=$(cat /tmp/name); stat -c %u $name
        chown 7:5 $name; chmod 620 $name; describe $name; chmod g-w $name; describe $name";
    let expected = "0\n7 5 620 character special file\n7 5 600 character special file\n";
    assert_eq!(setting.output_of(script), expected);
}

fn paths_go_through_mounts_and_back(setting: &Setting) {
    let script = "cd /tmp; mkdir -p a/b; echo f > a/f; ln -s a l; ln -s ../tmp/l/b/../f far; ln -s f a/near
        cat l/b/../f /tmp/a/./b/.././f far /tmp//l/near /dev/shm/../../tmp/a/f /proc/self/../../tmp/l/f
        cd l/b; cat ../f ../../a/b/../near; for path in / ./ /.. /../b; do [ -d $path ] || echo $path; done
        for path in f/ f/. f/.. none/.. none/../f near/ near/../f b/../../f; do [ -e /tmp/a/$path ] && echo $path; done
        : > /dev/shm/../null && [ -c /dev/shm/../../dev/pts/../null ] && [ -e /dev/../proc/self/stat ] && echo all";
    assert_eq!(setting.output_of(script), "f\n".repeat(8) + "/../b\nall\n");
}

fn the_machine_is_hidden(setting: &Setting) {
    let script = "cat /proc/kcore /proc/timer_list /proc/keys 2>/dev/null | wc -c; ls /sys/firmware | wc -l
        echo 1 > /proc/sysrq-trigger && echo written; echo h > /proc/sys/kernel/hostname && echo written
        mkdir /sys/x && echo written; mount -t tmpfs x /tmp && echo mounted; umount /proc/kcore && echo bared
        true";
    assert_eq!(setting.output_of(script), "0\n0\n");
}

/// What `RUN --security=insecure` is for.
fn the_machine_can_be_uncovered(setting: &Setting) {
    let spec = RunSpec {
        capabilities: CapabilitySet::ALL,
        protection: Protection::Unmasked,
        ..setting.script(
            "grep -c ' /proc/' /proc/self/mounts; mkdir -p /tmp/m; mount -t tmpfs x /tmp/m && echo mounted",
        )
    };
    let outcome = run(&spec).unwrap();
    // A masked /proc of the pod stays masked.
    if !matches!(setting.who, Who::Masked | Who::MaskedSingle) {
        assert!(outcome.stdout.starts_with("0\n"), "{outcome:?}");
    }
    assert!(outcome.stdout.ends_with("mounted\n"), "{outcome:?}");
}

fn proc_is_new_where_allowed(setting: &Setting) {
    let new = !matches!(setting.who, Who::Masked | Who::MaskedSingle);
    assert_eq!(setting.proc.is_allowed(), new, "{:?}", setting.proc);
    // The init is process 1 of a new /proc; in the pod's, that one is covered.
    let first = setting.output_of("head -c 13 /proc/1/cmdline 2>/dev/null || true");
    assert_eq!(first == "builder: step", new, "{first}");
    // /proc/self is right in both.
    assert_eq!(setting.output_of("cd /proc/self && readlink exe"), "/bin/busybox\n");
}

/// Everything that a layer could show of a tree: type, mode, owner, size, time of change.
fn description(root: &Path) -> BTreeMap<PathBuf, (u32, u32, u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(path) = directories.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let size = if metadata.is_dir() { 0 } else { metadata.size() };
        let facts = (metadata.mode(), metadata.uid(), size, metadata.mtime(), metadata.mtime_nsec());
        if metadata.is_dir() {
            directories.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(path, facts);
    }
    found
}

fn mounts_all_over(setting: &Setting) -> Vec<Mount> {
    let hosts = setting.path("hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
    let directory = setting.path("directory");
    fs::create_dir_all(&directory).unwrap();
    let bind = |source: &PathBuf, target: &str| Mount::bind(source.clone(), target, Access::ReadOnly);
    vec![
        bind(&hosts, "/etc/hosts"),
        bind(&hosts, "/etc/passwd"),
        Mount::Tmpfs {
            target: "/run/secrets".into(),
            size: None,
            mode: Some(0o755),
            limits: Limits::default(),
            start: TmpfsStart::Empty,
        },
        bind(&hosts, "/run/secrets/deep/er/token"),
        bind(&directory, "../var/cache/./x/../apt"),
        bind(&hosts, "/dev/extra"),
    ]
}

fn mount_points_leave_no_trace(setting: &Setting) {
    let root = setting.root();
    let before = description(&root);
    let script =
        "cat /etc/hosts /etc/passwd /run/secrets/deep/er/token /dev/extra | wc -l; ls -d /var/cache/apt";
    let spec = RunSpec { mounts: mounts_all_over(setting), ..setting.script(script) };
    assert_eq!(success(&spec), "4\n/var/cache/apt\n");
    assert_eq!(description(&root), before);
    // Not even when the command cannot be started.
    run(&RunSpec { argv: vec!["nothing".into()], ..spec }).unwrap_err();
    assert_eq!(description(&root), before);
}

fn what_a_step_makes_stays(setting: &Setting) {
    let spec = RunSpec {
        mounts: mounts_all_over(setting),
        ..setting.script("echo kept > /var/cache/file; echo > /etc/new")
    };
    success(&spec);
    let names = |path: &str| {
        let mut names: Vec<_> = fs::read_dir(setting.root().join(path))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("var/cache"), ["file"]);
    assert_eq!(names("etc"), ["new", "passwd"]);
    assert_eq!(names(""), ["bin", "etc", "home", "tmp", "var"]);
}

fn a_dangling_link_leads_to_a_mount_point(setting: &Setting) {
    let root = setting.root();
    symlink("../run/resolve/stub.conf", root.join("etc/resolv.conf")).unwrap();
    symlink("/etc/./resolv.conf", root.join("etc/link")).unwrap();
    symlink("loop", root.join("etc/loop")).unwrap();
    let before = description(&root);
    let source = setting.path("resolv.conf");
    fs::write(&source, "nameserver 127.0.0.1\n").unwrap();
    let bind = |target: &str| Mount::bind(source.clone(), target, Access::ReadOnly);
    let script = "cat /etc/resolv.conf /run/resolve/stub.conf";
    let spec = RunSpec { mounts: vec![bind("/etc/link")], ..setting.script(script) };
    assert_eq!(success(&spec).lines().count(), 2);
    let looping = RunSpec { mounts: vec![bind("/etc/loop/x")], ..setting.script("true") };
    assert!(run(&looping).unwrap_err().to_string().contains("ELOOP"));
    assert_eq!(description(&root), before);
}

fn binds_are_read_only_or_not(setting: &Setting) {
    let shared = setting.path("shared");
    fs::create_dir(&shared).unwrap();
    let mount = |access| Mount::bind(shared.clone(), "/mnt", access);
    let script = "echo written > /mnt/file && echo done";
    let read_only = RunSpec { mounts: vec![mount(Access::ReadOnly)], ..setting.script(script) };
    assert!(run(&read_only).unwrap().stderr.contains("Read-only file system"));
    let read_write = RunSpec { mounts: vec![mount(Access::ReadWrite)], ..setting.script(script) };
    assert_eq!(success(&read_write), "done\n");
    assert_eq!(fs::read_to_string(shared.join("file")).unwrap(), "written\n");
}

fn tmpfs_has_its_size_and_mode(setting: &Setting) {
    let tmpfs = Mount::Tmpfs {
        target: "/tmp".into(),
        size: Some(64 << 10),
        mode: Some(0o750),
        limits: Limits::default(),
        start: TmpfsStart::Empty,
    };
    let script = "stat -c %a /tmp; dd if=/dev/zero of=/tmp/f bs=1k count=100 2>/dev/null; stat -c %s /tmp/f";
    let spec = RunSpec { mounts: vec![tmpfs], ..setting.script(script) };
    let outcome = run(&spec).unwrap();
    if Who::SUPERVISED.contains(&setting.who) {
        // Without a mount nothing limits it; the step is told.
        assert_eq!(outcome.stdout, "750\n102400\n");
        assert!(outcome.stderr.contains("nothing limits the size of `/tmp`"), "{outcome:?}");
    } else {
        assert_eq!(outcome.stdout, "750\n65536\n");
    }
}

fn tmpfs_can_start_as_a_copy(setting: &Setting) {
    let root = setting.root();
    fs::create_dir_all(root.join("data/deep/er")).unwrap();
    fs::write(root.join("data/deep/file"), "content").unwrap();
    symlink("deep/file", root.join("data/link")).unwrap();
    symlink("/etc", root.join("data/out")).unwrap();
    let before = description(&root);
    let tmpfs = |limits| Mount::Tmpfs {
        target: "/data".into(),
        size: Some(1 << 20),
        mode: None,
        limits,
        start: TmpfsStart::CopyOfTarget,
    };
    let script = "cd /data; cat link; echo; readlink out; ls deep; stat -c %Y deep > /tmp/time
        echo more >> link && cat deep/file; rm -r deep";
    let spec = RunSpec { mounts: vec![tmpfs(Limits::default())], ..setting.script(script) };
    assert_eq!(success(&spec), "content\n/etc\ner\nfile\ncontentmore\n");
    let time = fs::symlink_metadata(root.join("data/deep")).unwrap().mtime();
    assert_eq!(fs::read_to_string(root.join("tmp/time")).unwrap(), format!("{time}\n"));
    fs::remove_file(root.join("tmp/time")).unwrap();
    let of_data = |tree: BTreeMap<PathBuf, _>| {
        tree.into_iter().filter(|(path, _)| path.starts_with(root.join("data"))).collect::<Vec<_>>()
    };
    assert_eq!(of_data(description(&root)), of_data(before));
    let read_only = Limits { access: Access::ReadOnly, ..Limits::default() };
    let spec = RunSpec {
        mounts: vec![tmpfs(read_only)],
        ..setting.script("cat /data/link; touch /data/x 2>/dev/null || echo ro")
    };
    assert_eq!(success(&spec), "contentro\n");
    if Who::SUPERVISED.contains(&setting.who) {
        return;
    }
    // More than there is room for is an error, not a part of it.
    fs::write(root.join("data/big"), vec![1; 2 << 20]).unwrap();
    assert!(run(&spec).unwrap_err().to_string().contains("ENOSPC"));
}

fn limits_of_a_mount_hold(setting: &Setting) {
    let shared = setting.path("shared");
    fs::create_dir(&shared).unwrap();
    fs::copy("/bin/busybox", shared.join("echo")).unwrap();
    let mount = |limits| Mount::Bind {
        source: shared.clone().into(),
        target: "/mnt".into(),
        limits,
        submounts: Submounts::Included,
    };
    let script = "grep ' /mnt ' /proc/self/mounts; /mnt/echo works; true";
    let limits = Limits { access: Access::ReadOnly, nosuid: true, nodev: true, noexec: true };
    let none = Limits::default();
    assert!(success(&RunSpec { mounts: vec![mount(none)], ..setting.script(script) }).ends_with("works\n"));
    let tmpfs = Mount::Tmpfs {
        target: "/mnt".into(),
        size: None,
        mode: Some(0o755),
        limits,
        start: TmpfsStart::Empty,
    };
    for mount in [mount(limits), tmpfs] {
        let shown = success(&RunSpec { mounts: vec![mount], ..setting.script(script) });
        let options = shown.split(' ').nth(3).unwrap();
        for option in ["ro", "nosuid", "nodev", "noexec"] {
            assert!(options.split(',').any(|shown| shown == option), "{option} is not in {shown}");
        }
        assert!(!shown.ends_with("works\n"), "{shown}");
    }
}

fn a_file_is_in_memory_only(setting: &Setting) {
    let root = setting.root();
    let before = description(&root);
    let file = |target: &str, mode| Mount::File {
        target: target.into(),
        content: b"hunter2\n".to_vec().into(),
        mode,
        uid: 0,
        gid: 0,
    };
    let mounts = vec![file("/run/secrets/a", 0o400), file("/dev/pipes/b", 0o755), file("/etc/passwd", 0o644)];
    let script = "cat /run/secrets/a /dev/pipes/b /etc/passwd; stat -c '%a %u %s' /run/secrets/a /dev/pipes/b
        echo x 2>/dev/null >> /run/secrets/a; chmod 777 /run/secrets/a 2>/dev/null; rm /run/secrets/a 2>/dev/null
        stat -c %a /run/secrets/a; grep ' /run/secrets/a ' /proc/self/mounts | grep -c '^ramfs'; ls /run/secrets
        grep -c ramfs /proc/self/mounts";
    let spec = RunSpec { mounts, ..setting.script(script) };
    assert!(!format!("{spec:?}").contains("hunter2"));
    let expected = "hunter2\nhunter2\nhunter2\n400 0 8\n755 0 8\n400\n1\na\n3\n";
    assert_eq!(success(&spec), expected);
    assert_eq!(description(&root), before);
    // The next step finds nothing of it.
    assert_eq!(setting.output_of("ls /run 2>/dev/null; cat /etc/passwd"), "root:x:0:0::/:/bin/sh\n");
}

fn a_file_has_its_owner(setting: &Setting) {
    let mount = |uid, gid| Mount::File {
        target: "/run/key".into(),
        content: b"key".to_vec().into(),
        mode: 0o440,
        uid,
        gid,
    };
    let spec = RunSpec { mounts: vec![mount(1000, 1001)], ..setting.script("stat -c '%u %g %a' /run/key") };
    assert_eq!(success(&spec), "1000 1001 440\n");
    if setting.who == Who::Subordinate {
        let spec = RunSpec { mounts: vec![mount(0, 4_000_000)], ..setting.script("true") };
        assert!(run(&spec).unwrap_err().to_string().contains("4000000"));
    }
}

fn a_link_can_be_mounted_itself(setting: &Setting) {
    let stage = setting.path("stage");
    fs::create_dir(&stage).unwrap();
    symlink("/home", stage.join("link")).unwrap();
    let source = Source { root: stage, path: "link".into(), link: Link::Kept };
    let mount = Mount::bind(source, "/tmp/link", Access::ReadOnly);
    let spec = RunSpec {
        mounts: vec![mount],
        ..setting.script("readlink /tmp/link; touch /tmp/link/new; ls /home")
    };
    assert_eq!(success(&spec), "/home\nnew\n");
}

fn secret_variables_win(setting: &Setting) {
    let mut spec = setting.script("echo $TOKEN $OTHER; env | grep -c TOKEN");
    spec.env.extend([("TOKEN".to_owned(), "public".to_owned()), ("OTHER".to_owned(), "o".to_owned())]);
    spec.secret_env = vec![("TOKEN".to_owned(), b"hunter2".to_vec().into())];
    assert!(!format!("{spec:?}").contains("hunter2"));
    assert_eq!(success(&spec), "hunter2 o\n1\n");
}

fn directories(setting: &Setting, names: &[&str]) {
    for name in names {
        fs::create_dir_all(setting.path("state").join(name)).unwrap();
    }
}

fn overlay(setting: &Setting, lower: Vec<PathBuf>) -> Overlay {
    directories(setting, &["upper", "work", "merged"]);
    let state = setting.path("state");
    Overlay {
        lower,
        upper: Some(Upper {
            dir: state.join("upper"),
            work: state.join("work"),
            durability: Durability::Synced,
        }),
        xattrs: setting.choice.overlay.expect("overlay works on the test's file system"),
    }
}

fn overlay_keeps_changes_apart(setting: &Setting) {
    directories(setting, &["top,with:odd \\ name/opt"]);
    let state = setting.path("state");
    let top = state.join("top,with:odd \\ name");
    fs::write(top.join("opt/file"), "top").unwrap();
    let before = description(&setting.root());
    let overlay = overlay(setting, vec![top, setting.root()]);
    let merged = state.join("merged");
    let mount = sandbox::mount_overlay(&overlay, &merged).unwrap();
    let spec = RunSpec {
        rootfs: merged.clone(),
        ..setting.script("cat /opt/file; echo new > /new; rm -r /home; mkdir /home")
    };
    assert_eq!(success(&spec), "top");
    mount.unmount().unwrap();
    assert_eq!(fs::read_dir(&merged).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(state.join("upper/new")).unwrap(), "new\n");
    assert_eq!(description(&setting.root()), before);
    // The upper directory is free for the next step.
    let again = sandbox::mount_overlay(&overlay, &merged).unwrap();
    assert!(merged.join("new").exists());
    drop(again);
    assert!(!merged.join("new").exists());
}

fn overlay_takes_hundreds_of_trees(setting: &Setting) {
    let state = setting.path("state");
    let lower: Vec<_> = (0..400).map(|number| state.join(format!("{number:0>200}"))).collect();
    for (number, path) in lower.iter().enumerate() {
        fs::create_dir(path).unwrap();
        fs::write(path.join(format!("file{number}")), "").unwrap();
    }
    let overlay = overlay(setting, lower);
    let merged = state.join("merged");
    let _mount = sandbox::mount_overlay(&overlay, &merged).unwrap();
    assert_eq!(fs::read_dir(&merged).unwrap().count(), 400);
}

fn overlay_of_one_tree_is_read_only(setting: &Setting) {
    directories(setting, &["one"]);
    let overlay = Overlay { upper: None, ..overlay(setting, vec![setting.path("state/one")]) };
    let merged = setting.path("state/merged");
    let _mount = sandbox::mount_overlay(&overlay, &merged).unwrap();
    assert!(fs::write(merged.join("file"), "").is_err());
}

/// What was copied up is as it was; a layer leaves out what does not differ.
fn no_trace_in_an_overlay(setting: &Setting) {
    let overlay = overlay(setting, vec![setting.root()]);
    let merged = setting.path("state/merged");
    let _mount = sandbox::mount_overlay(&overlay, &merged).unwrap();
    let before = description(&merged);
    let spec = RunSpec { rootfs: merged.clone(), mounts: mounts_all_over(setting), ..setting.script("true") };
    success(&spec);
    assert_eq!(description(&merged), before);
    assert!(setting.path("state/upper/etc").exists(), "the test is about directories that were copied up");
}
