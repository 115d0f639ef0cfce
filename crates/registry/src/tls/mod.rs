//! Trust: the HTTP client that a registry is spoken to with, its roots, verifier and client certificate.
//!
//! Knows nothing of requests. `files` finds certificates, `verifier` judges servers.

mod files;
mod verifier;

use std::sync::Arc;

use reqwest::{ClientBuilder, NoProxy, Proxy};
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::transport::innermost;
use crate::{Error, Proxies, Settings, TlsSettings};
use files::Material;
use verifier::{Pinning, Unchecked};

/// Never sent through a proxy, as in Go's `ProxyFromEnvironment`.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// Whether a server's certificate matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trust {
    /// It must be valid.
    Proven,
    /// Any will do.
    Blind,
}

/// Makes the HTTP client for `registry` (`HOST[:PORT]`), with its certificates and those of the system.
pub(crate) fn http_client(
    settings: &Settings,
    registry: &str,
    trust: Trust,
) -> Result<reqwest::Client, Error> {
    let failed = |cause: String| Error::HttpClient { registry: registry.to_owned(), cause };
    let material = Material::of_registry(&settings.tls, registry)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Proven => {
            let roots = roots(&settings.tls, &material.authorities)?;
            Arc::new(Pinning::new(roots, material.authorities, &provider).map_err(failed)?)
        }
        Trust::Blind => Arc::new(Unchecked::new(Arc::clone(&provider))),
    };
    let config =
        client_config(provider, verifier, material.identity).map_err(|cause| failed(cause.to_string()))?;
    let builder = reqwest::Client::builder()
        .user_agent(&settings.user_agent)
        .connect_timeout(settings.timeouts.connect)
        .pool_max_idle_per_host(settings.parallel.max(1))
        .redirect(reqwest::redirect::Policy::none())
        // With HTTP/2 a blob that nobody reads for a while holds the window of all the others.
        .http1_only()
        .tls_backend_preconfigured(config)
        .no_proxy();
    let builder = add_proxies(builder, &settings.proxies)?;
    builder.build().map_err(|cause| failed(innermost(&cause).to_string()))
}

fn client_config(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<files::Identity>,
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => builder.with_client_auth_cert(identity.chain, identity.key)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The CAs that may vouch for a server: the registry's own, and the configured ones in place of the system's.
fn roots(settings: &TlsSettings, own: &[CertificateDer<'static>]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(own.iter().cloned());
    match files::configured_roots(settings)? {
        Some(configured) => roots.add_parsable_certificates(configured),
        None => roots.add_parsable_certificates(files::system_roots()),
    };
    Ok(roots)
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
