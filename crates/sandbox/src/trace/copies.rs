//! Programs and libraries of a volume that lets nothing be executed (mount(8), `noexec`), as sealed copies in memory.
//!
//! The kernel neither executes nor maps such a file for execution, but it does so with memory. What is executed is
//! copied, and so is every program or library that is opened for reading, as a dynamic loader will map it. The step
//! does not see the difference: a descriptor of a copy stands for the file that it was made of. Where the volume lets
//! files be executed nothing of this is done.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{
    MemfdFlags, OFlags, SealFlags, Stat, StatVfsMountFlags, fcntl_add_seals, fstat, fstatvfs, memfd_create,
};
use rustix::io::{Errno, pread};

use super::place::{FileId, MountPoint, Place, reopen};

/// What is kept for the next time, at most. What the step has open or mapped is in memory besides.
const SIZE_MAX: u64 = 256 << 20;
const COUNT_MAX: usize = 128;

/// No file is copied that is larger.
const FILE_MAX: u64 = 1 << 30;

/// A file that changed so short a time before it was copied may change again without a trace in its times.
const TICK_NANOSECONDS: i128 = 20_000_000;

/// The copies of one step.
#[derive(Debug)]
pub(super) struct Copies {
    /// Whether files of the root are to be copied, and those of each mount.
    of_root: bool,
    of_mounts: Vec<bool>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_original: BTreeMap<FileId, Copy>,
    /// How much memory they take.
    size: u64,
    /// When a copy was used, in numbers of uses.
    now: u64,
}

#[derive(Debug)]
struct Copy {
    id: FileId,
    memory: OwnedFd,
    /// While it is held, no other file has its identity.
    original: Arc<OwnedFd>,
    /// None if what the disk says would not tell it from a later one.
    version: Option<Version>,
    size: u64,
    used: u64,
}

/// What changes with a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    changed: i128,
    modified: i128,
    size: i64,
}

impl Version {
    fn of(stat: &Stat) -> Self {
        Self {
            changed: nanoseconds(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
            modified: nanoseconds(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            size: stat.st_size,
        }
    }
}

fn nanoseconds(seconds: i128, rest: i128) -> i128 {
    seconds * 1_000_000_000 + rest
}

impl Copies {
    pub(super) fn new(root: impl AsFd, mounts: &[MountPoint]) -> Self {
        Self {
            of_root: is_noexec(root),
            // What the step's own mount option forbids stays forbidden.
            of_mounts: mounts.iter().map(|mount| !mount.limits.noexec && is_noexec(&mount.fd)).collect(),
            kept: Mutex::default(),
        }
    }

    /// Whether the kernel executes nothing that lies there.
    pub(super) fn are_needed(&self, mount: Option<usize>) -> bool {
        mount.map_or(self.of_root, |index| self.of_mounts.get(index).is_some_and(|needed| *needed))
    }

    /// What is to be executed in place of `file`, which is open for reading.
    pub(super) fn to_execute(&self, place: &Place, file: OwnedFd) -> Result<OwnedFd, Errno> {
        if self.are_needed(place.mount) { self.copy(place, file, OFlags::RDONLY) } else { Ok(file) }
    }

    /// What the step is given in place of `file`, which it opened with `flags`, for reading only.
    pub(super) fn open_to_map(&self, place: &Place, file: OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
        if !self.are_needed(place.mount) || !is_program(&file) {
            return Ok(file);
        }
        // Who only reads it is content with the file itself; who maps it is told by the kernel.
        let own = reopen(place, OFlags::RDONLY)?;
        self.copy(place, own, flags - OFlags::DIRECT).or(Ok(file))
    }

    /// The file that `stat` is of a copy of, as a handle.
    pub(super) fn original(&self, stat: &Stat) -> Option<Arc<OwnedFd>> {
        let id = FileId::from(stat);
        let kept = self.kept();
        kept.by_original.values().find(|copy| copy.id == id).map(|copy| Arc::clone(&copy.original))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn copy(&self, place: &Place, file: OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
        let stat = fstat(&file)?;
        let (id, version) = (FileId::from(&stat), Version::of(&stat));
        let mut kept = self.kept();
        if let Some(memory) = kept.find(id, version) {
            return reopen(memory, flags);
        }
        let original = Arc::new(reopen(place, OFlags::PATH)?);
        let memory = fill(place, file)?;
        let made = fstat(&memory)?;
        let is_settled = Version::of(&made).modified - version.changed > TICK_NANOSECONDS;
        let given = reopen(&memory, flags)?;
        let size = made.st_size.cast_unsigned();
        let version = is_settled.then_some(version);
        kept.keep(id, Copy { id: FileId::from(&made), memory, original, version, size, used: 0 });
        Ok(given)
    }
}

impl Kept {
    fn find(&mut self, id: FileId, version: Version) -> Option<&OwnedFd> {
        self.now += 1;
        let copy = self.by_original.get_mut(&id).filter(|copy| copy.version == Some(version))?;
        copy.used = self.now;
        Some(&copy.memory)
    }

    /// Forgets what was not used for the longest time, as far as the new one needs its room.
    fn keep(&mut self, id: FileId, copy: Copy) {
        self.forget(id);
        while self.by_original.len() >= COUNT_MAX || self.size + copy.size > SIZE_MAX {
            let oldest = self.by_original.iter().min_by_key(|(_, copy)| copy.used).map(|(id, _)| *id);
            let Some(oldest) = oldest else { break };
            self.forget(oldest);
        }
        self.size += copy.size;
        self.by_original.insert(id, Copy { used: self.now, ..copy });
    }

    fn forget(&mut self, id: FileId) {
        if let Some(copy) = self.by_original.remove(&id) {
            self.size -= copy.size;
        }
    }
}

/// A sealed copy that can be executed. `file` is at its beginning.
fn fill(place: &Place, file: OwnedFd) -> Result<OwnedFd, Errno> {
    const NAME_MAX: usize = 200;
    if fstat(&file)?.st_size.cast_unsigned() > FILE_MAX {
        return Err(Errno::NOMEM);
    }
    let name = place.path.file_name().unwrap_or_default().as_bytes();
    let name = &name[..name.len().min(NAME_MAX)];
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = match memfd_create(name, flags | MemfdFlags::EXEC) {
        // Before Linux 6.3 all of them can be executed.
        Err(Errno::INVAL) => memfd_create(name, flags)?,
        memory => memory?,
    };
    let mut memory = File::from(memory);
    io::copy(&mut io::Read::take(File::from(file), FILE_MAX), &mut memory)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    // The kernel executes nothing that is open for writing.
    reopen(memory, OFlags::RDONLY)
}

/// Whether a loader may map a file: a program or a library (elf(5)).
fn is_program(file: impl AsFd) -> bool {
    const EXECUTABLE: u8 = 2;
    const SHARED: u8 = 3;
    let mut start = [0; 18];
    pread(file, &mut start[..], 0).is_ok_and(|length| {
        length == start.len() && start.starts_with(b"\x7fELF") && [EXECUTABLE, SHARED].contains(&start[16])
    })
}

fn is_noexec(file: impl AsFd) -> bool {
    fstatvfs(file).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::NOEXEC))
}
