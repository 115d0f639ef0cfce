//! Images whose files are not what they should be, and what a step sees of whoever runs it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use test_support::Output;

use crate::steps::{Attack, Way};

const SECRET: &str = "a-secret-of-the-builder";

/// A directory outside of every image, which has this in its files.
fn victim(attack: &Attack, names: &[&str]) -> PathBuf {
    let victim = attack.builder.home().join("victim");
    fs::create_dir(&victim).unwrap();
    for name in names {
        fs::write(victim.join(name), SECRET).unwrap();
    }
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o777)).unwrap();
    victim
}

/// What a step printed, without the numbers and times before it.
fn printed(output: &Output) -> Vec<&str> {
    output.stderr.lines().filter_map(|line| line.splitn(3, ' ').nth(2)).collect()
}

/// CVE-2024-21626.
#[test]
fn a_working_directory_is_no_descriptor_of_the_builder() {
    for way in Way::ALL {
        let attack = Attack::started_by(way, "9</");
        for number in 3..10 {
            let up = "ls -d etc ../etc ../../../etc ../../../../../etc 2>/dev/null; true";
            let output = attack.build(&format!("WORKDIR /proc/self/fd/{number}\nRUN {up}"), &[]);
            assert!(!printed(&output).iter().any(|line| line.ends_with("etc")), "{way:?}: {output}");
        }
    }
}

/// CVE-2019-5736.
#[test]
fn the_program_of_the_builder_is_not_overwritten() {
    for way in Way::ALL {
        let attack = Attack::new(way);
        let program = attack.program();
        let before = fs::read(&program).unwrap();
        let path = program.display();
        let files = format!("{path} /proc/self/exe /proc/1/exe /proc/$PPID/exe /proc/self/root{path}");
        let write =
            format!("for f in {files}; do cp /attacker $f; echo >> $f; echo > $f; done 2>/dev/null; true");
        let triggers = format!("ONBUILD COPY attacker {path}\nONBUILD RUN {write}");
        attack.build(&format!("{triggers}\nCOPY attacker {path}\nRUN {write}"), &[]).success();
        attack.build_file("FROM localhost/app:1\n", &["-t", "localhost/app:2"]).success();
        assert!(fs::read(&program).unwrap() == before, "{way:?}");
    }
}

/// CVE-2025-31133, CVE-2025-52565, CVE-2025-52881.
#[test]
fn nothing_is_written_through_what_an_image_has_in_place_of_kernel_files() {
    const NAMES: [&str; 4] = ["null", "console", "pts", "hosts"];
    for way in Way::ALL {
        let attack = Attack::new(way);
        let victim = victim(&attack, &NAMES);
        let target = victim.display();
        let links = ["null", "console", "tty", "pts", "shm", "core"]
            .map(|name| format!("ln -s {target}/{name} dev/{name}"));
        let traps = format!(
            "RUN mkdir -p /a/dev /b /c /d /e/etc && cd /a && {} && ln -s {target} /b/proc && ln -s {target} /c/sys && \
             ln -s {target} /d/dev && ln -s {target}/hosts /e/etc/hosts && ln -s {target}/new /e/etc/resolv.conf",
            links.join(" && ")
        );
        let writes = "for f in dev/null dev/console dev/tty dev/pts/new dev/shm/new proc/new sys/new etc/hosts \
                      etc/resolv.conf proc/sys/kernel/core_pattern proc/self/attr/current; do echo x > /$f; done 2>/dev/null; true";
        for trap in ["a", "b", "c", "d", "e"] {
            let text = format!("{traps}\nFROM shell\nCOPY --from=1 /{trap}/ /\nRUN {writes}");
            attack.build(&text, &[]).success();
        }
        for name in NAMES {
            assert_eq!(fs::read_to_string(victim.join(name)).unwrap(), SECRET, "{way:?}: {name}");
        }
        assert_eq!(fs::read_dir(&victim).unwrap().count(), NAMES.len(), "{way:?}");
    }
}

/// CVE-2024-9676.
#[test]
fn names_of_an_image_are_read_from_small_regular_files_only() {
    for way in Way::ALL {
        let attack = Attack::new(way);
        let host = attack.builder.home().join("passwd");
        fs::write(&host, "someone:x:5:5::/:/bin/sh\n").unwrap();
        let traps = [
            "mkfifo passwd".to_owned(),
            "mkdir passwd".to_owned(),
            "ln -s /dev/zero passwd".to_owned(),
            "ln -s /proc/self/fd/0 passwd".to_owned(),
            format!("ln -s {} passwd", host.display()),
            "(dd if=/dev/zero bs=1M count=64; cat passwd.real) > passwd".to_owned(),
        ];
        attack.builder.file("passwd", "someone:x:5:5::/:/bin/sh\n");
        for trap in traps {
            let text = format!("COPY passwd /etc/passwd.real\nRUN cd /etc && {trap}\nUSER someone\nRUN id");
            let output = attack.build(&text, &[]).exits(1);
            assert!(output.stderr.contains("error"), "{way:?}, {trap}: {output}");
        }
    }
}

/// CVE-2022-2990, CVE-2022-27651.
#[test]
fn a_step_has_the_groups_and_capabilities_that_its_user_has_in_the_image() {
    let none = "0000000000000000";
    let all = "00000000a80425fb";
    for way in Way::ALL {
        let attack = Attack::new(way);
        attack
            .builder
            .file("etc/passwd", "app:x:1000:1001::/:/bin/sh\n")
            .file("etc/group", "staff:x:50:app\n");
        let show = "RUN id -G; grep -E 'Cap|Groups' /proc/self/status | tr -s '\\t ' ' '";
        for (user, groups, capabilities) in
            [("0", "0", all), ("1000", "1001 50", none), ("1234", "0", none), ("1234:7", "7", none)]
        {
            let output = attack.build(&format!("COPY etc /etc\nUSER {user}\n{show}"), &[]).success();
            let lines = printed(&output);
            for line in [
                groups.to_owned(),
                format!("CapInh: {none}"),
                format!("CapPrm: {capabilities}"),
                format!("CapEff: {capabilities}"),
                format!("CapBnd: {all}"),
                format!("CapAmb: {none}"),
            ] {
                assert!(lines.iter().any(|printed| *printed == line), "{way:?}, {user}, {line}: {output}");
            }
            let of_builder = |line: &&str| {
                line.starts_with("Groups:") && line.split(' ').any(|id| id == "27" || id == "42")
            };
            assert!(!lines.iter().any(of_builder), "{way:?}: {output}");
        }
    }
}

/// CVE-2021-3602.
#[test]
fn the_environment_of_the_builder_is_not_that_of_a_step() {
    for way in Way::ALL {
        let mut attack = Attack::new(way);
        for name in [
            "AWS_SECRET_ACCESS_KEY",
            "CI_JOB_TOKEN",
            "DOCKER_AUTH_CONFIG",
            "REGISTRY_AUTH_FILE",
            "LD_PRELOAD_",
        ] {
            attack.builder = attack.builder.env(name, SECRET);
        }
        let text = "RUN env; cat /proc/*/environ /proc/*/cmdline /proc/*/task/*/environ 2>/dev/null | tr '\\0' '\\n'; true";
        let output = attack.build(text, &[]).success();
        assert!(!output.stderr.contains(SECRET), "{way:?}: {output}");
        assert!(
            printed(&output).contains(&"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            "{output}"
        );
    }
}
