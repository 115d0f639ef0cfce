//! Certificates: which files count for a registry, and the HTTP client that trusts them.
//!
//! The files lie as containers-certs.d(5) describes. Knows nothing of requests.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, ClientBuilder, Identity, NoProxy, Proxy};

use crate::transport::innermost;
use crate::{Error, Proxies, Settings};

/// Never sent through a proxy, as in Go's `ProxyFromEnvironment`.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// Makes the HTTP client for `registry` (`HOST[:PORT]`), with or without checking certificates.
pub(crate) fn http_client(
    settings: &Settings,
    registry: &str,
    verified: bool,
) -> Result<reqwest::Client, Error> {
    let own = Material::of_registry(settings, registry)?;
    let failed = |cause: &reqwest::Error| Error::HttpClient {
        registry: registry.to_owned(),
        cause: innermost(cause).to_string(),
    };
    if !verified {
        let builder = own.identify(plain_builder(settings)?);
        return builder.tls_danger_accept_invalid_certs(true).build().map_err(|cause| failed(&cause));
    }
    if let Some(roots) = configured_roots(settings)? {
        let builder = own.identify(plain_builder(settings)?);
        let roots = roots.into_iter().chain(own.authorities);
        return builder.tls_certs_only(roots).build().map_err(|cause| failed(&cause));
    }
    let builder = own.identify(plain_builder(settings)?);
    builder.tls_certs_merge(own.authorities.clone()).build().or_else(|_| {
        // An image without CA files (ours is one) has no system roots to merge with.
        let builder = own.identify(plain_builder(settings)?);
        let roots = built_in_roots().chain(own.authorities.clone());
        builder.tls_certs_only(roots).build().map_err(|cause| failed(&cause))
    })
}

/// All that does not depend on certificates.
fn plain_builder(settings: &Settings) -> Result<ClientBuilder, Error> {
    let builder = reqwest::Client::builder()
        .user_agent(&settings.user_agent)
        .connect_timeout(settings.timeouts.connect)
        .pool_max_idle_per_host(settings.parallel.max(1))
        .redirect(reqwest::redirect::Policy::none())
        // With HTTP/2 a blob that nobody reads for a while holds the window of all the others.
        .http1_only()
        .no_proxy();
    add_proxies(builder, &settings.proxies)
}

fn add_proxies(mut builder: ClientBuilder, proxies: &Proxies) -> Result<ClientBuilder, Error> {
    let direct = [proxies.no_proxy.as_deref().unwrap_or_default(), LOOPBACK].join(",");
    for (scheme, url) in [("http", &proxies.http), ("https", &proxies.https)] {
        let Some(url) = url.as_deref().filter(|url| !url.is_empty()) else { continue };
        let proxy = if scheme == "http" { Proxy::http(url) } else { Proxy::https(url) };
        let proxy = proxy.map_err(|cause| Error::Proxy { scheme, cause: innermost(&cause).to_string() })?;
        builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(&direct)));
    }
    Ok(builder)
}

/// The CAs that replace the system's, if any are configured.
fn configured_roots(settings: &Settings) -> Result<Option<Vec<Certificate>>, Error> {
    let tls = &settings.tls;
    if tls.ca_file.is_none() && tls.ca_dirs.is_empty() {
        return Ok(None);
    }
    let mut roots = Vec::new();
    if let Some(file) = &tls.ca_file {
        roots.extend(read_certificates(file)?);
    }
    for dir in &tls.ca_dirs {
        for file in sorted_files(dir)? {
            // Such directories hold links, hashes and READMEs beside certificates.
            roots.extend(read_certificates(&file).unwrap_or_default());
        }
    }
    Ok(Some(roots))
}

/// The CAs of the Mozilla root programme, compiled in.
fn built_in_roots() -> impl Iterator<Item = Certificate> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter_map(|der| Certificate::from_der(der).ok())
}

/// What the certificate directories hold for one registry.
#[derive(Debug, Default)]
struct Material {
    authorities: Vec<Certificate>,
    identity: Option<Identity>,
}

impl Material {
    fn of_registry(settings: &Settings, registry: &str) -> Result<Self, Error> {
        let mut material = Self::default();
        for dir in &settings.tls.cert_dirs {
            let dir = dir.join(registry);
            if dir.is_dir() {
                material.add(&dir)?;
            }
        }
        if let Some(dir) = &settings.tls.cert_dir {
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

    fn identify(&self, builder: ClientBuilder) -> ClientBuilder {
        match &self.identity {
            Some(identity) => builder.identity(identity.clone()),
            None => builder,
        }
    }
}

fn read_certificates(file: &Path) -> Result<Vec<Certificate>, Error> {
    let certificates =
        Certificate::from_pem_bundle(&read(file)?).map_err(|cause| unusable(file, innermost(&cause)))?;
    if certificates.is_empty() {
        return Err(unusable(file, "it holds no PEM certificate"));
    }
    Ok(certificates)
}

fn read_identity(certificate: &Path) -> Result<Identity, Error> {
    let key = certificate.with_extension("key");
    let mut pem = read(certificate)?;
    pem.push(b'\n');
    pem.extend(read(&key)?);
    Identity::from_pem(&pem).map_err(|cause| unusable(certificate, innermost(&cause)))
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
