//! Extended attributes: those that anybody may set, and those that belong to root.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;

use rustix::fs::{OFlags as O, XattrFlags as X, fgetxattr, flistxattr, fremovexattr, fsetxattr, getxattr};
use rustix::fs::{lgetxattr, listxattr, llistxattr, lremovexattr, lsetxattr, removexattr, setxattr};
use rustix::io::Result;

use super::actors::as_user;
use super::calls::{chmod, chown, mkdir, mkfifo, open};
use super::report::tell;

/// `cap_net_raw+ep` as `vfs_cap_data` of revision 2, and of revision 3 with a root id.
const CAPABILITY: &[u8] = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const CAPABILITY_OF: &[u8] = b"\x01\0\0\x03\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xe8\x03\0\0";

pub(crate) fn run() {
    fs::write("file", "hello").unwrap();
    mkdir("dir", 0o755).unwrap();
    mkfifo("fifo", 0o644).unwrap();
    for (target, link) in [("file", "link"), ("nothing", "dangling"), ("loop", "loop")] {
        symlink(target, link).unwrap();
    }
    of_users();
    kinds_of_files();
    by_descriptor();
    capabilities();
    of_root();
    as_somebody();
}

/// A value as text, and how long a buffer of `length` bytes makes it.
fn value(path: &str, name: &str, length: usize) -> Result<String> {
    let mut buffer = vec![0; length];
    let count = getxattr(path, name, &mut buffer[..])?;
    Ok(format!("{count} \"{}\"", buffer[..count.min(length)].escape_ascii()))
}

/// The names in order, without the one that a system with `SELinux` adds.
fn names(list: &[u8]) -> String {
    let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty() && *name != b"security.selinux");
    let mut names: Vec<_> = names.map(|name| name.escape_ascii().to_string()).collect();
    names.sort();
    names.join(" ")
}

fn list(path: &str) -> Result<String> {
    let mut buffer = [0; 4096];
    let count = listxattr(path, &mut buffer[..])?;
    Ok(names(&buffer[..count]))
}

fn of_users() {
    tell!(list("file"));
    tell!(value("file", "user.a", 64));
    tell!(setxattr("file", "user.a", b"one", X::REPLACE));
    tell!(setxattr("file", "user.a", b"one", X::CREATE));
    tell!(setxattr("file", "user.a", b"two", X::CREATE));
    tell!(value("file", "user.a", 64));
    tell!(setxattr("file", "user.a", b"three", X::REPLACE));
    tell!(setxattr("file", "user.b", b"", X::empty()));
    tell!(setxattr("file", "user.c", b"\0\xff\n", X::empty()));
    tell!(setxattr("file", "user.a", b"x", X::CREATE | X::REPLACE));
    for (name, length) in
        [("user.a", 64), ("user.a", 5), ("user.a", 4), ("user.a", 0), ("user.b", 9), ("user.c", 9)]
    {
        tell!("value(\"file\", {name:?}, {length})" => value("file", name, length));
    }
    tell!(list("file"));
    tell!(listxattr("file", &mut [0; 3][..]));
    tell!(removexattr("file", "user.b"));
    tell!(removexattr("file", "user.b"));
    tell!(list("file"));
    for name in ["", "user", "user.", "other.name", "a", "system.unknown"] {
        tell!("setxattr({name:?})" => setxattr("file", name, b"x", X::empty()));
        tell!("value({name:?})" => value("file", name, 9));
    }
    let longest = format!("user.{}", "n".repeat(250));
    tell!("setxattr(255 bytes)" => setxattr("file", &longest, b"x", X::empty()));
    tell!("setxattr(256 bytes)" => setxattr("file", format!("{longest}n"), b"x", X::empty()));
    tell!("setxattr(65537 bytes of value)" => setxattr("file", "user.large", &vec![0; 65_537], X::empty()));
}

