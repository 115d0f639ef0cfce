//! RUN: a command in the root file system of its stage, with what is mounted there for it.

mod bind;
mod cache_mount;
mod mount;
mod output;
mod secret_mount;
mod ssh_mount;
mod volume;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use layer::{Ownership, Root};
use sandbox::{Access, CapabilitySet, Isolation, Mount, Protection, RunSpec};

use crate::Shared;
use crate::error::{Cause, Error};
use crate::event::StepId;
use crate::options::{Network, Volume};
use crate::owners::StepTable;
use crate::secret::Mask;
use crate::solve::Solver;
use crate::users::{User, user};

use self::mount::Mounted;
use self::output::Output;

pub(crate) use self::mount::{MountInputs, RunMount};

/// The host name that every RUN sees, so that it cannot differ between machines.
const HOSTNAME: &str = "builder";
/// Who asks for files, in messages.
const INSTRUCTION: &str = "RUN --mount";
/// Where BuildKit puts scripts.
const SCRIPTS: &str = "/dev/pipes";

/// What a RUN does.
#[derive(Debug)]
pub(crate) struct RunOp {
    /// Program and arguments.
    pub(crate) argv: Vec<String>,
    /// The program, if it stands in the Containerfile.
    pub(crate) script: Option<Script>,
    /// Whether there is nothing to do: `RUN` of an empty line or an empty heredoc.
    pub(crate) is_empty: bool,
    /// ENV and ARG.
    pub(crate) env: Vec<(String, String)>,
    /// Proxy settings, which are not part of what is done.
    pub(crate) proxies: Vec<(String, String)>,
    /// The working directory.
    pub(crate) cwd: String,
    /// The user as the image config names it.
    pub(crate) user: String,
    /// What it sees of the network.
    pub(crate) network: Network,
    /// Lines for /etc/hosts.
    pub(crate) hosts: Vec<(String, String)>,
    /// The host name, if not the usual one.
    pub(crate) hostname: Option<String>,
    /// Directories of the machine.
    pub(crate) volumes: Vec<Volume>,
    /// `--mount`, in order.
    pub(crate) mounts: Vec<RunMount>,
    /// `BUILDKIT_CACHE_MOUNT_NS`: ids of caches mean something within it.
    pub(crate) cache_namespace: String,
    /// `--security=insecure`.
    pub(crate) is_insecure: bool,
}

/// A heredoc that begins with `#!`.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Script {
    /// Where the step sees it.
    pub(crate) path: String,
    /// All of it.
    pub(crate) content: String,
}

impl Script {
    /// The script that the heredoc `name` holds.
    pub(crate) fn new(name: &str, content: String) -> Self {
        Self { path: format!("{SCRIPTS}/{}", name.replace('/', "_")), content }
    }

    fn mount(&self) -> Mount {
        Mount::File {
            target: PathBuf::from(&self.path),
            content: self.content.clone().into_bytes().into(),
            mode: 0o755,
            uid: 0,
            gid: 0,
        }
    }
}

/// For whom things are mounted.
struct Surroundings<'a> {
    user: &'a User,
    step: &'a StepId,
}

impl Solver<'_> {
    /// Runs the command in `root`. `inputs` are what was read for its key.
    pub(crate) fn run(
        &self,
        op: &RunOp,
        inputs: &MountInputs,
        root: &Root,
        step: &StepId,
    ) -> Result<(), Error> {
        if op.is_empty {
            return Ok(());
        }
        let isolation = self.shared.isolation()?;
        let user = user(root, &op.user)?;
        self.shared.check_ids(user.uid, user.gid)?;
        // Runtimes make a missing working directory as root.
        let ownership = Ownership { uid: 0, gid: 0, mode: 0o755 };
        root.create_dir_all(Path::new(&op.cwd), &ownership).map_err(|source| Cause::Layer {
            action: format!("make the working directory `{}`", op.cwd),
            source,
        })?;
        let mut mounted = self.mount_all(op, inputs, &Surroundings { user: &user, step })?;
        let mut mounts = self.shared.network_files(op)?;
        mounts.append(&mut mounted.mounts);
        mounts.extend(op.script.as_ref().map(Script::mount));
        let trees = std::iter::once(root.owners()).chain(mounted.owners());
        let table = self.shared.step_table(trees)?;
        let mut env = environment(op, &user.home);
        env.append(&mut mounted.env);
        let spec = RunSpec {
            isolation,
            rootfs: root.path().to_owned(),
            ownership: table.as_ref().map(StepTable::path),
            mounts,
            argv: op.argv.iter().map(OsString::from).collect(),
            env,
            secret_env: std::mem::take(&mut mounted.secret_env),
            cwd: PathBuf::from(&op.cwd),
            uid: user.uid,
            gid: user.gid,
            groups: user.groups,
            capabilities: if op.is_insecure { CapabilitySet::ALL } else { CapabilitySet::DEFAULT },
            protection: if op.is_insecure { Protection::Unmasked } else { Protection::Masked },
            network: match op.network {
                Network::Host => sandbox::Network::Host,
                Network::None => sandbox::Network::None,
            },
            hostname: op.hostname.clone().unwrap_or_else(|| HOSTNAME.to_owned()),
        };
        let done = self.shared.execute(&spec, step, &self.guard.mask);
        // Caches stay as they are, also after a failure.
        let learnt = table.map_or(Ok(()), |table| learn(table, root, &mounted));
        done.and(learnt)?;
        mounted.close()
    }
}

