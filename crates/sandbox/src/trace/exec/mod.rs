//! execve(2): the kernel loads what we open, never what a path leads to.
//!
//! A program without an interpreter is executed by where it really is, and ended before its first instruction if that was
//! exchanged meanwhile. For any other one the kernel is given its interpreter, the dynamic loader, as a program, and before
//! that runs its first instruction the program itself is mapped and the auxiliary vector told of it. So the loader finds what it would have found had the kernel loaded both.

mod image;
mod load;
mod plan;
mod program;
mod stack;

use std::cell::{Cell, RefCell};

use rustix::fs::fstat;
use rustix::io::Errno;

use super::calls::OFFERED;
use super::kernel::{self, Resume, Status};
use super::place::FileId;
use super::supervisor::Supervisor;
use super::tracee::{Gone, Stopped, Tracee, check};

use self::plan::Plan;

/// All signals but the one by which a single step ends.
const BLOCKED: u64 = !(1 << (libc::SIGTRAP - 1));

/// A stop at the entry of execve(2) or execveat(2): carries it out, and lets the thread go on.
///
/// What happens meanwhile to other threads is added to `put_off`. An error is a thread that is no
/// more, with how it ended if that is known.
pub(super) fn execute(
    supervisor: &Supervisor,
    tid: i32,
    registers: libc::user_regs_struct,
    put_off: &mut Vec<(i32, Status)>,
) -> Result<(), Gone> {
    let tracee = Tracee::new(tid);
    let gone = |_| Gone(None);
    let Some(task) = supervisor.tasks.task(tid) else { return Err(Gone(None)) };
    let plan = match Plan::make(supervisor, &task, tracee.memory(), &registers) {
        Ok(plan) => plan,
        Err(errno) => {
            tracee.fail(registers, errno).map_err(gone)?;
            return kernel::resume(tid, Resume::Freely, 0).map_err(gone);
        }
    };
    let mask = kernel::blocked_signals(tid).map_err(gone)?;
    kernel::block_signals(tid, BLOCKED).map_err(gone)?;
    let (leader, others) = (Cell::new(None), RefCell::default());
    let executing = Executing { supervisor, tracee, tid, tgid: task.tgid, registers, leader, others };
    let replaced = executing.replace(plan);
    put_off.append(&mut executing.others.borrow_mut());
    if replaced.is_err() {
        put_off.extend(executing.leader.get().map(|status| (task.tgid, status)));
    }
    match replaced {
        Ok(()) => {
            executing.tracee.renumbered(task.tgid).catch_up();
            kernel::block_signals(task.tgid, mask).map_err(gone)?;
            kernel::resume(task.tgid, Resume::Freely, 0).map_err(gone)
        }
        Err(Stopped::Errno(errno)) => {
            executing.tracee.fail(registers, errno).map_err(gone)?;
            executing.tracee.catch_up();
            kernel::block_signals(tid, mask).map_err(gone)?;
            kernel::resume(tid, Resume::Freely, 0).map_err(gone)
        }
        Err(Stopped::Gone(gone)) => Err(gone),
    }
}

struct Executing<'a> {
    supervisor: &'a Supervisor,
    tracee: Tracee,
    tid: i32,
    tgid: i32,
    /// At the entry of the call.
    registers: libc::user_regs_struct,
    /// A stop of the process's first thread, if that is another: it waits until it is known who survives.
    leader: Cell<Option<Status>>,
    /// What happened to other threads.
    others: RefCell<Vec<(i32, Status)>>,
}

