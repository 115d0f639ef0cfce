//! How layers are packed and unpacked where nothing else is tried.

#![allow(dead_code, reason = "each test file uses a part")]

use layer::{Adjust, Compression, Limits, PackOptions, Timestamps, UnpackOptions};

/// As it is, so that it can be compared.
pub(crate) const PLAIN: PackOptions =
    PackOptions { compression: Compression::None, timestamps: Timestamps::Keep, threads: 2, forbidden: None };

/// A layer of an image.
pub(crate) const LAYER: UnpackOptions<'static> = UnpackOptions {
    whiteouts: true,
    adjust: Adjust { owner: None, mode: None },
    limits: Limits { entries: 100_000, bytes: 1 << 40 },
};
