//! `RUN --mount` of every type, scripts that run by themselves, and what none of them may leave behind.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use test_support::{SHELL, TestBuilder};

fn new_builder() -> TestBuilder {
    TestBuilder::new(env!("CARGO_BIN_EXE_builder")).with_busybox()
}

/// Builds what comes after the stage `shell`; steps keep what they see in files of `/`.
fn build(builder: &TestBuilder, text: &str, flags: &[&str]) {
    builder.build(&format!("{SHELL}{text}"), flags);
}

/// The error of a build that must fail.
fn refused(builder: &TestBuilder, text: &str, flags: &[&str]) -> String {
    builder.file("Containerfile", format!("{SHELL}{text}"));
    let output = builder.run(&[&["build", "--progress=plain"], flags, &["."]].concat());
    assert_ne!(output.code(), 0, "{output}");
    output.stderr
}

#[test]
fn a_bind_shows_the_context_without_what_the_ignore_file_hides() {
    let builder = new_builder();
    for path in ["src/a", "src/b", "src/deep/c", "doc/d"] {
        builder.file(path, path);
    }
    builder.file(".dockerignore", "src/b\n**/c\n");
    build(
        &builder,
        "WORKDIR /w\n\
         RUN --mount=type=bind,target=/ctx,source=src find /ctx | sort > /src; ! touch /ctx/new\n\
         RUN --mount=target=rel ls rel/doc > /doc; cat rel/doc/d >> /doc\n\
         RUN --mount=target=/one,source=/src/a cat /one > /one-file\n",
        &[],
    );
    assert_eq!(builder.read_exported("src"), "/ctx\n/ctx/a\n/ctx/deep\n");
    assert_eq!(builder.read_exported("doc"), "d\ndoc/d");
    assert_eq!(builder.read_exported("one-file"), "src/a");
    for path in ["ctx", "one", "w/rel"] {
        assert!(!builder.exported(path).exists(), "{path} is in a layer");
    }
    let error = refused(&builder, "RUN --mount=target=/b,source=src/b true\n", &[]);
    assert!(error.contains("`src/b` is not in the build context"), "{error}");
    assert!(error.contains("excluded by .dockerignore:1"), "{error}");
}

#[test]
fn files_of_a_context_are_of_root_whoever_owns_them() {
    let builder = new_builder();
    builder.file("src/a", "a");
    std::os::unix::fs::chown(builder.dir().join("src/a"), Some(1234), Some(5)).unwrap();
    build(
        &builder,
        "RUN --mount=source=src,target=/m cp -a /m /kept; stat -c '%u %g' /m/a > /1\n\
         RUN --mount=source=src,target=/m,rw echo b >> /m/a; stat -c '%u %g' /m/a > /2\n\
         RUN --mount=source=src/a,target=/m stat -c '%u %g' /m > /3; cat /m >> /3\n\
         RUN mkdir -m 777 /tmp\nUSER 7:8\n\
         RUN --mount=source=src,target=/m,U --mount=type=cache,target=/kept,U \
             stat -c '%u %g' /m/a /kept > /tmp/4\n",
        &[],
    );
    for file in ["1", "2"] {
        assert_eq!(builder.read_exported(file), "0 0\n");
    }
    assert_eq!(builder.read_exported("3"), "0 0\na");
    assert_eq!(builder.read_exported("tmp/4"), "7 8\n7 8\n");
    assert_eq!(builder.read("src/a"), "a");
}

