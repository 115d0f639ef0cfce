//! Who a process is: the set*id family, groups, and what a change of ids does to capabilities.
//!
//! To the kernel all of it is of a thread; the C library makes it one of the process. Both ways are taken here, and
//! what a program that is executed then finds.

use std::sync::mpsc;
use std::thread;

use nix::unistd::{Gid as NixGid, Uid as NixUid, setfsgid, setfsuid};
use rustix::fs::{Gid, Uid};
use rustix::io::Result;
use rustix::process::getpid;
use rustix::thread::{CapabilitiesSecureBits, capabilities_secure_bits, set_capabilities_secure_bits};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use rustix::thread::{get_keep_capabilities, remove_capability_from_bounding_set, set_keep_capabilities};
use rustix::thread::{
    set_thread_gid, set_thread_groups, set_thread_res_gid, set_thread_res_uid, set_thread_uid,
};

use super::actors::{as_user, in_thread, part};
use super::calls::{capget, create, identity, lstat, mkdir, mkfifo, open};
use super::report::{acting_as, tell};

pub(crate) fn run() {
    tell!(identity());
    tell!(capget());
    users();
    groups();
    back_and_forth();
    capabilities_kept();
    capabilities_given_up();
    threads();
    by_an_ordinary_user();
    for_files_only();
    tell!("a process that changes" => part(&["process"]).status());
    tell!(identity());
}

fn setresuid(real: Option<u32>, effective: Option<u32>, saved: Option<u32>) -> Result<()> {
    let [real, effective, saved] = [real, effective, saved].map(|id| id.map(Uid::from_raw));
    set_thread_res_uid(real, effective, saved)
}

fn setresgid(real: Option<u32>, effective: Option<u32>, saved: Option<u32>) -> Result<()> {
    let [real, effective, saved] = [real, effective, saved].map(|id| id.map(Gid::from_raw));
    set_thread_res_gid(real, effective, saved)
}

fn setgroups(groups: &[u32]) -> Result<()> {
    set_thread_groups(&groups.iter().copied().map(Gid::from_raw).collect::<Vec<_>>())
}

fn users() {
    let settings = [
        [Some(1000), None, None],
        [None, Some(1000), None],
        [None, None, Some(1000)],
        [Some(1000), Some(1000), None],
        [Some(1000), Some(2000), Some(3000)],
        [None, None, None],
        [Some(u32::MAX - 1), Some(u32::MAX - 1), Some(u32::MAX - 1)],
        [Some(0), Some(0), Some(0)],
    ];
    for [real, effective, saved] in settings {
        in_thread("root", || {
            tell!("setresuid({real:?}, {effective:?}, {saved:?})" => setresuid(real, effective, saved));
            tell!(identity());
            tell!(capget());
        });
    }
    for id in [0, 1, 1000, u32::MAX - 1] {
        in_thread("root", || {
            tell!("setuid({id})" => set_thread_uid(Uid::from_raw(id)));
            tell!(identity());
            tell!("setuid(0)" => set_thread_uid(Uid::ROOT));
        });
    }
}

fn groups() {
    let settings =
        [[Some(5), None, None], [None, Some(5), None], [Some(5), Some(6), Some(7)], [Some(u32::MAX - 1); 3]];
    for [real, effective, saved] in settings {
        in_thread("root", || {
            tell!("setresgid({real:?}, {effective:?}, {saved:?})" => setresgid(real, effective, saved));
            tell!(identity());
            tell!(capget());
        });
    }
    in_thread("root", || {
        tell!(set_thread_gid(Gid::from_raw(9)));
        tell!(setgroups(&[30, 10, 20, 10]));
        tell!(identity());
        tell!(setgroups(&[u32::MAX - 1, 1 << 31]));
        tell!(identity());
        tell!(setgroups(&[]));
        tell!(identity());
        tell!("setgroups(65537)" => setgroups(&vec![1; 65_537]));
        tell!("setgroups(100)" => setgroups(&(1..=100).collect::<Vec<_>>()));
        tell!(identity());
    });
}

