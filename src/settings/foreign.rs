//! What becomes of flags that other tools have: refused, told of, or nothing to tell.

use super::Error;
use crate::args::{Given, Treatment};

/// Refuses all that is not supported, in one error; returns what the user should know about the others.
pub(crate) fn refuse_or_note(given: &[Given]) -> Result<Vec<String>, Error> {
    let refused =
        given.iter().filter(|given| matches!(given.treatment, Treatment::NotYet | Treatment::OnlyValue(_)));
    let flags: Vec<_> = refused.map(|given| given.flag.clone()).collect();
    if !flags.is_empty() {
        return Err(Error::NotYet { flags });
    }
    let note = |given: &Given| match given.treatment {
        Treatment::NoEffect(why) => Some(format!("{} has no effect: {why}", given.flag)),
        _ => None,
    };
    Ok(given.iter().filter_map(note).collect())
}
