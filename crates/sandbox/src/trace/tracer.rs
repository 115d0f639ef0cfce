//! Follows all threads of a step: knows who made whom, and stops where only a tracer can help (ptrace(2)).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use libc::user_regs_struct as Registers;
use rustix::io::Errno;

use super::calls::Call;
use super::exec;
use super::kernel::{self, Resume, Status};
use super::rewrite::{Pending, Rewrite};
use super::supervisor::Supervisor;
use super::tracee::{Gone, Tracee, call_of};
use crate::spec::Exit;

/// What is asked of the kernel: events for everything that makes a thread or replaces a program, and no survivor.
pub(super) const OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACESECCOMP
    | libc::PTRACE_O_EXITKILL;

/// The tracer of one step.
pub(super) struct Tracer {
    supervisor: Arc<Supervisor>,
    /// The step's command.
    main: i32,
    pending: BTreeMap<i32, Pending>,
    /// Threads that were seen before the one that made them said so.
    early: BTreeSet<i32>,
    /// What happened while a thread executed a program.
    put_off: Vec<(i32, Status)>,
}

impl Tracer {
    pub(super) fn new(supervisor: Arc<Supervisor>, main: i32) -> Self {
        Self { supervisor, main, pending: BTreeMap::new(), early: BTreeSet::new(), put_off: Vec::new() }
    }

    /// Runs until the step's command ended.
    pub(super) fn run(&mut self) -> Result<Exit, Errno> {
        loop {
            let (tid, status) = match self.put_off.pop() {
                Some(happened) => happened,
                None => kernel::wait_for_any()?,
            };
            if let Some(exit) = self.handle(tid, status) {
                // Their makers will say nothing more.
                self.early.iter().copied().for_each(kernel::kill);
                return Ok(exit);
            }
        }
    }

    fn handle(&mut self, tid: i32, status: Status) -> Option<Exit> {
        // A thread that is gone says so itself: with its next status.
        let _ = match status {
            Status::Exited(code) => return self.ended(tid, Exit::Code(code)),
            Status::Killed(signal) => return self.ended(tid, Exit::Signal(signal)),
            Status::Signal(signal) => self.signalled(tid, signal),
            Status::SystemCall | Status::Event(libc::PTRACE_EVENT_SECCOMP, _) => {
                let followed =
                    if status == Status::SystemCall { self.finish(tid) } else { self.stopped(tid) };
                if let Err(Gone(Some(status))) = followed {
                    return self.handle(tid, status);
                }
                Ok(())
            }
            Status::Event(
                libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE,
                _,
            ) => self.forked(tid),
            Status::Event(kernel::EVENT_STOP, libc::SIGTRAP) => self.begun(tid),
            Status::Event(kernel::EVENT_STOP, _) => kernel::resume(tid, Resume::Listen, 0),
            Status::Event(..) => kernel::resume(tid, Resume::Freely, 0),
        };
        None
    }

    /// A thread is about to get a signal.
    fn signalled(&self, tid: i32, signal: i32) -> Result<(), Errno> {
        /// What the kernel has calls return that it starts over or not, as the signal is handled.
        const RESTART: i64 = -512;
        let tracee = Tracee::new(tid);
        if signal == libc::SIGSYS && tracee.is_trapped() {
            let mut registers = tracee.registers()?;
            registers.rax = self.answer(tid, &registers).cast_unsigned();
            tracee.set_registers(&registers)?;
            return kernel::resume(tid, Resume::Freely, 0);
        }
        if self.supervisor.pipes.was_interrupted(tid) {
            let mut registers = tracee.registers()?;
            if registers.rax.cast_signed() == i64::from(-libc::EINTR) {
                registers.rax = RESTART.cast_unsigned();
                tracee.set_registers(&registers)?;
            }
        }
        kernel::resume(tid, Resume::Freely, signal)
    }

    /// The answer to a call that the kernel does not make.
    fn answer(&self, tid: i32, registers: &Registers) -> i64 {
        let (number, args) = call_of(registers);
        let task = self.supervisor.tasks.task(tid).ok_or(Errno::SRCH);
        let answer =
            task.and_then(|task| Call::stopped(&self.supervisor, task, number, args).answer_stopped());
        answer.unwrap_or_else(|errno| i64::from(-errno.raw_os_error()))
    }

    fn ended(&mut self, tid: i32, exit: Exit) -> Option<Exit> {
        self.supervisor.tasks.end(tid);
        self.supervisor.pipes.was_interrupted(tid);
        if let Some(pending) = self.pending.remove(&tid) {
            pending.abandon();
        }
        self.early.remove(&tid);
        (tid == self.main).then_some(exit)
    }

    /// A new thread stands before its first instruction.
    fn begun(&mut self, tid: i32) -> Result<(), Errno> {
        if self.supervisor.tasks.task(tid).is_some() {
            return kernel::resume(tid, Resume::Freely, 0);
        }
        self.early.insert(tid);
        Ok(())
    }

    fn forked(&mut self, parent: i32) -> Result<(), Errno> {
        let child = i32::try_from(kernel::event_message(parent)?).map_err(|_| Errno::SRCH)?;
        let registers = Tracee::new(parent).registers()?;
        let flags = match registers.orig_rax.cast_signed() {
            libc::SYS_clone => registers.rdi,
            _ => 0,
        };
        let has = |flag: i32| flags & u64::from(flag.unsigned_abs()) != 0;
        self.supervisor.sockets.forget(child);
        self.supervisor.tasks.fork(parent, child, has(libc::CLONE_THREAD), has(libc::CLONE_FS));
        if self.early.remove(&child) {
            kernel::resume(child, Resume::Freely, 0)?;
        }
        kernel::resume(parent, Resume::Freely, 0)
    }

    /// A thread stands before a system call that is to be made with other arguments.
    fn stopped(&mut self, tid: i32) -> Result<(), Gone> {
        let gone = |_| Gone(None);
        let tracee = Tracee::new(tid);
        let registers = tracee.registers().map_err(gone)?;
        if matches!(registers.orig_rax.cast_signed(), libc::SYS_execve | libc::SYS_execveat) {
            return self.execute(tid, registers);
        }
        let Some(task) = self.supervisor.tasks.task(tid) else { return Err(Gone(None)) };
        if let Some(pending) = Rewrite::new(&self.supervisor, &task, &tracee, registers).carry_out()? {
            self.pending.insert(tid, pending);
        }
        Ok(())
    }

    fn execute(&mut self, tid: i32, registers: Registers) -> Result<(), Gone> {
        let Some(task) = self.supervisor.tasks.task(tid) else { return Err(Gone(None)) };
        exec::execute(&self.supervisor, tid, registers, &mut self.put_off)?;
        if tid != task.tgid && self.supervisor.tasks.task(tid).is_none() {
            // It took the place of the first thread, which said nothing of its end.
            self.pending.remove(&task.tgid).into_iter().for_each(Pending::abandon);
        }
        Ok(())
    }

    /// The call with other arguments is done.
    fn finish(&mut self, tid: i32) -> Result<(), Gone> {
        if let Some(pending) = self.pending.remove(&tid) {
            pending.finish(&self.supervisor, tid)?;
        }
        kernel::resume(tid, Resume::Freely, 0).map_err(|_| Gone(None))
    }
}