/// Capabilities leave the effective set with the effective id and come back with it, until no id is root's.
fn back_and_forth() {
    in_thread("root", || {
        tell!(setresuid(None, Some(1000), None));
        tell!(capget());
        tell!(setresuid(None, Some(0), None));
        tell!(capget());
        tell!(setresuid(Some(1000), Some(1000), Some(0)));
        tell!(capget());
        tell!(setgroups(&[1]));
        tell!(setresuid(None, Some(0), None));
        tell!(identity());
        tell!(capget());
        tell!(setgroups(&[1]));
        tell!(setresuid(Some(1000), Some(1000), Some(1000)));
        tell!(capget());
        tell!(setresuid(None, Some(0), None));
        tell!(identity());
    });
}

fn capabilities_kept() {
    in_thread("root with KEEPCAPS", || {
        tell!(set_keep_capabilities(true));
        tell!(get_keep_capabilities());
        tell!(setresuid(Some(1000), Some(1000), Some(1000)));
        tell!(capget());
        tell!(setgroups(&[1]));
        tell!("an executed program" => part(&["show", "identity"]).status());
    });
    for bits in [
        CapabilitiesSecureBits::NO_SETUID_FIXUP,
        CapabilitiesSecureBits::NO_ROOT,
        CapabilitiesSecureBits::KEEP_CAPS | CapabilitiesSecureBits::KEEP_CAPS_LOCKED,
    ] {
        in_thread("root with securebits", || {
            tell!("set_capabilities_secure_bits({bits:?})" => set_capabilities_secure_bits(bits));
            tell!(capabilities_secure_bits().map(|bits| bits.bits()));
            tell!(set_keep_capabilities(false));
            tell!(set_capabilities_secure_bits(CapabilitiesSecureBits::empty()));
            tell!("a program executed as root" => part(&["show", "identity"]).status());
            tell!(setresuid(Some(1000), Some(1000), Some(1000)));
            tell!(capget());
            tell!("a program executed by 1000" => part(&["show", "identity"]).status());
        });
    }
}

fn capabilities_given_up() {
    let (none, chown, admin) = (CapabilitySet::empty(), CapabilitySet::CHOWN, CapabilitySet::SYS_ADMIN);
    let capset = |effective, permitted, inheritable| {
        set_capabilities(None, CapabilitySets { effective, permitted, inheritable })
    };
    in_thread("root", || {
        let all = capabilities(None).unwrap().permitted;
        tell!(capset(all | admin, all, none));
        tell!(capset(all | admin, all | admin, none));
        tell!(capset(all, all, admin));
        tell!(capset(chown, all, all));
        tell!(capget());
        tell!(capset(all, all, none));
        tell!(capset(none, chown, none));
        tell!(capset(all, all, none));
        tell!(capset(chown, chown, chown));
        tell!(capget());
        tell!(setresuid(Some(1000), None, None));
        tell!(capabilities(Some(getpid())).map(|sets| sets.permitted.bits() == all.bits()));
        tell!(set_capabilities(Some(getpid()), capabilities(None).unwrap()));
        tell!("a program executed by root" => part(&["show", "identity"]).status());
    });
    in_thread("root without SETPCAP and SETUID", || {
        let all = capabilities(None).unwrap().permitted;
        let fewer = all.difference(CapabilitySet::SETPCAP | CapabilitySet::SETUID | CapabilitySet::SETGID);
        tell!("capset(fewer)" => capset(fewer, fewer, none));
        tell!(remove_capability_from_bounding_set(chown));
        tell!(set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT));
        tell!(setresuid(Some(1000), None, None));
        tell!(setresuid(Some(0), Some(0), Some(0)));
        tell!(setresgid(Some(1000), None, None));
        tell!(setgroups(&[1]));
    });
}

/// What one thread becomes, another is not; what the process becomes, all of them are.
fn threads() {
    thread::scope(|scope| {
        let (ask, asked) = mpsc::channel();
        let (answer, answered) = mpsc::channel();
        scope.spawn(move || {
            acting_as("another thread");
            for () in asked {
                tell!(identity());
                answer.send(()).unwrap();
            }
        });
        scope.spawn(|| setresuid(Some(1000), Some(1000), Some(0)).unwrap()).join().unwrap();
        for effective in [1000, 0] {
            ask.send(()).unwrap();
            answered.recv().unwrap();
            tell!("seteuid of the process" => nix::unistd::seteuid(NixUid::from_raw(effective)));
            ask.send(()).unwrap();
            answered.recv().unwrap();
        }
    });
}

