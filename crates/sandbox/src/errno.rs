//! A kernel error number that can be printed and sent between processes. Knows nothing of what failed.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// A kernel error number; prints as name and meaning: `EPERM (operation not permitted)`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errno(i32);

impl Errno {
    pub(crate) const NOENT: Self = Self(libc::ENOENT);
    pub(crate) const PERM: Self = Self(libc::EPERM);
    pub(crate) const ACCES: Self = Self(libc::EACCES);
    pub(crate) const INVAL: Self = Self(libc::EINVAL);
    pub(crate) const NOSPC: Self = Self(libc::ENOSPC);
    pub(crate) const NOSYS: Self = Self(libc::ENOSYS);
    pub(crate) const USERS: Self = Self(libc::EUSERS);
    pub(crate) const OPNOTSUPP: Self = Self(libc::EOPNOTSUPP);
    pub(crate) const NOEXEC: Self = Self(libc::ENOEXEC);
    pub(crate) const NOTDIR: Self = Self(libc::ENOTDIR);
    pub(crate) const ISDIR: Self = Self(libc::EISDIR);

    /// The error of the last failed libc call of this thread.
    pub(crate) fn last() -> Self {
        io::Error::last_os_error().into()
    }

    /// The name as in `errno.h`: `EPERM`.
    pub fn name(self) -> String {
        format!("{:?}", nix::errno::Errno::from_raw(self.0))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = nix::errno::Errno::from_raw(self.0);
        write!(f, "{errno:?} ({})", errno.desc().to_ascii_lowercase())
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(errno: rustix::io::Errno) -> Self {
        Self(errno.raw_os_error())
    }
}

impl From<nix::errno::Errno> for Errno {
    fn from(errno: nix::errno::Errno) -> Self {
        Self(errno as i32)
    }
}

impl From<io::Error> for Errno {
    /// An error that std made up itself (an early end of file) counts as `EIO`.
    fn from(error: io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_prints_its_name_and_meaning() {
        assert_eq!(Errno::PERM.to_string(), "EPERM (operation not permitted)");
        assert_eq!(Errno::from(io::Error::other("x")).name(), "EIO");
    }
}
