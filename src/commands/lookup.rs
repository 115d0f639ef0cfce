//! From what the user calls an image to what the store has.

use containerfile::closest;
use oci::{Descriptor, Reference};
use store::{Image, Store};

use crate::error::Error;

/// What an image was found by.
#[derive(Debug)]
pub(super) struct Found {
    /// The image.
    pub(super) descriptor: Descriptor,
    /// The name it was found by, which is all it was asked for; `None` if that was an id.
    pub(super) name: Option<Reference>,
}

/// Finds an image by its name, else by the beginning of an id: the digest of its manifest or config.
pub(super) fn find(store: &Store, text: &str) -> Result<Found, Error> {
    let name = text.parse::<Reference>();
    if let Ok(name) = &name
        && let Some(descriptor) = store.find(name)?
    {
        return Ok(Found { descriptor, name: Some(name.clone()) });
    }
    if let Some(image) = by_id(store, text)?.into_iter().next() {
        return Ok(Found { descriptor: image.descriptor, name: None });
    }
    Err(missing(store, text)?)
}

/// The image with this id, once for each of its names.
pub(super) fn by_id(store: &Store, text: &str) -> Result<Vec<Image>, Error> {
    // Fewer digits are more likely a slip of the hand.
    const SHORTEST: usize = 4;
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let is_id =
        digits.len() >= SHORTEST && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
    if is_id { Ok(store.find_by_id(digits)?) } else { Ok(Vec::new()) }
}

/// Says that there is no such image, with a name that it may have been meant to be.
pub(super) fn missing(store: &Store, text: &str) -> Result<Error, Error> {
    let names: Vec<_> = store
        .images()?
        .into_iter()
        .filter_map(|image| image.reference)
        .map(|name| name.to_string())
        .collect();
    let wanted = text.parse::<Reference>().map_or_else(|_| text.to_owned(), |name| name.to_string());
    let close = closest(&wanted, names.iter().map(String::as_str)).map(str::to_owned);
    Ok(Error::NoImage { name: text.to_owned(), close })
}

#[cfg(test)]
mod tests {
    use oci::{ImageConfig, Manifest, MediaType, Raw};

    use super::*;

    fn store_with(name: &str) -> (tempfile::TempDir, Store, Descriptor) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let config =
            store.put_bytes(MediaType::OCI_CONFIG, Raw::write(ImageConfig::default()).bytes()).unwrap();
        let manifest = Raw::write(Manifest::new(config, Vec::new()));
        let manifest = store.put_bytes(MediaType::OCI_MANIFEST, manifest.bytes()).unwrap();
        store.tag(&name.parse().unwrap(), &manifest).unwrap();
        (dir, store, manifest)
    }

    #[test]
    fn an_image_is_found_by_name_and_by_id() {
        let (_dir, store, manifest) = store_with("q.io/me/app:1");
        for (text, named) in [
            ("q.io/me/app:1", true),
            ("docker://q.io/me/app:1", true),
            (&manifest.digest.to_string(), false),
            (&manifest.digest.hex()[..12], false),
        ] {
            let found = find(&store, text).unwrap();
            assert_eq!((found.descriptor.digest, found.name.is_some()), (manifest.digest, named), "{text}");
        }
    }

    #[test]
    fn a_missing_image_is_named_with_one_that_is_close() {
        let (_dir, store, _) = store_with("q.io/me/app:1");
        let error = find(&store, "q.io/me/ap:1").unwrap_err();
        assert_eq!(error.to_string(), "there is no image `q.io/me/ap:1` in the store");
        assert_eq!(error.hint().as_deref(), Some("did you mean `q.io/me/app:1`?"));
        assert_eq!(
            find(&store, "sha256:").unwrap_err().hint().as_deref(),
            Some("`builder images` lists what is there")
        );
    }
}