impl Executing<'_> {
    /// An errno is the answer to the call; the thread then stands at the end of some system call.
    fn replace(&self, plan: Plan) -> Result<(), Stopped> {
        let memory = self.tracee.memory();
        let arguments = plan.write_arguments(memory, &self.registers)?;
        let file = FileId::from(&fstat(&plan.file)?);
        let path = plan.path(&self.supervisor.view, file)?;
        let at = arguments.lowest - path.as_ref().map_or(0, Vec::len) as u64;
        // Where there is no stack to write to, a descriptor will do as well.
        let descriptor = if path.is_some_and(|path| memory.write(at, &path).is_ok()) {
            let mut own = self.registers;
            own.orig_rax = libc::SYS_execve.cast_unsigned();
            (own.rdi, own.rsi, own.rdx) = (at, arguments.argv, plan.environment);
            self.tracee.set_registers(&own)?;
            None
        } else {
            Some(self.use_descriptor(&plan, arguments.argv)?)
        };
        match self.run_to_program()? {
            Status::SystemCall => {
                let answer = check(self.tracee.registers()?.rax);
                if let Some(fd) = descriptor {
                    self.tracee.close(&self.registers, fd)?;
                }
                Err(Stopped::Errno(answer.err().unwrap_or(Errno::IO)))
            }
            _ => self.begin(plan, file),
        }
    }

    /// For a file that no path leads to: goes back, and has it executed from a descriptor, which is returned.
    fn use_descriptor(&self, plan: &Plan, argv: u64) -> Result<u64, Stopped> {
        let fd = self.hand_over(rustix::io::fcntl_dupfd_cloexec(&plan.file, 3)?)?;
        let mut own = self.registers;
        // Back to the instruction that made the call.
        own.rip -= 2;
        own.rax = libc::SYS_execveat.cast_unsigned();
        own.orig_rax = u64::MAX;
        (own.rdi, own.rsi, own.rdx, own.r10) = (fd, plan.empty, argv, plan.environment);
        own.r8 = libc::AT_EMPTY_PATH.unsigned_abs().into();
        self.tracee.set_registers(&own)?;
        self.tracee.run_to(Resume::Freely, |status| is_event(status, libc::PTRACE_EVENT_SECCOMP))?;
        Ok(fd)
    }

    /// Gives the thread a descriptor, in place of the call that it makes; it stands at the end of that afterwards.
    fn hand_over(&self, file: std::os::fd::OwnedFd) -> Result<u64, Stopped> {
        self.supervisor.tasks.offer(self.tid, file, true);
        let offered = i64::from(OFFERED).cast_unsigned();
        // No flags: with O_PATH the filter would stop it again.
        self.tracee.call(&self.registers, (libc::SYS_openat, [offered, 0, 0, 0, 0, 0]))
    }

    /// Until the new program is there, or the call has failed.
    fn run_to_program(&self) -> Result<Status, Stopped> {
        let is_end = |status| is_event(status, libc::PTRACE_EVENT_EXEC) || status == Status::SystemCall;
        if self.tid == self.tgid {
            return Ok(self.tracee.run_to(Resume::ToSystemCall, is_end)?);
        }
        // ptrace(2), "execve(2) under ptrace": the thread comes back as the first one of its process.
        kernel::resume(self.tid, Resume::ToSystemCall, 0)?;
        loop {
            // Of anyone: the kernel waits until all other threads are reaped.
            let Some((tid, status)) = kernel::poll_for_any()? else {
                std::thread::sleep(std::time::Duration::from_micros(50));
                continue;
            };
            if tid == self.tgid {
                if is_event(status, libc::PTRACE_EVENT_EXEC) {
                    return Ok(status);
                }
                self.leader.set(Some(status));
            } else if tid != self.tid {
                self.others.borrow_mut().push((tid, status));
            } else if is_end(status) {
                return Ok(status);
            } else if status.is_job_control() {
                self.tracee.keep_stop();
                kernel::resume(self.tid, Resume::ToSystemCall, 0)?;
            } else {
                return Err(Gone(Some(status)).into());
            }
        }
    }

    /// The kernel has replaced the program: puts the rest in place. What fails now can only end the process.
    ///
    /// `file` is what was to be executed: if another thread exchanged the path or the descriptor, something else was, maybe
    /// with rights that are not its own.
    fn begin(&self, plan: Plan, file: FileId) -> Result<(), Stopped> {
        let process = self.tracee.renumbered(self.tgid);
        let (program, credentials, start) = plan.into_start();
        self.supervisor.tasks.execute(self.tid, self.tgid, program, credentials);
        if !is_executed(self.tgid, file) {
            kernel::kill(self.tgid);
            return Err(Gone(None).into());
        }
        match load::load(self.supervisor, &process, self.tgid, start) {
            Err(Stopped::Errno(_)) => {
                // As the kernel ends a process whose program does not fit.
                kernel::kill(self.tgid);
                Err(Gone(None).into())
            }
            loaded => loaded,
        }
    }
}

fn is_executed(tgid: i32, file: FileId) -> bool {
    rustix::fs::stat(format!("/proc/{tgid}/exe")).is_ok_and(|stat| FileId::from(&stat) == file)
}

fn is_event(status: Status, event: i32) -> bool {
    matches!(status, Status::Event(found, _) if found == event)
}
