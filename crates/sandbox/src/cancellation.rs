//! A wish to end, which can be made from any thread and waited for with others in poll(2).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use crate::error::{Attempt, Error};
use crate::process::is_readable;

/// Cancels steps; clones are one and the same.
#[derive(Clone, Debug)]
pub struct Cancellation(Arc<OwnedFd>);

impl Cancellation {
    /// Nothing is cancelled yet.
    pub fn new() -> Result<Self, Error> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .attempt("eventfd", || "prepare cancellation".to_owned())?;
        Ok(Self(Arc::new(event)))
    }

    /// Ends every step that runs with this, or will; idempotent.
    pub fn cancel(&self) {
        // Fails only when the counter is full, that is, when it is cancelled already.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    /// Whether [`Self::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        is_readable(&*self.0, Some(&rustix::event::Timespec::default()))
    }

    /// Waits for [`Self::cancel`], at most for `timeout`; returns whether it was called.
    pub fn wait(&self, timeout: Duration) -> bool {
        is_readable(&*self.0, rustix::event::Timespec::try_from(timeout).ok().as_ref())
    }

    pub(crate) fn event(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_cancels_the_original() {
        let cancellation = Cancellation::new().unwrap();
        assert!(!cancellation.is_cancelled());
        cancellation.clone().cancel();
        cancellation.cancel();
        assert!(cancellation.is_cancelled());
        assert!(cancellation.is_cancelled());
    }
}
