//! A stopped thread: its registers, and system calls that it makes on our behalf (ptrace(2)).
//!
//! Everything here is of x86-64. One thread of ours does all of it, as a tracer is a thread.

use std::cell::Cell;
use std::rc::Rc;

use libc::user_regs_struct as Registers;
use nix::sys::ptrace;
use nix::unistd::Pid as NixPid;
use rustix::io::Errno;

use super::filter::TRAP;
use super::kernel::{self, Resume, Status};
use super::memory::{Memory, PAGE, from_nix, word};

/// A thread in a stop of the tracer's.
#[derive(Clone, Debug)]
pub(super) struct Tracee {
    tid: i32,
    /// Whether the thread was to be stopped by job control while it did something for us.
    was_stopped: Rc<Cell<bool>>,
}

/// Where system calls of ours are made: machine code in place of the first instructions of a program, and those.
pub(super) struct Gate {
    address: u64,
    before: [u8; CODE.len()],
}

/// One system call of ours: its number and arguments.
pub(super) type SystemCall = (i64, [u64; 6]);

/// Makes the `rbp` system calls that the table at `rbx` lists, eight words each: number, six arguments, and room for the
/// answer. Then it stops.
///
/// ```text
/// next: mov rax, [rbx]        mov rdi, [rbx+8]     mov rsi, [rbx+16]    mov rdx, [rbx+24]
///       mov r10, [rbx+32]     mov r8, [rbx+40]     mov r9, [rbx+48]     syscall
///       mov [rbx+56], rax     add rbx, 64          dec rbp              jnz next
///       int3
/// ```
///
/// And behind that, `or qword ptr [rbx], 0` and a stop, which has the kernel extend the stack down to there.
const CODE: [u8; 48] = [
    0x48, 0x8b, 0x03, 0x48, 0x8b, 0x7b, 0x08, 0x48, 0x8b, 0x73, 0x10, 0x48, 0x8b, 0x53, 0x18, 0x4c, 0x8b,
    0x53, 0x20, 0x4c, 0x8b, 0x43, 0x28, 0x4c, 0x8b, 0x4b, 0x30, 0x0f, 0x05, 0x48, 0x89, 0x43, 0x38, 0x48,
    0x83, 0xc3, 0x40, 0x48, 0xff, 0xcd, 0x75, 0xd6, 0xcc, 0x48, 0x83, 0x0b, 0x00, 0xcc,
];

/// Where in the code the second part begins.
const TOUCH: u64 = 43;

/// Words in an entry of the table.
const ENTRY: usize = 8;

/// The thread ended, or something stopped it that nobody expected.
#[derive(Debug)]
pub(super) struct Gone(pub(super) Option<Status>);

impl Tracee {
    pub(super) fn new(tid: i32) -> Self {
        Self { tid, was_stopped: Rc::default() }
    }

    /// The same thread, under the number that it has after execve(2).
    pub(super) fn renumbered(&self, tid: i32) -> Self {
        Self { tid, was_stopped: Rc::clone(&self.was_stopped) }
    }

    pub(super) fn memory(&self) -> Memory {
        Memory::of(self.tid)
    }

    pub(super) fn registers(&self) -> Result<Registers, Errno> {
        ptrace::getregs(NixPid::from_raw(self.tid)).map_err(from_nix)
    }

    pub(super) fn set_registers(&self, registers: &Registers) -> Result<(), Errno> {
        ptrace::setregs(NixPid::from_raw(self.tid), *registers).map_err(from_nix)
    }

    /// Whether the signal that the thread is about to get is one by which the filter has us answer a call.
    pub(super) fn is_trapped(&self) -> bool {
        /// Sent by a filter (sigaction(2)).
        const SYS_SECCOMP: i32 = 1;
        ptrace::getsiginfo(NixPid::from_raw(self.tid)).is_ok_and(|signal| {
            (signal.si_signo, signal.si_code, signal.si_errno) == (libc::SIGSYS, SYS_SECCOMP, TRAP)
        })
    }

    /// Makes a system call fail at whose entry, without its being carried out, or end the thread stands.
    pub(super) fn fail(&self, mut registers: Registers, errno: Errno) -> Result<(), Errno> {
        registers.orig_rax = u64::MAX;
        registers.rax = i64::from(-errno.raw_os_error()).cast_unsigned();
        self.set_registers(&registers)
    }

    /// Has the thread, which stands at the entry of a system call, make another one instead; returns its answer.
    pub(super) fn call(&self, registers: &Registers, call: SystemCall) -> Result<u64, Stopped> {
        let mut own = with(registers, call);
        own.orig_rax = own.rax;
        self.set_registers(&own)?;
        self.run_to(Resume::ToSystemCall, Status::is_system_call)?;
        Ok(check(self.registers()?.rax)?)
    }

    /// Takes the thread from the end of a system call, where it had these registers, to the entry of another one.
    pub(super) fn enter_again(&self, registers: &Registers, call: SystemCall) -> Result<(), Gone> {
        let mut own = with(registers, call);
        // Back to the instruction that made the call.
        own.rip -= 2;
        own.orig_rax = u64::MAX;
        self.set_registers(&own).map_err(|_| Gone(None))?;
        self.run_to(Resume::ToSystemCall, Status::is_system_call).map(drop)
    }

    /// Has the thread, which stands at the end of a system call, close a descriptor.
    pub(super) fn close(&self, registers: &Registers, fd: u64) -> Result<(), Gone> {
        self.enter_again(registers, (libc::SYS_close, [fd, 0, 0, 0, 0, 0]))?;
        self.run_to(Resume::ToSystemCall, Status::is_system_call).map(drop)
    }

