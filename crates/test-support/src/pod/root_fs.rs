//! The unpacked image of a pod's container.

#![expect(clippy::disallowed_methods, reason = "a test helper may spawn the real thing")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::{ID_BASE, ID_COUNT, node_dir};

/// A root file system owned by root; containers see it through an overlay and never change it.
///
/// What it made is removed with this value, so it must not be a `static`.
#[derive(Debug)]
pub struct RootFs {
    tree: PathBuf,
    shifted: OnceLock<PathBuf>,
    dir: TempDir,
}

impl RootFs {
    /// A small system: busybox with its applets, the users `root` and `build` (1000), and the usual directories.
    pub fn new() -> Self {
        let dir = node_dir();
        let this = Self { tree: dir.path().join("tree"), shifted: OnceLock::new(), dir };
        for path in ["bin", "etc", "home/build", "root", "tmp", "usr/bin", "var/tmp"] {
            fs::create_dir_all(this.tree.join(path)).expect("a directory of the root file system");
        }
        for path in ["tmp", "var/tmp"] {
            this.set_mode(path, 0o1777);
        }
        chown(this.tree.join("home/build"), Some(1000), Some(1000)).expect("giving a home to its user");
        this.program("/bin/busybox", "bin/busybox")
            .file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nbuild:x:1000:1000::/home/build:/bin/sh\n")
            .file("etc/group", "root:x:0:\nbuild:x:1000:\n")
            .with_applets()
    }

    /// A tree that the caller has unpacked and keeps, such as a Debian.
    pub fn of(tree: impl Into<PathBuf>) -> Self {
        Self { tree: tree.into(), shifted: OnceLock::new(), dir: node_dir() }
    }

    /// Adds newuidmap(1) and newgidmap(1), and 65536 subordinate ids from 100000 on for `build`.
    ///
    /// The programs have file capabilities, as in the images of buildah: with the setuid bit alone they work only where
    /// a container may hold `CAP_SYS_ADMIN`.
    pub fn with_subordinate_ids(self) -> Self {
        let mut this = self;
        for (name, capability) in [("newuidmap", "cap_setuid=ep"), ("newgidmap", "cap_setgid=ep")] {
            let path = format!("usr/bin/{name}");
            this = this.program(format!("/{path}"), &path);
            this.set_mode(&path, 0o755);
            let status = Command::new("setcap").arg(capability).arg(this.tree.join(&path)).status();
            assert!(status.expect("the package libcap2-bin").success(), "cannot give {capability} to {path}");
        }
        this.file("etc/subuid", "build:100000:65536\n").file("etc/subgid", "build:100000:65536\n")
    }

    /// Adds a file of root that everyone may read.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let target = self.tree.join(path);
        fs::create_dir_all(target.parent().expect("a path in the tree")).expect("making directories");
        fs::write(target, content).expect("writing a file of the root file system");
        self.set_mode(path, 0o644);
        self
    }

    /// Adds a program of this machine under `path`, with the libraries that it needs.
    pub fn program(self, program: impl AsRef<Path>, path: &str) -> Self {
        let libraries = libraries(program.as_ref());
        let copies =
            libraries.iter().map(|library| (library.as_path(), library.strip_prefix("/").expect("absolute")));
        for (source, path) in copies.chain([(program.as_ref(), Path::new(path))]) {
            let target = self.tree.join(path);
            fs::create_dir_all(target.parent().expect("a path in the tree")).expect("making directories");
            fs::copy(source, &target).unwrap_or_else(|error| panic!("copying {}: {error}", source.display()));
            let mode = fs::metadata(source).expect("a file that was just read").mode() & 0o7777;
            fs::set_permissions(target, Permissions::from_mode(mode)).expect("setting a mode");
        }
        self
    }

    fn with_applets(self) -> Self {
        let output = Command::new("/bin/busybox").arg("--list").output().expect("the package busybox-static");
        for applet in String::from_utf8_lossy(&output.stdout).lines().filter(|applet| *applet != "busybox") {
            symlink("busybox", self.tree.join("bin").join(applet)).expect("a link to busybox");
        }
        self
    }

    fn set_mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.tree.join(path), Permissions::from_mode(mode)).expect("setting a mode");
    }

    /// The tree as it is.
    pub(super) fn tree(&self) -> &Path {
        &self.tree
    }

    /// A copy of the tree whose owners are those of a pod's user namespace, made once.
    pub(super) fn shifted(&self) -> &Path {
        self.shifted.get_or_init(|| {
            let copy = self.dir.path().join("shifted");
            let status = Command::new("cp").arg("-a").arg(&self.tree).arg(&copy).status().expect("cp(1)");
            assert!(status.success(), "cannot copy {}", self.tree.display());
            shift(&copy);
            copy
        })
    }
}

impl Default for RootFs {
    fn default() -> Self {
        Self::new()
    }
}

/// Shifts the owners of a tree. A file with several names is met at each, and shifted once.
fn shift(path: &Path) {
    let metadata = path.symlink_metadata().expect("a file of a tree of our own");
    if metadata.uid() < ID_COUNT && metadata.gid() < ID_COUNT {
        lchown(path, Some(ID_BASE + metadata.uid()), Some(ID_BASE + metadata.gid()))
            .expect("shifting an owner");
        // chown(2) takes the setuid and setgid bits away. So it does with file capabilities: root has no use for them.
        if !metadata.is_symlink() {
            fs::set_permissions(path, metadata.permissions()).expect("setting a mode");
        }
    }
    if metadata.is_dir() {
        for entry in path.read_dir().expect("a directory of a tree of our own") {
            shift(&entry.expect("an entry of a directory").path());
        }
    }
}

/// The libraries of a program, its ELF interpreter among them; none for a static one.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().expect("ldd(1)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    words.filter(|word| !word.ends_with(':')).map(PathBuf::from).collect()
}
