//! Calls that reach other processes: kill(2) and its like. To a step there are no processes but its own.

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use super::{Answer, Call, DONE, Result};
use crate::trace::credentials::{Capability, Credentials};
use crate::trace::proc;

impl Call<'_> {
    pub(super) fn of_processes(&self) -> Result {
        match self.number {
            libc::SYS_kill | libc::SYS_tkill | libc::SYS_rt_sigqueueinfo => self.signal(0),
            libc::SYS_tgkill | libc::SYS_rt_tgsigqueueinfo => self.signal(1),
            libc::SYS_pidfd_open
            | libc::SYS_prlimit64
            | libc::SYS_sched_setaffinity
            | libc::SYS_sched_setscheduler
            | libc::SYS_sched_setparam
            | libc::SYS_sched_setattr
            | libc::SYS_get_robust_list => self.of_process(0),
            libc::SYS_setpriority => self.setpriority(),
            libc::SYS_ioprio_set => self.ioprio_set(),
            libc::SYS_fcntl => self.set_owner(),
            libc::SYS_listen | libc::SYS_socketpair => {
                self.supervisor.note_peer(&self.task, None);
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

    fn setpriority(&self) -> Result {
        const PROCESS: i32 = 0;
        if self.int(0) == PROCESS { self.of_process(1) } else { Err(Errno::PERM) }
    }

    fn ioprio_set(&self) -> Result {
        const PROCESS: i32 = 1;
        if self.int(0) == PROCESS { self.of_process(1) } else { Err(Errno::PERM) }
    }

    /// fcntl(2), `F_SETOWN`: whoever is sent the signals of a file could as well be killed.
    fn set_owner(&self) -> Result {
        match self.int(2) {
            group @ ..0 => self.signal_group(group.checked_neg().ok_or(Errno::SRCH)?),
            _ => self.of_process(2),
        }
    }

    /// seccomp(2): nobody may deceive a program that has more rights, and here the kernel cannot know who has.
    fn load_filter(&self, loads: bool) -> Result {
        let who = self.credentials();
        let is_ours = self.supervisor.tasks.begins_receiving(self.task.tid);
        if loads && !is_ours && !who.no_new_privs && !who.has(Capability::SYS_ADMIN) {
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
            // To one's own process group, all of which is of the step.
            0 => Ok(Answer::Proceed),
            -1 => self.signal_all(signal),
            ..-1 => self.signal_group(to.checked_neg().ok_or(Errno::SRCH)?),
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

    fn signal_group(&self, group: i32) -> Result {
        let group = Pid::from_raw(group).ok_or(Errno::SRCH)?;
        let is_in_group =
            |pid: i32| Pid::from_raw(pid).is_some_and(|pid| rustix::process::getpgid(Some(pid)) == Ok(group));
        let is_known = self.supervisor.tasks.processes().into_iter().any(is_in_group);
        if is_known { Ok(Answer::Proceed) } else { Err(Errno::SRCH) }
    }

    /// To everyone but oneself and, as from process 1 of a container, nobody outside.
    fn signal_all(&self, number: i32) -> Result {
        let signal = Signal::from_named_raw(number).ok_or(Errno::INVAL)?;
        for pid in self.supervisor.tasks.processes() {
            let is_meant = pid != self.task.tgid && self.check_may_signal(pid).is_ok();
            if let Some(pid) = Pid::from_raw(pid).filter(|_| is_meant) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
        DONE
    }
}

fn may_signal(from: &Credentials, to: &Credentials) -> bool {
    from.has(Capability::KILL) || [from.uid, from.euid].iter().any(|id| [to.uid, to.suid].contains(id))
}
