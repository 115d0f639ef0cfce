//! Build arguments that exist without being declared (Dockerfile reference, "Predefined ARGs").

/// Arguments for proxies: usable by `RUN` without an `ARG`, and left out of history and cache keys unless an
/// `ARG` declares them. Sorted.
pub const PREDEFINED_ARGS: [&str; 10] = [
    "ALL_PROXY",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "all_proxy",
    "ftp_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Arguments of the global scope that describe platforms and the target; a stage sees one only after an `ARG`
/// names it. Sorted.
pub const PLATFORM_ARGS: [&str; 11] = [
    "BUILDARCH",
    "BUILDOS",
    "BUILDOSVERSION",
    "BUILDPLATFORM",
    "BUILDVARIANT",
    "TARGETARCH",
    "TARGETOS",
    "TARGETOSVERSION",
    "TARGETPLATFORM",
    "TARGETSTAGE",
    "TARGETVARIANT",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(PREDEFINED_ARGS.is_sorted());
        assert!(PLATFORM_ARGS.is_sorted());
    }
}