fn by_an_ordinary_user() {
    as_user(1000, 1000, &[5], || {
        tell!(identity());
        tell!(capget());
        tell!(set_thread_uid(Uid::ROOT));
        tell!(set_thread_uid(Uid::from_raw(1000)));
        tell!(setresuid(Some(0), None, None));
        tell!(setresuid(None, None, Some(2000)));
        tell!(set_thread_gid(Gid::from_raw(5)));
        tell!(set_thread_gid(Gid::from_raw(1000)));
        tell!(setresgid(None, Some(5), None));
        tell!(setgroups(&[]));
        tell!(setgroups(&[1000]));
        tell!(set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT));
        tell!(set_keep_capabilities(true));
        tell!("an executed program" => part(&["show", "identity"]).status());
    });
    in_thread("1000 that was 2000", || {
        setgroups(&[]).unwrap();
        setresgid(Some(1000), Some(1000), Some(2000)).unwrap();
        setresuid(Some(1000), Some(1000), Some(2000)).unwrap();
        tell!(setresuid(None, Some(2000), None));
        tell!(identity());
        tell!(setresgid(None, Some(2000), None));
        tell!(setresuid(Some(2000), None, Some(1000)));
        tell!(identity());
        tell!("an executed program" => part(&["show", "identity"]).status());
    });
}

fn for_files_only() {
    mkdir("open", 0o777).unwrap();
    super::calls::chmod("open", 0o777).unwrap();
    std::fs::write("secret", "").unwrap();
    super::calls::chmod("secret", 0o600).unwrap();
    in_thread("root", || {
        tell!("setfsgid" => Ok::<_, nix::Error>(setfsgid(NixGid::from_raw(7)).as_raw()));
        tell!("setfsuid" => Ok::<_, nix::Error>(setfsuid(NixUid::from_raw(1000)).as_raw()));
        tell!(identity());
        tell!(capget());
        tell!(open("secret", rustix::fs::OFlags::RDONLY));
        tell!(create("open/file", 0o644));
        tell!(lstat("open/file"));
        tell!(mkfifo("open/fifo", 0o644));
        tell!(lstat("open/fifo"));
        tell!("setfsuid" => Ok::<_, nix::Error>(setfsuid(NixUid::from_raw(0)).as_raw()));
        tell!(capget());
        tell!(open("secret", rustix::fs::OFlags::RDONLY));
    });
    as_user(1000, 1000, &[], || {
        tell!("setfsuid" => Ok::<_, nix::Error>(setfsuid(NixUid::from_raw(0)).as_raw()));
        tell!(identity());
    });
}

/// A part: the C library changes the process.
pub(crate) fn process() {
    use nix::unistd::{setegid, seteuid, setgid, setgroups, setresgid, setresuid, setuid};
    acting_as("process");
    let (user, group) = (NixUid::from_raw(1000), NixGid::from_raw(1000));
    tell!(setgroups(&[group, NixGid::from_raw(5)]));
    tell!(setegid(group));
    tell!(seteuid(user));
    tell!(identity());
    tell!(setgroups(&[]));
    tell!(seteuid(NixUid::from_raw(0)));
    tell!(setresgid(group, group, group));
    tell!(setgid(NixGid::from_raw(u32::MAX)));
    tell!(setuid(NixUid::from_raw(u32::MAX)));
    tell!("a program executed as root" => part(&["show", "identity"]).status());
    tell!(setresuid(user, user, NixUid::from_raw(0)));
    tell!("a program that could go back" => part(&["show", "identity"]).status());
    tell!(seteuid(NixUid::from_raw(0)));
    tell!(setuid(user));
    tell!(identity());
    tell!(capget());
    tell!(setuid(NixUid::from_raw(0)));
    tell!("a program executed by 1000" => part(&["show", "identity"]).status());
}
