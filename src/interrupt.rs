//! Ctrl-C, SIGTERM and a closed terminal end a build: the first signal orderly, the second one at once.

use std::io::Read as _;
use std::os::unix::net::UnixStream;

use sandbox::Cancellation;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level;

use crate::error::Error;

/// From here on signals cancel `cancel`. To be called in the process that builds, as it starts a thread.
pub(crate) fn cancel_on_signals(cancel: &Cancellation) -> Result<(), Error> {
    let failed = |source| Error::Io { operation: "handle signals", source };
    let (mut signals, sender) = UnixStream::pair().map_err(failed)?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        low_level::pipe::register(signal, sender.try_clone().map_err(failed)?).map_err(failed)?;
    }
    let cancel = cancel.clone();
    let wait = move || {
        let mut signal = [0];
        if signals.read_exact(&mut signal).is_ok() {
            cancel.cancel();
        }
        if signals.read_exact(&mut signal).is_ok() {
            // What is mounted and what runs is the kernel's to remove: it ends with this process.
            low_level::exit(130);
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop).map_err(failed)
}
