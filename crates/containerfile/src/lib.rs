//! containerfile
