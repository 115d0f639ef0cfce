//! Trying again: how often, and after which pause.

use std::thread;
use std::time::Duration;

use crate::{Error, Retry};

/// The longest pause that we choose ourselves.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Runs `operation` until it succeeds, fails for good, or has used up its attempts.
pub(crate) fn retry<T>(policy: Retry, mut operation: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut failures = 0;
    loop {
        match operation() {
            Err(error) if error.is_transient() && failures < policy.attempts => {
                pause(policy, failures, &error);
                failures += 1;
            }
            result => return result,
        }
    }
}

/// Sleeps after the failure that is number `failures`, counted from zero.
pub(crate) fn pause(policy: Retry, failures: u32, error: &Error) {
    let pause = error.retry_after().unwrap_or_else(|| backoff(policy.delay, failures));
    tracing::info!(%error, seconds = pause.as_secs_f32(), "trying again");
    thread::sleep(pause);
}

fn backoff(first: Duration, failures: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let seconds = |failures| backoff(Duration::from_secs(2), failures).as_secs();
        assert_eq!([0, 1, 2, 3, 4, 31, 32, u32::MAX].map(seconds), [2, 4, 8, 16, 30, 30, 30, 30]);
    }
}
