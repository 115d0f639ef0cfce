//! Doing the same to several things at a time, such as moving blobs.

use std::sync::{Mutex, PoisonError};

use crate::error::Error;

/// Blobs that are moved at the same time.
const THREADS: usize = 4;

/// Calls `work` for each item, a few at a time, and returns the first failure. After one, what is under way is finished
/// and the other threads go on; who wants them to stop tells `work`.
pub(crate) fn each<T: Send>(
    items: impl Iterator<Item = T> + Send,
    work: impl Fn(T) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let queue = Mutex::new(items);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = || -> Result<(), Error> {
        while let Some(item) = next() {
            work(item)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(worker)).collect();
        let mut results = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        results.try_for_each(|result| result)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Cause;

    #[test]
    fn everything_is_done_once_and_a_failure_is_told() {
        let done = AtomicUsize::new(0);
        each(0..100, |number| {
            done.fetch_add(number, Ordering::Relaxed);
            Ok(())
        })
        .unwrap();
        assert_eq!(done.into_inner(), 4950);
        let fail = |number| if number == 7 { Err(Cause::Cancelled.into()) } else { Ok(()) };
        assert!(each(0..10, fail).is_err());
        assert!(each(0..0, fail).is_ok());
    }
}
