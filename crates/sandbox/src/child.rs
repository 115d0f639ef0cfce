//! The one way into this program that is not the command line: as the child process of a running builder.

use std::ffi::OsStr;

use crate::step;

/// The name under which the builder executes itself. It is no path, so no user's link or copy is called so by chance.
pub(crate) const STEP: &str = "builder: step";

/// Runs the child's part and never returns, if this process was started by [`crate::run`]; else does nothing.
///
/// To be called first in `main`, before anything that reads arguments, opens files or starts threads.
pub fn child_hook() {
    if std::env::args_os().next().as_deref() == Some(OsStr::new(STEP)) {
        step::main();
    }
}
