//! Memory that a step's processes read and only the supervisor writes: what a system call finds there is what we checked.
//!
//! A path or an address in the memory of a process can be exchanged by another thread of it after we looked and before
//! the kernel does. So a call that only the process can make is given pointers to the board, which is mapped into each
//! program before its first instruction, at one place and never writable. No call of the step's can take it away again:
//! [the filter](super::filter) refuses those that replace or remove mappings below [`END`].
#![expect(unsafe_code, reason = "the supervisor's own mapping; each block says why it is sound")]

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{MemfdFlags, OFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::Errno;

use super::memory::PATH_MAX;
use super::place::reopen;
use super::tracee::SystemCall;

/// Where it begins in every process: the lowest address that can be mapped (`/proc/sys/vm/mmap_min_addr`), which no
/// program uses that is not linked for it.
const BEGIN: u64 = 0x1_0000;

/// What is to be put up for one call: a path and what goes with it.
const ROOM: usize = 2 * PATH_MAX;

/// How many calls can wait in the kernel at once with something on the board.
const COUNT: usize = 256;

const SIZE: usize = ROOM * COUNT;

/// Below it nothing can be unmapped or replaced.
pub(super) const END: u32 = 0x21_0000;

const _: () = assert!(BEGIN + SIZE as u64 == END as u64, "the board fills what the filter protects");

/// The board of one step.
#[derive(Debug)]
pub(super) struct Board {
    /// Open for reading only.
    file: OwnedFd,
    /// Where this process may write to it.
    own: usize,
    free: Mutex<Vec<usize>>,
}

impl Board {
    pub(super) fn new() -> Result<Self, Errno> {
        let file = memfd_create(c"board", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, SIZE as u64)?;
        let own = map(0, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, &file)?;
        // From now on nobody gets it writable, however it is opened.
        let seals = SealFlags::FUTURE_WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        let file = reopen(&file, OFlags::RDONLY)?;
        Ok(Self { file, own, free: Mutex::new((0..COUNT).rev().collect()) })
    }

    /// What a process maps.
    pub(super) fn file(&self) -> Result<OwnedFd, Errno> {
        rustix::io::fcntl_dupfd_cloexec(self.file.as_fd(), 3)
    }

    /// The call by which a process has it, from a descriptor of [`Self::file`].
    pub(super) fn mapping(fd: u64) -> SystemCall {
        let flags = libc::MAP_SHARED | libc::MAP_FIXED_NOREPLACE;
        let [protection, flags] = [libc::PROT_READ, flags].map(|bits| u64::from(bits.unsigned_abs()));
        (libc::SYS_mmap, [BEGIN, SIZE as u64, protection, flags, fd, 0])
    }

    /// Maps it into this process, as it is in all others.
    pub(super) fn put_up(&self) -> Result<(), Errno> {
        let flags = libc::MAP_SHARED | libc::MAP_FIXED_NOREPLACE;
        map(BEGIN, libc::PROT_READ, flags, &self.file).map(drop)
    }

    /// A part of it for one call; `ENOBUFS` if too many wait.
    pub(super) fn take(self: &Arc<Self>) -> Result<Notice, Errno> {
        let index = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().ok_or(Errno::NOBUFS)?;
        Ok(Notice { board: Arc::clone(self), index, length: 0 })
    }
}

/// Maps all of `file` at an address where nothing is, or for zero, at one of the kernel's choice.
fn map(at: u64, protection: libc::c_int, flags: libc::c_int, file: &OwnedFd) -> Result<usize, Errno> {
    // SAFETY: a new mapping touches nothing that exists, as `MAP_FIXED` is never among the flags.
    let at = unsafe { libc::mmap(at as *mut libc::c_void, SIZE, protection, flags, file.as_raw_fd(), 0) };
    if at == libc::MAP_FAILED {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::NOMEM));
    }
    Ok(at as usize)
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` with this size, and only notices point into it, which keep the board.
        unsafe { libc::munmap(self.own as *mut libc::c_void, SIZE) };
    }
}

/// What is put up for one call, as long as the kernel may still read it.
#[derive(Debug)]
pub(super) struct Notice {
    board: Arc<Board>,
    index: usize,
    length: usize,
}

impl Notice {
    /// Adds `bytes`; returns where the process finds them. `ENAMETOOLONG` if there is no room.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<u64, Errno> {
        let begin = self.length;
        let end = begin.checked_add(bytes.len()).filter(|end| *end <= ROOM).ok_or(Errno::NAMETOOLONG)?;
        let offset = self.index * ROOM + begin;
        // Nothing is read from there in this process, and nobody else writes: no other notice has this part.
        // SAFETY: `offset` and the length lie within the part of this notice, which lies within the mapping.
        unsafe {
            std::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                (self.board.own as *mut u8).add(offset),
                bytes.len(),
            );
        }
        // What follows may be looked at as words.
        self.length = end.next_multiple_of(8).min(ROOM);
        Ok(BEGIN + offset as u64)
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        self.board.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.index);
    }
}
