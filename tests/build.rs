//! Instructions and files: what a Containerfile says is what the image has.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]
#![expect(clippy::disallowed_methods, reason = "archives are made with tar(1)")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use oci::ImageConfig;
use test_support::{TestBuilder, check_layout};

const SHELL: &str = "FROM scratch AS shell\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n";

fn new_builder() -> TestBuilder {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder"));
    fs::copy("/bin/busybox", builder.dir().join("busybox")).unwrap();
    builder
}

/// Builds `containerfile` and exports its root file system to `out`.
fn build(builder: &TestBuilder, containerfile: &str, flags: &[&str]) -> ImageConfig {
    builder.file("Containerfile", containerfile);
    let mut arguments = vec!["build", "-o", "type=local,dest=out", "-t", "localhost/app:1", "."];
    arguments.splice(1..1, flags.iter().copied());
    fs::remove_dir_all(builder.dir().join("out")).ok();
    builder.run(&arguments).success();
    check_layout(&builder.root()).pop().unwrap().1
}

fn out(builder: &TestBuilder, path: &str) -> PathBuf {
    builder.dir().join("out").join(path)
}

fn read(builder: &TestBuilder, path: &str) -> String {
    fs::read_to_string(out(builder, path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_config_says_what_the_instructions_say() {
    let text = r#"FROM scratch
MAINTAINER someone
ENV A=1 B="two words" C=$A
ENV A=3 D=$A
LABEL a.b="c d" e=${B}
EXPOSE 80 9000-9001/udp
VOLUME ["/data", "/logs"]
WORKDIR /srv
WORKDIR app/
USER 12:34
STOPSIGNAL SIGINT
SHELL ["/bin/sh", "-x", "-c"]
HEALTHCHECK --interval=1m30s --retries=4 CMD check it
ONBUILD RUN echo later
CMD will be replaced
ENTRYPOINT ["/entry"]
CMD ["an", "argument"]
"#;
    let builder = new_builder();
    let config = build(&builder, text, &["--label", "from=flag"]);
    let exec = &config.config;
    assert_eq!(config.author.as_deref(), Some("someone"));
    assert_eq!(exec.env[1..], ["A=3", "B=two words", "C=", "D=1"], "a value is that of before the line");
    assert_eq!(exec.labels["a.b"], "c d");
    assert_eq!((exec.labels["e"].as_str(), exec.labels["from"].as_str()), ("two words", "flag"));
    let ports: Vec<_> = exec.exposed_ports.iter().map(String::as_str).collect();
    assert_eq!(ports, ["80/tcp", "9000/udp", "9001/udp"]);
    assert_eq!(exec.volumes.len(), 2);
    assert_eq!((exec.working_dir.as_str(), exec.user.as_str()), ("/srv/app", "12:34"));
    assert_eq!(exec.stop_signal.as_deref(), Some("SIGINT"));
    let check = exec.healthcheck.as_ref().unwrap();
    assert_eq!(
        (check.test.join(" "), check.interval, check.retries),
        ("CMD-SHELL check it".into(), 90_000_000_000, 4)
    );
    assert_eq!(exec.on_build, ["RUN echo later"]);
    assert_eq!(exec.entrypoint.as_deref().unwrap(), ["/entry"]);
    assert_eq!(exec.cmd.as_deref().unwrap(), ["an", "argument"]);
    assert_eq!(exec.shell.as_deref().unwrap(), ["/bin/sh", "-x", "-c"]);
    let history: Vec<_> = config.history.iter().filter_map(|entry| entry.created_by.as_deref()).collect();
    assert!(history.contains(&"ENV A=3 D=1"), "{history:?}");
    assert!(history.contains(&"CMD [\"/bin/sh\" \"-x\" \"-c\" \"will be replaced\"]"), "{history:?}");
}

#[test]
fn build_arguments_reach_steps_and_history_and_proxies_only_steps() {
    let text = format!(
        "ARG GLOBAL=outer\n{SHELL}FROM shell\nARG GLOBAL\nARG OWN=default\nARG TARGETARCH\n\
         RUN echo $GLOBAL $OWN $TARGETARCH $http_proxy > /seen\n"
    );
    let builder = new_builder();
    let flags = ["--build-arg", "OWN=given", "--build-arg", "http_proxy=http://proxy:1"];
    let config = build(&builder, &text, &flags);
    assert_eq!(read(&builder, "seen"), "outer given amd64 http://proxy:1\n");
    let last = config.history.last().unwrap().created_by.clone().unwrap();
    assert!(last.starts_with("RUN |3 GLOBAL=outer OWN=given TARGETARCH=amd64 /bin/sh -c "), "{last}");
    assert!(!oci::to_json(&config).windows(8).any(|bytes| bytes == b"proxy:1\""), "no proxy in the image");
}

#[test]
fn users_groups_and_homes_are_those_of_the_image() {
    let text = format!(
        "{SHELL}COPY <<passwd <<group /etc/\nweb:x:101:102::/home/web:/bin/sh\npasswd\nwww:x:102:\nssl:x:33:web\ngroup\n\
         WORKDIR /home/web\nRUN mkdir -m 777 /t\nUSER web\nWORKDIR /made\n\
         RUN id -u > /t/id; id -g >> /t/id; grep Groups /proc/self/status >> /t/id; echo $HOME >> /t/id\n\
         RUN grep Cap /proc/self/status > /t/caps; env > /t/env; ls /proc/self/fd > /t/fds\n"
    );
    let builder = new_builder().env("AWS_SECRET_ACCESS_KEY", "of the builder");
    build(&builder, &text, &[]);
    assert_eq!(read(&builder, "t/id"), "101\n102\nGroups:\t33 \n/home/web\n");
    let made = fs::metadata(out(&builder, "made")).unwrap();
    assert_eq!((made.uid(), made.gid()), (101, 102), "WORKDIR belongs to USER");
    let caps = read(&builder, "t/caps");
    for line in caps.lines().filter(|line| !line.starts_with("CapBnd")) {
        assert!(line.ends_with("0000000000000000"), "{caps}");
    }
    assert!(caps.contains("CapBnd:\t00000000a80425fb"), "the 14 default capabilities: {caps}");
    assert!(!read(&builder, "t/env").contains("SECRET"), "{}", read(&builder, "t/env"));
    // 0 to 2, and the directory that ls reads.
    assert_eq!(read(&builder, "t/fds").lines().count(), 4, "{}", read(&builder, "t/fds"));
}

#[test]
fn stages_are_found_by_name_and_number_and_left_out_if_unused() {
    let text = format!(
        "{SHELL}FROM shell AS Upper\nRUN echo one > /one\nFROM shell AS unused\nRUN exit 1\n\
         FROM scratch\nCOPY --from=upper /one /by-name\nCOPY --from=1 /one /by-number\n"
    );
    let builder = new_builder();
    build(&builder, &text, &[]);
    assert_eq!((read(&builder, "by-name"), read(&builder, "by-number")), ("one\n".into(), "one\n".into()));
    build(&builder, &text, &["--target", "upper"]);
    assert_eq!(read(&builder, "one"), "one\n");
}

#[test]
fn onbuild_runs_in_the_build_that_it_triggers() {
    let builder = new_builder();
    let base = format!("{SHELL}ONBUILD COPY file /copied\nONBUILD RUN echo $0 > /ran\n");
    builder.file("file", "content").file("Base", base);
    builder.run(&["build", "-f", "Base", "-t", "localhost/base:1", "."]).success();
    let config = build(&builder, "FROM localhost/base:1\n", &[]);
    assert_eq!(read(&builder, "copied"), "content");
    assert!(out(&builder, "ran").exists());
    assert!(config.config.on_build.is_empty());
}

#[test]
fn heredocs_continuations_and_the_escape_directive() {
    let text = format!(
        "# escape=`\n{SHELL}RUN echo one `\n# a comment in between\n  two > /line\n\
         RUN <<EOF\nset -e\necho script > /script\nEOF\nCOPY <<'END' /copied\n$not expanded\nEND\n"
    );
    let builder = new_builder();
    build(&builder, &text, &[]);
    assert_eq!(read(&builder, "line"), "one two\n");
    assert_eq!(read(&builder, "script"), "script\n");
    assert_eq!(read(&builder, "copied"), "$not expanded\n");
}

#[test]
fn copy_follows_the_rules_for_directories_links_and_owners() {
    let builder = new_builder();
    builder.file("dir/x", "x").file("dir/sub/y", "y").file("f1", "1").file("f2", "2").file("s", "s");
    symlink("dir", builder.dir().join("link")).unwrap();
    symlink("x", builder.dir().join("dir/inner")).unwrap();
    fs::set_permissions(builder.dir().join("s"), fs::Permissions::from_mode(0o4755)).unwrap();
    let text = format!(
        "{SHELL}FROM shell\nRUN mkdir /real && ln -s /real /alias\n\
         COPY dir /contents\nCOPY link /through\nCOPY f1 f2 /several/\nCOPY *.none f1 /glob/\nCOPY f? /matched/\n\
         COPY f1 /alias\nCOPY --chown=5:6 --chmod=640 f1 /owned/deep/f\nCOPY s /s\n"
    );
    build(&builder, &text, &[]);
    assert_eq!(read(&builder, "contents/sub/y"), "y");
    assert!(fs::symlink_metadata(out(&builder, "contents/inner")).unwrap().is_symlink());
    assert_eq!(read(&builder, "through/x"), "x");
    assert_eq!(read(&builder, "several/f2"), "2");
    assert_eq!(read(&builder, "glob/f1"), "1");
    assert_eq!(fs::read_dir(out(&builder, "matched")).unwrap().count(), 2);
    assert_eq!(read(&builder, "real/f1"), "1", "a link in the destination is followed inside the root");
    let owned = fs::metadata(out(&builder, "owned/deep/f")).unwrap();
    assert_eq!((owned.uid(), owned.gid(), owned.mode() & 0o7777), (5, 6, 0o640));
    assert_eq!(fs::metadata(out(&builder, "owned")).unwrap().uid(), 5, "parents too");
    assert_eq!(fs::metadata(out(&builder, "s")).unwrap().mode() & 0o7777, 0o4755);
}

#[test]
fn the_ignore_file_hides_what_it_says() {
    let builder = new_builder();
    builder
        .file("a.md", "")
        .file("keep.md", "")
        .file("dir/b", "")
        .file(".dockerignore", "*.md\n!keep.md\ndir\nout\n");
    build(&builder, "FROM scratch\nCOPY . /\n", &[]);
    assert!(
        out(&builder, "keep.md").exists()
            && !out(&builder, "a.md").exists()
            && !out(&builder, "dir").exists()
    );
    builder.file(".containerignore", "keep.md\nout\n");
    build(&builder, "FROM scratch\nCOPY . /\n", &[]);
    assert!(
        !out(&builder, "keep.md").exists() && out(&builder, "a.md").exists(),
        ".containerignore comes first"
    );
}

#[test]
fn add_unpacks_archives_by_their_content() {
    let builder = new_builder();
    builder.file("in/dir/file", "content").file("plain.tar.gz", "no archive");
    for (name, flag) in
        [("tar", "--no-auto-compress"), ("gz", "-z"), ("bz2", "-j"), ("xz", "-J"), ("zst", "--zstd")]
    {
        let archive = builder.dir().join(format!("{name}.bin"));
        let mut tar = Command::new("tar");
        tar.arg(flag).args(["--owner=:7", "--group=:8", "-cf"]).arg(&archive).args(["-C", "in", "dir"]);
        assert!(tar.current_dir(builder.dir()).status().unwrap().success(), "{name}");
    }
    let names = ["tar", "gz", "bz2", "xz", "zst"];
    let adds = names.map(|name| format!("ADD {name}.bin /{name}/\n")).concat();
    build(&builder, &format!("FROM scratch\n{adds}ADD plain.tar.gz /\nADD --chown=1:2 gz.bin /owned\n"), &[]);
    for name in names {
        assert_eq!(read(&builder, &format!("{name}/dir/file")), "content");
        assert_eq!(fs::metadata(out(&builder, &format!("{name}/dir/file"))).unwrap().uid(), 7);
    }
    assert_eq!(read(&builder, "plain.tar.gz"), "no archive");
    assert_eq!(fs::metadata(out(&builder, "owned/dir/file")).unwrap().uid(), 1);
}

#[test]
fn a_step_without_network_has_loopback_alone() {
    let text = format!("{SHELL}RUN --network=none ls /sys/class/net > /net; cat /proc/net/route > /routes\n");
    let builder = new_builder();
    build(&builder, &text, &[]);
    assert_eq!(
        read(&builder, "routes").lines().count(),
        1,
        "the heading alone: {}",
        read(&builder, "routes")
    );
}

#[test]
fn the_containerfile_can_come_from_standard_input() {
    let builder = new_builder();
    builder.run_with_stdin(&["build", "-t", "localhost/app:1", "-f", "-", "."], SHELL.as_bytes()).success();
    builder.run(&["bud", ".", "-t", "localhost/other:1", "-f", "none"]).exits(1);
}
