//! The ids that subuid(5) and subgid(5) grant to a user, and the user's name for looking them up.
//!
//! The files are read by hand: the binary is static, and getpwnam(3) would want shared libraries.

use std::fs;
use std::path::Path;

/// Files larger than this are not what they claim to be.
const LIMIT: u64 = 4 << 20;

/// The granted ranges (first, length) in file order; none if the file cannot be read.
pub(crate) fn ranges(file: &Path, name: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    read(file).map(|text| parse(&text, name, uid)).unwrap_or_default()
}

/// The name of `uid` in a file in the form of passwd(5).
pub(crate) fn user_name(passwd: &Path, uid: u32) -> Option<String> {
    let text = read(passwd)?;
    let uid = uid.to_string();
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

fn read(file: &Path) -> Option<String> {
    let metadata = fs::metadata(file).ok()?;
    if !metadata.is_file() || metadata.len() > LIMIT {
        return None;
    }
    fs::read(file).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The owner field is a name or a number, and both count.
fn parse(text: &str, name: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    let uid = uid.to_string();
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let first = fields.next()?.parse().ok()?;
        let len = fields.next()?.parse().ok()?;
        ((Some(owner) == name || owner == uid) && len > 0).then_some((first, len))
    };
    text.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number() {
        let text = "root:1:2\nme:100000:65536\n# me:1:1\nyou:5:5\n1000:300000:10\nme:x:1\nme:7:0\n";
        assert_eq!(parse(text, Some("me"), 1000), [(100_000, 65536), (300_000, 10)]);
        assert_eq!(parse(text, None, 1000), [(300_000, 10)]);
        assert!(parse(text, None, 4).is_empty());
    }

    #[test]
    fn a_user_without_passwd_entry_has_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let passwd = dir.path().join("passwd");
        fs::write(&passwd, "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/:/bin/sh\n").unwrap();
        assert_eq!(user_name(&passwd, 1000).as_deref(), Some("me"));
        assert_eq!(user_name(&passwd, 7), None);
        assert_eq!(user_name(&dir.path().join("none"), 0), None);
    }
}
