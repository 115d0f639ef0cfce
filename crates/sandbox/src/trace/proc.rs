//! /proc for a step: its own processes and nobody else's, with links that end inside and no word of the real ids.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;

use super::credentials::Credentials;
use super::place::{MountPoint, Place, Shown, View};
use super::tasks::{Task, Tasks};
use crate::machine::{HIDDEN_IN_PROC, HIDDEN_IN_SYS};
use crate::spec::{Access, Limits};

/// Where the step has it.
const PROC: &str = "/proc";

/// What the kernel puts behind the name of a file that has none any more (`proc_pid_fd(5)`).
pub(super) const GONE: &[u8] = b" (deleted)";

/// What only who may look into a process is told of it.
const INSIDE: [&str; 15] = [
    "auxv",
    "cwd",
    "environ",
    "exe",
    "io",
    "maps",
    "mem",
    "numa_maps",
    "pagemap",
    "personality",
    "root",
    "smaps",
    "smaps_rollup",
    "stack",
    "syscall",
];

/// What a link of /proc stands for.
#[derive(Debug)]
pub(super) enum Magic {
    /// A path to go on with.
    Text(Vec<u8>),
    /// An open file.
    Place(Place),
}

/// A path below /proc: whose, and what of it.
struct Entry<'a> {
    /// The process or thread; none for what is not of a process.
    id: Option<i32>,
    /// The names behind it; behind `task/TID` if there is such.
    rest: Vec<&'a OsStr>,
}

fn entry(path: &Path) -> Option<Entry<'_>> {
    let mut names: Vec<_> = path
        .strip_prefix(PROC)
        .ok()?
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    let number = |name: &OsStr| name.to_str()?.parse::<i32>().ok();
    let mut id = names.first().and_then(|name| number(name));
    if id.is_some() {
        names.remove(0);
        if let [first, thread, ..] = names[..]
            && first == "task"
            && let Some(thread) = number(thread)
        {
            id = Some(thread);
            names.drain(..2);
        }
    }
    Some(Entry { id, rest: names })
}

/// Who is meant by /proc/1, if that is of no process of the step: programs look there for what the machine runs, and
/// whether they are in a chroot(2).
pub(super) fn stand_in(path: &Path, tasks: &Tasks) -> Option<i32> {
    if path != Path::new("/proc/1") || tasks.contains(1) {
        return None;
    }
    tasks.first().filter(|first| tasks.contains(*first))
}

/// `ENOENT` for what is of no process of the step, or tells of the machine.
pub(super) fn check_visible(path: &Path, tasks: &Tasks) -> Result<(), Errno> {
    if path
        .strip_prefix("/sys")
        .is_ok_and(|below| HIDDEN_IN_SYS.iter().any(|hidden| below == Path::new(hidden)))
    {
        return Err(Errno::NOENT);
    }
    let Some(entry) = entry(path) else { return Ok(()) };
    let is_visible = match entry.id {
        Some(id) => tasks.contains(id),
        None => !entry.rest.first().is_some_and(|name| HIDDEN_IN_PROC.iter().any(|hidden| name == hidden)),
    };
    if is_visible { Ok(()) } else { Err(Errno::NOENT) }
}

/// The ids that a file in /proc belongs to, if it is of a process: those that the process acts with, or root's where nobody
/// may look into it (`proc_pid(5)`).
pub(super) fn owner(path: &Path, mode: u32, task: &Task, tasks: &Tasks) -> Option<(u32, u32)> {
    const PUBLIC: u32 = libc::S_IFDIR | 0o555;
    let Entry { id, rest } = entry(path)?;
    let its = tasks.task(id?)?;
    let who = &its.credentials;
    let is_own = its.tgid == task.tgid && rest.first().is_some_and(|name| *name == "fd");
    let is_open = who.dumpable == 1 || mode & (libc::S_IFMT | 0o777) == PUBLIC || is_own;
    Some(if is_open { (who.euid, who.egid) } else { (0, 0) })
}

