//! The memory of a step's process: strings and structures in, results out. Whatever stands there is not to be trusted.

use std::io::{IoSlice, IoSliceMut};

use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

/// The longest path with its NUL (limits.h).
pub(super) const PATH_MAX: usize = 4096;

/// What a function may use below the stack pointer (System V ABI, "The Stack Frame").
pub(super) const RED_ZONE: u64 = 128;

/// The smallest piece of memory that is there or is not.
pub(super) const PAGE: u64 = 4096;

/// The memory of the process that a thread belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory(Pid);

impl Memory {
    /// Of the process of thread `tid`.
    pub(super) fn of(tid: i32) -> Self {
        Self(Pid::from_raw(tid))
    }

    /// Fills `to` from `address`.
    pub(super) fn read(self, address: u64, to: &mut [u8]) -> Result<(), Errno> {
        let length = to.len();
        if self.read_some(address, to)? == length { Ok(()) } else { Err(Errno::FAULT) }
    }

    fn read_some(self, address: u64, to: &mut [u8]) -> Result<usize, Errno> {
        let remote = RemoteIoVec { base: pointer(address)?, len: to.len() };
        match process_vm_readv(self.0, &mut [IoSliceMut::new(to)], &[remote]).map_err(from_nix) {
            Err(Errno::PERM | Errno::NOSYS) => {
                rustix::io::pread(self.file(OFlags::RDONLY)?, to, address).map_err(fault)
            }
            read => read,
        }
    }

    /// The memory as a file (`proc_pid_mem(5)`), for filters that deny the calls that need none.
    fn file(self, access: OFlags) -> Result<OwnedFd, Errno> {
        open(format!("/proc/{}/mem", self.0), access | OFlags::CLOEXEC, Mode::empty())
    }

    /// Writes all of `bytes` to `address`.
    pub(super) fn write(self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.is_empty() {
            return Ok(());
        }
        let remote = RemoteIoVec { base: pointer(address)?, len: bytes.len() };
        let written = match process_vm_writev(self.0, &[IoSlice::new(bytes)], &[remote]).map_err(from_nix) {
            Err(Errno::PERM | Errno::NOSYS) => {
                rustix::io::pwrite(self.file(OFlags::WRONLY)?, bytes, address).map_err(fault)?
            }
            written => written?,
        };
        if written == bytes.len() { Ok(()) } else { Err(Errno::FAULT) }
    }

    /// Some words from `address`.
    pub(super) fn words<const COUNT: usize>(self, address: u64) -> Result<[u64; COUNT], Errno> {
        let mut bytes = vec![0; COUNT * 8];
        self.read(address, &mut bytes)?;
        Ok(std::array::from_fn(|index| word(&bytes, index)))
    }

    /// A path without its NUL; `ENAMETOOLONG` as from the kernel.
    pub(super) fn path(self, address: u64) -> Result<Vec<u8>, Errno> {
        self.string(address, PATH_MAX, Errno::NAMETOOLONG)
    }

    /// A string without its NUL, of at most `limit` bytes with it, else `too_long`.
    ///
    /// Read page by page, as the next one may not be there.
    pub(super) fn string(self, address: u64, limit: usize, too_long: Errno) -> Result<Vec<u8>, Errno> {
        let mut string = Vec::new();
        let mut at = address;
        while string.len() < limit {
            let to_page_end = usize::try_from(PAGE - at % PAGE).unwrap_or(0);
            let wanted = to_page_end.min(limit - string.len()).min(512);
            let begin = string.len();
            string.resize(begin + wanted, 0);
            self.read(at, &mut string[begin..])?;
            if let Some(end) = string[begin..].iter().position(|byte| *byte == 0) {
                string.truncate(begin + end);
                return Ok(string);
            }
            at += wanted as u64;
        }
        Err(too_long)
    }

    /// The words from `address` up to a zero, which is left out; at most `limit`.
    pub(super) fn pointers(self, address: u64, limit: usize) -> Result<Vec<u64>, Errno> {
        let mut pointers = Vec::new();
        if address == 0 {
            return Ok(pointers);
        }
        let mut at = address;
        while pointers.len() < limit {
            let [pointer] = self.words(at)?;
            if pointer == 0 {
                return Ok(pointers);
            }
            pointers.push(pointer);
            at += 8;
        }
        Err(Errno::TOOBIG)
    }
}

/// The word at position `index` of `bytes`, zero behind their end.
pub(super) fn word(bytes: &[u8], index: usize) -> u64 {
    bytes.get(index * 8..index * 8 + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_ne_bytes)
}

/// What the file answers where nothing is mapped, as the calls do.
fn fault(errno: Errno) -> Errno {
    if errno == Errno::IO { Errno::FAULT } else { errno }
}

fn pointer(address: u64) -> Result<usize, Errno> {
    usize::try_from(address).map_err(|_| Errno::FAULT)
}

/// The same number in the other crate's type.
pub(super) fn from_nix(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}
