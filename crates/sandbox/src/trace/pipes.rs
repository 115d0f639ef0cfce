//! Processes that wait for the other end of a named pipe (fifo(7)): a thread of ours waits in the place of each.
//!
//! The kernel keeps signals from a process while its call is with us, unless they end it. So somebody looks whether there
//! are any, calls the thread back, and the open(2) is interrupted as it would be.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;

use super::kernel::{self, Listener};

/// How many processes of a step may wait at once.
const MAX: usize = 512;

/// How long a signal may wait.
const INTERVAL: Duration = Duration::from_millis(20);

/// Who waits in a step.
#[derive(Debug, Default)]
pub(super) struct Pipes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By the number of the call.
    waiting: BTreeMap<u64, Waiting>,
    /// Whether somebody looks for signals.
    is_watched: bool,
    /// Threads that were told of a signal that they have not got yet.
    interrupted: BTreeSet<i32>,
}

/// A call that waits.
#[derive(Debug)]
struct Waiting {
    listener: Arc<Listener>,
    tid: i32,
    /// The thread of ours, when it has begun.
    ours: Option<i32>,
}

impl Pipes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a thread of ours `open` a pipe for call `id` of thread `tid`, and answer it then. `ENFILE` if too many wait.
    pub(super) fn wait(
        self: &Arc<Self>,
        (listener, id): (&Arc<Listener>, u64),
        tid: i32,
        close_on_exec: bool,
        open: impl Fn() -> Result<OwnedFd, Errno> + Send + 'static,
    ) -> Result<(), Errno> {
        let mut state = self.state();
        if state.waiting.len() >= MAX {
            return Err(Errno::NFILE);
        }
        if !state.is_watched {
            let pipes = Arc::clone(self);
            spawn(move || while pipes.watch() {})?;
            state.is_watched = true;
        }
        state.waiting.insert(id, Waiting { listener: Arc::clone(listener), tid, ours: None });
        drop(state);
        let (pipes, listener) = (Arc::clone(self), Arc::clone(listener));
        spawn(move || {
            let opened = pipes.open(id, tid, open);
            // Whoever ended meanwhile needs no answer.
            let _ = match opened {
                Ok(file) => {
                    let given = crate::process::retry(|| listener.give(id, &file, close_on_exec));
                    drop(file);
                    listener.answer(id, given)
                }
                Err(errno) => listener.answer(id, Err(errno)),
            };
        })
        .inspect_err(|_| drop(self.state().waiting.remove(&id)))
    }

    fn open(&self, id: u64, tid: i32, open: impl Fn() -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
        if let Some(waiting) = self.state().waiting.get_mut(&id) {
            waiting.ours = Some(rustix::thread::gettid().as_raw_pid());
        }
        loop {
            let opened = open();
            let mut state = self.state();
            let is_called = opened.as_ref().err() == Some(&Errno::INTR);
            // Another thread of the process may have got the signal.
            if is_called && state.waiting.get(&id).is_some_and(|waiting| !waiting.is_called_back(id)) {
                continue;
            }
            if is_called {
                state.interrupted.insert(tid);
            }
            state.waiting.remove(&id);
            return opened;
        }
    }

    /// Calls back whoever is to do something else; returns whether anybody is left.
    fn watch(&self) -> bool {
        std::thread::sleep(INTERVAL);
        let mut state = self.state();
        for (id, waiting) in &state.waiting {
            if let Some(ours) = waiting.ours.filter(|_| waiting.is_called_back(*id)) {
                // Again and again: it may have been about to wait.
                kernel::interrupt(ours);
            }
        }
        state.is_watched = !state.waiting.is_empty();
        state.is_watched
    }

    /// Whether a thread gets the signal now that its open(2) was interrupted for.
    pub(super) fn was_interrupted(&self, tid: i32) -> bool {
        self.state().interrupted.remove(&tid)
    }
}

impl Waiting {
    fn is_called_back(&self, id: u64) -> bool {
        !self.listener.is_waiting(id) || has_signal(self.tid)
    }
}

/// Whether a signal is there for a thread that it has not blocked (`proc_pid_status(5)`).
fn has_signal(tid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.trim_start_matches(':').trim(), 16).ok()
    };
    let [own, shared, blocked] = ["SigPnd", "ShdPnd", "SigBlk"].map(|name| set(name).unwrap_or(0));
    (own | shared) & !blocked != 0
}

fn spawn(task: impl FnOnce() + Send + 'static) -> Result<(), Errno> {
    let thread = std::thread::Builder::new().stack_size(64 << 10).spawn(task);
    thread.map(drop).map_err(|_| Errno::AGAIN)
}