fn kinds_of_files() {
    for path in ["dir", "fifo", "link", "dangling", "loop", "missing", "", "file/", "/dev/null"] {
        tell!("setxattr({path:?})" => setxattr(path, "user.x", b"x", X::empty()));
        tell!("lsetxattr({path:?})" => lsetxattr(path, "user.y", b"y", X::empty()));
        tell!("list({path:?})" => list(path));
        tell!("llistxattr({path:?})" => llistxattr(path, &mut [0; 4096][..]));
        tell!("value({path:?})" => value(path, "user.x", 9));
        tell!("lgetxattr({path:?})" => lgetxattr(path, "user.x", &mut [0; 9][..]));
        tell!("lremovexattr({path:?})" => lremovexattr(path, "user.x"));
    }
}

fn by_descriptor() {
    let [reader, by_path] = [O::RDONLY, O::PATH].map(|flags| open("file", flags).unwrap());
    tell!(fsetxattr(&reader, "user.fd", b"fd", X::empty()));
    tell!(fgetxattr(&reader, "user.fd", &mut [0; 9][..]));
    tell!(fgetxattr(&by_path, "user.fd", &mut [0; 9][..]));
    tell!(fsetxattr(&by_path, "user.fd", b"fd", X::empty()));
    let mut buffer = [0; 4096];
    tell!(flistxattr(&reader, &mut buffer[..]).map(|count| names(&buffer[..count])));
    tell!(fremovexattr(&reader, "user.fd"));
    let magic = format!("/proc/self/fd/{}", by_path.as_raw_fd());
    tell!("setxattr(/proc/self/fd/N)" => setxattr(&magic, "user.magic", b"m", X::empty()));
    tell!("value(/proc/self/fd/N)" => value(&magic, "user.magic", 9));
}

fn capabilities() {
    const NAME: &str = "security.capability";
    tell!(value("file", NAME, 64));
    tell!(setxattr("file", NAME, CAPABILITY, X::empty()));
    tell!(value("file", NAME, 64));
    tell!(list("file"));
    tell!(chown("file", Some(0), Some(0)));
    tell!(value("file", NAME, 64));
    tell!(setxattr("file", NAME, CAPABILITY_OF, X::empty()));
    tell!(value("file", NAME, 64));
    tell!(fs::write("file", "written"));
    tell!(value("file", NAME, 64));
    tell!(setxattr("file", NAME, b"short", X::empty()));
    tell!(setxattr("file", NAME, b"", X::empty()));
    tell!(setxattr("file", NAME, CAPABILITY, X::empty()));
    tell!(fs::hard_link("file", "second"));
    tell!(value("second", NAME, 64));
    tell!(removexattr("second", NAME));
    tell!(removexattr("file", NAME));
    tell!(list("file"));
    tell!(setxattr("dir", NAME, CAPABILITY, X::empty()));
    tell!(lsetxattr("link", NAME, CAPABILITY, X::empty()));
    tell!(lsetxattr("fifo", NAME, CAPABILITY, X::empty()));
}

fn of_root() {
    for name in ["trusted.x", "security.x", "security.ima", "system.posix_acl_access"] {
        for path in ["file", "dir"] {
            tell!("setxattr({path:?}, {name:?})" => setxattr(path, name, b"x", X::empty()));
            tell!("value({path:?}, {name:?})" => value(path, name, 9));
            tell!("removexattr({path:?}, {name:?})" => removexattr(path, name));
        }
        tell!("lsetxattr(\"link\", {name:?})" => lsetxattr("link", name, b"x", X::empty()));
    }
    tell!(list("file"));
}

fn as_somebody() {
    setxattr("file", "user.kept", b"kept", X::empty()).unwrap();
    setxattr("file", "security.capability", CAPABILITY, X::empty()).unwrap();
    fs::write("own", "").unwrap();
    chown("own", Some(1000), Some(1000)).unwrap();
    chmod("file", 0o604).unwrap();
    as_user(1000, 1000, &[], || {
        for path in ["file", "own"] {
            for name in ["user.kept", "security.capability", "trusted.x", "security.x"] {
                tell!("setxattr({path:?}, {name:?})" => setxattr(path, name, b"x", X::empty()));
                tell!("value({path:?}, {name:?})" => value(path, name, 64));
                tell!("removexattr({path:?}, {name:?})" => removexattr(path, name));
            }
            tell!("list({path:?})" => list(path));
        }
    });
    chmod("file", 0o600).unwrap();
    as_user(1000, 1000, &[], || {
        tell!(value("file", "user.kept", 9));
        tell!(list("file"));
    });
}