impl Shared {
    /// How steps are isolated; fails where nothing can do that.
    fn isolation(&self) -> Result<Isolation, Error> {
        let isolation = self.host()?.isolation.clone();
        Ok(isolation.map_err(|source| Cause::Sandbox { action: "run the command", source })?)
    }

    /// An error if there is no such user or group in the builder's namespace, and none can be pretended.
    fn check_ids(&self, uid: u32, gid: u32) -> Result<(), Error> {
        let host = self.host()?;
        if host.emulates_owners {
            return Ok(());
        }
        let ids = &host.ids;
        for (kind, id, mapped) in
            [("user", uid, ids.contains_uid(uid)), ("group", gid, ids.contains_gid(gid))]
        {
            if !mapped {
                return Err(Cause::UnmappedId { kind, id }.into());
            }
        }
        Ok(())
    }

    fn execute(&self, spec: &RunSpec, step: &StepId, mask: &Mask) -> Result<(), Error> {
        let mut output = Output::new(self, step, mask);
        let exit = sandbox::run(spec, &mut |stream, bytes: &[u8]| output.write(stream, bytes), &self.cancel);
        let last_output = output.finish();
        let exit = match exit {
            Err(sandbox::Error::Cancelled) => return Err(Cause::Cancelled.into()),
            exit => exit.map_err(|source| Cause::Sandbox { action: "run the command", source })?,
        };
        if exit.is_success() {
            return Ok(());
        }
        Err(Cause::RunFailed {
            code: u8::try_from(exit.status()).unwrap_or(1),
            stage: step.stage_name.clone(),
            number: step.number,
            total: step.total,
            last_output,
        }
        .into())
    }

    /// /etc/hosts and /etc/resolv.conf as files of ours, so that what a step writes to them reaches no layer.
    fn network_files(&self, op: &RunOp) -> Result<Vec<Mount>, Error> {
        let dir = self.new_dir("network")?;
        let hostname = op.hostname.as_deref().unwrap_or(HOSTNAME);
        let mut hosts =
            format!("127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
        for (name, address) in &op.hosts {
            hosts.extend([address, "\t", name, "\n"]);
        }
        let resolv = match op.network {
            Network::Host => fs::read("/etc/resolv.conf").unwrap_or_default(),
            Network::None => Vec::new(),
        };
        let mut mounts = Vec::new();
        for (name, text) in [("hosts", hosts.into_bytes()), ("resolv.conf", resolv)] {
            let path = dir.join(name);
            fs::write(&path, text).map_err(|source| Cause::Io {
                action: "write",
                path: path.clone(),
                source,
            })?;
            mounts.push(Mount::bind(path, Path::new("/etc").join(name), Access::ReadWrite));
        }
        Ok(mounts)
    }
}

/// Keeps what a step has said of the owners of files.
fn learn(table: StepTable, root: &Root, mounted: &Mounted) -> Result<(), Error> {
    table.tell(root)?;
    mounted.caches.iter().try_for_each(|cache| cache.learn(&table))?;
    table.remove()
}

fn environment(op: &RunOp, home: &str) -> Vec<(String, String)> {
    let mut env = op.env.clone();
    env.extend(op.proxies.iter().cloned());
    if !env.iter().any(|(name, _)| name == "HOME") {
        env.push(("HOME".to_owned(), home.to_owned()));
    }
    env
}
