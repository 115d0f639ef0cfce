//! A command in a container that has the security context of a Kubernetes pod, without Kubernetes.
//!
//! crun makes a real container: ids, capabilities, filter, masked paths, `no_new_privs` and id maps are what a kubelet
//! with containerd or CRI-O would ask for. As on a node, its root file system is an overlay, so that no overlay can
//! have its upper directory there, volumes are directories of the node, and the files of the kubelet are there. The
//! network is that of the node. Needs root; start reading at [`Pod`] and [`Profile::ALL`].

#![expect(clippy::disallowed_methods, reason = "a test helper may spawn the real thing")]

mod profile;
mod root_fs;
mod runtime;
mod runtime_config;
mod seccomp;

pub use profile::{Capabilities, Profile, Seccomp};
pub use root_fs::RootFs;
pub use runtime::Runtime;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::output::Output;
use runtime_config::Mount;
use seccomp::Denied;

/// The ids of the node that a pod with a user namespace has.
const ID_BASE: u32 = 1_000_000;
const ID_COUNT: u32 = 65536;

/// Bytes in a volume that is an image; a sparse file takes only what is written.
const IMAGE_SIZE: u64 = 4 << 30;

/// Where an emptyDir lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// On the node's file system; what it holds stays as long as the pod.
    Disk,
    /// The same, and no program can be executed there.
    NoExec,
    /// In a tmpfs that each container finds empty.
    Memory,
    /// In a file with an ext4 of its own that stays as long as the pod, as where the container is a virtual machine.
    Image,
}

/// A pod whose containers run one after another, each on a fresh root file system.
///
/// Its volumes are removed with it; no mount and no process of a container outlives [`Self::run`].
#[derive(Debug)]
pub struct Pod<'a> {
    profile: Profile,
    root_fs: &'a RootFs,
    dir: TempDir,
    mounts: Vec<Mount>,
    volumes: Vec<(PathBuf, Medium)>,
    env: BTreeMap<String, String>,
    cwd: String,
    timeout: Duration,
    denied: Vec<Denied>,
    masked: Vec<String>,
    sysctls: Vec<(String, u64)>,
}