    /// Lets the thread run to its next stop, which must be the wanted kind.
    ///
    /// SIGSTOP, which cannot be blocked, is kept for later.
    pub(super) fn run_to(&self, resume: Resume, wanted: impl Fn(Status) -> bool) -> Result<Status, Gone> {
        loop {
            kernel::resume(self.tid, resume, 0).map_err(|_| Gone(None))?;
            let status = kernel::wait_for(self.tid).map_err(|_| Gone(None))?;
            if wanted(status) {
                return Ok(status);
            }
            if !status.is_job_control() {
                return Err(Gone(Some(status)));
            }
            self.keep_stop();
        }
    }

    /// Notes that the thread is to be stopped when it has done what it does for us.
    pub(super) fn keep_stop(&self) {
        self.was_stopped.set(true);
    }

    /// Stops the thread now if it was to be stopped before.
    pub(super) fn catch_up(&self) {
        if self.was_stopped.take() {
            kernel::signal(self.tid, libc::SIGSTOP);
        }
    }

    /// Prepares for system calls of ours near the instruction that the thread would execute next.
    pub(super) fn open_gate(&self, registers: &Registers) -> Result<Gate, Errno> {
        // Within one page, as there may be no other.
        let room = PAGE - CODE.len() as u64;
        let address = registers.rip - (registers.rip % PAGE).saturating_sub(room);
        // Code need not be readable for others than a tracer.
        let mut before = [0; CODE.len()];
        for (word, index) in before.chunks_exact_mut(8).zip(0..) {
            let at = (address + 8 * index) as ptrace::AddressType;
            let code = ptrace::read(NixPid::from_raw(self.tid), at).map_err(from_nix)?;
            word.copy_from_slice(&code.to_ne_bytes());
        }
        self.replace_code(address, &CODE)?;
        Ok(Gate { address, before })
    }

    /// Puts back what was where the gate is.
    pub(super) fn close_gate(&self, gate: &Gate) -> Result<(), Errno> {
        self.replace_code(gate.address, &gate.before)
    }

    /// Writes where the thread itself may not, word by word.
    fn replace_code(&self, address: u64, code: &[u8; CODE.len()]) -> Result<(), Errno> {
        let words = code.chunks_exact(8).filter_map(|word| word.try_into().ok()).map(i64::from_ne_bytes);
        words.zip(0..).try_for_each(|(word, index)| {
            let at = (address + 8 * index) as ptrace::AddressType;
            ptrace::write(NixPid::from_raw(self.tid), at, word).map_err(from_nix)
        })
    }

    /// Extends the stack down to `address`, as far as it does not reach there.
    pub(super) fn extend_stack(
        &self,
        gate: &Gate,
        registers: &Registers,
        address: u64,
    ) -> Result<(), Stopped> {
        if self.memory().read(address, &mut [0]).is_ok() {
            return Ok(());
        }
        let mut own = *registers;
        (own.rip, own.rbx, own.orig_rax) = (gate.address + TOUCH, address, u64::MAX);
        self.set_registers(&own)?;
        self.run_to(Resume::Freely, Status::is_trap)?;
        Ok(())
    }

    /// Has the thread make system calls, with a table for them at `scratch`; returns their answers.
    ///
    /// The thread's registers are to be set again afterwards.
    pub(super) fn call_all(
        &self,
        gate: &Gate,
        registers: &Registers,
        scratch: u64,
        calls: &[SystemCall],
    ) -> Result<Vec<Result<u64, Errno>>, Stopped> {
        let mut table = Vec::with_capacity(calls.len() * ENTRY * 8);
        for (number, args) in calls {
            table.extend_from_slice(&number.to_ne_bytes());
            table.extend(args.iter().chain([&0]).flat_map(|word| word.to_ne_bytes()));
        }
        self.memory().write(scratch, &table)?;
        let mut own = *registers;
        own.rip = gate.address;
        (own.rbx, own.rbp) = (scratch, calls.len() as u64);
        // No system call is to be started over here.
        own.orig_rax = u64::MAX;
        self.set_registers(&own)?;
        self.run_to(Resume::Freely, Status::is_trap)?;
        self.memory().read(scratch, &mut table)?;
        let answers = (0..calls.len()).map(|index| word(&table, index * ENTRY + ENTRY - 1));
        Ok(answers.map(check).collect())
    }
}

/// The call at whose entry a thread has these registers.
pub(super) fn call_of(registers: &Registers) -> SystemCall {
    let own = registers;
    (own.orig_rax.cast_signed(), [own.rdi, own.rsi, own.rdx, own.r10, own.r8, own.r9])
}

/// Registers as they are to be for a call.
fn with(registers: &Registers, (number, args): SystemCall) -> Registers {
    let mut own = *registers;
    own.rax = number.cast_unsigned();
    [own.rdi, own.rsi, own.rdx, own.r10, own.r8, own.r9] = args;
    own
}

/// The answer of a system call as the kernel leaves it in a register.
pub(super) fn check(answer: u64) -> Result<u64, Errno> {
    match i32::try_from(answer.cast_signed()) {
        Ok(errno @ -4095..0) => Err(Errno::from_raw_os_error(-errno)),
        _ => Ok(answer),
    }
}

/// Why a system call of ours gave no value.
#[derive(Debug)]
pub(super) enum Stopped {
    Errno(Errno),
    Gone(Gone),
}

impl From<Errno> for Stopped {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Gone> for Stopped {
    fn from(gone: Gone) -> Self {
        Self::Gone(gone)
    }
}
