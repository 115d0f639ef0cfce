//! What is shown in a step's root besides its own files: /proc, /sys, a small /dev, and the mounts of its RUN.
//!
//! What a mount would hold in memory lies in a directory of its own beside the root, which ends with the step.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use ownership::Record;
use rustix::fs::{
    AtFlags, Dir, FileType, MemfdFlags, Mode, OFlags, Timespec, Timestamps, fstat, memfd_create, mkdirat,
    openat, readlinkat, statat, symlinkat, utimensat,
};

use super::owners::Owners;
use super::place::{self, MountPoint, Shown};
use crate::error::{Attempt, Error};
use crate::machine::{DEVICE_LINKS, DEVICES};
use crate::mount_points::{Kind as PointKind, Missing, clean, find, make_empty, open_inside};
use crate::spec::{Access, Content, Limits, Mount, RunSpec, TmpfsStart};

/// All that is mounted, and the directory that goes when this is dropped.
pub(super) struct Mounts {
    pub(super) points: Vec<MountPoint>,
    pub(super) scratch: Scratch,
}

/// A directory for what lasts as long as the step.
pub(super) struct Scratch {
    path: PathBuf,
    next: u32,
}

impl Scratch {
    /// Beside `root`, on the same file system.
    fn beside(root: &Path) -> Result<Self, Error> {
        let name = root.file_name().unwrap_or_default().to_string_lossy();
        let path = root.with_file_name(format!("{name}.step-{}", std::process::id()));
        fs::create_dir(&path).attempt("mkdir", || format!("make `{}`", path.display()))?;
        Ok(Self { path, next: 0 })
    }

    fn new_dir(&mut self) -> Result<PathBuf, Error> {
        let path = self.path.join(self.next.to_string());
        self.next += 1;
        fs::create_dir(&path).attempt("mkdir", || format!("make `{}`", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed with the rest of the build's work.
        drop(fs::remove_dir_all(&self.path));
    }
}

impl Mounts {
    pub(super) fn make(spec: &RunSpec, owners: &Owners) -> Result<Self, Error> {
        let mut mounts = Self { points: Vec::new(), scratch: Scratch::beside(&spec.rootfs)? };
        let kernels = Limits { nosuid: true, nodev: true, noexec: true, access: Access::ReadWrite };
        mounts.show("/proc", open(Path::new("/proc"))?, kernels, Shown::Proc)?;
        let read_only = Limits { access: Access::ReadOnly, ..kernels };
        if let Ok(sys) = open(Path::new("/sys")) {
            mounts.show("/sys", sys, read_only, Shown::Sys)?;
        }
        mounts.make_dev(owners)?;
        for mount in &spec.mounts {
            mounts.add(spec, mount, owners)?;
        }
        Ok(mounts)
    }

    fn show(
        &mut self,
        target: impl Into<PathBuf>,
        fd: OwnedFd,
        limits: Limits,
        shown: Shown,
    ) -> Result<(), Error> {
        let target = target.into();
        let doing = || format!("mount on `{}`", target.display());
        let point = MountPoint::new(target.clone(), fd, limits, shown).attempt("fstat", doing)?;
        self.points.push(point);
        Ok(())
    }

    fn make_dev(&mut self, owners: &Owners) -> Result<(), Error> {
        let dir = self.scratch.new_dir()?;
        let doing = || "make `/dev`".to_owned();
        for (name, target) in DEVICE_LINKS {
            symlink(target, dir.join(name)).attempt("symlink", doing)?;
        }
        for name in ["pts", "shm"] {
            fs::create_dir(dir.join(name)).attempt("mkdir", doing)?;
        }
        let shm = open(&dir.join("shm"))?;
        set_mode(&shm, owners, 0o1777)?;
        let nosuid = Limits { nosuid: true, ..Limits::default() };
        self.show("/dev", open(&dir)?, nosuid, Shown::Files)?;
        for (name, ..) in DEVICES {
            let host = Path::new("/dev").join(name);
            // A pod without terminals has no /dev/tty, and a build needs none.
            let Ok(device) = open(&host) else { continue };
            fs::write(dir.join(name), "").attempt("open", doing)?;
            self.show(host, device, nosuid, Shown::Device)?;
        }
        if let Ok(pts) = open(Path::new("/dev/pts")) {
            self.show("/dev/pts", pts, nosuid, Shown::Device)?;
        }
        Ok(())
    }

    fn add(&mut self, spec: &RunSpec, mount: &Mount, owners: &Owners) -> Result<(), Error> {
        match mount {
            Mount::Bind { source, target, limits, .. } => {
                let source = crate::root::open_source(source)?;
                let target = self.canonical(spec, target, PointKind::of(&source)?)?;
                self.show(target, source, *limits, Shown::Files)
            }
            Mount::Tmpfs { target, mode, limits, start, size } => {
                if size.is_some() {
                    let target = target.display();
                    super::tell(&format!(
                        "builder: nothing limits the size of `{target}` where ids are emulated; hint: `builder doctor` \
                         tells how to get more ids"
                    ));
                }
                let dir = self.scratch.new_dir()?;
                let target = self.canonical(spec, target, PointKind::Directory)?;
                let opened = open(&dir)?;
                let mut mode = mode.unwrap_or(0o1777);
                if *start == TmpfsStart::CopyOfTarget {
                    let from = inside(spec, &target)?;
                    mode = owners.record(&from).attempt("fstat", || "copy a mount".to_owned())?.mode;
                    copy_tree(from.as_fd(), &opened, owners)?;
                }
                set_mode(&opened, owners, mode)?;
                self.show(target, opened, *limits, Shown::Files)
            }
            Mount::File { target, content, mode, uid, gid } => {
                let file = in_memory(content)?;
                let record = Record { uid: *uid, gid: *gid, ..Record::of_disk(*mode) };
                give(&file, owners, ownership::Kind::File, record)?;
                let limits = Limits { access: Access::ReadOnly, ..Limits::default() };
                let target = self.canonical(spec, target, PointKind::File)?;
                self.show(target, file, limits, Shown::Memory)
            }
        }
    }

    /// Where a mount point really is, as the step names it: in the root, or in an earlier mount.
    ///
    /// In the root it exists. What is missing in an earlier mount is made, and needs no removing.
    fn canonical(&self, spec: &RunSpec, target: &Path, kind: PointKind) -> Result<PathBuf, Error> {
        let mut target = clean(target);
        // A link may lead from the root into a mount, and on from there into another one.
        for _ in 0..=self.points.len() {
            let around = |point: &&MountPoint| target.starts_with(&point.target) && point.target != target;
            let Some(point) = self.points.iter().rev().find(around) else { break };
            let below = target.strip_prefix(&point.target).unwrap_or(&target);
            let found = find(point.fd.as_fd(), below, kind, &mut make)?;
            let real = real_path_of(found)?;
            let seen = point.target.join(real.strip_prefix(&point.host).unwrap_or(below));
            if seen == target {
                return Ok(target);
            }
            target = seen;
        }
        let root = open(&spec.rootfs)?;
        let found = find(root.as_fd(), &target, kind, &mut |_, _, _| Ok(Missing::Leave))?;
        let real = real_path_of(found)?;
        let seen = real.strip_prefix(real_path_of(Some(root))?).unwrap_or(&target).to_owned();
        Ok(Path::new("/").join(seen))
    }
}

fn make(directory: &OwnedFd, name: &OsStr, kind: PointKind) -> Result<Missing, Error> {
    let made = make_empty(directory, name, kind);
    made.attempt("mkdirat", || format!("make the mount point `{}`", name.display())).map(|()| Missing::Made)
}

fn real_path_of(found: Option<OwnedFd>) -> Result<PathBuf, Error> {
    let doing = || "find a mount point".to_owned();
    let found = found.ok_or(crate::Errno::NOENT).attempt("openat2", doing)?;
    place::real_path(&found).attempt("readlink", doing)
}

fn inside(spec: &RunSpec, target: &Path) -> Result<OwnedFd, Error> {
    let root = open(&spec.rootfs)?;
    open_inside(&root, target).attempt("openat2", || format!("mount on `{}`", target.display()))
}

fn open(path: &Path) -> Result<OwnedFd, Error> {
    crate::mounts::open_path(path)
}

fn set_mode(dir: &OwnedFd, owners: &Owners, mode: u32) -> Result<(), Error> {
    give(dir, owners, ownership::Kind::Directory, Record::of_disk(mode))
}

fn give(file: &OwnedFd, owners: &Owners, kind: ownership::Kind, record: Record) -> Result<(), Error> {
    let doing = || "prepare a mount".to_owned();
    let stat = fstat(file).attempt("fstat", doing)?;
    let on_disk = Mode::from_raw_mode(ownership::disk_mode(kind, record.mode));
    rustix::fs::chmod(place::name_of(file), on_disk).attempt("chmod", doing)?;
    owners.note(&stat, record);
    Ok(())
}

/// A file that is never on disk.
fn in_memory(content: &Content) -> Result<OwnedFd, Error> {
    let doing = || "make a file in memory".to_owned();
    let file = memfd_create(c"mount", MemfdFlags::CLOEXEC).attempt("memfd_create", doing)?;
    let mut rest = content.bytes();
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest).attempt("write", doing)?;
        rest = &rest[written..];
    }
    Ok(file)
}

