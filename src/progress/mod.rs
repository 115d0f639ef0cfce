//! What happens, told on standard error while it happens.
//!
//! The engine's events and a few notes come in; a [`Display`] shows them: `plain` for logs, `terminal` for people who
//! watch, `json` for programs. Must not decide anything. Nothing in an event is secret.

mod json;
mod lines;
mod plain;
#[cfg(test)]
mod script;
mod steps;
mod terminal;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use engine::{Event, Events};

pub(crate) use steps::size;

use crate::args::{self, ProgressArgs};
use crate::report;

/// A way to show what happens.
trait Display: Send {
    /// Shows an event that happened `at` this time after the start.
    fn event(&mut self, event: &Event, at: Duration);
    /// Shows a line that is no event.
    fn note(&mut self, note: &str, at: Duration);
    /// Shows the rest of what was written without an end of line, and takes away what moves.
    fn finish(&mut self, at: Duration);
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Lines.
    Plain,
    /// Running steps with their last lines.
    Terminal,
    /// A JSON object a line.
    Json,
    /// Not at all.
    Quiet,
}

impl Style {
    /// What the flags ask for; `terminal` says whether a person may be watching.
    pub(crate) fn settle(args: &ProgressArgs, terminal: bool) -> Self {
        match args.progress {
            _ if args.quiet => Self::Quiet,
            args::Progress::Tty => Self::Terminal,
            args::Progress::Auto if terminal => Self::Terminal,
            args::Progress::Auto | args::Progress::Plain => Self::Plain,
            args::Progress::Json => Self::Json,
        }
    }
}

impl From<&ProgressArgs> for report::Style {
    fn from(args: &ProgressArgs) -> Self {
        if args.progress == args::Progress::Json { Self::Json } else { Self::Text }
    }
}

/// Shows progress; clones are one and the same.
#[derive(Clone)]
pub(crate) struct Progress {
    display: Option<Arc<Mutex<dyn Display>>>,
    started: Instant,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Progress").field("started", &self.started).finish_non_exhaustive()
    }
}

impl Progress {
    /// Starts the clock.
    pub(crate) fn new(style: Style) -> Self {
        let out = || Box::new(anstream::stderr());
        let display: Option<Arc<Mutex<dyn Display>>> = match style {
            Style::Plain => Some(Arc::new(Mutex::new(plain::Plain::new(out())))),
            Style::Terminal => Some(Arc::new(Mutex::new(terminal::Terminal::new(out())))),
            Style::Json => Some(Arc::new(Mutex::new(json::Json::new(out())))),
            Style::Quiet => None,
        };
        Self { display, started: Instant::now() }
    }

    /// Where the engine sends its events.
    pub(crate) fn events(&self) -> Events {
        let progress = self.clone();
        Arc::new(move |event| progress.show(|display, at| display.event(&event, at)))
    }

    /// Tells something that is no event.
    pub(crate) fn note(&self, note: &str) {
        self.show(|display, at| display.note(note, at));
    }

    /// Ends the display; what is written to standard error afterwards stands below it.
    pub(crate) fn finish(&self) {
        self.show(|display, at| display.finish(at));
    }

    fn show(&self, how: impl FnOnce(&mut dyn Display, Duration)) {
        if let Some(display) = &self.display {
            // A display that panicked may look odd, which is no reason to end a build.
            let mut display = display.lock().unwrap_or_else(PoisonError::into_inner);
            how(&mut *display, self.started.elapsed());
        }
    }
}
