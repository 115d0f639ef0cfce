//! `RUN --mount=type=secret`: a value that one step sees, as a file in memory or as a variable.

use containerfile::SecretMount;

use super::mount::Mounted;
use crate::error::{Cause, Error};
use crate::solve::Solver;

impl Solver<'_> {
    /// Shows the secret, if there is one of that id.
    pub(super) fn secret(&self, mount: &SecretMount, mounted: &mut Mounted) -> Result<(), Error> {
        let Some(secret) = self.options.secrets.get(&mount.id) else {
            if mount.required {
                return Err(Cause::MissingSecret { id: mount.id.clone() }.into());
            }
            return Ok(());
        };
        let content = || secret.bytes().to_vec().into();
        if let Some(target) = &mount.target {
            self.shared.check_ids(mount.uid, mount.gid)?;
            mounted.mounts.push(sandbox::Mount::File {
                target: target.into(),
                content: content(),
                mode: mount.mode,
                uid: mount.uid,
                gid: mount.gid,
            });
        }
        mounted.secret_env.extend(mount.env.iter().map(|name| (name.clone(), content())));
        Ok(())
    }
}
