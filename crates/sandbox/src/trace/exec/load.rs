//! Puts a program beside its loader into a process that has not run an instruction yet.

use super::image::{Elf, PAGE, Segment};
use super::plan::{Main, Start};
use super::stack;
use crate::trace::calls::OFFERED;
use crate::trace::supervisor::Supervisor;
use crate::trace::tracee::{Gate, Stopped, Tracee};

use libc::user_regs_struct as Registers;

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

/// The thread stands at the end of its execve(2).
pub(super) fn load(supervisor: &Supervisor, process: &Tracee, tid: i32, start: Start) -> Result<(), Stopped> {
    let registers = process.registers()?;
    let gate = process.open_gate(&registers)?;
    let loading = Loading { process, gate, registers };
    let loaded = match start.main {
        Some(Main { elf, file, loader_entry }) => {
            supervisor.tasks.offer(tid, file, true);
            let fd = loading.call(libc::SYS_openat, [i64::from(OFFERED).cast_unsigned(), 0, 0, 0, 0, 0])?;
            let base = loading.map(&elf, fd)?;
            loading.call(libc::SYS_close, [fd, 0, 0, 0, 0, 0])?;
            Some(Loaded {
                table: base.wrapping_add(elf.table),
                segment_count: elf.segment_count,
                entry: base.wrapping_add(elf.entry),
                loader_entry,
            })
        }
        None => None,
    };
    let ids = stack::Ids { ids: start.ids, is_secure: start.is_secure };
    let written = stack::rewrite(process.memory(), registers.rsp, loaded, &start.name, &ids)?;
    loading
        .call(libc::SYS_prctl, [libc::PR_SET_NAME.unsigned_abs().into(), written.short_name, 0, 0, 0, 0])?;
    process.close_gate(&loading.gate)?;
    let mut registers = registers;
    registers.rsp = written.pointer;
    // There is no system call to go back to.
    registers.orig_rax = u64::MAX;
    process.set_registers(&registers)?;
    Ok(())
}

struct Loading<'a> {
    process: &'a Tracee,
    gate: Gate,
    registers: Registers,
}

impl Loading<'_> {
    fn call(&self, number: i64, args: [u64; 6]) -> Result<u64, Stopped> {
        self.process.call(&self.gate, &self.registers, number, args)
    }

    /// Maps all segments; returns how far the program is from the addresses in its file.
    fn map(&self, elf: &Elf, fd: u64) -> Result<u64, Stopped> {
        let begins = elf.segments.iter().map(|segment| floor(segment.address));
        let ends = elf.segments.iter().map(|segment| ceil(segment.address + segment.memory_size));
        let (Some(begin), Some(end)) = (begins.min(), ends.max()) else { return Ok(0) };
        let base = if elf.is_movable {
            // Room for all of it, in one place.
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let at = self.mmap(0, end - begin, libc::PROT_NONE, flags, u64::MAX, 0)?;
            at.wrapping_sub(begin)
        } else {
            0
        };
        for segment in &elf.segments {
            self.map_segment(segment, base, fd)?;
        }
        Ok(base)
    }

    fn map_segment(&self, segment: &Segment, base: u64, fd: u64) -> Result<(), Stopped> {
        let protection = protection(segment.flags);
        let address = base.wrapping_add(segment.address);
        let begin = floor(address);
        let file_end = address + segment.file_size;
        let memory_end = address + segment.memory_size;
        if segment.file_size > 0 {
            let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
            self.mmap(begin, ceil(file_end) - begin, protection, flags, fd, floor(segment.offset))?;
        }
        if memory_end <= file_end {
            return Ok(());
        }
        // What follows the file's bytes in their last page is zero, as is all that comes after it.
        let page_end = ceil(file_end);
        if segment.file_size > 0 && segment.flags & WRITABLE != 0 && page_end > file_end {
            let zeros = vec![0; usize::try_from(page_end - file_end).unwrap_or(0)];
            self.process.memory().write(file_end, &zeros)?;
        }
        let rest = if segment.file_size > 0 { page_end } else { begin };
        if ceil(memory_end) > rest {
            let flags = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_ANONYMOUS;
            self.mmap(rest, ceil(memory_end) - rest, protection, flags, u64::MAX, 0)?;
        }
        Ok(())
    }

    fn mmap(
        &self,
        address: u64,
        length: u64,
        protection: i32,
        flags: i32,
        fd: u64,
        offset: u64,
    ) -> Result<u64, Stopped> {
        let [protection, flags] = [protection, flags].map(|bits| u64::from(bits.unsigned_abs()));
        self.call(libc::SYS_mmap, [address, length, protection, flags, fd, offset])
    }
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
