//! Images written for others to read: an image layout in a directory or a tar, or an archive for `docker load`.
//!
//! Every blob is verified on its way out. The same image under the same names gives the same archive, byte for byte.
//! Start reading at [`oci_archive`].

mod docker_archive;
mod file;
mod name;
mod oci_archive;
mod oci_layout;
mod tar;

pub use docker_archive::docker_archive;
pub use file::to_file;
pub use name::Name;
pub use oci_archive::oci_archive;
pub use oci_layout::oci_layout;

use std::collections::BTreeMap;

use oci::{Descriptor, Digest};

use crate::graph::{self, Broken};
use crate::layout::IndexFile;
use crate::{Error, Store, images};

/// The blobs of an image that an export holds: all of them, but for layers that are not to be distributed.
fn blobs(store: &Store, image: &Descriptor) -> Result<BTreeMap<Digest, Descriptor>, Error> {
    let mut blobs = graph::reach(&store.layout, [image.clone()], Broken::Refuse)?;
    blobs.retain(|_, blob| store.has(blob) || !blob.other.contains_key("urls"));
    Ok(blobs)
}

/// Enters the image into `index` under each of `names`, which other images lose, or without a name if there are none.
fn enter(index: &mut IndexFile, image: &Descriptor, names: &[Name]) {
    let mut entries: Vec<_> =
        names.iter().map(|name| images::named(image, Some(name.ref_name()), name.image_name())).collect();
    if entries.is_empty() {
        entries.push(images::named(image, None, None));
    }
    index.retain(|other| {
        let name = other.annotations.get(images::REF_NAME);
        entries.iter().all(|entry| {
            entry != other && (name.is_none() || entry.annotations.get(images::REF_NAME) != name)
        })
    });
    for entry in &entries {
        index.push(entry);
    }
}
