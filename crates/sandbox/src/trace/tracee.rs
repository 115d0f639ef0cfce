//! A stopped thread: its registers, and system calls that it makes on our behalf (ptrace(2)).
//!
//! Everything here is of x86-64. One thread of ours does all of it, as a tracer is a thread.

use std::cell::Cell;
use std::rc::Rc;

use libc::user_regs_struct as Registers;
use nix::sys::ptrace;
use nix::unistd::Pid as NixPid;
use rustix::io::Errno;

use super::kernel::{self, Resume, Status};
use super::memory::{Memory, from_nix};

/// A thread in a stop of the tracer's.
#[derive(Clone, Debug)]
pub(super) struct Tracee {
    tid: i32,
    /// Whether the thread was to be stopped by job control while it did something for us.
    was_stopped: Rc<Cell<bool>>,
}

/// Where a system call of ours begins: two bytes of machine code, and what was there.
pub(super) struct Gate {
    address: u64,
    before: i64,
}

/// The machine code of `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];

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

    /// Makes the system call at whose entry the thread stands fail without being carried out.
    pub(super) fn fail(&self, mut registers: Registers, errno: Errno) -> Result<(), Errno> {
        registers.orig_rax = u64::MAX;
        registers.rax = i64::from(-errno.raw_os_error()).cast_unsigned();
        self.set_registers(&registers)
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

    /// Prepares for system calls of ours at the instruction that the thread would execute next.
    pub(super) fn open_gate(&self, registers: &Registers) -> Result<Gate, Errno> {
        let pid = NixPid::from_raw(self.tid);
        let at = registers.rip as ptrace::AddressType;
        let before = ptrace::read(pid, at).map_err(from_nix)?;
        let mut bytes = before.to_ne_bytes();
        bytes[..2].copy_from_slice(&SYSCALL);
        ptrace::write(pid, at, i64::from_ne_bytes(bytes)).map_err(from_nix)?;
        Ok(Gate { address: registers.rip, before })
    }

    /// Puts back what was where the gate is.
    pub(super) fn close_gate(&self, gate: &Gate) -> Result<(), Errno> {
        let at = gate.address as ptrace::AddressType;
        ptrace::write(NixPid::from_raw(self.tid), at, gate.before).map_err(from_nix)
    }

    /// Has the thread make a system call; its registers are to be set again afterwards.
    pub(super) fn call(
        &self,
        gate: &Gate,
        registers: &Registers,
        number: i64,
        args: [u64; 6],
    ) -> Result<u64, Stopped> {
        let [rdi, rsi, rdx, r10, r8, r9] = args;
        let mut own = *registers;
        own.rip = gate.address;
        own.rax = number.cast_unsigned();
        // No system call is to be started over here.
        own.orig_rax = u64::MAX;
        (own.rdi, own.rsi, own.rdx, own.r10, own.r8, own.r9) = (rdi, rsi, rdx, r10, r8, r9);
        self.set_registers(&own).map_err(Stopped::Errno)?;
        self.run_to(Resume::Step, Status::is_trap).map_err(Stopped::Gone)?;
        let answer = self.registers().map_err(Stopped::Errno)?.rax.cast_signed();
        match i32::try_from(answer) {
            Ok(errno @ -4095..0) => Err(Stopped::Errno(Errno::from_raw_os_error(-errno))),
            _ => Ok(answer.cast_unsigned()),
        }
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
