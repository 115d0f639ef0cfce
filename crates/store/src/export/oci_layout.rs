//! An image layout in a directory of the user's.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use oci::Descriptor;

use super::{Name, blobs, enter};
use crate::files::{self, Durability};
use crate::layout::Layout;
use crate::{Error, Store};

/// Writes the image into the image layout in `dest`, which is made if it is not there.
///
/// Images that `dest` has under other names stay; the image gets its names last, so that a reader never finds it
/// incomplete. Several processes may write to one layout.
pub fn oci_layout(store: &Store, image: &Descriptor, names: &[Name], dest: &Path) -> Result<(), Error> {
    files::create_dir(dest, 0o755)?;
    let layout = Layout::open(dest, dest)?;
    for blob in blobs(store, image)?.values().filter(|blob| !layout.has(blob)) {
        let mut content = store.verified_reader(blob)?;
        let copy = |file: &mut File| {
            let mut file = BufWriter::with_capacity(128 << 10, file);
            io::copy(&mut content, &mut file)?;
            file.flush()
        };
        files::replace(dest, &layout.blob_path(&blob.digest), Durability::Lazy, copy)?;
    }
    layout.update_index(|index| enter(index, image, names))
}
