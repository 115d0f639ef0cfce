//! What the tests of every crate share: real registries, registries that misbehave on purpose, TLS material, and pods.
//!
//! Development only: nothing here reaches the binary. A helper panics with a sentence instead of returning an
//! error, because a test has no better answer. Use it from `tests/` folders only, since this crate depends on the
//! crates it serves. Start reading at [`DockerRegistry`] (Debian's registry) and [`FaultyRegistry`] (ours).
#![expect(
    clippy::missing_panics_doc,
    reason = "every helper panics when the test machine is not as it should be"
)]

mod archive;
mod buildah;
mod debian;
mod docker_registry;
mod faulty_registry;
mod file_server;
mod foreign_image;
mod git_server;
mod http_server;
mod image_check;
mod image_tree;
mod ordinary_user;
mod output;
mod pod;
mod podman;
mod same_image;
mod test_builder;
mod tls;
mod token_server;
mod tool;

pub use archive::archive;
pub use buildah::Buildah;
pub use debian::Debian;
pub use docker_registry::{Auth, DockerRegistry, Options};
pub use faulty_registry::{Challenge, Fault, FaultyRegistry, Recorded};
pub use file_server::{Asked, FileServer, Served};
pub use foreign_image::write_image;
pub use git_server::{COMMIT_TIME, GitServer, git, git_commit};
pub use image_check::check_layout;
pub use image_tree::{Entry, ImageTree};
pub use ordinary_user::ordinary_user;
pub use output::Output;
pub use pod::{Capabilities, Medium, Pod, Profile, RootFs, Runtime, Seccomp};
pub use podman::podman_run;
pub use same_image::{Built, assert_same_image, each};
pub use test_builder::{SHELL, TestBuilder};
pub use tls::Tls;
pub use token_server::TokenServer;
pub use tool::tool;
