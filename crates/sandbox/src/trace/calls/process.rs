//! Calls that reach other processes: kill(2) and its like. To a step there are no processes but its own.

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use super::{Answer, Call, DONE, Result};
use crate::trace::credentials::{Capability, Credentials};
use crate::trace::place::told_of;
use crate::trace::proc;
use crate::trace::tasks::Task;

/// As setpriority(2) has `PRIO_PROCESS` (linux/ioprio.h).
const IOPRIO_WHO_PROCESS: i32 = 1;

impl Call<'_> {
    pub(super) fn of_processes(&self) -> Result {
        match self.number {
            libc::SYS_kill | libc::SYS_tkill | libc::SYS_rt_sigqueueinfo => self.signal(0),
            libc::SYS_tgkill | libc::SYS_rt_tgsigqueueinfo => self.signal(1),
            libc::SYS_pidfd_send_signal => self.signal_by_descriptor(),
            libc::SYS_pidfd_open => self.of_process(0),
            libc::SYS_prlimit64 => self.change_process(0, Capability::SYS_RESOURCE),
            libc::SYS_get_robust_list => self.change_process(0, Capability::SYS_PTRACE),
            libc::SYS_sched_setaffinity
            | libc::SYS_sched_setscheduler
            | libc::SYS_sched_setparam
            | libc::SYS_sched_setattr => self.change_process(0, Capability::SYS_NICE),
            libc::SYS_setpriority => self.set_priority(libc::PRIO_PROCESS.cast_signed()),
            libc::SYS_ioprio_set => self.set_priority(IOPRIO_WHO_PROCESS),
            libc::SYS_fcntl => self.set_owner(),
            libc::SYS_listen | libc::SYS_socketpair => {
                self.supervisor.note_peer(&self.task);
                Ok(Answer::Proceed)
            }
            libc::SYS_getppid => self.getppid(),
            libc::SYS_uname => self.uname(),
            libc::SYS_seccomp => self.load_filter(self.uint(0) <= libc::SECCOMP_SET_MODE_FILTER),
            libc::SYS_prctl if self.int(0) == libc::PR_SET_SECCOMP => self.load_filter(true),
            _ => self.shared(),
        }
    }

    /// A call whose argument at `position` says which process it is for; the kernel does the rest.
    fn of_process(&self, position: usize) -> Result {
        let pid = self.int(position);
        if pid == 0 || self.supervisor.tasks.contains(pid) { Ok(Answer::Proceed) } else { Err(Errno::SRCH) }
    }

    /// The same, where only who has the same user or a capability may change it.
    fn change_process(&self, position: usize, capability: Capability) -> Result {
        let answer = self.of_process(position)?;
        let who = self.credentials();
        match self.supervisor.tasks.task(self.int(position)) {
            Some(Task { credentials: its, .. })
                if ![its.uid, its.euid].contains(&who.euid) && !who.has(capability) =>
            {
                Err(Errno::PERM)
            }
            _ => Ok(answer),
        }
    }

    /// A call that `process` as its first argument makes one for a single process, not for all of a group or user.
    fn set_priority(&self, process: i32) -> Result {
        if self.int(0) == process { self.change_process(1, Capability::SYS_NICE) } else { Err(Errno::PERM) }
    }

    /// fcntl(2), `F_SETOWN`: whoever is sent the signals of a file could as well be killed.
    fn set_owner(&self) -> Result {
        let processes = match self.int(2) {
            0 => Vec::new(),
            group @ ..0 => self.group(group.checked_neg().ok_or(Errno::SRCH)?)?,
            process => vec![process],
        };
        processes.into_iter().try_for_each(|pid| self.check_may_signal(pid))?;
        Ok(Answer::Proceed)
    }

    /// seccomp(2): nobody may deceive a program that has more rights, and here the kernel cannot know who has.
    fn load_filter(&self, loads: bool) -> Result {
        let who = self.credentials();
        if loads && !who.no_new_privs && !who.has(Capability::SYS_ADMIN) {
            return Err(Errno::ACCESS);
        }
        Ok(Answer::Proceed)
    }

    /// Whoever started the step is process 1 to it.
    fn getppid(&self) -> Result {
        Ok(Answer::Value(proc::parent_of(self.task.tgid, &self.supervisor.tasks)?))
    }

    /// uname(2), with the host name of the step.
    fn uname(&self) -> Result {
        /// The kernel's `struct new_utsname`: six names of this size, the second of them the host's.
        const NAME: usize = 65;
        let real = rustix::system::uname();
        let names = [
            real.sysname().to_bytes(),
            self.supervisor.hostname.as_bytes(),
            real.release().to_bytes(),
            real.version().to_bytes(),
            real.machine().to_bytes(),
            b"(none)",
        ];
        let mut bytes = vec![0; names.len() * NAME];
        for (name, room) in names.into_iter().zip(bytes.chunks_exact_mut(NAME)) {
            let length = name.len().min(NAME - 1);
            room[..length].copy_from_slice(&name[..length]);
        }
        self.write(0, &bytes)?;
        DONE
    }

    /// A call that sends a signal; the argument at `position` says to whom, the one behind it which.
    fn signal(&self, position: usize) -> Result {
        if position == 1 && !self.supervisor.tasks.contains(self.int(0)) {
            return Err(Errno::SRCH);
        }
        let (to, signal) = (self.int(position), self.int(position + 1));
        match to {
            0 => self.signal_each(&self.group(0)?, signal),
            -1 => {
                let tasks = &self.supervisor.tasks;
                let others = tasks.processes().into_iter().filter(|pid| *pid != self.task.tgid);
                // Whom one may not signal is passed over.
                self.signal_each(&others.collect::<Vec<_>>(), signal).or(DONE)
            }
            ..-1 => self.signal_each(&self.group(to.checked_neg().ok_or(Errno::SRCH)?)?, signal),
            1.. => {
                self.check_may_signal(to)?;
                Ok(Answer::Proceed)
            }
        }
    }

    /// kill(2): with the right, or with the same user behind both.
    fn check_may_signal(&self, to: i32) -> Result<()> {
        let tasks = &self.supervisor.tasks;
        if !tasks.contains(to) {
            return Err(Errno::SRCH);
        }
        // A process whose first thread ended has no task of its own number.
        let Some(task) = tasks.task(to) else { return Ok(()) };
        if may_signal(self.credentials(), &task.credentials) { Ok(()) } else { Err(Errno::PERM) }
    }

    /// The processes of a process group; 0 is one's own.
    fn group(&self, group: i32) -> Result<Vec<i32>> {
        let group = match Pid::from_raw(group) {
            Some(group) => group,
            None => rustix::process::getpgid(Pid::from_raw(self.task.tgid))?,
        };
        let is_in_group = |pid: &i32| rustix::process::getpgid(Pid::from_raw(*pid)) == Ok(group);
        let processes: Vec<_> = self.supervisor.tasks.processes().into_iter().filter(is_in_group).collect();
        if processes.is_empty() { Err(Errno::SRCH) } else { Ok(processes) }
    }

    /// kill(2): to those of several processes that one may signal; the kernel could not know which.
    fn signal_each(&self, processes: &[i32], number: i32) -> Result {
        let meant = processes.iter().copied().filter(|pid| self.check_may_signal(*pid).is_ok());
        let meant: Vec<_> = meant.collect();
        if meant.is_empty() {
            return Err(Errno::PERM);
        }
        meant.into_iter().try_for_each(|pid| send(pid, number))?;
        DONE
    }

    /// `pidfd_send_signal(2)`. What the descriptor is of by the time the kernel looks nobody knows, so the signal is ours.
    fn signal_by_descriptor(&self) -> Result {
        let (fd, number, flags) = (self.int(0), self.int(1), self.uint(3));
        if flags != 0 {
            return Err(Errno::INVAL);
        }
        let pid = self.process_of(fd)?;
        let process = pidfd_open(Pid::from_raw(pid).ok_or(Errno::SRCH)?, PidfdFlags::empty())?;
        // Since then no other process has its number.
        if self.process_of(fd)? != pid {
            return Err(Errno::SRCH);
        }
        self.check_may_signal(pid)?;
        if number != 0 {
            let signal = Signal::from_named_raw(number).ok_or(Errno::INVAL)?;
            rustix::process::pidfd_send_signal(process, signal)?;
        }
        DONE
    }

    /// The process of a pidfd (`proc_pid_fdinfo(5)`).
    fn process_of(&self, fd: i32) -> Result<i32> {
        let pid = told_of(self.task.tid, fd, "Pid:").ok_or(Errno::BADF)?;
        pid.parse().ok().filter(|pid| *pid > 0).ok_or(Errno::SRCH)
    }
}

fn send(pid: i32, number: i32) -> Result<()> {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(()) };
    if number == 0 {
        return Ok(());
    }
    let signal = Signal::from_named_raw(number).ok_or(Errno::INVAL)?;
    match rustix::process::kill_process(pid, signal) {
        // It ended meanwhile.
        Err(Errno::SRCH) => Ok(()),
        sent => sent,
    }
}

fn may_signal(from: &Credentials, to: &Credentials) -> bool {
    from.has(Capability::KILL) || [from.uid, from.euid].iter().any(|id| [to.uid, to.suid].contains(id))
}
