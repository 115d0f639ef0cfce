//! What instructions mean together: scopes of variables, history, heredocs, and what a stage takes from its base.

use oci::ImageConfig;
use test_support::{SHELL, TestBuilder};

fn new_builder() -> TestBuilder {
    TestBuilder::new(env!("CARGO_BIN_EXE_builder")).with_busybox()
}

/// The history of the image's last steps, each with whether it has a layer.
fn history(config: &ImageConfig) -> Vec<(bool, &str)> {
    let entries = config.history.iter();
    entries.map(|entry| (!entry.empty_layer, entry.created_by.as_deref().unwrap_or_default())).collect()
}

#[test]
fn history_has_the_words_of_buildkit() {
    let text = format!(
        r#"{SHELL}FROM shell
ARG X=1 UNSET
ENV A="a b" B=c
LABEL l="x y"
EXPOSE 80 9000-9001/UDP
VOLUME /data /logs
WORKDIR /srv
WORKDIR /
USER 1:2
STOPSIGNAL SIGINT
SHELL ["/bin/sh", "-ec"]
HEALTHCHECK --interval=1m30s --timeout=500ms --retries=4 CMD check "it"
ENTRYPOINT ["/e", "it's \"q\""]
CMD x
USER 0
COPY --chown=1:2 --chmod=755 busybox /b/
COPY --from=shell /bin/busybox /c
COPY <<EOF /f
EOF
ADD busybox /d
RUN true
RUN ["/bin/touch", "/x y"]
ONBUILD RUN later
MAINTAINER me
"#
    );
    let (_, config) = new_builder().build(&text, &[]);
    let expected = [
        (true, "COPY busybox /bin/busybox # buildkit"),
        (true, "RUN /bin/busybox --install -s /bin # buildkit"),
        (false, "ARG X=1 UNSET"),
        (false, "ENV A=a b B=c"),
        (false, "LABEL l=x y"),
        (false, "EXPOSE [80/tcp 9000/udp 9001/udp]"),
        (false, "VOLUME [/data /logs]"),
        (true, "WORKDIR /srv"),
        (false, "WORKDIR /"),
        (false, "USER 1:2"),
        (false, "STOPSIGNAL SIGINT"),
        (false, "SHELL [/bin/sh -ec]"),
        (false, r#"HEALTHCHECK &{["CMD-SHELL" "check \"it\""] "1m30s" "500ms" "0s" "0s" '\x04'}"#),
        (false, r#"ENTRYPOINT ["/e" "it's \"q\""]"#),
        (false, r#"CMD ["/bin/sh" "-ec" "x"]"#),
        (false, "USER 0"),
        (true, "COPY --chown=1:2 --chmod=755 busybox /b/ # buildkit"),
        (true, "COPY /bin/busybox /c # buildkit"),
        (true, "COPY <<EOF /f # buildkit"),
        (true, "ADD busybox /d # buildkit"),
        (false, "RUN |2 X=1 UNSET= /bin/sh -ec true # buildkit"),
        (true, "RUN |2 X=1 UNSET= /bin/touch /x y # buildkit"),
        (false, "MAINTAINER me"),
    ];
    assert_eq!(history(&config), expected);
    assert!(config.history.iter().all(|entry| entry.comment.as_deref() == Some("buildkit.dockerfile.v0")));
}

#[test]
fn the_later_of_arg_and_env_wins_and_only_env_is_kept() {
    let text = format!(
        "{SHELL}ENV INHERITED=base\nFROM shell\nARG INHERITED=argument\nRUN echo $INHERITED >> /seen\n\
         ENV TAKEN=$INHERITED\nARG X=argument\nENV X=environment\nRUN echo $X >> /seen\nARG X=again\n\
         RUN echo $X >> /seen\nENV PROXY=-$no_proxy-\nARG no_proxy\nENV DECLARED=-$no_proxy-\n"
    );
    let builder = new_builder();
    let (_, config) = builder.build(&text, &["--build-arg", "no_proxy=local"]);
    assert_eq!(builder.read_exported("seen"), "argument\nenvironment\nagain\n");
    let expected =
        ["INHERITED=base", "TAKEN=argument", "X=environment", "PROXY=--", "DECLARED=-local-"].as_slice();
    assert_eq!(&config.config.env[1..], expected);
}

#[test]
fn arguments_before_from_are_for_from_until_a_stage_imports_them() {
    let text = format!(
        "ARG BASE=shell\nARG NAME=$BASE-name\n{SHELL}FROM ${{BASE:-scratch}} AS middle\n\
         RUN echo \"[$BASE]\" > /without\nARG NAME\nARG OWN=own-$NAME\nRUN echo $NAME $OWN > /with\n\
         FROM ${{UNSET:-middle}}\nRUN echo \"[$NAME$OWN]\" > /inherited\n"
    );
    let builder = new_builder();
    builder.build(&text, &[]);
    assert_eq!(builder.read_exported("without"), "[]\n");
    assert_eq!(builder.read_exported("with"), "shell-name own-shell-name\n");
    assert_eq!(builder.read_exported("inherited"), "[shell-nameown-shell-name]\n", "a stage has its base's");
    builder.build(&text, &["--build-arg", "NAME=given"]);
    assert_eq!(builder.read_exported("with"), "given own-given\n");
}

#[test]
fn platform_arguments_say_where_the_image_runs() {
    let names = ["TARGETPLATFORM", "TARGETOS", "TARGETARCH", "BUILDPLATFORM", "BUILDOS", "BUILDARCH"];
    let args = names.map(|name| format!("ARG {name}\n")).concat();
    let echo = names.map(|name| format!("${name} ")).concat();
    let text = format!("{SHELL}FROM --platform=$TARGETPLATFORM shell\n{args}RUN echo {echo}> /seen\n");
    let builder = new_builder();
    let (_, config) = builder.build(&text, &[]);
    let (os, arch) = (config.os, config.architecture);
    assert_eq!(builder.read_exported("seen"), format!("{os}/{arch} {os} {arch} {os}/{arch} {os} {arch}\n"));
}

#[test]
fn values_are_expanded_as_a_shell_would() {
    let table = [
        ("${V}x", "valuex"),
        ("${V:-other}", "value"),
        ("${U:-other}", "other"),
        ("${E-other}", ""),
        ("${E:-other}", "other"),
        ("${V:+set}", "set"),
        ("${U:+set}", ""),
        ("${V#va}", "lue"),
        ("${P##*/}", "c.tar.gz"),
        ("${P%.*}", "a/b/c.tar"),
        ("${P%%.*}", "a/b/c"),
        ("${P/a/z}", "z/b/c.tar.gz"),
        ("${P//\\//-}", "a-b-c.tar.gz"),
        (r"\$V", "$V"),
        ("'$V'", "$V"),
        ("\"$V two\"", "value two"),
        ("${U:-${V}}", "value"),
    ];
    let lines = table.iter().enumerate().map(|(number, (text, _))| format!("LABEL n{number}={text}\n"));
    let text = format!("FROM scratch\nENV V=value E= P=a/b/c.tar.gz\n{}", lines.collect::<String>());
    let (_, config) = new_builder().build(&text, &[]);
    for (number, (text, expected)) in table.iter().enumerate() {
        assert_eq!(config.config.labels[&format!("n{number}")], *expected, "{text}");
    }
}

#[test]
fn heredocs_are_scripts_files_and_standard_input() {
    let text = format!(
        "{SHELL}ARG V=value\nRUN <<ONE cat > /both; cat <<'TWO' >> /both\none\nONE\n# no comment \\\nTWO\n\
         RUN cat <<-EOF > /tabs\n\t\ttext $V\n\tEOF\nRUN cat <<'EOF' > /quoted && echo done >> /quoted\n$V\nEOF\n\
         COPY <<first <<\"second\" /docs/\n$V\nfirst\n$V\nsecond\nCOPY --chmod=755 <<file /script\n#!/bin/sh\nfile\n"
    );
    let builder = new_builder();
    builder.build(&text, &[]);
    for (path, expected) in [
        ("both", "one\n# no comment \\\n"),
        ("tabs", "text value\n"),
        ("quoted", "$V\ndone\n"),
        ("docs/first", "value\n"),
        ("docs/second", "$V\n"),
        ("script", "#!/bin/sh\n"),
    ] {
        assert_eq!(builder.read_exported(path), expected, "{path}");
    }
}

#[test]
fn a_stage_adds_to_what_its_base_says() {
    let text = format!(
        "{SHELL}CMD [\"inherited\"]\nEXPOSE 1\nVOLUME /v\nLABEL a=1 b=2\nUSER 5\nWORKDIR /w\nSTOPSIGNAL TERM\n\
         HEALTHCHECK CMD x\nFROM shell AS next\nEXPOSE 2\nVOLUME /w\nLABEL b=3\nHEALTHCHECK NONE\nWORKDIR down\n\
         ENTRYPOINT [\"/e\"]\nFROM next\nCMD [\"own\"]\nENTRYPOINT [\"/f\"]\n"
    );
    let builder = new_builder();
    let exec = builder.build(&text, &["--target", "next"]).1.config;
    assert_eq!(exec.cmd, None, "ENTRYPOINT clears an inherited CMD");
    assert_eq!(exec.exposed_ports.iter().collect::<Vec<_>>(), ["1/tcp", "2/tcp"]);
    assert_eq!(exec.volumes.iter().collect::<Vec<_>>(), ["/v", "/w"]);
    assert_eq!(exec.labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(), ["a=1", "b=3"]);
    assert_eq!((exec.user.as_str(), exec.working_dir.as_str()), ("5", "/w/down"));
    assert_eq!(exec.healthcheck.unwrap().test, ["NONE"]);
    assert_eq!(exec.stop_signal.as_deref(), Some("TERM"));
    assert_eq!(builder.build(&text, &[]).1.config.cmd.unwrap(), ["own"], "but not that of its own stage");
}

#[test]
fn onbuild_runs_in_a_later_stage_of_the_same_file() {
    let text = format!(
        "{SHELL}ONBUILD ARG X=trigger\nONBUILD RUN echo $X > /triggered\nFROM shell AS child\n\
         RUN cat /triggered > /own\nFROM child\nRUN rm /triggered\n"
    );
    let builder = new_builder();
    let (_, config) = builder.build(&text, &[]);
    assert_eq!(builder.read_exported("own"), "trigger\n");
    assert!(!builder.exported("triggered").exists(), "a trigger fires once");
    assert!(config.config.on_build.is_empty());
}

#[test]
fn a_user_with_a_group_has_that_group_alone() {
    let text = format!(
        "{SHELL}COPY <<passwd <<group /etc/\nweb:x:101:102::/home/web:/bin/sh\npasswd\nssl:x:33:web\nadm:x:4:\ngroup\n\
         RUN mkdir -m 777 /t\nUSER web:adm\nRUN id -u >> /t/id; id -g >> /t/id; grep Groups /proc/self/status >> /t/id\n\
         USER 77\nRUN id -u > /t/n; id -g >> /t/n; grep Groups /proc/self/status >> /t/n; echo $HOME >> /t/n\n"
    );
    let builder = new_builder();
    builder.build(&text, &[]);
    assert_eq!(builder.read_exported("t/id"), "101\n4\nGroups:\t \n");
    assert_eq!(builder.read_exported("t/n"), "77\n0\nGroups:\t \n/\n");
}

#[test]
fn what_does_nothing_builds_and_changes_nothing() {
    let builder = new_builder();
    let text = format!("{SHELL}RUN <<EOF\nEOF\nVOLUME /no-directory\nRUN :\n");
    let (manifest, config) = builder.build(&text, &[]);
    assert_eq!(manifest.layers.len(), 2, "{:?}", history(&config));
    assert!(!builder.exported("no-directory").exists());
}

#[test]
fn a_step_knows_its_stage_its_host_and_where_programs_are() {
    let text = format!(
        "{SHELL}FROM shell AS Last\nARG TARGETSTAGE\nARG TARGETOSVERSION\n\
         RUN echo $TARGETSTAGE-$TARGETOSVERSION $(hostname) $(pwd) > /seen; grep -c localhost /etc/hosts >> /seen\n"
    );
    let builder = new_builder();
    let (_, config) = builder.build(&text, &[]);
    assert_eq!(builder.read_exported("seen"), "last- builder /\n2\n");
    assert_eq!(config.config.env[0], "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    builder.build(&text, &["--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=box"]);
    assert_eq!(builder.read_exported("seen"), "last- box /\n2\n");
}

#[test]
fn the_later_of_two_stages_with_one_name_is_meant_and_a_variable_may_name_it() {
    let text = "FROM scratch AS one\nCOPY <<EOF /a\nfirst\nEOF\nFROM scratch AS One\nCOPY <<EOF /a\nsecond\nEOF\n\
                FROM scratch\nARG WHERE=one\nCOPY --from=$WHERE /a /\n";
    let builder = new_builder();
    builder.build(text, &[]);
    assert_eq!(builder.read_exported("a"), "second\n");
}

#[test]
fn steps_keep_what_they_write_to_a_volume() {
    let builder = new_builder();
    builder.build(&format!("{SHELL}RUN mkdir /v\nVOLUME /v\nRUN echo kept > /v/f\n"), &[]);
    assert_eq!(builder.read_exported("v/f"), "kept\n");
}

#[test]
fn ports_may_come_from_one_variable() {
    let text = "FROM scratch\nARG PORTS=\"80 90/udp\"\nEXPOSE $PORTS\n";
    let (_, config) = new_builder().build(text, &[]);
    assert_eq!(config.config.exposed_ports.iter().collect::<Vec<_>>(), ["80/tcp", "90/udp"]);
}

#[test]
fn what_a_build_reads_for_itself_may_be_ignored() {
    let builder = new_builder();
    builder.file(".dockerignore", "*\n");
    builder.build("FROM scratch\nCOPY <<EOF /a\nEOF\n", &[]);
    assert_eq!(builder.read_exported("a"), "");
}

#[test]
fn an_ignore_file_can_be_named() {
    let builder = new_builder();
    builder.file("a", "a").file("b", "b").file(".dockerignore", "a\n").file("other", "b\n");
    builder.build("FROM scratch\nCOPY . /\n", &["--ignorefile=other"]);
    assert!(builder.exported("a").exists() && !builder.exported("b").exists());
}

#[test]
fn a_directory_of_work_belongs_to_the_user_with_its_parents() {
    let text = format!(
        "{SHELL}USER 7:8\nWORKDIR /a/b\nWORKDIR c\nUSER 0\nRUN stat -c '%u %g %a' /a /a/b . > /seen\n"
    );
    let builder = new_builder();
    builder.build(&text, &[]);
    assert_eq!(builder.read_exported("seen"), "7 8 755\n".repeat(3));
}

#[test]
fn a_step_on_the_host_network_is_in_that_of_the_builder() {
    let text = format!("{SHELL}RUN --network=host readlink /proc/self/ns/net > /seen\n");
    let builder = new_builder();
    builder.build(&text, &[]);
    let own = std::fs::read_link("/proc/self/ns/net").expect("a link");
    assert_eq!(builder.read_exported("seen").trim(), own.display().to_string());
}
