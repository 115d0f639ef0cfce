//! An image layout in a tar, as `skopeo copy oci-archive:` and `podman load` read it.

use std::io::Write;

use oci::Descriptor;

use super::tar::Archive;
use super::{Name, blobs, enter};
use crate::layout::{self, IndexFile};
use crate::{Error, Store};

/// Writes the image as a tar of an image layout to `out`.
pub fn oci_archive(
    store: &Store,
    image: &Descriptor,
    names: &[Name],
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut archive = Archive::new(out);
    layout_entries(store, image, names, &mut archive)?;
    archive.finish()
}

/// The entries that make an archive an image layout.
pub(super) fn layout_entries(
    store: &Store,
    image: &Descriptor,
    names: &[Name],
    archive: &mut Archive<'_>,
) -> Result<(), Error> {
    let mut index = IndexFile::empty();
    enter(&mut index, image, names);
    archive.text("oci-layout", &layout::oci_layout())?;
    archive.text("index.json", &index.to_json())?;
    archive.directory("blobs/")?;
    archive.directory("blobs/sha256/")?;
    for blob in blobs(store, image)?.values() {
        archive.file(&entry_name(blob), blob.size, store.verified_reader(blob)?)?;
    }
    Ok(())
}

/// Where a blob is in the archive.
pub(super) fn entry_name(blob: &Descriptor) -> String {
    format!("blobs/sha256/{}", blob.digest.hex())
}
