//! The system calls of landlock(7), which no crate offers as this program needs them. No policy here.
#![expect(unsafe_code, reason = "raw system calls; each block says why it is sound")]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use super::kernel::{check, last};

/// A domain that confines this process and its children to some files (landlock(7)).
#[derive(Debug)]
pub(super) struct Ruleset(OwnedFd);

/// The kernel's `struct landlock_ruleset_attr` (`landlock_create_ruleset(2)`).
#[repr(C)]
struct RulesetAttributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// The kernel's `struct landlock_path_beneath_attr` (`landlock_add_rule(2)`).
#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

impl Ruleset {
    /// A domain in which none of `files` may be done to any file, and none of `scopes` across its border.
    pub(super) fn new(files: u64, scopes: u64) -> Result<Self, Errno> {
        let attributes =
            RulesetAttributes { handled_access_fs: files, handled_access_net: 0, scoped: scopes };
        // Older kernels know a shorter structure, and refuse only what is not zero (landlock_create_ruleset(2)).
        // SAFETY: the kernel reads as many bytes as it is told, all of which outlive the call.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_landlock_create_ruleset,
                &raw const attributes,
                size_of::<RulesetAttributes>(),
                0,
            )
        };
        let fd = i32::try_from(answer).map_err(|_| Errno::INVAL)?;
        check(fd)?;
        // SAFETY: the call returns a new descriptor, which only this value owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Allows `files` below `directory`.
    pub(super) fn allow(&self, directory: BorrowedFd<'_>, files: u64) -> Result<(), Errno> {
        const PATH_BENEATH: libc::c_int = 1;
        let rule = PathBeneath { allowed_access: files, parent_fd: directory.as_raw_fd() };
        // SAFETY: the kernel reads one landlock_path_beneath_attr, which outlives the call.
        let answer = unsafe {
            libc::syscall(libc::SYS_landlock_add_rule, self.0.as_raw_fd(), PATH_BENEATH, &raw const rule, 0)
        };
        if answer == 0 { Ok(()) } else { Err(last()) }
    }

    /// Enters the domain, for good. The thread must have `no_new_privs`.
    pub(super) fn enter(&self) -> Result<(), Errno> {
        // SAFETY: the call takes no pointers.
        let answer = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.0.as_raw_fd(), 0) };
        if answer == 0 { Ok(()) } else { Err(last()) }
    }
}
