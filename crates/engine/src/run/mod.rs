//! RUN: a command in the root file system of its stage.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use layer::{Ownership, Root};
use sandbox::{Access, CapabilitySet, Mount, Protection, RunSpec};

use crate::Shared;
use crate::error::{Cause, Error};
use crate::event::{Event, StepId, Stream};
use crate::options::{Network, Volume};
use crate::users::user;

/// The host name that every RUN sees, so that it cannot differ between machines.
const HOSTNAME: &str = "builder";
/// How much of the output of a failing step its error shows.
const LAST_LINES: usize = 10;
const LAST_LINE_BYTES: usize = 400;

/// What a RUN does.
#[derive(Debug)]
pub(crate) struct RunOp {
    /// Program and arguments.
    pub(crate) argv: Vec<String>,
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
}

impl Shared {
    /// Runs the command in `root`.
    pub(crate) fn run(&self, op: &RunOp, root: &Root, step: &StepId) -> Result<(), Error> {
        if op.is_empty {
            return Ok(());
        }
        let host = self.host()?;
        let user = user(root, &op.user)?;
        for (kind, id, mapped) in [
            ("user", user.uid, host.ids.contains_uid(user.uid)),
            ("group", user.gid, host.ids.contains_gid(user.gid)),
        ] {
            if !mapped {
                return Err(Cause::UnmappedId { kind, id }.into());
            }
        }
        // Runtimes make a missing working directory as root.
        let ownership = Ownership { uid: 0, gid: 0, mode: 0o755 };
        root.create_dir_all(Path::new(&op.cwd), &ownership).map_err(|source| Cause::Layer {
            action: format!("make the working directory `{}`", op.cwd),
            source,
        })?;
        let spec = RunSpec {
            rootfs: root.path().to_owned(),
            mounts: self.mounts(op)?,
            argv: op.argv.iter().map(OsString::from).collect(),
            env: environment(op, &user.home),
            cwd: PathBuf::from(&op.cwd),
            uid: user.uid,
            gid: user.gid,
            groups: user.groups,
            secret_env: Vec::new(),
            capabilities: CapabilitySet::DEFAULT,
            protection: Protection::Masked,
            network: match op.network {
                Network::Host => sandbox::Network::Host,
                Network::None => sandbox::Network::None,
            },
            hostname: op.hostname.clone().unwrap_or_else(|| HOSTNAME.to_owned()),
        };
        self.execute(&spec, step)
    }

    fn execute(&self, spec: &RunSpec, step: &StepId) -> Result<(), Error> {
        let mut tail = Tail::default();
        let mut output = |stream, bytes: &[u8]| {
            tail.push(bytes);
            let stream = match stream {
                sandbox::Stream::Stdout => Stream::Stdout,
                sandbox::Stream::Stderr => Stream::Stderr,
            };
            self.event(Event::StepOutput { step: step.clone(), stream, bytes: bytes.to_vec() });
        };
        let exit = match sandbox::run(spec, &mut output, &self.cancel) {
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
            last_output: tail.lines(),
        }
        .into())
    }

    fn mounts(&self, op: &RunOp) -> Result<Vec<Mount>, Error> {
        let mut mounts = self.network_files(op)?;
        mounts.extend(
            op.volumes
                .iter()
                .map(|volume| Mount::bind(volume.source.clone(), &volume.target, Access::ReadOnly)),
        );
        Ok(mounts)
    }

    /// /etc/hosts and /etc/resolv.conf as files of ours, so that what a step writes to them reaches no layer.
    fn network_files(&self, op: &RunOp) -> Result<Vec<Mount>, Error> {
        let dir = self.host()?.new_dir("network")?;
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

fn environment(op: &RunOp, home: &str) -> Vec<(String, String)> {
    let mut env = op.env.clone();
    env.extend(op.proxies.iter().cloned());
    if !env.iter().any(|(name, _)| name == "HOME") {
        env.push(("HOME".to_owned(), home.to_owned()));
    }
    env
}

/// The last lines of a step's output.
#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<Vec<u8>>,
    /// Whether the last line has not ended yet.
    open: bool,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if !self.open {
                self.lines.push_back(Vec::new());
            }
            if self.lines.len() > LAST_LINES {
                self.lines.pop_front();
            }
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            if let Some(line) = self.lines.back_mut() {
                let room = LAST_LINE_BYTES.saturating_sub(line.len());
                line.extend_from_slice(&text[..text.len().min(room)]);
            }
            self.open = !piece.ends_with(b"\n");
        }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.iter().map(|line| String::from_utf8_lossy(line).trim_end().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_bounded_and_joins_pieces() {
        let mut tail = Tail::default();
        tail.push(b"one\ntw");
        tail.push(b"o\n\n");
        assert_eq!(tail.lines(), ["one", "two", ""]);
        for number in 0..100 {
            tail.push(format!("{number}\n").as_bytes());
        }
        assert_eq!(tail.lines().first().map(String::as_str), Some("90"));
        tail.push(&vec![b'x'; 100_000]);
        assert_eq!(tail.lines().last().map(String::len), Some(LAST_LINE_BYTES));
    }
}
