//! Why no answer came, told from what reqwest, rustls and the kernel report.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use crate::Error;
use crate::error::{Call, Failure};

/// The cause at the end of the chain, which is the one that says something.
pub(crate) fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

/// The error that nothing came for so long.
pub(super) fn silence(call: Call, limit: Duration) -> Error {
    let cause = format!("nothing came for {} seconds", limit.as_secs_f32());
    Error::Unreachable { call, failure: Failure::TimedOut, cause }
}

/// The error behind a request that got no answer, or only part of one.
pub(super) fn unreachable(call: Call, error: &reqwest::Error) -> Error {
    let cause = innermost(error).to_string();
    Error::Unreachable { call, failure: classify(error, &cause), cause }
}

/// rustls and the resolver tell their causes in words only; the tests of this crate hold them to it.
fn classify(error: &reqwest::Error, cause: &str) -> Failure {
    const WORDS: [(&str, Failure); 10] = [
        ("UnknownIssuer", Failure::UntrustedCertificate),
        ("CaUsedAsEndEntity", Failure::UntrustedCertificate),
        ("certificate not valid for name", Failure::CertificateForOtherName),
        ("NotValidForName", Failure::CertificateForOtherName),
        ("certificate expired", Failure::ExpiredCertificate),
        ("Expired", Failure::ExpiredCertificate),
        ("NotValidYet", Failure::ExpiredCertificate),
        ("InvalidContentType", Failure::NotTls),
        ("tls handshake eof", Failure::TlsRefused),
        ("Temporary failure in name resolution", Failure::NoNameServer),
    ];
    let says = |kind| io_kind(error) == Some(kind);
    if let Some((_, failure)) = WORDS.iter().find(|(words, _)| cause.contains(words)) {
        return *failure;
    }
    match () {
        () if error.is_timeout() => Failure::TimedOut,
        () if error.is_dns() => Failure::UnknownHost,
        () if says(io::ErrorKind::ConnectionRefused) => Failure::ConnectionRefused,
        () if says(io::ErrorKind::InvalidData) => Failure::TlsRefused,
        () if error.is_connect() && !says(io::ErrorKind::ConnectionReset) => Failure::ConnectionRefused,
        () => Failure::ConnectionLost,
    }
}

/// The kind of the innermost I/O error.
fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut found = None;
    let mut next = error.source();
    while let Some(source) = next {
        found = source.downcast_ref::<io::Error>().map(io::Error::kind).or(found);
        next = source.source();
    }
    found
}
