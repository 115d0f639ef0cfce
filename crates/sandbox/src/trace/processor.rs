//! Keeps the supervisor on the processor of the process that it answers: a wake-up across processors takes four times
//! as long as the rest of an answer.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// So many calls of one thread in a row are worth a look at where it runs, again and again.
const STREAK: u32 = 16;
const LOOK_AGAIN: u32 = 256;

/// Where the supervisor's thread is allowed to run.
#[derive(Debug, Default)]
pub(super) struct Processor {
    tid: i32,
    streak: u32,
    pinned: Option<usize>,
    all: Option<CpuSet>,
}

impl Processor {
    /// A call of `tid` was answered.
    pub(super) fn follow(&mut self, tid: i32) {
        if self.tid != tid {
            self.tid = tid;
            self.streak = 0;
            return;
        }
        self.streak += 1;
        if self.streak != STREAK && !self.streak.is_multiple_of(LOOK_AGAIN) {
            return;
        }
        let Some(processor) = processor_of(tid) else { return };
        if self.pinned != Some(processor) {
            self.pin(processor);
        }
    }

    /// Has a process that is woken meanwhile run where this thread does.
    pub(super) fn keep<T>(&self, tid: i32, while_woken: impl FnOnce() -> T) -> T {
        let (Some(here), Some(pid)) = (self.pinned.filter(|_| self.tid == tid), Pid::from_raw(tid)) else {
            return while_woken();
        };
        // What a process may have chosen for itself it finds as it was.
        let Ok(before) = sched_getaffinity(Some(pid)) else { return while_woken() };
        let is_moved = sched_setaffinity(Some(pid), &only(here)).is_ok();
        let answer = while_woken();
        if is_moved {
            // It is refused to nobody who could do it before.
            let _ = sched_setaffinity(Some(pid), &before);
        }
        answer
    }

    fn pin(&mut self, processor: usize) {
        let this: Option<Pid> = None;
        let all = match &self.all {
            Some(all) => *all,
            None => {
                let Ok(all) = sched_getaffinity(this) else { return };
                *self.all.insert(all)
            }
        };
        if processor >= CpuSet::MAX_CPU || !all.is_set(processor) {
            return;
        }
        // Where it is refused everything works, only slower.
        if sched_setaffinity(this, &only(processor)).is_ok() {
            self.pinned = Some(processor);
        }
    }
}

fn only(processor: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(processor);
    set
}

/// The processor that a thread ran on last (`proc_pid_stat(5)`, field 39).
fn processor_of(tid: i32) -> Option<usize> {
    let stat = std::fs::read_to_string(format!("/proc/{tid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(36)?.parse().ok()
}
