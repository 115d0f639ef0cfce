//! `RUN --mount=type=ssh`: the socket of an agent, for one step.

use std::path::PathBuf;

use containerfile::SshMount;
use sandbox::Access;

use super::mount::Mounted;
use crate::error::{Cause, Error};
use crate::solve::Solver;
use crate::ssh;

impl Solver<'_> {
    /// Gives access to the agent or keys of that id, if there are any.
    pub(super) fn ssh(&self, mount: &SshMount, mounted: &mut Mounted) -> Result<(), Error> {
        let Some(source) = self.options.ssh.get(&mount.id) else {
            if mount.required {
                return Err(Cause::MissingSsh { id: mount.id.clone() }.into());
            }
            return Ok(());
        };
        let Some(target) = &mount.target else { return Ok(()) };
        self.shared.check_ids(mount.uid, mount.gid)?;
        let dir = self.shared.new_dir("ssh")?;
        mounted.dirs.push(dir.clone());
        let server = ssh::start(source, &dir, (mount.uid, mount.gid, mount.mode))?;
        // connect(2) asks for the socket's permissions, not for the mount's.
        let socket = sandbox::Mount::bind(server.path().to_owned(), PathBuf::from(target), Access::ReadOnly);
        mounted.mounts.push(socket);
        if mounted.agents.is_empty() {
            mounted.env.push(("SSH_AUTH_SOCK".to_owned(), target.clone()));
        }
        mounted.agents.push(server);
        Ok(())
    }
}
