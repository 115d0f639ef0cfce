//! A Debian to build on: its root file system, and packages to install there.

#![expect(clippy::disallowed_methods, reason = "a test helper may spawn the real thing")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What [`Debian::packages`] are for: users of the system, set-id programs and file capabilities of all kinds.
const PACKAGES: [&str; 4] = ["dbus", "iputils-ping", "openssh-client", "sudo"];

/// A minimal Debian without documentation, and packages that it does not have.
///
/// mmdebstrap(1) makes both at once, so their versions fit each other, and installing needs no network.
#[derive(Debug)]
pub struct Debian(PathBuf);

impl Debian {
    /// That which is kept in `dir`, made the first time.
    pub fn in_dir(dir: &Path) -> Self {
        Self::named(&dir.join("debian"), "libcap2-bin")
    }

    /// One that has a compiler and make(1) as well.
    pub fn with_compiler(dir: &Path) -> Self {
        Self::named(&dir.join("debian-with-compiler"), "libcap2-bin,gcc,libc6-dev,make")
    }

    fn named(path: &Path, included: &str) -> Self {
        let this = Self(path.to_owned());
        if !this.0.exists() {
            let dir = path.parent().expect("it is in a directory");
            let fresh = tempfile::Builder::new().prefix("debian-").tempdir_in(dir).expect("a directory");
            make(fresh.path(), included);
            fs::rename(fresh.keep(), &this.0).expect("naming what is complete");
        }
        this
    }

    /// The root file system as a tar archive. Device nodes are left out: images have none.
    pub fn root_fs(&self) -> PathBuf {
        self.0.join("root.tar")
    }

    /// The files of dbus, iputils-ping, openssh-client, sudo, and all that they need beyond [`Self::root_fs`].
    pub fn packages(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.join("packages")).expect("a directory of packages");
        let paths = entries.map(|entry| entry.expect("an entry of a directory").path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "deb")).collect()
    }
}

/// Fills the directory of a [`Debian`].
fn make(dir: &Path, included: &str) {
    // apt downloads as a user of its own.
    fs::set_permissions(dir, Permissions::from_mode(0o755)).expect("setting a mode");
    fs::create_dir_all(dir.join("packages/partial")).expect("making the directories that apt wants");
    let download = format!(
        "APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get install --quiet --yes --no-install-recommends --download-only \
         --option Dir::Cache::archives={}/packages {}",
        dir.display(),
        PACKAGES.join(" ")
    );
    let output = Command::new("mmdebstrap")
        .args(["--variant=minbase", "--skip=output/dev"])
        .arg(format!("--include={included}"))
        .args(["doc", "locale", "man"].map(|name| format!("--dpkgopt=path-exclude=/usr/share/{name}/*")))
        .arg(format!("--customize-hook={download}"))
        .arg("bookworm")
        .arg(dir.join("root.tar"))
        .output()
        .expect("the package mmdebstrap");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
