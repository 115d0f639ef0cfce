//! Debian's buildah, made to build on a test machine of any kind.
#![expect(clippy::disallowed_methods, reason = "a test helper may spawn the real thing")]

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::image_tree::ImageTree;

/// buildah as root, without an OCI runtime, with a storage of its own that is removed with this value.
#[derive(Debug)]
pub struct Buildah {
    storage: TempDir,
}

impl Buildah {
    /// With an empty storage.
    pub fn new() -> Self {
        Self { storage: tempfile::tempdir().expect("a temporary directory") }
    }

    /// Builds with these arguments of `buildah build`, the context last, into its storage.
    pub fn build(&self, arguments: &[&str]) {
        self.bud(arguments).unwrap_or_else(|error| panic!("buildah build {arguments:?}: {error}"));
    }

    /// Builds as [`Self::build`] into the new directory `image`, and returns the image, or what buildah said of it.
    ///
    /// The image has the format of Docker, since that of OCI loses HEALTHCHECK, ONBUILD and SHELL in buildah.
    pub fn image(&self, image: &Path, arguments: &[&str]) -> Result<ImageTree, String> {
        let tag = format!("dir:{}", image.display());
        self.bud(&[&["--format=docker", "--layers=false", "-t", &tag], arguments].concat())?;
        let tree = ImageTree::from_dir(image);
        fs::remove_dir_all(image).expect("removing an image");
        Ok(tree)
    }

    fn bud(&self, arguments: &[&str]) -> Result<(), String> {
        let output = Command::new("buildah")
            // There it keeps the directories of cache mounts.
            .env("TMPDIR", self.storage.path())
            .arg("--root")
            .arg(self.storage.path().join("graph"))
            .arg("--runroot")
            .arg(self.storage.path().join("run"))
            .args([
                "--storage-driver=overlay",
                "build",
                "--isolation=chroot",
                "--network=host",
                "--pull=never",
            ])
            .arg("--identity-label=false")
            .args(arguments)
            .output()
            .expect("buildah");
        let error = String::from_utf8_lossy(&output.stderr);
        let error = error.lines().rfind(|line| line.starts_with("Error") || line.starts_with("error"));
        if output.status.success() { Ok(()) } else { Err(error.unwrap_or("no error line").to_owned()) }
    }
}

impl Default for Buildah {
    fn default() -> Self {
        Self::new()
    }
}