/// CVE-2025-4953.
#[test]
fn what_is_written_to_a_bind_is_thrown_away() {
    for driver in ["--storage-driver=overlay", "--storage-driver=vfs"] {
        let builder = new_builder();
        builder.file("src/a", "old").file("hidden", "h").file(".dockerignore", "hidden\n");
        build(
            &builder,
            "FROM shell AS lib\nRUN mkdir /lib && echo lib > /lib/a\n\
             FROM shell\n\
             RUN --mount=source=src,target=/m,rw echo new > /m/a; echo b > /m/b; cat /m/a > /1\n\
             RUN --mount=target=/m,rw rm -r /m/src; ls /m | wc -l > /2\n\
             RUN --mount=from=lib,source=lib,target=/m,rw echo new >> /m/a; cat /m/a > /3\n\
             RUN --mount=from=lib,source=lib/a,target=/m,rw echo new >> /m; cat /m > /4\n\
             RUN --mount=from=lib,source=lib,target=/m cat /m/a > /5\n",
            &[driver],
        );
        assert_eq!(builder.read_exported("1"), "new\n");
        assert_eq!(builder.read_exported("2"), "2\n", "Containerfile and busybox");
        assert_eq!(builder.read_exported("3"), "lib\nnew\n");
        assert_eq!(builder.read_exported("4"), "lib\nnew\n");
        assert_eq!(builder.read_exported("5"), "lib\n");
        assert_eq!(builder.read("src/a"), "old");
        assert!(!builder.dir().join("src/b").exists());
        assert!(!builder.exported("m").exists());
    }
}

/// CVE-2024-1753.
#[test]
fn a_link_in_a_source_leads_nowhere_but_into_its_tree() {
    let builder = new_builder();
    symlink("/", builder.dir().join("slash")).unwrap();
    symlink("../../../..", builder.dir().join("up")).unwrap();
    build(
        &builder,
        "FROM shell AS evil\nRUN ln -s / /rootdir; ln -s ../../.. /up\n\
         FROM shell\n\
         RUN --mount=from=evil,source=/rootdir,target=/m,rw touch /m/BREAKOUT; ls -d /m/rootdir > /1\n\
         RUN --mount=from=evil,source=../../up/..,target=/m ls -d /m/rootdir > /2\n\
         RUN --mount=source=slash,target=/m,rw touch /m/BREAKOUT; ls /m/Containerfile > /3\n\
         RUN --mount=source=up,target=/m ls /m/Containerfile > /4\n\
         RUN --mount=from=evil,source=rootdir,target=/m,no-dereference readlink /m > /5\n",
        &[],
    );
    for (file, expected) in [
        ("1", "/m/rootdir\n"),
        ("2", "/m/rootdir\n"),
        ("3", "/m/Containerfile\n"),
        ("4", "/m/Containerfile\n"),
        ("5", "/\n"),
    ] {
        assert_eq!(builder.read_exported(file), expected, "{file}");
    }
    assert!(!fs::exists("/BREAKOUT").unwrap() && !builder.dir().join("BREAKOUT").exists());
}

#[test]
fn a_bind_from_an_image_or_a_named_context() {
    let builder = new_builder();
    builder.file("other/file", "named");
    build(&builder, "RUN echo base > /base\n", &["-t", "localhost/base:1"]);
    build(
        &builder,
        "FROM shell\nARG WHERE=localhost/base:1\nRUN --mount=from=$WHERE,target=/m cat /m/base > /1\n\
         RUN --mount=from=extra,target=/m cat /m/file > /2\nRUN --mount=from=0,target=/m ls /m/bin/sh > /3\n",
        &["--build-context", "extra=other", "--pull=never"],
    );
    assert_eq!(builder.read_exported("1"), "base\n");
    assert_eq!(builder.read_exported("2"), "named");
    assert_eq!(builder.read_exported("3"), "/m/bin/sh\n");
}

#[test]
fn content_of_a_bind_decides_whether_a_step_is_done_again() {
    let builder = new_builder();
    builder.file("src/a", "1").file("other", "1").file("extra/a", "1");
    let text = format!(
        "{SHELL}RUN --mount=source=src,target=/m cat /m/a > /a\n\
         RUN --mount=type=cache,target=/m,from=extra cat /m/a >> /a\n"
    );
    let steps = || {
        builder.file("Containerfile", &text);
        let flags = ["build", "--progress=plain", "--build-context=extra=extra", "."];
        builder.run(&flags).success().stderr.matches(" CACHED").count()
    };
    assert_eq!(steps(), 0);
    assert_eq!(steps(), 4);
    builder.file("other", "2");
    assert_eq!(steps(), 4);
    builder.file("extra/a", "2");
    assert_eq!(steps(), 3);
    builder.file("src/a", "2");
    assert_eq!(steps(), 2);
}

