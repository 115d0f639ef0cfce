//! Who answers the system calls of a step: one thread that takes them in turn.

use std::sync::Arc;

use rustix::io::Errno;

use super::board::Board;
use super::calls::{self, Answer};
use super::ipc::Ipc;
use super::kernel::{Listener, Notification};
use super::owners::Owners;
use super::pipes::Pipes;
use super::place::View;
use super::processor::Processor;
use super::sockets::Sockets;
use super::tasks::{Task, Tasks};
use super::terminals::Terminals;
use super::waypoints::Waypoints;
use crate::spec::Network;

/// All that is known of a step.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) view: View,
    pub(super) owners: Owners,
    pub(super) tasks: Tasks,
    pub(super) terminals: Terminals,
    pub(super) ipc: Ipc,
    pub(super) network: Network,
    pub(super) hostname: String,
    pub(super) pipes: Arc<Pipes>,
    /// Where calls find arguments of ours.
    pub(super) board: Arc<Board>,
    pub(super) sockets: Sockets,
    pub(super) waypoints: Waypoints,
}

impl Supervisor {
    /// A thread does something with a socket of which the other end is told who did it (unix(7), `SO_PEERCRED`).
    pub(super) fn note_peer(&self, task: &Task) {
        self.sockets.act(task.tgid, &task.credentials, || self.tasks.processes());
    }

    /// Answers until the last process of the step is gone.
    pub(super) fn serve(self: &Arc<Self>, listener: &Arc<Listener>) {
        let mut processor = Processor::default();
        let mut wakes_here = false;
        loop {
            // Who waits already called from another processor, and goes on there; else all threads would gather on one.
            let is_late = processor.has_rivals() && listener.is_called();
            if wakes_here == is_late {
                wakes_here = !is_late;
                listener.wake_here(wakes_here);
            }
            match listener.receive() {
                Ok(notification) => {
                    self.answer(listener, &notification, &processor);
                    processor.follow(notification.tid);
                }
                // The process ended before it was asked for; or a signal came.
                Err(Errno::NOENT | Errno::INTR) if !listener.is_over() => {}
                Err(_) => return,
            }
        }
    }

    fn answer(
        self: &Arc<Self>,
        listener: &Arc<Listener>,
        notification: &Notification,
        processor: &Processor,
    ) {
        let id = notification.id;
        // Whoever does not wait any more needs no answer.
        let _ = match calls::carry_out(self, listener, notification) {
            Ok(Answer::Value(value)) => listener.answer(id, Ok(value)),
            Ok(Answer::File { file, close_on_exec }) => {
                let given = processor.keep(notification.tid, || listener.give(id, &file, close_on_exec));
                // Before the process runs: else it would not be the last who closes the file.
                drop(file);
                listener.answer(id, given)
            }
            Ok(Answer::Proceed) => listener.proceed(id),
            Ok(Answer::Later) => Ok(()),
            Err(errno) => listener.answer(id, Err(errno)),
        };
    }
}
