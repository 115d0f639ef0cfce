//! What an identity may not do: lookups, reading, writing, making and removing as an ordinary user, and as root without
//! its capabilities.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::fs::{Access, FileType, OFlags as O, access};
use rustix::io::write;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use super::actors::{as_user, in_thread};
use super::calls::{chmod, chown, create, lstat, mkdir, mknod, open};
use super::report::tell;

pub(crate) fn run() {
    reading_and_writing();
    directories();
    making();
    sticky_directories();
    what_belongs_to_an_owner();
    root_without_capabilities();
}

/// Makes a file of this owner and mode.
fn file(name: &str, mode: u32, uid: u32, gid: u32) {
    fs::write(name, "").unwrap();
    chown(name, Some(uid), Some(gid)).unwrap();
    chmod(name, mode).unwrap();
}

/// Makes a directory of this owner and mode with a file of root in it.
fn directory(name: &str, mode: u32, uid: u32, gid: u32) {
    mkdir(name, 0o755).unwrap();
    file(&format!("{name}/inner"), 0o644, 0, 0);
    chown(name, Some(uid), Some(gid)).unwrap();
    chmod(name, mode).unwrap();
}

/// The first class that fits decides, even if a later one would allow more.
fn reading_and_writing() {
    let files = [
        ("of-root", 0o600, 0, 0),
        ("for-all", 0o644, 0, 0),
        ("writable", 0o622, 0, 0),
        ("of-group", 0o660, 0, 1000),
        ("of-other-group", 0o640, 0, 5),
        ("not-for-group", 0o604, 0, 1000),
        ("own", 0o600, 1000, 1000),
        ("not-for-owner", 0o077, 1000, 1000),
        ("program", 0o711, 0, 0),
    ];
    for (name, mode, uid, gid) in files {
        file(name, mode, uid, gid);
    }
    for (uid, gid, groups) in [(1000, 1000, &[5][..]), (1000, 2000, &[]), (0, 0, &[])] {
        as_user(uid, gid, groups, || {
            for (name, _, _, _) in files {
                tell!("open({name:?}, RDONLY)" => open(name, O::RDONLY));
                tell!("open({name:?}, WRONLY)" => open(name, O::WRONLY));
                tell!("access({name:?}, EXEC_OK)" => access(name, Access::EXEC_OK));
            }
        });
    }
    as_user(1000, 1000, &[], || {
        tell!(open("of-root", O::PATH));
        tell!(open("for-all", O::RDONLY | O::TRUNC));
        tell!(open("for-all", O::RDONLY | O::NOATIME));
        tell!(open("own", O::RDONLY | O::NOATIME));
        tell!(nix::unistd::truncate("for-all", 0));
        tell!(nix::unistd::truncate("writable", 0));
        tell!(lstat("of-root"));
    });
}

fn directories() {
    directory("closed", 0o700, 0, 0);
    directory("passage", 0o711, 0, 0);
    directory("listing", 0o744, 0, 0);
    directory("own-dir", 0o300, 1000, 1000);
    symlink("closed/inner", "into-closed").unwrap();
    as_user(1000, 1000, &[], || {
        for dir in ["closed", "passage", "listing", "own-dir"] {
            let inner = format!("{dir}/inner");
            tell!("open({dir:?}, RDONLY)" => open(dir, O::RDONLY));
            tell!("open({dir:?}, PATH)" => open(dir, O::PATH));
            tell!("lstat({dir:?})" => lstat(dir));
            tell!("lstat({inner:?})" => lstat(&inner));
            tell!("open({inner:?}, RDONLY)" => open(&inner, O::RDONLY));
            tell!("lstat({dir:?}/missing)" => lstat(&format!("{dir}/missing")));
            tell!("lstat({dir:?}/..)" => lstat(&format!("{dir}/..")).map(|_| "found"));
            tell!("chmod({dir:?}/missing)" => chmod(&format!("{dir}/missing"), 0o644));
        }
        tell!(open("into-closed", O::RDONLY));
        tell!(fs::read_link("into-closed"));
        tell!(fs::read_link("closed/inner"));
        // A descriptor of a directory is no permission to search it.
        let closed = open("closed", O::PATH).unwrap();
        tell!(super::calls::openat(&closed, "inner", O::RDONLY));
    });
}

fn making() {
    directory("theirs", 0o755, 0, 0);
    directory("shared", 0o777, 0, 0);
    directory("mine", 0o700, 1000, 1000);
    directory("setgid", 0o2777, 0, 4321);
    as_user(1000, 1000, &[], || {
        for dir in ["theirs", "shared", "mine", "setgid"] {
            let [made, sub, link, fifo, device] =
                ["file", "sub", "link", "fifo", "device"].map(|name| format!("{dir}/{name}"));
            tell!("create({made:?}, 02755)" => create(&made, 0o2755));
            tell!("lstat({made:?})" => lstat(&made));
            tell!("mkdir({sub:?})" => mkdir(&sub, 0o777));
            tell!("lstat({sub:?})" => lstat(&sub));
            tell!("symlink({link:?})" => symlink("x", &link));
            tell!("lstat({link:?})" => lstat(&link));
            tell!("mknod({fifo:?})" => mknod(&fifo, FileType::Fifo, 0o644, 0, 0));
            tell!("mknod({device:?})" => mknod(&device, FileType::CharacterDevice, 0o644, 1, 3));
            let moved = format!("{dir}/moved");
            tell!("rename({made:?})" => fs::rename(&made, &moved));
            tell!("hard_link({fifo:?})" => fs::hard_link(&moved, &made));
            tell!("remove inner of {dir}" => fs::remove_file(format!("{dir}/inner")));
            tell!("remove_dir({sub:?})" => fs::remove_dir(&sub));
        }
        tell!(fs::rename("mine/moved", "theirs/moved"));
        tell!(fs::rename("mine/moved", "shared/from-mine"));
        tell!(open("theirs", O::RDWR | O::TMPFILE));
        tell!(open("mine", O::RDWR | O::TMPFILE));
    });
}

