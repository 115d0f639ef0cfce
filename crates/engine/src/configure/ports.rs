//! What EXPOSE takes: `port[-port][/protocol]`, and the forms of `docker run -p`, of which only the container's side
//! counts.

use crate::error::{Cause, Error};

const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// The ports that `text` names, each as `80/tcp`.
pub(super) fn parse(text: &str) -> Result<Vec<String>, Error> {
    let refuse = |why: &str| {
        Error::from(Cause::InvalidArgument { what: "port", text: text.to_owned(), why: why.to_owned() })
    };
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !PROTOCOLS.contains(&protocol.as_str()) {
        return Err(refuse("the protocol is tcp, udp or sctp"));
    }
    let ports = ports.rsplit(':').next().unwrap_or(ports);
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let number = |text: &str| text.parse::<u16>().map_err(|_| refuse("a port is a number up to 65535"));
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(refuse("the range ends before it starts"));
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling() {
        for (text, expected) in [
            ("80", vec!["80/tcp"]),
            ("53/UDP", vec!["53/udp"]),
            ("9000-9002", vec!["9000/tcp", "9001/tcp", "9002/tcp"]),
            ("127.0.0.1:8080:80", vec!["80/tcp"]),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
        for text in ["", "x", "80/foo", "70000", "9-8", "80-", "-80"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
