//! Programs that are executed as somebody else: setuid, setgid, file capabilities, and what stops them.

use std::fs;

use rustix::fs::{XattrFlags, setxattr};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};
use rustix::thread::{configure_capability_in_ambient_set, remove_capability_from_bounding_set};

use super::PROGRAM;
use super::actors::{as_user, in_thread, program};
use super::calls::{chmod, chown, lstat, mkdir};
use super::report::tell;

/// A copy of this program, whose owner and mode change.
const COPY: &str = "/t/programs/conformance";
const SCRIPT: &str = "/t/programs/script";

pub(crate) fn run() {
    fs::copy(PROGRAM, COPY).unwrap();
    modes();
    not_for_all();
    scripts();
    no_new_privileges();
    file_capabilities();
    ambient_capabilities();
    as_the_library_does();
}

fn become_of(path: &str, uid: u32, gid: u32, mode: u32) {
    chown(path, Some(uid), Some(gid)).unwrap();
    chmod(path, mode).unwrap();
}

/// Each mode, executed by root, by an ordinary user, and by the owner.
fn modes() {
    for (uid, gid) in [(0, 0), (1000, 1001)] {
        for mode in [0o755, 0o4755, 0o2755, 0o6755, 0o2745, 0o1755] {
            become_of(COPY, uid, gid, mode);
            for (actor, group) in [(0, 0), (1000, 1000), (2000, 2000)] {
                as_user(actor, group, &[5], || {
                    tell!("{mode:o} of {uid}:{gid}" => program(COPY, &["show", "identity"]).status());
                });
            }
        }
    }
}

fn not_for_all() {
    for mode in [0o4750, 0o4644, 0o4711, 0o4055, 0o4700] {
        become_of(COPY, 0, 1000, mode);
        for (actor, group) in [(0, 0), (1000, 1000), (2000, 2000)] {
            as_user(actor, group, &[], || {
                tell!("{mode:o} of 0:1000" => program(COPY, &["show", "identity"]).status());
            });
        }
    }
    mkdir("closed", 0o700).unwrap();
    fs::hard_link(COPY, "closed/conformance").unwrap();
    become_of(COPY, 0, 0, 0o4755);
    as_user(1000, 1000, &[], || {
        tell!("in a directory of root" => program("/t/programs/closed/conformance", &["show", "identity"]).status());
    });
}

/// The bits of a script do nothing, those of its interpreter do.
fn scripts() {
    fs::write(SCRIPT, format!("#!{COPY} show\n")).unwrap();
    for (script, interpreter) in [(0o6755, 0o755), (0o755, 0o6755), (0o644, 0o6755)] {
        become_of(SCRIPT, 1000, 1000, script);
        become_of(COPY, 0, 0, interpreter);
        as_user(2000, 2000, &[], || {
            tell!("script {script:o}, interpreter {interpreter:o}" => program(SCRIPT, &["identity"]).status());
        });
    }
}

fn no_new_privileges() {
    become_of(COPY, 1000, 1000, 0o6755);
    in_thread("root with no_new_privs", || {
        tell!(set_no_new_privs(true));
        tell!(rustix::thread::no_new_privs());
        tell!("6755 of 1000" => program(COPY, &["show", "identity"]).status());
        tell!(super::calls::identity());
    });
    become_of(COPY, 0, 0, 0o4755);
    as_user(1000, 1000, &[], || {
        tell!(set_no_new_privs(true));
        tell!(set_no_new_privs(false));
        tell!("4755 of root" => program(COPY, &["show", "identity"]).status());
    });
}

/// `vfs_cap_data` of revision 2 with these sets.
fn capability(effective: bool, permitted: CapabilitySet, inheritable: CapabilitySet) -> Vec<u8> {
    let magic = 0x0200_0000 | u32::from(effective);
    let [permitted, inheritable] = [permitted, inheritable].map(|set| set.bits());
    let words = [permitted as u32, inheritable as u32, (permitted >> 32) as u32, (inheritable >> 32) as u32];
    [magic].into_iter().chain(words).flat_map(u32::to_le_bytes).collect()
}

fn file_capabilities() {
    let (none, net) = (CapabilitySet::empty(), CapabilitySet::NET_RAW | CapabilitySet::CHOWN);
    let cases = [
        ("permitted", capability(false, net, none)),
        ("permitted and effective", capability(true, net, none)),
        ("inheritable", capability(true, none, net)),
        ("not in the bounding set", capability(false, CapabilitySet::SYS_ADMIN | net, none)),
        ("not in the bounding set and effective", capability(true, CapabilitySet::SYS_ADMIN | net, none)),
        ("none", capability(true, none, none)),
    ];
    for (name, value) in cases {
        become_of(COPY, 0, 0, 0o755);
        tell!("setxattr({name})" => setxattr(COPY, "security.capability", &value, XattrFlags::empty()));
        for actor in [0, 1000] {
            as_user(actor, actor, &[], || {
                tell!("capabilities {name}" => program(COPY, &["show", "identity"]).status());
            });
        }
    }
    chmod(COPY, 0o4755).unwrap();
    as_user(1000, 1000, &[], || {
        tell!("setuid and capabilities" => program(COPY, &["show", "identity"]).status());
    });
    become_of(COPY, 0, 0, 0o755);
    tell!(rustix::fs::getxattr(COPY, "security.capability", &mut [0; 64][..]));
}

fn ambient_capabilities() {
    let chown_only = CapabilitySet::CHOWN;
    in_thread("1000 with an ambient capability", || {
        rustix::thread::set_keep_capabilities(true).unwrap();
        let user = rustix::fs::Uid::from_raw(1000);
        rustix::thread::set_thread_res_uid(user, user, user).unwrap();
        let permitted = capabilities(None).unwrap().permitted;
        tell!(configure_capability_in_ambient_set(chown_only, true));
        let sets = CapabilitySets { effective: chown_only, permitted, inheritable: chown_only };
        tell!("capset" => set_capabilities(None, sets));
        tell!(configure_capability_in_ambient_set(chown_only, true));
        tell!(rustix::thread::capability_is_in_ambient_set(chown_only));
        tell!("an ordinary program" => program(PROGRAM, &["show", "identity"]).status());
        become_or_refused();
    });
    in_thread("root with a smaller bounding set", || {
        tell!(remove_capability_from_bounding_set(CapabilitySet::SETUID));
        tell!(rustix::thread::capability_is_in_bounding_set(CapabilitySet::SETUID));
        tell!("an ordinary program" => program(PROGRAM, &["show", "identity"]).status());
    });
}

/// The capability that came to the executed program works there.
fn become_or_refused() {
    tell!("a program that gives a file away" => program(PROGRAM, &["show", "chown"]).status());
}

/// As `Command` does: the child of a fork changes its ids, then executes.
fn as_the_library_does() {
    use std::os::unix::process::CommandExt as _;
    become_of(COPY, 0, 0, 0o755);
    tell!("uid(1000)" => program(COPY, &["show", "identity"]).uid(1000).status());
    tell!("uid(1000).gid(1000)" => program(COPY, &["show", "identity"]).uid(1000).gid(1000).status());
    tell!("gid(1000)" => program(COPY, &["show", "identity"]).gid(1000).status());
    tell!("chown by 1000" => program(COPY, &["show", "chown"]).uid(1000).status());
    tell!("chown by root" => program(COPY, &["show", "chown"]).status());
    as_user(1000, 1000, &[], || {
        tell!("uid(0)" => program(COPY, &["show", "identity"]).uid(0).status());
    });
    tell!(lstat(COPY).map(|stat| stat.st_mode & 0o7777));
}
