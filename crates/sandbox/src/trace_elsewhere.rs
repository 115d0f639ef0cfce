//! Isolation `trace` where it does not exist yet: it changes the registers of processes, which differ by processor.

use std::os::unix::net::UnixStream;

use crate::error::Error;
use crate::facts::Denial;
use crate::spec::RunSpec;

/// Why steps cannot be traced here, if they cannot.
pub(crate) fn denial() -> Option<Denial> {
    Some(Denial {
        call: "isolation trace".to_owned(),
        errno: None,
        why: "it is for x86-64 only so far".to_owned(),
        cure: Some(
            "let the pod have user namespaces (hostUsers: false), or build on an x86-64 node".to_owned(),
        ),
    })
}

/// Fails, as a step would.
pub(crate) fn supervise_a_child() -> Result<(), Error> {
    denial().map_or(Ok(()), |denial| Err(Error::NoIsolation { denials: vec![denial] }))
}

/// Never gets so far: nothing chooses it.
pub(crate) fn keep(_: RunSpec, _: &UnixStream) -> Result<(), Error> {
    supervise_a_child()
}
