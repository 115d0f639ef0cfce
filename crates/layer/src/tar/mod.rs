//! The tar format as layers use it: ustar with PAX records, read strictly and written sparingly.
//!
//! pax(1) ("ustar Interchange Format", "pax Extended Header") and tar(5) are the references, and Go's `archive/tar`
//! the judge where they leave room: it is what most readers of our layers are built on, and a layer must never mean
//! one thing to us and another to them.

mod limits;
mod listing;
mod pax;
mod reader;
mod writer;

pub use limits::Limits;
pub use listing::{Extent, Listing};
pub(crate) use reader::{Entry, Kind, Reader, Segment, is_header};
pub(crate) use writer::Writer;

/// The unit of the format in bytes.
const BLOCK: usize = 512;
