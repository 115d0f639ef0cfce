//! Files of a git repository that is elsewhere: what its URL means, and a checkout of one commit into a directory.
//!
//! git(1) itself is called, with none of the machine's configuration, no hooks, no helpers and no way to ask: only the
//! transports http, https, ssh and git are spoken. A hostile repository decides on the content of files and on nothing
//! else. Secrets reach git in its environment, never in an argument, a file or an error.
//!
//! It knows neither Dockerfiles nor images; it reads no environment and no clock. Start reading at [`GitUrl`], then
//! [`checkout`].

mod checkout;
mod command;
mod error;
mod options;
mod reference;
mod remote;
mod submodules;
mod tree;
mod url;

pub use checkout::{Checkout, checkout, resolve};
pub use error::Error;
pub use options::{Authorization, Options, Proxies};
pub use url::{FileTimes, GitUrl};
