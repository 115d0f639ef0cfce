//! A step tries everything by which a process reaches another one, its files, or the kernel: nothing of the builder and of
//! whoever runs it is among what it finds.

use std::fs;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use crate::steps::{Attack, Way};

const SECRET: &str = "of-the-builder";

#[test]
fn the_builder_is_out_of_reach() {
    let own = std::process::id();
    for way in Way::ALL {
        let builder = if way.has_namespaces() { "builder in-namespace" } else { "builder" };
        Attack::new(way).reaches_nothing("", &[builder, &format!("processes {own}"), "group"], &[]);
    }
}

#[test]
fn processes_of_root_are_out_of_reach_for_others_in_a_step() {
    for way in Way::ALL {
        Attack::new(way).reaches_nothing("", &["be-reached"], &[]);
    }
}

#[test]
fn files_of_the_builder_are_out_of_reach() {
    for way in Way::ALL {
        let attack = Attack::new(way);
        let home = attack.builder.home();
        let victim = home.join("victim");
        fs::create_dir_all(victim.join("d")).unwrap();
        fs::create_dir(home.join(".docker")).unwrap();
        for path in [home.join(".docker/config.json"), home.join("auth.json"), victim.join("f")] {
            fs::write(path, SECRET).unwrap();
        }
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o777)).unwrap();
        let (home, root, context) = (home.display(), attack.builder.root(), attack.builder.dir());
        let read = format!(
            "read {home}/.docker/config.json {home}/auth.json {0}/index.json {0}/oci-layout {1}/Containerfile /etc/shadow",
            root.display(),
            context.display(),
        );
        let tries = [read, format!("write {home}/victim"), format!("race {home}/victim")];
        attack.reaches_nothing("", &tries.each_ref().map(String::as_str), &[]);
        assert_eq!(fs::read(victim.join("f")).unwrap(), SECRET.as_bytes(), "{way:?}");
        let names = fs::read_dir(&victim).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.count(), 2, "{way:?}: {victim:?}");
    }
}

#[test]
fn what_is_mounted_for_reading_is_not_written() {
    for way in Way::ALL {
        let attack = Attack::new(way);
        attack.builder.file("shown/file", SECRET).file("shown/program", crate::steps::attacker());
        attack.builder.file("secret", SECRET);
        let mounts = "--mount=type=bind,source=shown,target=/shown --mount=type=bind,from=shell,target=/stage \
                      --mount=type=secret,id=s";
        let files = "/shown/file /shown/program /stage/bin/busybox /run/secrets/s";
        attack.reaches_nothing(mounts, &[&format!("write-through {files}")], &["--secret=id=s,src=secret"]);
        assert_eq!(attack.builder.read("shown/file"), SECRET, "{way:?}");
    }
}

#[test]
fn the_kernel_is_out_of_reach() {
    for way in Way::ALL {
        Attack::new(way).reaches_nothing("", &["kernel"], &[]);
    }
    for way in Way::ALL.into_iter().filter(|way| way.is_supervised()) {
        let attack = Attack::new(way);
        attack.reaches_nothing("", &["filter"], &[]);
        // SIGSYS.
        attack.build("RUN [\"/attacker\", \"32-bits\"]", &[]).exits(128 + 31);
    }
}

#[test]
fn terminals_of_others_are_out_of_reach() {
    for way in Way::ALL {
        Attack::started_by(way, "$ATTACKER with-terminal").reaches_nothing("", &["terminals"], &[]);
    }
}

#[test]
fn keys_of_the_session_are_out_of_reach() {
    for way in Way::ALL {
        Attack::started_by(way, "$ATTACKER with-key").reaches_nothing("", &["key"], &[]);
    }
}

#[test]
fn shared_memory_of_others_is_out_of_reach_and_none_is_left() {
    for (number, way) in Way::ALL.into_iter().enumerate() {
        let (key, size) = (54_320 + number, 123_400 + number);
        let attack = Attack::started_by(way, &format!("$ATTACKER with-ipc {key}"));
        attack.reaches_nothing("", &[&format!("ipc {key}"), &format!("leave-ipc {size}")], &[]);
        let left = fs::read_to_string("/proc/sysvipc/shm").unwrap();
        assert!(!left.contains(&size.to_string()), "{way:?}: {left}");
    }
}

/// An agent's socket, by its path and without one. Where the step shares the network of the builder, only Landlock keeps it
/// from names without a path.
#[test]
fn sockets_of_others_are_out_of_reach() {
    for way in Way::ALL {
        let attack = Attack::new(way);
        let path = attack.builder.home().join("agent");
        let by_path = UnixListener::bind(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let name = SocketAddr::from_abstract_name(path.as_os_str().as_encoded_bytes()).unwrap();
        let by_name = UnixListener::bind_addr(&name).unwrap();
        let network = if way.has_namespaces() { "--network=none" } else { "" };
        let tries = ["connect", "race-to-connect"].map(|how| format!("{how} {}", path.display()));
        attack.reaches_nothing(network, &tries.each_ref().map(String::as_str), &[]);
        for listener in [by_path, by_name] {
            listener.set_nonblocking(true).unwrap();
            assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "{way:?}");
        }
    }
}

#[test]
fn descriptors_of_the_builder_do_not_come_along() {
    for way in Way::ALL {
        // A shell keeps them open for what it starts.
        Attack::started_by(way, "7</ 8</etc/shadow 9>/dev/null").reaches_nothing("", &["descriptors"], &[]);
    }
}
