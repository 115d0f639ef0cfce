//! One call of git(1), shut off from everything but its arguments: no configuration of the machine, no prompt, no
//! hooks. No wait is unbounded, and nothing of it is left running.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::remote::Remote;
use crate::{Error, Options};

/// The most that is kept of what git writes, in bytes.
const OUTPUT_LIMIT: u64 = 64 << 20;

/// How long a process is left alone between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Settings that hold for every call.
const CONFIG: [(&str, &str); 17] = [
    ("core.hooksPath", "/dev/null"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.symlinks", "true"),
    ("core.autocrlf", "false"),
    ("credential.helper", ""),
    ("safe.directory", "*"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("transfer.fsckObjects", "true"),
    // Old and harmless; histories of well-known projects hold it.
    ("fetch.fsck.zeroPaddedFilemode", "ignore"),
    ("fetch.fsck.badTimezone", "ignore"),
    ("fetch.fsck.missingSpaceBeforeDate", "ignore"),
    // Silence is a failure: less than a byte a second for a minute.
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
];

/// Who calls git, and where.
pub(crate) struct Git<'a> {
    pub(crate) options: &'a Options,
    pub(crate) remote: &'a Remote,
    /// The host that secrets without a host are for.
    pub(crate) first_host: &'a str,
    pub(crate) cancelled: &'a dyn Fn() -> bool,
    /// The `.git` directory.
    pub(crate) dir: &'a Path,
}

impl Git<'_> {
    /// Runs `git COMMAND ARGS` and returns its output.
    pub(crate) fn run<S: AsRef<OsStr>>(
        &self,
        command: &'static str,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Vec<u8>, Error> {
        let mut process = self.process();
        process.arg(command).args(args);
        let child = process.spawn().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::NotInstalled { remote: self.remote.text.clone() },
            _ => Error::Io { operation: "run", path: "git".into(), source },
        })?;
        self.finish(command, child)
    }

    fn process(&self) -> Command {
        #[expect(clippy::disallowed_methods, reason = "git is called; this is the one place")]
        let mut process = Command::new("git");
        process.env_clear().envs(self.environment()).current_dir("/").process_group(0);
        process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        process
    }

    fn environment(&self) -> Vec<(OsString, OsString)> {
        let mut all: Vec<(OsString, OsString)> = [
            ("HOME", "/dev/null"),
            ("LC_ALL", "C"),
            ("GIT_ALLOW_PROTOCOL", "http:https:ssh:git"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
        all.push(("PATH".into(), self.options.path.clone()));
        all.push(("GIT_DIR".into(), self.dir.into()));
        all.push(("GIT_SSH_COMMAND".into(), self.ssh_command()));
        all.extend(self.options.ssh_agent.as_ref().map(|socket| ("SSH_AUTH_SOCK".into(), socket.into())));
        let proxies = &self.options.proxies;
        for (name, value) in
            [("http_proxy", &proxies.http), ("https_proxy", &proxies.https), ("no_proxy", &proxies.no_proxy)]
        {
            all.extend(value.as_ref().map(|value| (name.into(), value.into())));
        }
        all.extend(self.config());
        all
    }

    /// Settings as variables, since arguments are there for every process of the machine to see.
    fn config(&self) -> Vec<(OsString, OsString)> {
        let mut pairs: Vec<(String, OsString)> =
            CONFIG.map(|(key, value)| (key.to_owned(), value.into())).into();
        if let Some(file) = &self.options.ca_file {
            pairs.push(("http.sslCAInfo".to_owned(), file.into()));
        }
        if !self.options.verify_tls {
            pairs.push(("http.sslVerify".to_owned(), "false".into()));
        }
        if let (Some(scope), Some(header)) = (&self.remote.header_scope, self.authorization()) {
            pairs.push((format!("http.{scope}.extraHeader"), format!("Authorization: {header}").into()));
            // Git would show the header to the host that it is sent to.
            pairs.push(("http.followRedirects".to_owned(), "false".into()));
        }
        let mut variables = vec![("GIT_CONFIG_COUNT".into(), pairs.len().to_string().into())];
        for (number, (key, value)) in pairs.into_iter().enumerate() {
            variables.push((format!("GIT_CONFIG_KEY_{number}").into(), key.into()));
            variables.push((format!("GIT_CONFIG_VALUE_{number}").into(), value));
        }
        variables
    }

    fn authorization(&self) -> Option<&str> {
        let fits = |host: &str| host == self.remote.host;
        let all = &self.options.authorizations;
        let named = all.iter().find(|one| one.host.as_deref().is_some_and(fits));
        let any = || all.iter().find(|one| one.host.is_none() && fits(self.first_host));
        let header = named.or_else(any).map(|one| one.header.as_str());
        header.filter(|header| !header.chars().any(char::is_control)).or(self.remote.login.as_deref())
    }

    fn ssh_command(&self) -> OsString {
        let mut command = OsString::from("ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes");
        command.push(" -o 'UserKnownHostsFile=");
        let file = self.options.known_hosts.as_ref().map_or(OsStr::new("/dev/null"), |file| file.as_os_str());
        command.push(file.to_string_lossy().replace('\'', r"'\''"));
        command.push("'");
        command
    }

    fn finish(&self, command: &'static str, mut child: Child) -> Result<Vec<u8>, Error> {
        let (output, complaint) = (collect(child.stdout.take()), collect(child.stderr.take()));
        let waited = self.wait(command, &mut child);
        // Whatever it started ends with it, so that nobody holds the pipes.
        if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let _gone = kill_process_group(group, Signal::KILL);
        }
        let status = child.wait();
        let (output, complaint) = (joined(output), joined(complaint));
        waited?;
        match status {
            Ok(status) if status.success() => Ok(output),
            _ => Err(self.failed(command, &complaint)),
        }
    }

    /// Waits for the end, without reaping: the process group must not become another's before it is killed.
    fn wait(&self, command: &'static str, child: &mut Child) -> Result<(), Error> {
        let start = Instant::now();
        while !has_ended(child) {
            if (self.cancelled)() {
                return Err(Error::Cancelled);
            }
            if start.elapsed() > self.options.timeout {
                let (remote, limit) = (self.remote.text.clone(), self.options.timeout);
                return Err(Error::TimedOut { command, remote, limit });
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// The error with the last lines of what git said.
    fn failed(&self, command: &'static str, complaint: &[u8]) -> Error {
        let text = String::from_utf8_lossy(complaint);
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(3)..].join("; ");
        let message = last.chars().take(600).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Error::Failed { command, remote: self.remote.text.clone(), message }
    }
}

fn has_ended(child: &Child) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return true };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), options), Ok(None) | Err(rustix::io::Errno::INTR))
}

/// Reads a pipe to its end, keeping no more than the limit.
fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What cannot be read was not said.
            let _read = (&mut pipe).take(OUTPUT_LIMIT).read_to_end(&mut bytes);
            let _rest = io::copy(&mut pipe, &mut io::sink());
        }
        bytes
    })
}

fn joined(reader: JoinHandle<Vec<u8>>) -> Vec<u8> {
    reader.join().unwrap_or_default()
}
