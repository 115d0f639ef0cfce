//! What a step with one id and without namespaces is answered otherwise than root in them, and why.
//!
//! Each entry is a fact about the program, not a wish: one that is true no more must go, or the comparison fails.

/// Calls that are answered otherwise for one reason.
pub(crate) struct Difference {
    /// The reason, as half a sentence.
    pub(crate) why: &'static str,
    /// What the lines of these calls contain.
    pub(crate) calls: &'static [&'static str],
}

const fn always(why: &'static str, calls: &'static [&'static str]) -> Difference {
    Difference { why, calls }
}

pub(crate) const DIFFERENCES: &[Difference] = &[
    // Owners.
    always(
        "a device is an empty file on disk, as reading its directory tells",
        &["entries with their types"],
    ),
    // Extended attributes.
    always("there are no access control lists", &["system.posix_acl_access"]),
    // Sockets.
    always(
        "who a peer is, is known by process: of one that became somebody else in between, what it did last",
        &["sockets as 1000:1001: peer(&client)"],
    ),
];
