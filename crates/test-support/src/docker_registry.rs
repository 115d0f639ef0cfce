//! Debian's `docker-registry` on a free loopback port, with a folder and a configuration of its own.
//!
//! Knows the registry's configuration file and nothing of its protocol beyond "it answers".
#![expect(clippy::disallowed_methods, reason = "a test helper may spawn the real thing")]

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Tls, TokenServer};

/// How long a registry may take to answer its first request.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How the registry is to be set up; the default is plain http, open to everyone.
#[derive(Debug, Default, Clone, Copy)]
pub struct Options<'a> {
    /// Serves https with this server certificate.
    pub tls: Option<&'a Tls>,
    /// Demands a client certificate signed by the CA of `tls`.
    pub client_certificates: bool,
    /// Who may do what.
    pub auth: Auth<'a>,
}

/// Who may use the registry.
#[derive(Debug, Default, Clone, Copy)]
pub enum Auth<'a> {
    /// Everyone.
    #[default]
    Open,
    /// One user with a password, by HTTP basic authentication.
    Htpasswd(&'a str, &'a str),
    /// Whoever holds a token of that server.
    Token(&'a TokenServer),
}

/// A running registry; it is killed and its storage deleted when dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    process: Child,
    port: u16,
    dir: TempDir,
}

impl DockerRegistry {
    /// Starts the registry and waits until it answers.
    pub fn start(options: Options<'_>) -> Self {
        // The port may be taken between finding it and the registry's bind; then another one is tried.
        for _ in 0..5 {
            if let Some(registry) = Self::try_start(options) {
                return registry;
            }
        }
        panic!("docker-registry does not start; is Debian's package `docker-registry` installed?");
    }

    /// `HOST:PORT`, as it stands in an image name. The host is `localhost`, for which [`Tls`] vouches.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The directory that holds all blobs and manifests.
    pub fn storage(&self) -> PathBuf {
        self.dir.path().join("storage")
    }

    fn try_start(options: Options<'_>) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory for the registry");
        let port = free_port();
        let config = dir.path().join("config.yml");
        fs::write(&config, configuration(&dir, port, options)).expect("writing the registry's configuration");
        let log = fs::File::create(dir.path().join("log")).expect("the registry's log file");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("starting docker-registry");
        let mut registry = Self { process, port, dir };
        registry.is_up().then_some(registry)
    }

    fn is_up(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < START_LIMIT {
            if self.process.try_wait().expect("waiting for docker-registry").is_some() {
                return false;
            }
            if answers(self.port) {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
    listener.local_addr().expect("the address of a bound socket").port()
}

/// Whether an HTTP server speaks on that port. A TLS server answers a plain request too, with 400 or an alert.
fn answers(port: u16) -> bool {
    let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let limit = socket.set_read_timeout(Some(Duration::from_secs(5)));
    let request = socket.write_all(b"GET / HTTP/1.0\r\n\r\n");
    let mut byte = [0];
    limit.is_ok() && request.is_ok() && socket.read(&mut byte).is_ok_and(|length| length == 1)
}

fn configuration(dir: &TempDir, port: u16, options: Options<'_>) -> String {
    let storage = dir.path().join("storage");
    let mut text = format!(
        "version: 0.1\nlog: {{level: debug}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n\
         http:\n  addr: 127.0.0.1:{port}\n  secret: test\n",
        storage.display()
    );
    let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string");
    if let Some(tls) = options.tls {
        line("  tls:".into());
        line(format!("    certificate: {}", tls.certificate().display()));
        line(format!("    key: {}", tls.key().display()));
        if options.client_certificates {
            line(format!("    clientcas: [{}]", tls.ca_file().display()));
        }
    }
    match options.auth {
        Auth::Open => {}
        Auth::Htpasswd(user, password) => {
            let file = dir.path().join("htpasswd");
            fs::write(&file, htpasswd(user, password)).expect("writing the htpasswd file");
            line(format!("auth:\n  htpasswd: {{realm: test, path: {}}}", file.display()));
        }
        Auth::Token(server) => line(server.registry_configuration()),
    }
    text
}

/// The registry wants bcrypt, which `htpasswd` of apache2-utils writes.
fn htpasswd(user: &str, password: &str) -> Vec<u8> {
    let output = Command::new("htpasswd")
        .args(["-B", "-n", "-b", "-C", "4", user, password])
        .output()
        .expect("running htpasswd; is Debian's package `apache2-utils` installed?");
    assert!(output.status.success(), "htpasswd failed: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
