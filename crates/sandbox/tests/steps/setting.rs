//! What a test finds: namespaces entered as someone, a root file system with busybox, a short way to run a step in it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::process::{Gid, Uid};
use rustix::thread::CapabilitySet as Kernel;
use sandbox::{
    Cancellation, CapabilitySet, Choice, Error, Exit, Fact, Feature, Identity, Isolation, MapWriter, Network,
    ProbeSettings, Protection, Requested, RunSpec, Stream,
};
use tempfile::TempDir;

/// As whom the builder is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Root with everything.
    Root,
    /// Root without `SYS_ADMIN`, as in most pods.
    Pod,
    /// The same, with a masked /proc.
    Masked,
    /// A user with subordinate ids.
    Subordinate,
    /// A user with one id.
    Single,
    /// The same, with a masked /proc.
    MaskedSingle,
    /// A user with one id, and a table of owners.
    Emulated,
    /// A user with one id and no namespaces.
    Traced,
}

impl Who {
    pub(crate) const ALL: &[Self] = &[
        Self::Root,
        Self::Pod,
        Self::Masked,
        Self::Subordinate,
        Self::Single,
        Self::MaskedSingle,
        Self::Emulated,
        Self::Traced,
    ];
    /// Those who can mount.
    pub(crate) const NAMESPACES: &[Self] =
        &[Self::Root, Self::Pod, Self::Masked, Self::Subordinate, Self::Single, Self::MaskedSingle];
    /// Those whose steps have more than one id, be they real or not.
    pub(crate) const MANY_IDS: &[Self] =
        &[Self::Root, Self::Pod, Self::Masked, Self::Subordinate, Self::Emulated, Self::Traced];

    /// Those whose calls a supervisor carries out.
    pub(crate) const SUPERVISED: &[Self] = &[Self::Emulated, Self::Traced];

    fn uid(self) -> u32 {
        match self {
            Self::Root | Self::Pod | Self::Masked => 0,
            Self::Subordinate => 54_321,
            Self::Single | Self::MaskedSingle | Self::Emulated => 54_322,
            Self::Traced => 54_323,
        }
    }
}

/// Namespaces of this process, and a directory that vanishes at its end.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) dir: TempDir,
    /// Whether a new /proc can be mounted.
    pub(crate) proc: Fact,
    pub(crate) choice: Choice,
    pub(crate) who: Who,
}

/// What a step did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Setting {
    pub(crate) fn enter(who: Who) -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests need root");
        let dir = tempfile::tempdir().unwrap();
        make_root(&dir.path().join("root"));
        fs::create_dir(dir.path().join("state")).unwrap();
        hand_over(dir.path(), who.uid());
        let settings = ProbeSettings::default();
        become_someone(who, &dir, &settings);

        let facts = sandbox::probe(&dir.path().join("state"), &settings).unwrap();
        let isolation = if who == Who::Traced { Isolation::Trace } else { Isolation::Namespaces };
        let choice = sandbox::choose(&facts, Requested { isolation: Some(isolation) }).unwrap();
        let expected = match &choice.identity {
            _ if who == Who::Traced => choice.isolation == Ok(Isolation::Trace),
            Identity::Root(_) => who == Who::Root,
            Identity::Single(_) => matches!(who, Who::Single | Who::MaskedSingle | Who::Emulated),
            Identity::Mapped { writer: MapWriter::OwnCapabilities, .. } => {
                matches!(who, Who::Pod | Who::Masked)
            }
            Identity::Mapped { writer: MapWriter::Helpers { .. }, .. } => who == Who::Subordinate,
        };
        assert!(expected, "{who:?} became {choice}; {facts:#?}");
        let proc = facts.fact(Feature::Proc).clone();
        let _entered = sandbox::enter(&choice).unwrap();
        Self { dir, proc, choice, who }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// A step of root that runs a shell script.
    pub(crate) fn script(&self, script: &str) -> RunSpec {
        RunSpec {
            isolation: self.choice.isolation.clone().unwrap(),
            rootfs: self.root(),
            ownership: (self.who == Who::Emulated).then(|| self.path("owners")),
            mounts: Vec::new(),
            argv: ["sh", "-c", script].map(Into::into).into(),
            env: vec![("PATH".to_owned(), "/bin".to_owned())],
            cwd: "/".into(),
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            secret_env: Vec::new(),
            capabilities: CapabilitySet::DEFAULT,
            protection: Protection::Masked,
            network: Network::Host,
            hostname: "builder".to_owned(),
        }
    }

    /// What a successful script prints.
    pub(crate) fn output_of(&self, script: &str) -> String {
        success(&self.script(script))
    }
}