#[test]
fn a_cache_outlives_the_build_and_reaches_no_layer() {
    let builder = new_builder();
    let text = |marker: &str| {
        format!(
            "RUN --mount=type=cache,target=/var/cache/x/ echo {marker} >> /var/cache/x/log; cat /var/cache/x/log > /1\n\
             RUN --mount=type=cache,id=/var/cache/x,target=/y cat /y/log > /2\n\
             RUN --mount=type=cache,id=named,target=/var/cache/x ls /var/cache/x > /3\n\
             RUN --mount=type=cache,id=owned,target=/z,uid=12,gid=13,mode=0750 stat -c '%u %g %a' /z > /4\n\
             RUN --mount=type=cache,target=/var/cache/x,ro ! touch /var/cache/x/new\n"
        )
    };
    build(&builder, &text("one"), &[]);
    build(&builder, &text("two"), &[]);
    assert_eq!(builder.read_exported("1"), "one\ntwo\n");
    assert_eq!(builder.read_exported("2"), "one\ntwo\n");
    assert_eq!(builder.read_exported("3"), "");
    assert_eq!(builder.read_exported("4"), "12 13 750\n");
    assert!(!builder.exported("var").exists() && !builder.exported("y").exists());
    build(&builder, &text("three"), &["--build-arg", "BUILDKIT_CACHE_MOUNT_NS=other"]);
    assert_eq!(builder.read_exported("1"), "three\n");
    let pruned = builder.run(&["prune", "--all"]).success().text();
    assert!(pruned.contains(" 6 cache mounts"), "{pruned}");
}

#[test]
fn a_new_cache_begins_with_what_it_is_told() {
    let builder = new_builder();
    build(
        &builder,
        "FROM shell AS seed\nRUN mkdir -p /s/d && echo seed > /s/d/f\n\
         FROM shell\n\
         RUN --mount=type=cache,target=/c,from=seed,source=/s cat /c/d/f > /1; echo more >> /c/d/f\n\
         RUN --mount=type=cache,target=/c,from=seed,source=/s cat /c/d/f > /2\n\
         RUN --mount=type=cache,target=/c,source=part/of,id=p,mode=700 touch /c/f; stat -c %a /c > /3\n\
         RUN --mount=type=cache,target=/c,id=p find /c > /4\n",
        &[],
    );
    assert_eq!(builder.read_exported("1"), "seed\n");
    assert_eq!(builder.read_exported("2"), "seed\nmore\n");
    assert_eq!(builder.read_exported("3"), "700\n");
    assert_eq!(builder.read_exported("4"), "/c\n/c/part\n/c/part/of\n/c/part/of/f\n");
}

/// CVE-2024-9675.
#[test]
fn neither_id_nor_source_of_a_cache_leads_out() {
    let builder = new_builder();
    build(
        &builder,
        "RUN --mount=type=cache,id=../../..,target=/c touch /c/BREAKOUT; ls /c > /1\n\
         RUN --mount=type=cache,id=../../..,target=/c,source=../.. ls /c > /2\n\
         RUN --mount=type=cache,id=x,target=/c ln -s / /c/link; ln -s ../../../../.. /c/up\n\
         RUN --mount=type=cache,id=x,target=/c,source=link touch /c/BREAKOUT; ls /c > /3\n\
         RUN --mount=type=cache,id=x,target=/c,source=up/new touch /c/BREAKOUT; ls /c > /4\n",
        &[],
    );
    assert_eq!(builder.read_exported("1"), "BREAKOUT\n");
    assert_eq!(builder.read_exported("2"), "BREAKOUT\n");
    assert_eq!(builder.read_exported("3"), "BREAKOUT\nlink\nup\n");
    assert_eq!(builder.read_exported("4"), "BREAKOUT\n");
    assert!(!fs::exists("/BREAKOUT").unwrap() && !fs::exists("/new").unwrap());
    assert!(!builder.root().join("BREAKOUT").exists());
}

