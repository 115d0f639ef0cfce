//! From the arguments of execve(2) to the program that they lead to: its path, scripts and their interpreters, its loader,
//! and whether it may be executed.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::image::{Elf, HEADER, Image, Unfit};
use super::plan::Call;
use crate::trace::credentials::{FileCapabilities, Privileges};
use crate::trace::permission::{Wish, check};
use crate::trace::place::{Place, Shown, flags_of, open_file, real_path, reopen};
use crate::trace::supervisor::Supervisor;
use crate::trace::tasks::Task;
use crate::trace::walk::{Last, Walk};

/// As many scripts as may have scripts as interpreters (execve(2)).
const SCRIPTS: usize = 5;

/// The name by which the interpreter of a script gets it.
pub(super) struct Named {
    pub(super) name: Vec<u8>,
    /// Whether it leads nowhere when the interpreter runs.
    pub(super) is_lost: bool,
}

/// Who executes something.
pub(super) struct Executor<'a> {
    pub(super) supervisor: &'a Supervisor,
    pub(super) task: &'a Task,
}

impl Executor<'_> {
    /// The file that the call names, and its name for the program.
    pub(super) fn find(&self, call: &Call, path: &[u8]) -> Result<(Place, Vec<u8>), Errno> {
        let known = libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW;
        if call.flags & !known != 0 {
            return Err(Errno::INVAL);
        }
        let is_relative = path.first() != Some(&b'/') && call.dirfd != libc::AT_FDCWD;
        let last = if call.flags & libc::AT_SYMLINK_NOFOLLOW == 0 { Last::Follow } else { Last::Keep };
        if !is_relative {
            let place = self.lookup(&self.task.directories.cwd, path, last)?;
            return Ok((place, path.to_vec()));
        }
        let start = self.supervisor.view.place_of(open_file(self.task.tid, call.dirfd)?)?;
        let mut shown = format!("/dev/fd/{}", call.dirfd).into_bytes();
        if path.is_empty() {
            return if call.flags & libc::AT_EMPTY_PATH == 0 {
                Err(Errno::NOENT)
            } else {
                Ok((start, shown))
            };
        }
        shown.push(b'/');
        shown.extend_from_slice(path);
        let place = self.lookup(&Arc::new(start), path, last)?;
        Ok((place, shown))
    }

    fn lookup(&self, start: &Arc<Place>, path: &[u8], last: Last) -> Result<Place, Errno> {
        let place = Walk::new(self.supervisor, self.task).existing(start, path, last)?;
        if FileType::from_raw_mode(place.stat()?.st_mode) == FileType::Symlink {
            return Err(Errno::LOOP);
        }
        Ok(place)
    }

    /// From a script to the program that runs it; `prefix` gets the arguments in place of the first.
    pub(super) fn resolve_scripts(
        &self,
        mut place: Place,
        Named { mut name, is_lost }: Named,
        prefix: &mut Vec<Vec<u8>>,
    ) -> Result<(Place, OwnedFd, Elf), Errno> {
        for _ in 0..=SCRIPTS {
            let file = self.open(&place)?;
            match read(&place, &file)? {
                Image::Elf(elf) => return Ok((place, file, elf)),
                Image::Script { .. } if is_lost => return Err(Errno::NOENT),
                // The kernel takes it for the directory that a lookup begins at.
                Image::Script { interpreter, .. } if interpreter.is_empty() => return Err(Errno::ACCESS),
                Image::Script { interpreter, argument } => {
                    let rest = if prefix.is_empty() { Vec::new() } else { prefix.split_off(1) };
                    prefix.clear();
                    prefix.push(interpreter.clone());
                    prefix.extend(argument);
                    prefix.push(name);
                    prefix.extend(rest);
                    place = self.lookup(&self.task.directories.cwd, &interpreter, Last::Follow)?;
                    name = interpreter;
                }
            }
        }
        Err(Errno::LOOP)
    }

    /// Whether the call's path begins at a descriptor that is closed by it.
    pub(super) fn closes(&self, call: &Call, path: &[u8]) -> bool {
        let begins_there = path.first() != Some(&b'/') && call.dirfd != libc::AT_FDCWD;
        begins_there && flags_of(self.task.tid, call.dirfd).contains(OFlags::CLOEXEC)
    }

    /// Opens a file for reading that is to be executed; `EACCES` if it may not be.
    fn open(&self, place: &Place) -> Result<OwnedFd, Errno> {
        let view = &self.supervisor.view;
        let stat = self.supervisor.owners.stat(place)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
            || view.limits(place.mount).noexec
            || !matches!(view.shown(place.mount), Shown::Files | Shown::Memory)
        {
            return Err(Errno::ACCESS);
        }
        check(&stat, Wish::EXECUTE, &self.task.credentials)?;
        reopen(place, OFlags::RDONLY)
    }

    /// The file that the kernel is to execute, or to map, in place of `file`.
    pub(super) fn for_kernel(&self, place: &Place, file: OwnedFd) -> Result<OwnedFd, Errno> {
        let copies = self.supervisor.view.copies();
        copies.to_execute(place, file).inspect_err(|errno| {
            if copies.are_needed(place.mount) {
                crate::trace::tell(&format!(
                    "builder: cannot execute `{}`: it lies on a `noexec` volume, and no copy in memory can be made \
                     ({errno}); hint: use another volume for --root, one without the mount option `noexec`",
                    place.path.display()
                ));
            }
        })
    }

    /// The program that loads others: where it begins, and its file.
    pub(super) fn loader(&self, path: &[u8]) -> Result<(u64, OwnedFd), Errno> {
        let place = self.lookup(&self.task.directories.cwd, path, Last::Follow)?;
        let file = self.open(&place)?;
        match Image::read(&file) {
            Ok(Image::Elf(elf)) if elf.interpreter.is_none() => {
                Ok((elf.entry, self.for_kernel(&place, file)?))
            }
            // The kernel could not read its header.
            _ if place.stat()?.st_size.cast_unsigned() < HEADER as u64 => Err(Errno::IO),
            _ => Err(Errno::from_raw_os_error(libc::ELIBBAD)),
        }
    }

    /// What a program gives to who executes it.
    pub(super) fn privileges(&self, program: &Place) -> Result<Privileges, Errno> {
        if self.supervisor.view.limits(program.mount).nosuid {
            return Ok(Privileges::default());
        }
        let record = self.supervisor.owners.record(program)?;
        let has = |bits: u32| record.mode & bits == bits;
        let capabilities = record.xattrs.get(&b"security.capability"[..]);
        Ok(Privileges {
            uid: has(libc::S_ISUID).then_some(record.uid),
            gid: has(libc::S_ISGID | libc::S_IXGRP).then_some(record.gid),
            capabilities: capabilities.and_then(|value| FileCapabilities::parse(value)),
        })
    }
}

/// The last name of a path.
pub(super) fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// The name of an open file, or the last one that it had.
pub(super) fn file_name(place: &Place) -> Result<Vec<u8>, Errno> {
    let path = real_path(place)?.into_os_string().into_encoded_bytes();
    let path = path.strip_suffix(crate::trace::proc::GONE).unwrap_or(&path);
    Ok(base_name(path).to_vec())
}

/// Reads a file that is to be executed.
fn read(place: &Place, file: &OwnedFd) -> Result<Image, Errno> {
    Image::read(file).map_err(|unfit| match unfit {
        Unfit::Errno(errno) => errno,
        Unfit::Narrow => {
            // The build's output is where somebody looks who wonders.
            crate::trace::tell(&format!(
                "builder: cannot execute `{}`: programs of 32 bits do not run where ids are emulated; hint: \
                 `builder doctor` tells how to get more ids",
                place.path.display()
            ));
            Errno::NOEXEC
        }
    })
}
