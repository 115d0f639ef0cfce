//! Keeps the supervisor on the processor of the process that it answers: a wake-up across processors takes four times
//! as long as the rest of an answer. Where several run at once, it goes wherever the next call comes from.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::thread_stat::ThreadStat;

/// So many calls of one thread in a row are worth a look at where it runs, again and again.
const STREAK: u32 = 16;
const LOOK_AGAIN: u32 = 256;

/// Fewer calls in a row: another thread called in between, so that several run at once.
const CUT_SHORT: u32 = 4;

/// Rivalry from which on no thread is followed, the most that is counted, and by how much a longer streak lessens it.
const RIVALRY: u32 = 8;
const RIVALRY_MAX: u32 = 16;
const CALM: u32 = 4;

/// Where the supervisor's thread is allowed to run.
#[derive(Debug, Default)]
pub(super) struct Processor {
    tid: i32,
    streak: u32,
    /// How often streaks were cut short of late.
    rivalry: u32,
    pinned: Option<usize>,
    all: Option<CpuSet>,
}

impl Processor {
    /// A call of `tid` was answered.
    pub(super) fn follow(&mut self, tid: i32) {
        if self.tid != tid {
            // Processes of a script follow each other after some calls each.
            let is_cut_short = self.streak < CUT_SHORT;
            self.rivalry = if is_cut_short {
                RIVALRY_MAX.min(self.rivalry + 1)
            } else {
                self.rivalry.saturating_sub(CALM)
            };
            if self.has_rivals() {
                self.unpin();
            }
            self.tid = tid;
            self.streak = 0;
            return;
        }
        self.streak += 1;
        if self.streak != STREAK && !self.streak.is_multiple_of(LOOK_AGAIN) {
            return;
        }
        self.rivalry = self.rivalry.saturating_sub(CALM);
        if self.has_rivals() {
            return;
        }
        let Some(processor) = processor_of(tid) else { return };
        if self.pinned != Some(processor) {
            self.pin(processor);
        }
    }

    /// Whether threads call from several processors: then it is best to be woken where the next call comes from.
    pub(super) fn has_rivals(&self) -> bool {
        self.rivalry >= RIVALRY
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

    fn unpin(&mut self) {
        if let (Some(_), Some(all)) = (self.pinned.take(), &self.all) {
            let this: Option<Pid> = None;
            // It was allowed before.
            let _ = sched_setaffinity(this, all);
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
    ThreadStat::read(tid)?.field(39)
}
