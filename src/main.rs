//! The command line.
mod args;
mod results;
mod settings;
fn main() {}
