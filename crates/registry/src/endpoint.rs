//! Where things are: from a reference to the URLs of the distribution specification, and which places we refuse.
//!
//! Pure text and addresses; nothing is resolved or connected here.

use std::net::{IpAddr, Ipv6Addr};

use oci::Reference;
use url::{Host, Url};

use crate::{Error, Verify};

/// How a registry is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Https,
    Http,
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

/// `SCHEME://HOST/v2/TAIL` of a registry.
pub(crate) fn registry_url(registry: &str, scheme: Scheme, tail: &str) -> Result<Url, Error> {
    // Docker Hub's images are named after a host that serves web pages.
    let host = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
    Url::parse(&format!("{}://{host}/v2/{tail}", scheme.as_str()))
        .map_err(|cause| Error::Address { registry: registry.to_owned(), cause: cause.to_string() })
}

/// `SCHEME://HOST/v2/REPOSITORY/TAIL`.
pub(crate) fn repository_url(reference: &Reference, scheme: Scheme, tail: &str) -> Result<Url, Error> {
    registry_url(reference.registry(), scheme, &format!("{}/{tail}", reference.repository()))
}

/// `HOST[:PORT]` as an image name would spell it.
pub(crate) fn host_and_port(url: &Url) -> String {
    url[url::Position::BeforeHost..url::Position::AfterPort].to_owned()
}

/// Whether two URLs are of one scheme, host and port: only then may credentials of the one go to the other.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// Why we do not follow a server at `from` to `to`; `None` when we do.
///
/// A server must not lead us from https to http, nor to addresses that only make sense from where we stand: those of
/// the link (cloud metadata services) and, unless it is itself there, those of the loopback interface.
pub(crate) fn refusal_to_follow(verify: &Verify, from: &Url, to: &Url) -> Option<&'static str> {
    if !matches!(to.scheme(), "http" | "https") {
        return Some("it is neither http nor https");
    }
    let leaves_https = to.scheme() == "http" && from.scheme() == "https";
    if leaves_https && !verify.is_skipped_for(&host_and_port(to)) {
        return Some("it leaves https");
    }
    if !to.username().is_empty() || to.password().is_some() {
        return Some("it holds a user name");
    }
    if same_origin(from, to) {
        return None;
    }
    match reach(to) {
        Reach::Link => Some("it is a link-local address"),
        Reach::Loopback if reach(from) != Reach::Loopback => Some("it is a loopback address"),
        Reach::Loopback | Reach::Elsewhere => None,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Reach {
    Loopback,
    Link,
    Elsewhere,
}

fn reach(url: &Url) -> Reach {
    let address = match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            let local = name == "localhost" || name.ends_with(".localhost");
            return if local { Reach::Loopback } else { Reach::Elsewhere };
        }
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical(),
        None => return Reach::Elsewhere,
    };
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        // The metadata service of AWS over IPv6 has a unique local address of its own.
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local() || v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
        }
    };
    match address {
        _ if link_local => Reach::Link,
        _ if address.is_loopback() || address.is_unspecified() => Reach::Loopback,
        _ => Reach::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_follow_the_distribution_specification() {
        for (name, expected) in [
            ("alpine", "https://registry-1.docker.io/v2/library/alpine/manifests/x"),
            ("localhost:5000/a/b", "https://localhost:5000/v2/a/b/manifests/x"),
            ("[::1]:5000/a", "https://[::1]:5000/v2/a/manifests/x"),
        ] {
            let reference: Reference = name.parse().unwrap();
            let url = repository_url(&reference, Scheme::Https, "manifests/x").unwrap();
            assert_eq!(url.as_str(), expected);
        }
        let odd: Reference = "1.2.3.4.5/a".parse().unwrap();
        assert!(matches!(repository_url(&odd, Scheme::Https, "x"), Err(Error::Address { .. })));
    }

    #[test]
    fn servers_lead_only_to_places_that_make_sense() {
        for (from, to, followed) in [
            ("https://r.io", "https://s3.io/x?sig=1", true),
            ("https://r.io", "http://s3.io/x", false),
            ("http://r.io", "http://s3.io/x", true),
            ("https://r.io", "https://u:p@s3.io/x", false),
            ("https://r.io", "file:///etc/passwd", false),
            ("https://r.io", "https://169.254.169.254/latest", false),
            ("https://r.io", "https://[::ffff:169.254.169.254]/", false),
            ("https://r.io", "https://[fe80::1]/", false),
            ("https://r.io", "https://[fd00:ec2::254]/", false),
            ("https://r.io", "https://127.0.0.1:9000/", false),
            ("https://r.io", "https://2130706433/", false),
            ("https://r.io", "https://0.0.0.0/", false),
            ("https://r.io", "https://localhost./", false),
            ("https://r.io", "https://10.0.0.7/", true),
            ("http://127.0.0.1:5000", "http://localhost:9000/", true),
        ] {
            let (from, to) = (Url::parse(from).unwrap(), Url::parse(to).unwrap());
            assert_eq!(
                refusal_to_follow(&Verify::Required, &from, &to).is_none(),
                followed,
                "{from} -> {to}"
            );
        }
    }
}
