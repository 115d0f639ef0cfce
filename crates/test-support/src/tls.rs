//! A certificate authority, a server certificate and a client certificate, made afresh for each test.
//!
//! Knows files and rcgen, not registries. The files lie as people have them: `ca.crt`, `server.crt`, `server.key`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

/// The names under which tests reach a server.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A private CA and what it signed, in a temporary directory that goes with the value.
#[derive(Debug)]
pub struct Tls {
    dir: TempDir,
}

impl Tls {
    /// Makes a CA, a server certificate for `localhost`, `127.0.0.1` and `::1`, and a client certificate.
    pub fn generate() -> Self {
        Self { dir: Self::make(&LOOPBACK, |_| {}) }
    }

    /// The same with a server certificate for `name` only.
    pub fn for_name(name: &str) -> Self {
        Self { dir: Self::make(&[name], |_| {}) }
    }

    /// The same with a server certificate that ran out in the year 2001.
    pub fn expired() -> Self {
        Self { dir: Self::make(&LOOPBACK, |server| server.not_after = date_time_ymd(2001, 1, 1)) }
    }

    /// A server certificate that signed itself and is marked as a CA, as `openssl req -x509` makes them. It is also
    /// what stands in for the CA's certificate.
    pub fn self_signed() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory for certificates");
        let mut params =
            CertificateParams::new(LOOPBACK.map(String::from)).expect("subject alternative names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = key();
        let certificate = params.self_signed(&key).expect("a self-signed certificate");
        for (file, text) in [
            ("ca.crt", certificate.pem()),
            ("server.crt", certificate.pem()),
            ("server.key", key.serialize_pem()),
        ] {
            fs::write(dir.path().join(file), text).expect("writing a certificate file");
        }
        Self { dir }
    }

    fn make(names: &[&str], change: impl Fn(&mut CertificateParams)) -> TempDir {
        let dir = tempfile::tempdir().expect("a temporary directory for certificates");
        let write = |name: &str, text: String| {
            fs::write(dir.path().join(name), text).expect("writing a certificate file");
        };

        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "builder test CA");
        let ca = CertifiedIssuer::self_signed(authority, key()).expect("a CA certificate");
        write("ca.crt", ca.pem());

        for (file, names) in [("server", names), ("client", &["client"])] {
            let key = key();
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut params = CertificateParams::new(names).expect("subject alternative names");
            if file == "server" {
                change(&mut params);
            }
            let certificate = params.signed_by(&key, &ca).expect("a certificate signed by the CA");
            write(&format!("{file}.crt"), certificate.pem());
            write(&format!("{file}.key"), key.serialize_pem());
        }
        dir
    }

    /// The CA's certificate (PEM).
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }

    /// The server's certificate (PEM).
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("server.crt")
    }

    /// The server's private key (PEM).
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("server.key")
    }

    /// Fills `dir` as `--cert-dir` wants it: the CA, and the client's certificate and key.
    pub fn fill_cert_dir(&self, dir: &Path) {
        fs::create_dir_all(dir).expect("creating the certificate directory");
        for (from, to) in [("ca.crt", "ca.crt"), ("client.crt", "client.cert"), ("client.key", "client.key")]
        {
            fs::copy(self.dir.path().join(from), dir.join(to)).expect("copying a certificate file");
        }
    }

    /// The server's side of a handshake, for the in-process servers.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        let certificate = CertificateDer::from_pem_file(self.certificate()).expect("the server certificate");
        let key = PrivateKeyDer::from_pem_file(self.key()).expect("the server key");
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
        Arc::new(config.expect("a server configuration"))
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key pair")
}
