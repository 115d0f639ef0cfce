//! What keeps the secrets of one build out of all that it says and of the layers it makes.

use std::path::Path;
use std::sync::Arc;

use layer::Forbidden;

use super::Mask;
use crate::error::{Cause, Error};
use crate::options::BuildOptions;

/// Shorter values are in most images by accident: a gigabyte of compressed files holds any four bytes somewhere.
const SHORTEST: usize = 6;

/// The mask over the output, and the search in new layers.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    pub(crate) mask: Mask,
    /// What new layers must not hold, by the ids of the secrets.
    pub(crate) forbidden: Option<Arc<Forbidden>>,
}

impl Guard {
    /// Guards the secrets of `options`. Layers are searched for whole values, but for a line end after them.
    pub(crate) fn new(options: &BuildOptions) -> Result<Self, Error> {
        let mask = Mask::new(&options.secrets, &options.build_args)?;
        let values =
            options.secrets.iter().map(|(id, secret)| (id.clone(), trimmed(secret.bytes()).to_vec()));
        let values: Vec<_> = values.filter(|(_, value)| value.len() >= SHORTEST).collect();
        let is_searched = !options.allow_secret_in_layer && !values.is_empty();
        Ok(Self { mask, forbidden: is_searched.then(|| Arc::new(Forbidden::new(values))) })
    }

    /// A layer that holds the secret `id`. Its path may hold it, too.
    pub(crate) fn found(&self, id: String, part: &'static str, path: &Path) -> Error {
        let path = self.mask.text(&format!("/{}", path.display()));
        Cause::SecretInLayer { id, part, path }.into()
    }
}

fn trimmed(value: &[u8]) -> &[u8] {
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    value.strip_suffix(b"\r").unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_not_part_of_a_value() {
        for (value, expected) in
            [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("\n", ""), ("a b ", "a b ")]
        {
            assert_eq!(trimmed(value.as_bytes()), expected.as_bytes(), "{value:?}");
        }
    }
}
