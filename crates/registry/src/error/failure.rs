//! The ways in which no answer comes.

use std::fmt;

use super::Call;

/// Why no (whole) answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The host's name has no address.
    UnknownHost,
    /// No name server answered.
    NoNameServer,
    /// Nothing listens there, or a firewall says so.
    ConnectionRefused,
    /// The server said nothing for too long.
    TimedOut,
    /// The server's certificate is not signed by anyone we trust.
    UntrustedCertificate,
    /// The server's certificate is for another name.
    CertificateForOtherName,
    /// The server's certificate is not valid at this time.
    ExpiredCertificate,
    /// The server spoke plain http on a port where TLS was expected.
    NotTls,
    /// The server and we found no common TLS, or it wants a client certificate.
    TlsRefused,
    /// The connection broke.
    ConnectionLost,
}

impl Failure {
    pub(super) fn is_transient(self) -> bool {
        matches!(self, Self::NoNameServer | Self::ConnectionRefused | Self::TimedOut | Self::ConnectionLost)
    }

    pub(super) fn hint(self, call: &Call) -> Option<String> {
        let host = call.host();
        let hint = match self {
            Self::UnknownHost | Self::NoNameServer => {
                format!("check the name `{host}` and the DNS of this machine or pod")
            }
            Self::ConnectionRefused => {
                format!("nothing listens on `{host}`; check host, port and proxy settings")
            }
            Self::TimedOut => format!("check that `{host}` can be reached from here, and the proxy settings"),
            Self::UntrustedCertificate => format!(
                "give the CA of `{host}` with --cert-dir (a *.crt file in it), or turn the check off with \
                 --tls-verify=false"
            ),
            Self::CertificateForOtherName => {
                format!("call the registry by a name that its certificate holds, not `{host}`")
            }
            Self::ExpiredCertificate => {
                format!("renew the certificate of `{host}`, or correct the clock of this machine")
            }
            Self::NotTls => format!("`{host}` does not speak https; allow http with --tls-verify=false"),
            Self::TlsRefused => {
                format!(
                    "`{host}` may want a client certificate (*.cert and *.key in --cert-dir), or may not speak \
                     https (--tls-verify=false allows http)"
                )
            }
            Self::ConnectionLost => return None,
        };
        Some(hint)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnknownHost => "unknown host",
            Self::NoNameServer => "name resolution failed",
            Self::ConnectionRefused => "cannot connect",
            Self::TimedOut => "no answer",
            Self::UntrustedCertificate => "certificate signed by unknown authority",
            Self::CertificateForOtherName => "certificate is for another name",
            Self::ExpiredCertificate => "certificate has expired or is not yet valid",
            Self::NotTls => "server gave an http answer to an https client",
            Self::TlsRefused => "TLS handshake failed",
            Self::ConnectionLost => "connection lost",
        })
    }
}
