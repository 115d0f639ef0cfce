//! What stands for a device node that the kernel refuses to make, as it does in every user namespace: an empty file with
//! an attribute that says which device it is.
//!
//! The attribute goes where the file goes: through renames and copies, and from a lower directory of an overlay to the
//! upper one. It neither comes from an image nor gets into one (see [`xattr`](crate::xattr)).

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, XattrFlags, fsetxattr, makedev, mknodat, openat, unlinkat};
use rustix::io::Errno;

use crate::Error;
use crate::metadata::{Device, FileKind};
use crate::node::NEW_FILE;
use crate::xattr;

/// Holds `c` or `b`, and the numbers: `b7:3`.
pub(crate) const ATTRIBUTE: &str = "user.builder.device";

/// Makes a device node `name` in `parent`, or where that is not permitted what stands for it.
pub(crate) fn make(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    kind: FileType,
    device: Device,
) -> rustix::io::Result<()> {
    let private = Mode::RUSR | Mode::WUSR;
    let Device { major, minor } = device;
    match mknodat(parent, name, kind, private, makedev(major, minor)) {
        Err(Errno::PERM) => {}
        made => return made,
    }
    let file = openat(parent, name, NEW_FILE, private)?;
    let letter = if kind == FileType::CharacterDevice { 'c' } else { 'b' };
    let value = format!("{letter}{major}:{minor}");
    fsetxattr(file, ATTRIBUTE, value.as_bytes(), XattrFlags::CREATE).map_err(|_| {
        // The file system has no such attributes, and the device is still not permitted.
        let _ = unlinkat(parent, name, AtFlags::empty());
        Errno::PERM
    })
}

/// The device that an empty file stands for, if it does.
pub(crate) fn read(file: impl AsFd, path: &Path) -> Result<Option<(FileKind, Device)>, Error> {
    Ok(xattr::read(file, OsStr::new(ATTRIBUTE), path)?.and_then(|value| parse(&value)))
}

fn parse(value: &[u8]) -> Option<(FileKind, Device)> {
    let value = std::str::from_utf8(value).ok()?;
    let (kind, numbers) = match value.split_at_checked(1)? {
        ("c", numbers) => (FileKind::CharDevice, numbers),
        ("b", numbers) => (FileKind::BlockDevice, numbers),
        _ => return None,
    };
    let (major, minor) = numbers.split_once(':')?;
    Some((kind, Device { major: major.parse().ok()?, minor: minor.parse().ok()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_written_here_is_a_device() {
        let device = |major, minor| Device { major, minor };
        assert_eq!(parse(b"b7:3"), Some((FileKind::BlockDevice, device(7, 3))));
        assert_eq!(parse(b"c4095:1048575"), Some((FileKind::CharDevice, device(4095, 1_048_575))));
        for wrong in [
            &b""[..],
            b"b",
            b"p1:1",
            b"c1",
            b"c1:",
            b"c-1:1",
            b"c1:4294967296",
            b"\xff1:1",
            "ä1:1".as_bytes(),
        ] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}
