//! What a step may or may not do according to where it runs: printed, and not compared.

use std::fs;

use nix::sched::{CloneFlags, setns, unshare};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::process::{Pid, getpid, getppid, pivot_root, test_kill_process};
use rustix::system::{sethostname, uname};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use super::calls::{mkdir, mknod, open};
use super::report::tell;

pub(crate) fn run() {
    mkdir("dir", 0o755).unwrap();
    for flags in [
        CloneFlags::CLONE_NEWNS,
        CloneFlags::CLONE_NEWUSER,
        CloneFlags::CLONE_NEWNET,
        CloneFlags::CLONE_NEWPID,
    ] {
        tell!("unshare({flags:?})" => std::thread::scope(|scope| {
            scope.spawn(|| unshare(flags)).join().expect("a thread that unshares")
        }));
    }
    tell!("mount(tmpfs)" => mount("tmpfs", "dir", "tmpfs", MountFlags::empty(), None));
    tell!("mount(proc)" => mount("proc", "dir", "proc", MountFlags::empty(), None));
    tell!("mount(sysfs)" => mount("sysfs", "dir", "sysfs", MountFlags::empty(), None));
    tell!(mount_bind("dir", "dir"));
    tell!(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC));
    tell!(rustix::mount::unmount("dir", rustix::mount::UnmountFlags::DETACH));
    tell!(pivot_root("dir", "dir"));
    tell!(sethostname(b"other"));
    tell!("hostname" => Ok::<_, std::io::Error>(uname().nodename()));
    tell!("setns" => fs::File::open("/proc/self/ns/mnt").map(|space| setns(space, CloneFlags::empty()).is_ok()));
    others();
    devices();
}

fn others() {
    tell!("kill(1, 0)" => test_kill_process(Pid::INIT));
    tell!("kill(parent, 0)" => getppid().map_or(Ok(()), test_kill_process));
    tell!("own number" => Ok::<_, std::io::Error>(getpid().as_raw_nonzero().get()));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for key in ["Uid", "Gid", "Groups", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "TracerPid"] {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        tell!("{key} in /proc/self/status" => Ok::<_, std::io::Error>(line.replace('\t', " ")));
    }
    tell!(
        fs::read_to_string("/proc/self/uid_map")
            .map(|map| map.split_whitespace().collect::<Vec<_>>().join(" "))
    );
    let all = CapabilitySets { effective: CapabilitySet::all(), ..capabilities(None).unwrap() };
    tell!("capset(all)" => set_capabilities(None, all));
    for path in
        ["/proc/1/root", "/proc/1/environ", "/proc/kcore", "/proc/sysrq-trigger", "/sys/kernel", "/dev/mem"]
    {
        tell!("open({path:?}, RDONLY)" => open(path, rustix::fs::OFlags::RDONLY));
    }
}

fn devices() {
    mknod("null", rustix::fs::FileType::CharacterDevice, 0o666, 1, 3).ok();
    tell!(open("null", rustix::fs::OFlags::RDWR));
    tell!(mknod("whiteout", rustix::fs::FileType::CharacterDevice, 0, 0, 0));
}
