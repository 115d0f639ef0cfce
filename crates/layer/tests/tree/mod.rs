//! Trees as text: made from a description, and described again for comparison.
//!
//! One entry a line: kind, path, then `key=value` words in any order.
//! `dir d mode=700 owner=1:2`, `file f data=text`, `link l to=target`, `hard h to=f`, `fifo p`, `char c dev=1:3`,
//! `hole s size=1048576 data=end`. All take `mtime=secs.nanos` and `xattr:name=value`.

#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, makedev, mknodat, utimensat};

const MTIME: &str = "1700000000.000000000";

/// Makes the entries that `text` describes in `dir`, and gives `dir` itself a fixed time.
pub(crate) fn make(dir: &Path, text: &str) {
    make_more(dir, text);
    set_mtime(dir, MTIME);
}

/// Makes the entries that `text` describes in `dir`, whose time becomes the present.
pub(crate) fn make_more(dir: &Path, text: &str) {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    for line in lines() {
        make_entry(dir, line);
    }
    // Innermost first: what is made in a directory changes its time.
    for line in lines().collect::<Vec<_>>().into_iter().rev() {
        let (_, path, words) = split(line);
        set_mtime(&dir.join(path), words.get("mtime").copied().unwrap_or(MTIME));
    }
}

pub(crate) fn set_mtime(path: &Path, time: &str) {
    let (secs, nanos) = time.split_once('.').unwrap_or((time, "0"));
    let time = Timespec { tv_sec: secs.parse().unwrap(), tv_nsec: nanos.parse().unwrap() };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn split(line: &str) -> (&str, &str, BTreeMap<&str, &str>) {
    let mut words = line.split(' ');
    let (kind, path) = (words.next().unwrap(), words.next().unwrap());
    (kind, path, words.map(|word| word.split_once('=').unwrap()).collect())
}

fn make_entry(dir: &Path, line: &str) {
    let (kind, path, words) = split(line);
    let path = dir.join(path);
    let data = words.get("data").copied().unwrap_or_default();
    match kind {
        "dir" => fs::create_dir(&path).unwrap(),
        "file" => fs::write(&path, data).unwrap(),
        "link" => symlink(words["to"], &path).unwrap(),
        "hard" => return fs::hard_link(dir.join(words["to"]), &path).unwrap(),
        "fifo" => mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap(),
        "char" => mknodat(CWD, &path, FileType::CharacterDevice, Mode::RUSR, device(words["dev"])).unwrap(),
        "block" => mknodat(CWD, &path, FileType::BlockDevice, Mode::RUSR, device(words["dev"])).unwrap(),
        "hole" => {
            let file = File::create(&path).unwrap();
            let size: u64 = words["size"].parse().unwrap();
            file.set_len(size).unwrap();
            file.write_all_at(data.as_bytes(), size / 2).unwrap();
        }
        other => panic!("unknown kind {other}"),
    }
    if let Some((uid, gid)) = words.get("owner").map(|owner| numbers(owner)) {
        lchown(&path, Some(uid), Some(gid)).unwrap();
    } else {
        lchown(&path, Some(0), Some(0)).unwrap();
    }
    if kind != "link" {
        let default = if kind == "dir" { "755" } else { "644" };
        let mode = u32::from_str_radix(words.get("mode").unwrap_or(&default), 8).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    for (name, value) in words.iter().filter_map(|(key, value)| Some((key.strip_prefix("xattr:")?, value))) {
        set_xattr(&path, name, value.as_bytes());
    }
}

pub(crate) fn set_xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
}

/// The value of a file capability: version 2, `cap_net_raw` effective and permitted.
pub(crate) const CAP_NET_RAW: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn device(text: &str) -> u64 {
    let (major, minor) = numbers(text);
    makedev(major, minor)
}

fn numbers(text: &str) -> (u32, u32) {
    let (a, b) = text.split_once(':').unwrap();
    (a.parse().unwrap(), b.parse().unwrap())
}

/// Describes everything in `dir`, sorted, one entry a line. Equal descriptions mean equal images.
pub(crate) fn describe(dir: &Path) -> String {
    let mut text = String::new();
    let mut names = BTreeMap::new();
    describe_dir(dir, Path::new(""), &mut names, &mut text);
    text
}

fn describe_dir(root: &Path, dir: &Path, names: &mut BTreeMap<u64, String>, text: &mut String) {
    let mut entries: Vec<_> = fs::read_dir(root.join(dir)).unwrap().map(|e| e.unwrap().file_name()).collect();
    entries.sort();
    for name in entries {
        let path = dir.join(name);
        let full = root.join(&path);
        let metadata = fs::symlink_metadata(&full).unwrap();
        let shown = path.as_os_str().as_encoded_bytes().escape_ascii().to_string();
        let kind = metadata.file_type();
        if !kind.is_dir() && metadata.nlink() > 1 {
            if let Some(first) = names.get(&metadata.ino()) {
                writeln!(text, "hard {shown} to={first}").unwrap();
                continue;
            }
            names.insert(metadata.ino(), shown.clone());
        }
        let mode = metadata.mode() & 0o7777;
        let (uid, gid, secs, nanos) =
            (metadata.uid(), metadata.gid(), metadata.mtime(), metadata.mtime_nsec());
        write!(
            text,
            "{shown} {:o} mode={mode:o} owner={uid}:{gid} mtime={secs}.{nanos:09}",
            metadata.mode() >> 12
        )
        .unwrap();
        if kind.is_file() {
            let content = fs::read(&full).unwrap();
            write!(text, " size={} crc={:08x}", content.len(), crc32fast::hash(&content)).unwrap();
        } else if kind.is_symlink() {
            write!(text, " to={}", fs::read_link(&full).unwrap().display()).unwrap();
        } else if !kind.is_dir() {
            write!(text, " rdev={}", metadata.rdev()).unwrap();
        }
        for (name, value) in xattrs(&full) {
            write!(text, " {name}={}", value.escape_ascii()).unwrap();
        }
        text.push('\n');
        if kind.is_dir() {
            describe_dir(root, &path, names, text);
        }
    }
}

fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut list = vec![0; 65536];
    let read = rustix::fs::llistxattr(path, &mut list[..]).unwrap_or(0);
    let names = list[..read].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let names = names.map(|name| String::from_utf8(name.to_vec()).unwrap());
    names
        .map(|name| {
            let mut value = vec![0; 65536];
            let read = rustix::fs::lgetxattr(path, name.as_str(), &mut value[..]).unwrap();
            (name, value[..read].to_vec())
        })
        .filter(|(name, _)| name.starts_with("user.") || name == "security.capability")
        .collect()
}

/// Gives `path` an owner, following links.
pub(crate) fn own(path: &Path, uid: u32, gid: u32) {
    chown(path, Some(uid), Some(gid)).unwrap();
}
