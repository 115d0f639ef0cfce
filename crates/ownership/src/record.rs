//! What is true of one file, and which part of it the disk can hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Extended attributes by full name.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// The kind of a file on disk: a device node is a [`Kind::File`] there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, which has no permissions of its own.
    Symlink,
    /// A named pipe or a socket.
    Other,
}

/// A kind of device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceKind {
    /// A character device.
    Char,
    /// A block device.
    Block,
}

/// A device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Of which kind.
    pub kind: DeviceKind,
    /// The driver.
    pub major: u32,
    /// The device of that driver.
    pub minor: u32,
}

/// What is true of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The permission bits with set-id and sticky bits, at most `0o7777`.
    pub mode: u32,
    /// The device node that an empty regular file stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// Extended attributes that the disk does not take: `security.*`, `trusted.*`, and `user.*` of what is no file or
    /// directory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "pairs")]
    pub xattrs: Xattrs,
}

impl Record {
    /// What the disk says of a file without an entry in the table.
    pub fn of_disk(mode: u32) -> Self {
        Self { mode: mode & 0o7777, ..Self::default() }
    }

    /// Whether a file without an entry would be read as this one.
    pub(crate) fn is_on_disk(&self, kind: Kind) -> bool {
        let mode_is = kind == Kind::Symlink || disk_mode(kind, self.mode) == self.mode;
        self.uid == 0 && self.gid == 0 && mode_is && self.device.is_none() && self.xattrs.is_empty()
    }
}

/// The permissions that a file has on disk whose true ones are `mode`: the builder can always read and write it, and
/// execute it if anybody may, and nobody becomes somebody else by it.
pub fn disk_mode(kind: Kind, mode: u32) -> u32 {
    let is_executable = kind == Kind::File && mode & 0o111 != 0;
    let own = if kind == Kind::Directory || is_executable { 0o700 } else { 0o600 };
    mode & 0o777 | own
}

/// JSON has no keys but strings, and attributes have names of any bytes.
mod pairs {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Xattrs;

    pub(super) fn serialize<S: Serializer>(xattrs: &Xattrs, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(xattrs)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Xattrs, D::Error> {
        Vec::<(Vec<u8>, Vec<u8>)>::deserialize(from).map(Xattrs::from_iter)
    }
}