pub(crate) fn run(spec: &RunSpec) -> Result<Outcome, Error> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut keep = |stream, bytes: &[u8]| match stream {
        Stream::Stdout => stdout.extend_from_slice(bytes),
        Stream::Stderr => stderr.extend_from_slice(bytes),
    };
    let exit = sandbox::run(spec, &mut keep, &Cancellation::new().unwrap())?;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ok(Outcome { exit, stdout: text(stdout), stderr: text(stderr) })
}

pub(crate) fn success(spec: &RunSpec) -> String {
    let outcome = run(spec).unwrap();
    assert!(outcome.exit.is_success(), "{outcome:?}");
    outcome.stdout
}

/// Directories, busybox and its names; nothing to mount on.
fn make_root(root: &Path) {
    for name in ["bin", "etc", "tmp", "home"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
    for name in [
        "sh", "cat", "chown", "chmod", "dd", "echo", "env", "grep", "head", "hostname", "id", "kill", "ln",
        "ls", "mkdir", "mount", "ping", "ps", "readlink", "rm", "seq", "setsid", "sleep", "stat", "touch",
        "true", "umount", "wc",
    ] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").unwrap();
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
}

fn hand_over(path: &Path, uid: u32) {
    lchown(path, Some(uid), Some(uid)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            hand_over(&entry.unwrap().path(), uid);
        }
    }
}

fn become_someone(who: Who, dir: &TempDir, settings: &ProbeSettings) {
    match who {
        Who::Root => {}
        Who::Pod => give_up_sys_admin(),
        Who::Masked => {
            mask_proc();
            give_up_sys_admin();
        }
        Who::Subordinate => {
            private_mounts();
            let ranges = dir.path().join("ranges");
            fs::write(&ranges, format!("{0}:200000:65536\n{0}:400000:10\n", who.uid())).unwrap();
            // newuidmap wants a name.
            let users = dir.path().join("users");
            fs::write(&users, format!("someone:x:{0}:{0}::/:/bin/sh\n", who.uid())).unwrap();
            mount_bind(&users, &settings.passwd).unwrap();
            for file in [&settings.subuid, &settings.subgid] {
                mount_bind(&ranges, file).expect("package uidmap is installed");
            }
            become_user(who.uid());
        }
        Who::Single | Who::Emulated | Who::Traced => become_user(who.uid()),
        Who::MaskedSingle => {
            mask_proc();
            become_user(who.uid());
        }
    }
}

fn mask_proc() {
    private_mounts();
    mount_bind("/dev/null", "/proc/timer_list").unwrap();
}

fn private_mounts() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
}

pub(crate) fn give_up_sys_admin() {
    let mut sets = rustix::thread::capabilities(None).unwrap();
    sets.permitted -= Kernel::SYS_ADMIN;
    sets.effective = sets.permitted;
    rustix::thread::set_capabilities(None, sets).unwrap();
}

fn become_user(id: u32) {
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    rustix::thread::set_thread_groups(&[]).unwrap();
    rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
    rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
    // The change made /proc/self another's, until the next program is executed (proc(5)).
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable).unwrap();
}
