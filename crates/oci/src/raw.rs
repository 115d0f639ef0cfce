//! Documents with their exact bytes, and the one JSON writer.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Digest, Error};

/// A parsed document and the bytes it was parsed from.
///
/// A digest is of bytes, so these are what is stored, pushed and compared; a re-serialised value is another document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw<T> {
    bytes: Vec<u8>,
    digest: Digest,
    value: T,
}

impl<T: DeserializeOwned> Raw<T> {
    /// Parses `bytes` as a `what`, which is how an error will call it.
    pub fn parse(what: &'static str, bytes: Vec<u8>) -> Result<Self, Error> {
        let value =
            serde_json::from_slice(&bytes).map_err(|cause| Error::Json { what, cause: cause.to_string() })?;
        Ok(Self { digest: Digest::of(&bytes), bytes, value })
    }
}

impl<T: Serialize> Raw<T> {
    /// Writes `value` in the canonical form.
    pub fn write(value: T) -> Self {
        let bytes = to_json(&value);
        Self { digest: Digest::of(&bytes), bytes, value }
    }
}

impl<T> Raw<T> {
    /// The exact bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest of [`Raw::bytes`].
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What the bytes say.
    pub fn value(&self) -> &T {
        &self.value
    }
}

/// Serialises `value` as compact JSON with every object's keys sorted.
///
/// One value has one text, whatever order its fields are declared in: the digest of an image depends on it.
pub fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    let sorted =
        serde_json::to_value(value).expect("invariant: our documents have string keys and finite numbers");
    serde_json::to_vec(&sorted).expect("invariant: a JSON value serialises")
}

/// Reads `null`, which Go writes for an empty map or slice, as the empty value.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    // serde_json's `preserve_order` would change every digest; a dependency may switch it on for the whole graph.
    #[test]
    fn keys_are_sorted() {
        let value: serde_json::Value = serde_json::from_str(r#"{"b":1,"a":{"d":2,"c":3}}"#).unwrap();
        assert_eq!(to_json(&value), br#"{"a":{"c":3,"d":2},"b":1}"#);
    }

    #[test]
    fn raw_keeps_the_bytes_it_was_parsed_from() {
        let text = br#"{ "b": 1,  "a": 2 }"#.to_vec();
        let raw = Raw::<serde_json::Value>::parse("document", text.clone()).unwrap();
        assert_eq!(raw.bytes(), text);
        assert_eq!(raw.digest(), Digest::of(&text));
        assert!(Raw::<serde_json::Value>::parse("document", b"{".to_vec()).is_err());
    }
}