/// `EACCES` for what is inside a process that the caller may not look into.
pub(super) fn check_inside(path: &Path, task: &Task, tasks: &Tasks) -> Result<(), Errno> {
    let Some(Entry { id: Some(id), rest }) = entry(path) else { return Ok(()) };
    let is_inside = rest.first().is_some_and(|name| INSIDE.iter().any(|inside| name == inside));
    match tasks.task(id) {
        Some(its)
            if is_inside && its.tgid != task.tgid && !task.credentials.may_inspect(&its.credentials) =>
        {
            Err(Errno::ACCESS)
        }
        _ => Ok(()),
    }
}

/// Whether something in /proc may be written to: what belongs to processes of the step.
pub(super) fn is_writable(path: &Path) -> bool {
    entry(path).is_some_and(|entry| entry.id.is_some())
}

/// What the link at `link`, which is in /proc, leads to; none for an ordinary link.
pub(super) fn magic(link: &Place, task: &Task, tasks: &Tasks, view: &View) -> Result<Option<Magic>, Errno> {
    let Some(entry) = entry(&link.path) else { return Ok(None) };
    let Some(id) = entry.id else {
        return Ok(match entry.rest[..] {
            [name] if name == "self" => Some(Magic::Text(task.tgid.to_string().into_bytes())),
            [name] if name == "thread-self" => {
                Some(Magic::Text(format!("{}/task/{}", task.tgid, task.tid).into_bytes()))
            }
            _ => None,
        });
    };
    check_inside(&link.path, task, tasks)?;
    let of = || tasks.task(id).ok_or(Errno::NOENT);
    let place = match entry.rest[..] {
        [name] if name == "cwd" => of()?.directories.cwd.duplicate()?,
        [name] if name == "root" => of()?.directories.root.duplicate()?,
        [name] if name == "exe" => of()?.program.duplicate()?,
        [name, _] if name == "fd" => {
            let fd = openat(CWD, host(&link.path), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            view.place_of(fd)?
        }
        [name, _] if name == "ns" || name == "map_files" => return Err(Errno::ACCESS),
        _ => return Ok(None),
    };
    Ok(Some(Magic::Place(place)))
}

/// What readlink(2) says of a link in /proc.
pub(super) fn link_text(link: &Place, task: &Task, tasks: &Tasks, view: &View) -> Result<Vec<u8>, Errno> {
    let Some(Entry { id: Some(_), rest }) = entry(&link.path) else {
        return Ok(match magic(link, task, tasks, view)? {
            Some(Magic::Text(text)) => text,
            _ => readlinkat(&link.fd, "", Vec::new())?.into_bytes(),
        });
    };
    if let [name] = rest[..]
        && (name == "cwd" || name == "root" || name == "exe")
        && let Some(Magic::Place(place)) = magic(link, task, tasks, view)?
    {
        let is_gone = place.stat()?.st_nlink == 0;
        let mut text = place.path.into_os_string().into_encoded_bytes();
        if is_gone && !text.ends_with(GONE) {
            text.extend_from_slice(GONE);
        }
        return Ok(text);
    }
    let text = readlinkat(&link.fd, "", Vec::new())?.into_bytes();
    if !text.starts_with(b"/") {
        return Ok(text);
    }
    let path = PathBuf::from(OsStr::from_bytes(&text));
    let seen = view.path_of(&path).map_or(path, |(path, _)| path);
    Ok(seen.into_os_string().into_encoded_bytes())
}

/// The content of a file of /proc that the kernel would fill with what is true of the machine.
pub(super) fn content(path: &Path, tasks: &Tasks, view: &View) -> Result<Option<Vec<u8>>, Errno> {
    let Some(Entry { id: Some(id), rest }) = entry(path) else { return Ok(None) };
    let [name] = rest[..] else { return Ok(None) };
    let text = match name.to_str() {
        Some("mounts") => mounts(view),
        Some("mountinfo") => mount_info(view),
        Some("mountstats") => String::new(),
        Some("status") => {
            let task = tasks.task(id).ok_or(Errno::NOENT)?;
            let real = fs::read_to_string(host(path)).map_err(|error| from_io(&error))?;
            status(&real, &task, tasks)
        }
        Some("uid_map" | "gid_map") => "         0          0 4294967295\n".to_owned(),
        Some("setgroups") => "allow\n".to_owned(),
        _ => return Ok(None),
    };
    Ok(Some(text.into_bytes()))
}

/// Both have it at the same place.
fn host(path: &Path) -> &Path {
    path
}

/// /proc/PID/status with the ids and capabilities that the process believes to have (`proc_pid_status(5)`).
fn status(real: &str, task: &Task, tasks: &Tasks) -> String {
    let who: &Credentials = &task.credentials;
    let mut text = String::new();
    for line in real.lines() {
        let (key, _) = line.split_once(':').unwrap_or((line, ""));
        let hex = |set: u64| format!("{set:016x}");
        let ids = |ids: [u32; 4]| ids.map(|id| id.to_string()).join("\t");
        let value = match key {
            "Umask" => format!("{:04o}", task.directories.umask),
            "PPid" => parent(&value_of(line), tasks),
            "TracerPid" | "Seccomp" | "Seccomp_filters" => "0".to_owned(),
            "Uid" => ids([who.uid, who.euid, who.suid, who.fsuid]),
            "Gid" => ids([who.gid, who.egid, who.sgid, who.fsgid]),
            "Groups" => who.groups.iter().fold(String::new(), |text, gid| format!("{text}{gid} ")),
            "CapInh" => hex(who.inheritable),
            "CapPrm" => hex(who.permitted),
            "CapEff" => hex(who.effective),
            "CapBnd" => hex(who.bounding),
            "CapAmb" => hex(who.ambient),
            "NoNewPrivs" => u32::from(who.no_new_privs).to_string(),
            _ => {
                text.push_str(line);
                text.push('\n');
                continue;
            }
        };
        let _ = writeln!(text, "{key}:\t{value}");
    }
    text
}

fn value_of(line: &str) -> String {
    line.split_once(':').map_or("", |(_, value)| value).trim().to_owned()
}

/// Who is of no process of the step is its first one, to it.
fn parent(real: &str, tasks: &Tasks) -> String {
    if real.parse().is_ok_and(|pid| tasks.contains(pid)) { real.to_owned() } else { "1".to_owned() }
}

/// The process that made a process of the step, as it is told (getppid(2)).
pub(super) fn parent_of(tgid: i32, tasks: &Tasks) -> Result<i64, Errno> {
    let status = fs::read_to_string(format!("/proc/{tgid}/status")).map_err(|error| from_io(&error))?;
    let line = status.lines().find(|line| line.starts_with("PPid:")).unwrap_or_default();
    Ok(parent(&value_of(line), tasks).parse().unwrap_or(1))
}

fn mounts(view: &View) -> String {
    let mut text = "rootfs / rootfs rw 0 0\n".to_owned();
    for mount in view.mounts() {
        let (kind, options) = (kind(mount), options(mount));
        let _ = writeln!(text, "{kind} {} {kind} {options} 0 0", escape(&mount.target));
    }
    text
}

fn mount_info(view: &View) -> String {
    let mut text = "1 1 0:1 / / rw - rootfs rootfs rw\n".to_owned();
    for (index, mount) in view.mounts().iter().enumerate() {
        let (number, kind, options) = (index + 2, kind(mount), options(mount));
        let target = escape(&mount.target);
        let _ = writeln!(text, "{number} 1 0:{number} / {target} {options} - {kind} {kind} rw");
    }
    text
}

fn kind(mount: &MountPoint) -> &'static str {
    match mount.shown {
        Shown::Proc => "proc",
        Shown::Sys => "sysfs",
        Shown::Memory => "ramfs",
        Shown::Files | Shown::Device => "none",
    }
}

fn options(mount: &MountPoint) -> String {
    let Limits { access, nosuid, nodev, noexec } = mount.limits;
    let mut options = if access == Access::ReadOnly { "ro".to_owned() } else { "rw".to_owned() };
    for (is_set, option) in [(nosuid, ",nosuid"), (nodev, ",nodev"), (noexec, ",noexec")] {
        options.push_str(if is_set { option } else { "" });
    }
    options
}

/// As the kernel writes names in such files (fstab(5)).
fn escape(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011").replace('\n', "\\012")
}

fn from_io(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