/// Copies files, directories and links with their owners; what else there is, no mount is begun with.
fn copy_tree(from: std::os::fd::BorrowedFd<'_>, to: &OwnedFd, owners: &Owners) -> Result<(), Error> {
    let doing = || "fill a mount".to_owned();
    let listed = openat(from, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let listed = Dir::new(listed.attempt("open", doing)?).attempt("getdents64", doing)?;
    for entry in listed {
        let entry = entry.attempt("getdents64", doing)?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let source = openat(from, name, place::HANDLE, Mode::empty()).attempt("open", doing)?;
        let stat = fstat(&source).attempt("fstat", doing)?;
        let record = owners.record(&source).attempt("fstat", doing)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                mkdirat(to, name, Mode::from_raw_mode(stat.st_mode)).attempt("mkdir", doing)?;
                let made = openat(to, name, place::HANDLE, Mode::empty()).attempt("open", doing)?;
                copy_tree(source.as_fd(), &made, owners)?;
            }
            FileType::Symlink => {
                let target = readlinkat(&source, "", Vec::new()).attempt("readlink", doing)?;
                symlinkat(target, to, name).attempt("symlink", doing)?;
            }
            FileType::RegularFile => {
                let mut read = fs::File::from(place::reopen(&source, OFlags::RDONLY).attempt("open", doing)?);
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let new =
                    openat(to, name, flags, Mode::from_raw_mode(stat.st_mode)).attempt("open", doing)?;
                std::io::copy(&mut read, &mut fs::File::from(new)).attempt("write", doing)?;
            }
            _ => continue,
        }
        let made = statat(to, name, AtFlags::SYMLINK_NOFOLLOW).attempt("fstat", doing)?;
        owners.note(&made, record);
        let time = |secs, nanos: u64| Timespec { tv_sec: secs, tv_nsec: nanos.cast_signed() };
        let times = Timestamps {
            last_access: time(stat.st_atime, stat.st_atime_nsec),
            last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
        };
        utimensat(to, name, &times, AtFlags::SYMLINK_NOFOLLOW).attempt("utimensat", doing)?;
    }
    Ok(())
}
