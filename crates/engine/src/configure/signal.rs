//! What STOPSIGNAL takes: a signal's number, or its name with or without `SIG` (signal(7)).

use crate::error::{Cause, Error};

const NAMES: [&str; 34] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
    "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// Fails if `text` is no signal.
pub(super) fn check(text: &str) -> Result<(), Error> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let is_number = name.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number));
    let offset = |prefix: &str, limit: u8| {
        let rest = name.strip_prefix(prefix);
        let number = |rest: &str| {
            rest.strip_prefix(['+', '-']).is_some_and(|n| n.parse::<u8>().is_ok_and(|n| n <= limit))
        };
        rest.is_some_and(|rest| rest.is_empty() || number(rest))
    };
    let is_realtime = offset("RTMIN", 15) || offset("RTMAX", 14);
    if is_number || is_realtime || NAMES.contains(&name) {
        return Ok(());
    }
    let why = "expected a name such as SIGTERM or a number from 1 to 64".to_owned();
    Err(Cause::InvalidArgument { what: "signal", text: text.to_owned(), why }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for text in ["SIGTERM", "term", "9", "SIGRTMIN+3", "RTMAX-1", "SIGRTMIN"] {
            assert!(check(text).is_ok(), "{text}");
        }
        for text in ["", "0", "65", "SIGFOO", "RTMIN+", "RTMINé", "RTMIN+99"] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