#[test]
fn a_locked_cache_is_waited_for_and_a_private_one_is_not() {
    let builder = new_builder();
    builder.file(
        "slow/Containerfile",
        format!(
            "{SHELL}RUN --mount=type=cache,id=l,target=/c,sharing=locked \
         echo in > /c/state; echo started; sleep 2; echo out > /c/state\n"
        ),
    );
    builder.file(
        "locked/Containerfile",
        format!("{SHELL}RUN --mount=type=cache,id=l,target=/c,sharing=locked cat /c/state\n"),
    );
    builder.file(
        "private/Containerfile",
        format!("{SHELL}RUN --mount=type=cache,id=l,target=/c,sharing=private ls -A /c | wc -l\n"),
    );
    let arguments = |name: &'static str| ["build", "--progress=plain", "-f", name, "."];
    let slow_arguments = arguments("slow/Containerfile");
    let slow = builder.command(&slow_arguments).spawn().unwrap();
    let state = || {
        let mounts = fs::read_dir(builder.root().join("cache-mounts")).ok()?;
        let mut mounts = mounts.map(|entry| entry.unwrap().path().join("0/fs/state"));
        mounts.find_map(|path| fs::read_to_string(path).ok())
    };
    while state().as_deref() != Some("in\n") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let private = builder.run(&arguments("private/Containerfile")).success();
    assert_eq!(state().as_deref(), Some("in\n"), "the private one has waited");
    assert!(private.stderr.lines().any(|line| line.ends_with(" 0")), "{private}");
    let locked = builder.run(&arguments("locked/Containerfile")).success();
    assert!(locked.stderr.contains("waiting for the cache `l`, which process "), "{locked}");
    assert!(locked.stderr.lines().any(|line| line.ends_with(" out")), "{locked}");
    builder.wait(slow, b"", &slow_arguments).success();
}

#[test]
fn a_tmpfs_is_empty_limited_and_gone() {
    let builder = new_builder();
    build(
        &builder,
        "RUN mkdir /t && echo kept > /t/f\n\
         RUN --mount=type=tmpfs,target=/t,size=64k ls /t > /1; stat -c %a /t >> /1; \
             dd if=/dev/zero of=/t/big bs=1k count=100 2>/dev/null; stat -c %s /t/big >> /1\n\
         RUN --mount=type=tmpfs,target=/t,tmpfs-mode=700,ro,noexec stat -c %a /t > /2; ! touch /t/f; \
             grep ' /t ' /proc/self/mounts | grep -c noexec >> /2\n\
         RUN cat /t/f > /3\n\
         RUN --mount=type=tmpfs,target=/t,tmpcopyup cat /t/f > /4; rm /t/f\n\
         RUN cat /t/f >> /4\n",
        &[],
    );
    assert_eq!(builder.read_exported("4"), "kept\nkept\n");
    assert_eq!(builder.read_exported("1"), "1777\n65536\n");
    assert_eq!(builder.read_exported("2"), "700\n1\n");
    assert_eq!(builder.read_exported("3"), "kept\n");
}

#[test]
fn a_secret_is_seen_by_its_step_alone() {
    let builder = new_builder().env("TOKEN", "from-variable");
    builder.file("key", "from-file");
    let flags = ["--secret", "id=key,src=key", "--secret", "id=TOKEN"];
    build(
        &builder,
        "RUN --mount=type=secret,id=key stat -c '%a %u %s' /run/secrets/key > /1; \
             grep ' /run/secrets/key ' /proc/self/mounts | cut -d' ' -f1 >> /1\n\
         RUN --mount=type=secret,id=key,target=/etc/key,mode=0444,uid=5 --mount=type=secret,id=TOKEN,env=T \
             stat -c '%a %u' /etc/key > /2; cat /etc/key | wc -c >> /2; echo ${#T} >> /2\n\
         RUN --mount=type=secret,id=none ls /run/secrets 2>/dev/null | wc -l > /3; env | grep -c from >> /3 || true\n",
        &flags,
    );
    assert_eq!(builder.read_exported("1"), "400 0 9\nramfs\n");
    assert_eq!(builder.read_exported("2"), "444 5\n9\n13\n");
    assert_eq!(builder.read_exported("3"), "0\n0\n");
    assert!(!builder.exported("run").exists() && !builder.exported("etc/key").exists());
    let error = refused(&builder, "RUN --mount=type=secret,id=none,required true\n", &[]);
    assert!(
        error.contains("there is no secret `none`") && error.contains("--secret id=none,src="),
        "{error}"
    );
    assert!(error.contains("Containerfile:4:13"), "{error}");
}

