//! Puts a program beside its loader into a process that has not run an instruction yet.

use super::image::{Elf, PAGE, Segment};
use super::plan::{Main, Start};
use super::stack;
use crate::trace::calls::OFFERED;
use crate::trace::supervisor::Supervisor;
use crate::trace::tracee::{Stopped, SystemCall, Tracee};

/// Flags of a segment (elf(5), `p_flags`).
const EXECUTABLE: u32 = 1;
const WRITABLE: u32 = 2;
const READABLE: u32 = 4;

/// Where the program lies, for the auxiliary vector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded {
    pub(super) table: u64,
    pub(super) segment_count: u64,
    pub(super) entry: u64,
    pub(super) loader_entry: u64,
}

/// How far below the stack the table of our system calls lies.
const SCRATCH: u64 = 32 << 10;

/// The thread stands at the end of its execve(2).
pub(super) fn load(supervisor: &Supervisor, process: &Tracee, tid: i32, start: Start) -> Result<(), Stopped> {
    let mut registers = process.registers()?;
    let gate = process.open_gate(&registers)?;
    let scratch = registers.rsp.saturating_sub(SCRATCH);
    process.extend_stack(&gate, &registers, scratch)?;
    let mut calls = Vec::new();
    let mut zeros = Vec::new();
    let mut loaded = None;
    if let Some(Main { elf, file, loader_entry }) = start.main {
        supervisor.tasks.offer(tid, file, true);
        let mut first = vec![(libc::SYS_openat, [i64::from(OFFERED).cast_unsigned(), 0, 0, 0, 0, 0])];
        first.extend(room_for(&elf));
        let answers = process.call_all(&gate, &registers, scratch, &first)?;
        let fd = answers.first().copied().unwrap_or(0);
        let base = answers.get(1).map_or(0, |at| at.wrapping_sub(lowest(&elf)));
        for segment in &elf.segments {
            let mapping = Mapping { segment, base, fd };
            calls.extend(mapping.calls());
            zeros.extend(mapping.zeros());
        }
        calls.push((libc::SYS_close, [fd, 0, 0, 0, 0, 0]));
        loaded = Some(Loaded {
            table: base.wrapping_add(elf.table),
            segment_count: elf.segment_count,
            entry: base.wrapping_add(elf.entry),
            loader_entry,
        });
    }
    let ids = stack::Ids { ids: start.ids, is_secure: start.is_secure };
    let written = stack::rewrite(process.memory(), registers.rsp, loaded, &start.name, &ids)?;
    let set_name = libc::PR_SET_NAME.unsigned_abs().into();
    calls.push((libc::SYS_prctl, [set_name, written.short_name, 0, 0, 0, 0]));
    process.call_all(&gate, &registers, scratch, &calls)?;
    for (address, length) in zeros {
        process.memory().write(address, &vec![0; length])?;
    }
    process.close_gate(&gate)?;
    registers.rsp = written.pointer;
    // There is no system call to go back to.
    registers.orig_rax = u64::MAX;
    process.set_registers(&registers)?;
    Ok(())
}

/// A call that finds a place for all of a program that can lie anywhere.
fn room_for(elf: &Elf) -> Option<SystemCall> {
    let ends = elf.segments.iter().map(|segment| ceil(segment.address + segment.memory_size));
    let end = ends.max().filter(|_| elf.is_movable)?;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    Some(mmap(0, end - lowest(elf), libc::PROT_NONE, flags, u64::MAX, 0))
}

fn lowest(elf: &Elf) -> u64 {
    elf.segments.iter().map(|segment| floor(segment.address)).min().unwrap_or(0)
}

/// A segment, and where it is to be.
struct Mapping<'a> {
    segment: &'a Segment,
    /// How far the program is from the addresses in its file.
    base: u64,
    fd: u64,
}

impl Mapping<'_> {
    fn begin(&self) -> u64 {
        self.base.wrapping_add(self.segment.address)
    }

    fn file_end(&self) -> u64 {
        self.begin().wrapping_add(self.segment.file_size)
    }

    fn has_file(&self) -> bool {
        self.segment.file_size > 0
    }

    /// The file's part, and behind it what is zero.
    fn calls(&self) -> Vec<SystemCall> {
        let Segment { flags, offset, memory_size, .. } = *self.segment;
        let (begin, protection) = (floor(self.begin()), protection(flags));
        let file_end = if self.has_file() { ceil(self.file_end()) } else { begin };
        let memory_end = ceil(self.begin().wrapping_add(memory_size));
        let fixed = libc::MAP_PRIVATE | libc::MAP_FIXED;
        let mut calls = Vec::new();
        if self.has_file() {
            calls.push(mmap(begin, file_end - begin, protection, fixed, self.fd, floor(offset)));
        }
        if memory_end > file_end {
            let anonymous = fixed | libc::MAP_ANONYMOUS;
            calls.push(mmap(file_end, memory_end - file_end, protection, anonymous, u64::MAX, 0));
        }
        calls
    }

    /// What follows the file's bytes in their last page is zero: where, and how much.
    fn zeros(&self) -> Option<(u64, usize)> {
        let is_longer = self.segment.memory_size > self.segment.file_size;
        let rest = ceil(self.file_end()) - self.file_end();
        let is_needed = self.has_file() && is_longer && self.segment.flags & WRITABLE != 0 && rest > 0;
        is_needed.then(|| (self.file_end(), usize::try_from(rest).unwrap_or(0)))
    }
}

fn mmap(address: u64, length: u64, protection: i32, flags: i32, fd: u64, offset: u64) -> SystemCall {
    let [protection, flags] = [protection, flags].map(|bits| u64::from(bits.unsigned_abs()));
    (libc::SYS_mmap, [address, length, protection, flags, fd, offset])
}

fn protection(flags: u32) -> i32 {
    let bit = |flag, protection| if flags & flag != 0 { protection } else { 0 };
    bit(READABLE, libc::PROT_READ) | bit(WRITABLE, libc::PROT_WRITE) | bit(EXECUTABLE, libc::PROT_EXEC)
}

fn floor(address: u64) -> u64 {
    address & !(PAGE - 1)
}

fn ceil(address: u64) -> u64 {
    floor(address + PAGE - 1)
}
