//! What can go wrong, and the plan of when it does.

use std::time::Duration;

/// One way to misbehave.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Answers with this status, these headers and this body instead of doing what was asked.
    Answer {
        /// The HTTP status.
        status: u16,
        /// Headers, such as `("Retry-After", "1")`.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: String,
    },
    /// Closes the connection without an answer.
    HangUp,
    /// Takes so many bytes of the request's body, then closes the connection.
    HangUpAfter(u64),
    /// Does what was asked, but closes the connection without telling.
    LoseAnswer,
    /// Sends only so many bytes of the answer's body and closes the connection.
    Truncate(usize),
    /// Flips the first byte of the answer's body.
    Corrupt,
    /// Sends this body in place of the right one.
    Replace(Vec<u8>),
    /// Sends this body in place of the right one, without telling its length.
    ReplaceWithoutLength(Vec<u8>),
    /// Adds or replaces a header of the answer.
    Header(&'static str, String),
    /// Waits before it answers.
    Stall(Duration),
    /// Pretends not to know ranges: sends the whole blob with status 200.
    IgnoreRange,
}

impl Fault {
    /// An error status with an error of the distribution specification.
    pub fn status(status: u16, code: &str) -> Self {
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"planned"}}]}}"#);
        Self::Answer { status, headers: Vec::new(), body }
    }

    /// 429 with a `Retry-After` in seconds.
    pub fn too_many_requests(retry_after: u32) -> Self {
        let headers = vec![("Retry-After", retry_after.to_string())];
        Self::Answer { status: 429, headers, body: String::new() }
    }

    /// A temporary redirect.
    pub fn redirect(location: impl Into<String>) -> Self {
        Self::Answer { status: 307, headers: vec![("Location", location.into())], body: String::new() }
    }
}

/// A fault that waits for its request.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) request: String,
    pub(super) times: usize,
    pub(super) fault: Fault,
}

/// The first fault that waits for a request with that first line, used up by one.
pub(super) fn due(planned: &mut [Planned], line: &str) -> Option<Fault> {
    let next = planned.iter_mut().find(|planned| planned.times > 0 && line.starts_with(&planned.request))?;
    next.times -= 1;
    Some(next.fault.clone())
}
