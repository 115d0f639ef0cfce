//! What can be wrong with a document or a name, in words a user can act on.

/// A value that the OCI specifications do not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A digest that is not `sha256:` and 64 lower-case hexadecimal digits.
    #[error("invalid digest `{text}`: {why}")]
    Digest {
        /// The rejected text, cut to a readable length.
        text: String,
        /// The broken rule.
        why: &'static str,
    },
    /// An image name that is no reference.
    #[error("invalid image reference `{text}`: {why}")]
    Reference {
        /// The rejected text.
        text: String,
        /// The broken rule.
        why: &'static str,
    },
    /// A platform that is not `os/arch[/variant]`.
    #[error("invalid platform `{text}`: expected os/arch or os/arch/variant")]
    Platform {
        /// The rejected text.
        text: String,
    },
    /// A document that is not the JSON it should be.
    #[error("invalid {what}: {cause}")]
    Json {
        /// The kind of document: `image config`, `manifest`, `index`.
        what: &'static str,
        /// The parser's message with line and column.
        cause: String,
    },
    /// A document that is well-formed but contradicts itself or its descriptor.
    #[error("inconsistent {what}: {why}")]
    Inconsistent {
        /// The kind of document.
        what: &'static str,
        /// The contradiction.
        why: String,
    },
}