impl<'a> Pod<'a> {
    /// A pod without volumes whose image is `root_fs`.
    pub fn new(profile: Profile, root_fs: &'a RootFs) -> Self {
        let home = match profile.uid {
            0 => "/root",
            1000 => "/home/build",
            _ => "/",
        };
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let env = [("HOME", home), ("PATH", path), ("TERM", "xterm")];
        let mut this = Self {
            profile,
            root_fs,
            dir: node_dir(),
            mounts: Vec::new(),
            volumes: Vec::new(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            cwd: "/".to_owned(),
            timeout: Duration::from_mins(5),
            denied: Vec::new(),
            masked: Vec::new(),
            sysctls: Vec::new(),
        };
        this.mount_files_of_the_kubelet();
        this
    }

    fn mount_files_of_the_kubelet(&mut self) {
        let files = [
            ("/etc/hosts", "127.0.0.1 localhost\n10.0.0.7 pod\n", 0o644),
            ("/etc/resolv.conf", "nameserver 10.96.0.10\nsearch default.svc.cluster.local\n", 0o644),
            ("/etc/hostname", "pod\n", 0o644),
            ("/dev/termination-log", "", 0o666),
            (
                "/var/run/secrets/kubernetes.io/serviceaccount/token",
                "the token of the pod's account\n",
                0o644,
            ),
        ];
        for (number, (destination, text, mode)) in files.into_iter().enumerate() {
            let source = self.dir.path().join(format!("kubelet-{number}"));
            fs::write(&source, text).expect("writing a file of the kubelet");
            fs::set_permissions(&source, Permissions::from_mode(mode)).expect("setting a mode");
            self.mount(&source, destination, if destination.ends_with("token") { "ro" } else { "rw" });
        }
    }

    fn mount(&mut self, source: &Path, destination: &str, option: &'static str) {
        let source = source.to_str().expect("paths of tests are UTF-8").to_owned();
        self.mounts.push(Mount { source, destination: destination.to_owned(), option });
    }

    /// Adds an emptyDir, which everyone may write.
    pub fn empty_dir(mut self, destination: &str, medium: Medium) -> Self {
        let source = self.dir.path().join(format!("volume-{}", self.volumes.len()));
        self.make_dir(&source, 0o777);
        if medium == Medium::Image {
            make_image(&source.with_extension("ext4"));
        }
        self.mount(&source, destination, if medium == Medium::NoExec { "noexec" } else { "rw" });
        self.volumes.push((source, medium));
        self
    }

    /// Adds a file or directory of the node, as writable as it is.
    pub fn bind(mut self, source: impl AsRef<Path>, destination: &str) -> Self {
        self.mount(source.as_ref(), destination, "rw");
        self
    }

    /// Adds a file or directory of the node that the container can only read.
    pub fn bind_read_only(mut self, source: impl AsRef<Path>, destination: &str) -> Self {
        self.mount(source.as_ref(), destination, "ro");
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// Runs the containers from now on in another image; the volumes stay.
    pub fn image(mut self, root_fs: &'a RootFs) -> Self {
        self.root_fs = root_fs;
        self
    }

    /// Sets the working directory, which is `/` otherwise.
    pub fn cwd(mut self, dir: &str) -> Self {
        dir.clone_into(&mut self.cwd);
        self
    }

    /// Sets after how long a container is killed and the test fails; five minutes otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Makes these system calls fail with EPERM, on top of the profile's filter.
    pub fn deny_syscalls(self, names: &[&str]) -> Self {
        self.refuse_syscalls("EPERM", names)
    }

    /// Makes these system calls fail with ENOSYS, as if the kernel had none of them.
    pub fn lack_syscalls(self, names: &[&str]) -> Self {
        self.refuse_syscalls("ENOSYS", names)
    }

    fn refuse_syscalls(mut self, errno: &'static str, names: &[&str]) -> Self {
        self.denied.extend(names.iter().map(|name| Denied { call: (*name).to_owned(), errno }));
        self
    }

    /// Hides a path of the kernel, on top of those that the profile hides.
    pub fn mask(mut self, path: &str) -> Self {
        self.masked.push(path.to_owned());
        self
    }

    /// Sets a limit of namespaces(7), such as `user.max_user_namespaces`, for the pod alone.
    ///
    /// They are of a user namespace; so that those of the node stay, a pod that has none gets one in which every id is
    /// itself. What it may do with the node is then less than without: no mount of a disk, no device.
    pub fn sysctl(mut self, name: &str, value: u64) -> Self {
        assert!(name.starts_with("user."), "`{name}` is of the whole node");
        self.sysctls.push((name.to_owned(), value));
        self
    }

    /// Where the node has the file or directory that containers see at `destination`, unless it is in memory or in an
    /// image.
    #[track_caller]
    pub fn on_node(&self, destination: &str) -> &Path {
        let mount = self.mounts.iter().find(|mount| mount.destination == destination);
        Path::new(&mount.unwrap_or_else(|| panic!("the pod has no volume {destination}")).source)
    }

    /// Runs a command in a new container, with nothing on standard input, and waits for its end.
    ///
    /// Exit codes are those of the command; crun says on standard error what it could not start.
    pub fn run(&self, argv: &[&str]) -> Output {
        let dir = node_dir();
        let at = |name: &str| dir.path().join(name);
        for name in ["upper", "work", "rootfs", "bundle"] {
            self.make_dir(&at(name), 0o755);
        }
        let config = runtime_config::config(self, &at("rootfs"), &self.mounts, argv);
        fs::write(at("bundle").join("config.json"), config.to_string()).expect("writing the runtime config");
        // Killing unshare(1) kills the first process of the pid namespace, and with it all of them. Streams are pipes
        // because crun gives them to the user of the container: /dev/null would be that of the machine.
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "--pid", "--mount-proc", "--kill-child"])
            .args(["sh", "-ec", &self.start_script(dir.path())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare(1)");
        let command = format!("{} (in the pod {})", argv.join(" "), self.profile.name);
        Output::of(child, b"", command, dir.path(), self.timeout)
    }

    /// Mounts what belongs to a container whose files are in `dir`, and becomes crun.
    ///
    /// All mounts vanish with the namespace that it runs in.
    fn start_script(&self, dir: &Path) -> String {
        let (dir, owner) = (dir.display(), self.owner());
        let lower = if self.profile.user_namespace { self.root_fs.shifted() } else { self.root_fs.tree() };
        // crun wants the second version of cgroups alone.
        let cgroups = "test -e /sys/fs/cgroup/cgroup.controllers || mount -t cgroup2 cgroup2 /sys/fs/cgroup";
        let mut lines = vec![cgroups.to_owned()];
        for (path, medium) in &self.volumes {
            let path = path.display();
            lines.push(match medium {
                Medium::Disk => continue,
                // crun does it by itself, but not in a user namespace.
                Medium::NoExec => format!("mount --bind {path} {path}; mount -o remount,bind,noexec {path}"),
                Medium::Memory => format!("mount -t tmpfs tmpfs {path}"),
                Medium::Image => format!("mount -o loop {path}.ext4 {path}"),
            });
            lines.push(format!("chown {owner}:{owner} {path}; chmod 777 {path}"));
        }
        let lower = format!("lowerdir={}", lower.display());
        lines.push(format!(
            "mount -t overlay -o {lower},upperdir={dir}/upper,workdir={dir}/work overlay {dir}/rootfs"
        ));
        lines.push(format!(
            "exec crun --cgroup-manager=disabled --root {dir}/crun run --bundle {dir}/bundle pod"
        ));
        lines.join("\n")
    }

    /// Who is root in the pod, as the node numbers users.
    fn owner(&self) -> u32 {
        if self.profile.user_namespace { ID_BASE } else { 0 }
    }

    fn has_user_namespace(&self) -> bool {
        self.profile.user_namespace || !self.sysctls.is_empty()
    }

    fn make_dir(&self, path: &Path, mode: u32) {
        fs::create_dir(path).expect("making a directory of the node");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("setting a mode");
        chown(path, Some(self.owner()), Some(self.owner())).expect("giving a directory to the pod");
    }
}

/// A directory on the node's disk that the ids of every pod reach; /tmp may be in memory, or private.
fn node_dir() -> TempDir {
    let dir =
        tempfile::Builder::new().prefix("pod-").tempdir_in("/var/tmp").expect("a directory in /var/tmp");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("setting a mode");
    dir
}

/// A file with an empty ext4.
fn make_image(path: &Path) {
    let file = fs::File::create(path).expect("making a file of the node");
    file.set_len(IMAGE_SIZE).expect("making a sparse file");
    let status = Command::new("mkfs.ext4").arg("-q").arg(path).status();
    assert!(
        status.expect("the package e2fsprogs").success(),
        "cannot make a file system in {}",
        path.display()
    );
}