#[test]
fn a_heredoc_with_an_interpreter_runs_by_itself() {
    let builder = new_builder();
    build(
        &builder,
        "RUN <<EOF\n#!/bin/busybox ash\necho $0 > /1\nstat -c %a $0 >> /1\nEOF\n\
         RUN <<-'SCRIPT'\n\t#!/bin/cat\n\t$HOME\n\tSCRIPT\n\
         RUN ls /dev | grep -c pipes > /2 || true\n",
        &[],
    );
    assert_eq!(builder.read_exported("1"), "/dev/pipes/EOF\n755\n");
    assert_eq!(builder.read_exported("2"), "0\n");
    assert!(!builder.exported("dev/pipes").exists());
    let error = refused(&builder, "RUN <<EOF\n#!/no/such\nEOF\n", &[]);
    assert!(error.contains("/no/such"), "{error}");
}

#[test]
fn insecure_steps_must_be_allowed() {
    let builder = new_builder();
    let text = "RUN --security=sandbox mkdir /m; ! mount -t tmpfs x /m\n\
                RUN --security=insecure mount -t tmpfs x /m && grep -c ' /m ' /proc/self/mounts > /1\n";
    let error = refused(&builder, text, &[]);
    assert!(error.contains("`RUN --security=insecure` is not allowed"), "{error}");
    assert!(error.contains("`--allow security.insecure` permits it"), "{error}");
    build(&builder, text, &["--allow", "security.insecure", "--allow=network.host"]);
    assert_eq!(builder.read_exported("1"), "1\n");
}

#[test]
fn mounts_that_cannot_be_are_refused_where_they_are_written() {
    let builder = new_builder();
    for (before, mistake, message) in [
        ("type=bind,target=", "/", "invalid mount target `/`"),
        ("type=tmpfs,target=", "..", "invalid mount target `..`"),
        ("target=/m,source=", "nothing", "RUN --mount source `nothing` is not in the build context"),
        ("target=/m,source=", "Containerfiel", "hint: did you mean `Containerfile`?"),
        ("target=/m,from=shell,source=", "nothing", "RUN --mount source `nothing` is not in stage `shell`"),
        ("target=/m,", "bind-propagation=rshared", "mount propagation `rshared` is not allowed"),
        ("target=/m,", "upperdir=/etc", "unknown mount option `upperdir`"),
    ] {
        let start = format!("RUN --mount={before}");
        let error = refused(&builder, &format!("FROM shell\n{start}{mistake} true\n"), &[]);
        assert!(error.contains(message), "{mistake}: {error}");
        let place = format!("Containerfile:5:{}\n", start.len() + 1);
        assert!(error.contains(&place), "{mistake}: {error}");
    }
}

/// CVE-2024-23652.
#[test]
fn a_replaced_mount_point_costs_nobody_a_file() {
    let builder = new_builder();
    builder.file("canary/token", "alive");
    let outside = builder.dir().join("canary");
    build(
        &builder,
        &format!(
            "RUN --mount=type=tmpfs,target=/mnt/place/token rm -rf /mnt/place 2>/dev/null; \
             ln -s {} /mnt/link; mv /mnt/place /mnt/moved && ln -s {} /mnt/place; true\n",
            outside.display(),
            outside.display()
        ),
        &[],
    );
    assert_eq!(builder.read("canary/token"), "alive");
}

