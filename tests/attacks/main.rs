//! Attacks: of contexts, archives and images that reach for what is not theirs, and of steps that reach for the builder.
//! Nothing may leave its place. Attacks on registries and on the sandbox alone are in the tests of those crates.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]

mod endings;
mod images;
mod inputs;
mod pods;
mod reach;
mod steps;
