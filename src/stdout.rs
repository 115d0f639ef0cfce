//! Data for other programs: the only text on standard output.

use std::io::{self, Write as _};

use crate::error::Error;

/// Writes `text`. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Io { operation: "write to standard output", source: error })
        }
        _ => Ok(()),
    }
}

/// Writes `value` as JSON that people can read too.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Error> {
    print(&format!("{value:#}\n"))
}
