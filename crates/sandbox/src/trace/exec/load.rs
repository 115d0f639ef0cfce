//! Puts a program beside its loader into a process that has not run an instruction yet.

use rustix::io::Errno;

use super::image::{Elf, Segment};
use super::plan::{Main, Start};
use super::stack::{self, Written};
use crate::trace::board::Board;
use crate::trace::calls::OFFERED;
use crate::trace::memory::PAGE;
use crate::trace::supervisor::Supervisor;
use crate::trace::thread_stat::ThreadStat;
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

/// The thread stands in its execve(2), which has given it the new program's memory and registers.
pub(super) fn load(supervisor: &Supervisor, process: &Tracee, tid: i32, start: Start) -> Result<(), Stopped> {
    let mut registers = process.registers()?;
    let gate = process.open_gate(&registers)?;
    let scratch = registers.rsp.saturating_sub(SCRATCH);
    process.extend_stack(&gate, &registers, scratch)?;
    let mut zeros = Vec::new();
    let mut loaded = None;
    let take = (libc::SYS_openat, [i64::from(OFFERED).cast_unsigned(), 0, 0, 0, 0, 0]);
    let close = |fd| (libc::SYS_close, [fd, 0, 0, 0, 0, 0]);
    supervisor.tasks.offer(tid, supervisor.board.file()?, true);
    let mut first = vec![take];
    let main = start.main.map(|Main { elf, file, loader_entry }| {
        supervisor.tasks.offer(tid, file, true);
        first.push(take);
        first.extend(room_for(&elf));
        (elf, loader_entry)
    });
    let answers = process.call_all(&gate, &registers, scratch, &first)?;
    let mut answers = answers.into_iter();
    let board = answers.next().unwrap_or(Err(Errno::IO))?;
    let mut calls = vec![Board::mapping(board), close(board)];
    if let Some((elf, loader_entry)) = main {
        let fd = answers.next().unwrap_or(Err(Errno::IO))?;
        let base = answers.next().transpose()?.map_or(0, |at| at.wrapping_sub(lowest(&elf)));
        for segment in &elf.segments {
            let mapping = Mapping { segment, base, fd };
            calls.extend(mapping.calls());
            zeros.extend(mapping.zeros());
        }
        calls.push(close(fd));
        loaded = Some(Loaded {
            table: base.wrapping_add(elf.table),
            segment_count: elf.segment_count,
            entry: base.wrapping_add(elf.entry),
            loader_entry,
        });
    }
    let ids = stack::Ids { ids: start.ids, is_secure: start.is_secure };
    let names = [&start.name[..], &start.short_name];
    let written = stack::rewrite(process.memory(), registers.rsp, loaded, names, &ids)?;
    let set_name = libc::PR_SET_NAME.unsigned_abs().into();
    calls.push((libc::SYS_prctl, [set_name, written.short_name, 0, 0, 0, 0]));
    let needed = calls.len();
    calls.extend(tell_kernel(process, tid, &written)?);
    let answers = process.call_all(&gate, &registers, scratch, &calls)?;
    answers.into_iter().take(needed).try_for_each(|answer| answer.map(drop))?;
    for (address, length) in zeros {
        process.memory().write(address, &vec![0; length])?;
    }
    process.close_gate(&gate)?;
    registers.rsp = written.pointer;
    // There is no system call to go back to; its answer is what a program begins with.
    (registers.orig_rax, registers.rax) = (u64::MAX, 0);
    process.set_registers(&registers)?;
    Ok(())
}

/// A call that has the kernel tell the same auxiliary vector as the stack (prctl(2), `PR_GET_AUXV`; `proc_pid_auxv(5)`).
///
/// A kernel that cannot (without `CONFIG_CHECKPOINT_RESTORE`) tells its own.
fn tell_kernel(process: &Tracee, tid: i32, written: &Written) -> Result<Option<SystemCall>, Stopped> {
    /// Fields of `proc_pid_stat(5)`, in the order of the kernel's `struct prctl_mm_map`; the end of the heap is its
    /// start, as the program has not run yet.
    const FIELDS: [usize; 11] = [26, 27, 45, 46, 47, 47, 28, 48, 49, 50, 51];
    let Some(stat) = ThreadStat::read(tid) else { return Ok(None) };
    let addresses = FIELDS.into_iter().map(|number| stat.field::<u64>(number));
    let Some(addresses) = addresses.collect::<Option<Vec<_>>>() else { return Ok(None) };
    // Behind the size of the vector comes the descriptor of another program, which is none.
    let last = u64::from(u32::MAX) << 32 | written.vector_size as u64;
    let words = addresses.into_iter().chain([written.vector, last]);
    let map: Vec<u8> = words.flat_map(u64::to_ne_bytes).collect();
    let at = written.pointer - 2 * map.len() as u64;
    process.memory().write(at, &map)?;
    let [option, what] = [libc::PR_SET_MM, libc::PR_SET_MM_MAP].map(|code| code.unsigned_abs().into());
    Ok(Some((libc::SYS_prctl, [option, what, at, map.len() as u64, 0, 0])))
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
