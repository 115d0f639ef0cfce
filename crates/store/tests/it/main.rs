//! The store as its users see it: threads, processes, foreign tools, full disks and forgotten mounts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blobs;
mod cache;
mod cache_mounts;
mod export;
mod fixture;
mod images;
mod layers;
mod open;
mod prune;
mod work;
