//! Values that steps may see and nothing else may.

mod guard;
mod mask;

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

pub(crate) use self::guard::Guard;
pub(crate) use self::mask::{Mask, MaskedStream};

/// A secret value: never shown by `Debug`, overwritten in memory when its last clone is dropped.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// The largest value in bytes, which is BuildKit's limit.
    pub const MAX_SIZE: usize = 500 * 1024;

    /// Takes the value as it is; `None` if it is larger than [`MAX_SIZE`](Self::MAX_SIZE).
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        let bytes = Zeroizing::new(bytes);
        (bytes.len() <= Self::MAX_SIZE).then(|| Self(Arc::new(bytes)))
    }

    /// The value. Whoever copies it answers for the copy.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_itself_to_its_reader_alone() {
        let secret = Secret::new(b"hunter2".to_vec()).unwrap();
        assert_eq!(secret.bytes(), b"hunter2");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "Secret(***) Some(\n    Secret(***),\n)");
    }

    #[test]
    fn a_secret_has_a_largest_size() {
        assert!(Secret::new(vec![0; Secret::MAX_SIZE]).is_some());
        assert!(Secret::new(vec![0; Secret::MAX_SIZE + 1]).is_none());
    }
}
