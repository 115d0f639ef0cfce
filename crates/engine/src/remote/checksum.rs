//! `ADD --checksum`: an algorithm and the digest that content must have (Dockerfile reference, "ADD --checksum").

use std::fmt::{self, Write as _};

use aws_lc_rs::digest::{Algorithm, Context, SHA256, SHA384, SHA512};

const ALGORITHMS: [(&str, &Algorithm); 3] = [("sha256", &SHA256), ("sha384", &SHA384), ("sha512", &SHA512)];

/// A digest as it is written, `ALGORITHM:HEX`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Checksum {
    text: String,
    algorithm: &'static Algorithm,
}

impl fmt::Debug for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Checksum {
    /// The digest that `text` says; else why it says none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let known = || ALGORITHMS.map(|(name, _)| name).join(", ");
        let (name, hex) = text
            .split_once(':')
            .ok_or_else(|| format!("expected ALGORITHM:HEX, the algorithm one of {}", known()))?;
        let algorithm = ALGORITHMS.into_iter().find(|(known, _)| *known == name);
        let (_, algorithm) = algorithm.ok_or_else(|| format!("the algorithms are {}", known()))?;
        let digits = algorithm.output_len() * 2;
        let is_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hex.len() != digits || !is_hex {
            return Err(format!("{name} has {digits} hexadecimal digits in lower case"));
        }
        Ok(Self { text: text.to_owned(), algorithm })
    }

    /// Begins to check content.
    pub(crate) fn check(&self) -> Check<'_> {
        Check { wanted: self, context: Context::new(self.algorithm) }
    }
}

/// Content that is being checked.
pub(crate) struct Check<'a> {
    wanted: &'a Checksum,
    context: Context,
}

impl Check<'_> {
    /// Takes the next piece.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// Compares; on a difference, the digest that the content has.
    pub(crate) fn finish(self) -> Result<(), String> {
        let digest = self.context.finish();
        let name = self.wanted.text.split(':').next().unwrap_or_default();
        let mut found = format!("{name}:");
        for byte in digest.as_ref() {
            write!(found, "{byte:02x}").expect("invariant: a string takes all text");
        }
        if found == self.wanted.text { Ok(()) } else { Err(found) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn content_is_compared_by_its_digest() {
        let checksum = Checksum::parse(EMPTY).unwrap();
        assert_eq!(checksum.check().finish(), Ok(()));
        let mut check = checksum.check();
        check.update(b"a");
        let of_a = "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
        assert_eq!(check.finish(), Err(of_a.to_owned()));
        assert!(Checksum::parse(&format!("sha512:{}", "0".repeat(128))).unwrap().check().finish().is_err());
    }

    #[test]
    fn what_is_no_checksum_is_told_why() {
        for (text, why) in [
            ("x", "expected ALGORITHM:HEX, the algorithm one of sha256, sha384, sha512"),
            ("md5:00", "the algorithms are sha256, sha384, sha512"),
            ("sha256:00", "sha256 has 64 hexadecimal digits in lower case"),
            (&EMPTY.to_uppercase().replace("SHA", "sha"), "sha256 has 64 hexadecimal digits in lower case"),
        ] {
            assert_eq!(Checksum::parse(text).unwrap_err(), why);
        }
    }
}
