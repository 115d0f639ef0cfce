//! `os/arch[/variant]`, as `--platform` takes it and an index names it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The platform that an image is for (image specification, `image-index.md`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Platform {
    /// The processor architecture in Go's spelling (`amd64`).
    pub architecture: String,
    /// The operating system in Go's spelling (`linux`).
    pub os: String,
    /// The variant of the processor (`v7`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub variant: Option<String>,
    /// Everything else an index says (`os.version`, `os.features`), kept as it is.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

impl Platform {
    /// The platform that this binary runs on.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "aarch64" => ("arm64", None),
            "arm" => ("arm", Some("v7".to_owned())),
            "x86" => ("386", None),
            "powerpc64" => ("ppc64le", None),
            other => (other, None),
        };
        Self {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            variant,
            other: BTreeMap::new(),
        }
    }

    /// Whether an image for `self` is what a build for `wanted` asks for.
    ///
    /// `v8` is what a plain `arm64` means, so the two match each other (containerd's normalisation).
    pub fn satisfies(&self, wanted: &Self) -> bool {
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (wanted.variant.is_none() || self.normal_variant() == wanted.normal_variant())
    }

    fn normal_variant(&self) -> Option<&str> {
        match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm64", Some("v8")) | (_, None | Some("")) => None,
            (_, variant) => variant,
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    /// Parses `os/arch[/variant]`, or an architecture alone, in the spellings that Docker accepts.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || Error::Platform { text: text.to_owned() };
        let parts: Vec<_> = text.split('/').map(str::to_ascii_lowercase).collect();
        let fits = |part: &String| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        };
        if !parts.iter().all(fits) {
            return Err(refuse());
        }
        let (os, architecture, variant) = match parts.as_slice() {
            [os] if os == "linux" => (os.clone(), Self::host().architecture, None),
            [architecture] => ("linux".to_owned(), architecture.clone(), None),
            [os, architecture] => (os.clone(), architecture.clone(), None),
            [os, architecture, variant] => (os.clone(), architecture.clone(), Some(variant.clone())),
            _ => return Err(refuse()),
        };
        let (architecture, implied) = match architecture.as_str() {
            "x86_64" | "x86-64" => ("amd64", None),
            "aarch64" => ("arm64", None),
            "armhf" => ("arm", Some("v7")),
            "armel" => ("arm", Some("v6")),
            "i386" => ("386", None),
            other => (other, None),
        };
        let variant = variant.or(implied.map(str::to_owned));
        Ok(Self { architecture: architecture.to_owned(), os, variant, other: BTreeMap::new() })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(formatter, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_normalised() {
        for (text, expected) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/arm/v7", "linux/arm/v7"),
            ("armhf", "linux/arm/v7"),
            ("Linux/AArch64", "linux/arm64"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "/", "linux/", "a/b/c/d", "linux/$X"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn arm64_v8_is_arm64() {
        let plain: Platform = "linux/arm64".parse().unwrap();
        let variant: Platform = "linux/arm64/v8".parse().unwrap();
        assert!(plain.satisfies(&variant) && variant.satisfies(&plain));
        let v7: Platform = "linux/arm/v7".parse().unwrap();
        assert!(!v7.satisfies(&"linux/arm/v6".parse().unwrap()));
    }
}
