//! `RUN --mount=type=ssh`: keys that a step can sign with and never sees.
//!
//! A step gets the socket of an agent (draft-ietf-sshm-ssh-agent) that only lists keys and signs: it is answered by
//! us, from key files, or by asking the user's own agent. All else, such as adding or removing keys, is refused.

mod agent;
mod fields;
mod key;
mod key_file;
mod rsa;

use std::path::Path;
use std::sync::Arc;

use sandbox::{Handler, SocketServer};

use crate::error::{Cause, Error};
use crate::options::SshSource;
use agent::{Keys, Upstream, serve};

/// Makes the socket of an agent in `dir`, for `owner`: user, group and mode.
pub(crate) fn start(source: &SshSource, dir: &Path, owner: (u32, u32, u32)) -> Result<SocketServer, Error> {
    let handler: Handler = match source {
        SshSource::Agent(path) => {
            let path = path.clone();
            Arc::new(move |stream| {
                // A step whose agent is gone finds its connection closed.
                if let Ok(mut upstream) = Upstream::connect(&path) {
                    serve(&mut upstream, &stream);
                }
            })
        }
        SshSource::Keys(paths) => {
            let keys =
                Arc::new(paths.iter().map(|path| key_file::read(path)).collect::<Result<Vec<_>, _>>()?);
            Arc::new(move |stream| serve(&mut Keys(&keys), &stream))
        }
    };
    SocketServer::start(dir, "agent", owner, handler)
        .map_err(|source| Cause::Sandbox { action: "make an agent's socket", source }.into())
}
