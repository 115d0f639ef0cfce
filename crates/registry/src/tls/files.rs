//! Certificate files: which of them count for a registry, and what is in them.
//!
//! Directories lie as containers-certs.d(5) describes.

use std::fs;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Error, TlsSettings};

/// Where distributions keep their bundle of CAs; the first that is there counts (Go's `crypto/x509` has this list).
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where single CAs are put beside the bundle.
const SYSTEM_DIRS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// The CAs that replace the system's, if any are configured.
pub(super) fn configured_roots(
    settings: &TlsSettings,
) -> Result<Option<Vec<CertificateDer<'static>>>, Error> {
    if settings.ca_file.is_none() && settings.ca_dirs.is_empty() {
        return Ok(None);
    }
    let mut roots = Vec::new();
    if let Some(file) = &settings.ca_file {
        roots.extend(read_certificates(file)?);
    }
    for dir in &settings.ca_dirs {
        // Such directories hold links, hashes and READMEs beside certificates.
        roots.extend(sorted_files(dir)?.iter().filter_map(|file| read_certificates(file).ok()).flatten());
    }
    Ok(Some(roots))
}

/// The CAs of this machine. An image without a bundle (ours is one) has those of the Mozilla root programme, which
/// are compiled in; single CAs that someone put there count in any case.
pub(super) fn system_roots() -> Vec<CertificateDer<'static>> {
    let bundle = SYSTEM_BUNDLES.iter().find_map(|file| read_certificates(Path::new(file)).ok());
    let mut roots = bundle.unwrap_or_else(|| webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec());
    for dir in SYSTEM_DIRS {
        let files = sorted_files(Path::new(dir)).unwrap_or_default();
        let single = files.iter().filter(|file| {
            let is_bundle = SYSTEM_BUNDLES.iter().any(|bundle| Path::new(bundle) == *file);
            !is_bundle && file.extension().is_some_and(|extension| extension == "crt" || extension == "pem")
        });
        roots.extend(single.filter_map(|file| read_certificates(file).ok()).flatten());
    }
    roots
}

/// A client certificate with its chain and key.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// What the certificate directories hold for one registry.
#[derive(Debug, Default)]
pub(super) struct Material {
    pub(super) authorities: Vec<CertificateDer<'static>>,
    pub(super) identity: Option<Identity>,
}

impl Material {
    pub(super) fn of_registry(settings: &TlsSettings, registry: &str) -> Result<Self, Error> {
        let mut material = Self::default();
        for dir in &settings.cert_dirs {
            let dir = dir.join(registry);
            if dir.is_dir() {
                material.add(&dir)?;
            }
        }
        if let Some(dir) = &settings.cert_dir {
            material.add(dir)?;
        }
        Ok(material)
    }

    fn add(&mut self, dir: &Path) -> Result<(), Error> {
        for file in sorted_files(dir)? {
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => self.authorities.extend(read_certificates(&file)?),
                Some("cert") => self.identity = Some(read_identity(&file)?),
                Some("key") if !file.with_extension("cert").exists() => {
                    return Err(unusable(&file, "there is no *.cert file beside it"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = read(file)?;
    let certificates = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|cause| unusable(file, &cause))?;
    if certificates.is_empty() {
        return Err(unusable(file, "it holds no PEM certificate"));
    }
    Ok(certificates)
}

fn read_identity(certificate: &Path) -> Result<Identity, Error> {
    let chain = read_certificates(certificate)?;
    let file = certificate.with_extension("key");
    let key = PrivateKeyDer::from_pem_slice(&read(&file)?).map_err(|cause| unusable(&file, &cause))?;
    Ok(Identity { chain, key })
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    fs::read(file).map_err(|cause| unusable(file, &cause))
}

fn sorted_files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut files: Vec<_> =
        entries.map_err(|cause| unusable(dir, &cause))?.into_iter().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

fn unusable(path: &Path, cause: &(impl ToString + ?Sized)) -> Error {
    Error::Certificates { path: path.to_owned(), cause: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;

    use super::*;

    #[test]
    fn built_in_and_system_roots_are_usable() {
        let (_, ignored) = RootCertStore::empty()
            .add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec());
        assert_eq!(ignored, 0);
        let (added, _) = RootCertStore::empty().add_parsable_certificates(system_roots());
        assert!(added > 50, "{added}");
    }
}