/// There only the owner of a file or of the directory removes or renames it.
fn sticky_directories() {
    directory("sticky", 0o1777, 0, 0);
    directory("own-sticky", 0o1777, 1000, 1000);
    for (name, uid) in [("of-1000", 1000), ("of-2000", 2000)] {
        file(&format!("sticky/{name}"), 0o666, uid, uid);
        file(&format!("own-sticky/{name}"), 0o666, uid, uid);
    }
    mkdir("sticky/dir", 0o777).unwrap();
    as_user(1000, 1000, &[], || {
        for dir in ["sticky", "own-sticky"] {
            for name in ["inner", "of-2000", "of-1000", "dir"] {
                let path = format!("{dir}/{name}");
                tell!("rename({path:?})" => fs::rename(&path, format!("{dir}/new")));
                tell!("rename onto {path:?}" => fs::rename(format!("{dir}/new"), &path));
                tell!("remove_file({path:?})" => fs::remove_file(&path));
                tell!("remove_dir({path:?})" => fs::remove_dir(&path));
            }
        }
    });
}

fn what_belongs_to_an_owner() {
    file("of-me", 0o644, 1000, 1000);
    file("not-of-me", 0o666, 2000, 1000);
    as_user(1000, 1000, &[5], || {
        for path in ["of-me", "not-of-me"] {
            for mode in [0o600, 0o4755, 0o2755, 0o666] {
                tell!("chmod({path:?}, 0o{mode:o})" => chmod(path, mode));
                tell!("lstat({path:?})" => lstat(path));
            }
            let pairs = [(None, None), (Some(1000), None), (Some(0), None), (Some(2000), Some(1000))];
            for (uid, gid) in pairs.into_iter().chain([(None, Some(5)), (None, Some(6)), (None, Some(1000))])
            {
                tell!("chown({path:?}, {uid:?}, {gid:?})" => chown(path, uid, gid));
                tell!("lstat({path:?})" => lstat(path));
            }
        }
        tell!(chown("of-me", None, Some(5)));
        tell!(chmod("of-me", 0o2755));
        tell!(lstat("of-me"));
        tell!(chmod("of-me", 0o6755));
        tell!(open("of-me", O::WRONLY).and_then(|file| write(file, b"x")));
        tell!(lstat("of-me"));
        tell!(chmod("of-me", 0o6755));
        tell!(nix::unistd::truncate("of-me", 0));
        tell!(lstat("of-me"));
        tell!(chmod("of-me", 0o6755));
        tell!(chown("of-me", Some(1000), Some(1000)));
        tell!(lstat("of-me"));
    });
    // One who is in no group of the file cannot make it setgid.
    chown("of-me", None, Some(77)).unwrap();
    as_user(1000, 1000, &[], || {
        tell!(chmod("of-me", 0o2755));
        tell!(lstat("of-me"));
    });
}

/// Root is an owner like others once the capabilities are gone.
fn root_without_capabilities() {
    file("of-1000", 0o600, 1000, 1000);
    file("of-0", 0o400, 0, 0);
    file("runs", 0o644, 0, 0);
    let take = |gone: CapabilitySet| {
        let all = capabilities(None)?;
        set_capabilities(None, CapabilitySets { effective: all.effective.difference(gone), ..all })
    };
    let sets = [
        ("DAC_OVERRIDE", CapabilitySet::DAC_OVERRIDE),
        ("CHOWN", CapabilitySet::CHOWN),
        ("FOWNER", CapabilitySet::FOWNER),
        ("FSETID", CapabilitySet::FSETID),
        ("MKNOD", CapabilitySet::MKNOD),
        ("SETFCAP", CapabilitySet::SETFCAP),
    ];
    for (name, gone) in sets {
        in_thread(&format!("root without {name}"), || {
            tell!("capset" => take(gone));
            tell!(open("of-1000", O::RDONLY));
            tell!(open("of-0", O::WRONLY));
            tell!(access("of-1000", Access::WRITE_OK));
            tell!(chown("of-0", Some(0), Some(0)));
            tell!(chown("of-0", Some(1), None));
            tell!(chown("of-0", Some(0), Some(0)));
            tell!(chmod("of-1000", 0o600));
            tell!(chmod("of-1000", 0o2600));
            tell!(lstat("of-1000"));
            tell!(mknod("device", FileType::CharacterDevice, 0o600, 1, 3));
            tell!(rustix::fs::setxattr(
                "runs",
                "security.capability",
                b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                rustix::fs::XattrFlags::empty()
            ));
            fs::remove_file("device").ok();
        });
        chown("of-0", Some(0), Some(0)).unwrap();
    }
}