#[test]
fn volumes_and_mounts_of_the_command_line_are_in_every_step() {
    let builder = new_builder();
    builder.file("read/f", "r").file("write/f", "w").file("lose/f", "l");
    let text = "RUN cat /v/read/f /v/write/f /v/lose/f > /1; ! touch /v/read/new; touch /v/write/new /v/lose/new\n\
                RUN ls /v/lose > /2; echo kept >> /c/log\nRUN cat /c/log > /3; stat -c %a /t >> /3\n";
    let flags = [
        "-v",
        "./read:/v/read:ro",
        "--volume=./write:/v/write",
        "-v",
        "./lose:/v/lose:O",
        "--mount",
        "type=cache,target=/c",
        "--mount=type=tmpfs,target=/t,mode=700",
    ];
    // The stage `shell` has none of the commands that its steps would need.
    build(&builder, text, &flags);
    assert_eq!(builder.read_exported("1"), "rwl");
    assert_eq!(builder.read_exported("2"), "f\n");
    assert_eq!(builder.read_exported("3"), "kept\n700\n");
    assert!(builder.dir().join("write/new").exists() && !builder.dir().join("lose/new").exists());
    assert!(!builder.exported("v").exists() && !builder.exported("c").exists());
    let error = refused(&builder, "RUN true\n", &["--mount", "type=bind,source=none,target=/x"]);
    assert!(error.contains("`none` is not in the build context"), "{error}");
    assert!(error.contains("--mount:1:1"), "{error}");
}

/// With one id nothing can belong to anybody else; all else is as for root.
#[test]
fn an_ordinary_user_has_all_mounts() {
    let builder = new_builder().as_user(54_329, 54_329);
    builder.file("src/a", "a").file("key", "hunter2");
    build(
        &builder,
        "RUN --mount=source=src,target=/m,rw echo b >> /m/a; cat /m/a > /1\n\
         RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t touch /c/f /t/f; ls /c /t > /2\n\
         RUN --mount=type=secret,id=key cat /run/secrets/key | wc -c > /3\n\
         RUN <<EOF\n#!/bin/sh\necho script > /4\nEOF\n",
        &["--secret", "id=key,src=key"],
    );
    for (file, expected) in [("1", "ab\n"), ("2", "/c:\nf\n\n/t:\nf\n"), ("3", "7\n"), ("4", "script\n")] {
        assert_eq!(builder.read_exported(file), expected, "{file}");
    }
    assert_eq!(builder.read("src/a"), "a");
    build(&builder, "RUN --mount=type=cache,target=/c,id=new,uid=7 stat -c %u /c > /1\n", &[]);
    assert_eq!(builder.read_exported("1"), "7\n");
}

/// CVE-2024-23651: a directory takes the place of a link to `/`, and back, while steps mount that part of the cache.
#[test]
fn a_cache_that_is_changed_meanwhile_never_leads_out() {
    let builder = new_builder();
    build(
        &builder,
        "RUN --mount=type=cache,id=x,target=/c mkdir /c/sub; ln -s / /c/link; touch /c/ready\n",
        &[],
    );
    let caches = fs::read_dir(builder.root().join("cache-mounts")).unwrap();
    let mut caches = caches.map(|entry| entry.unwrap().path().join("0/fs"));
    let cache = caches.find(|cache| cache.join("ready").exists()).unwrap();
    let outside = builder.dir().join("Containerfile");
    let mounts = (0..30).map(|number| format!("--mount=type=cache,id=x,target=/c{number},source=sub"));
    let mounts = mounts.collect::<Vec<_>>().join(" ");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let (sub, link) = (cache.join("sub"), cache.join("link"));
                renameat_with(CWD, sub, CWD, link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for round in 0..60 {
            let check =
                format!("for c in /c*; do ! test -e $c{} || exit 9; done; echo {round}", outside.display());
            builder.file("Containerfile", format!("{SHELL}RUN {mounts} {check}\n"));
            // What is found to have changed may end the build, but nothing else may be in its place.
            let output = builder.run(&["build", "."]);
            assert!(!output.stderr.contains("RUN failed"), "{output}");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_trigger_mounts_what_the_build_that_it_fires_in_has() {
    let builder = new_builder();
    builder.file("file", "context");
    let base = "ONBUILD RUN --mount=target=/m --mount=type=cache,target=/c \
                cat /m/file > /1; touch /c/f; ls /c >> /1\n";
    build(&builder, base, &["-t", "localhost/base:1"]);
    builder.build("FROM localhost/base:1\n", &["--pull=never"]);
    assert_eq!(builder.read_exported("1"), "contextf\n");
}
