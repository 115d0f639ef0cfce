//! What execve(2) is to do: which files, with which arguments, as whom. Nothing is done yet.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use libc::user_regs_struct as Registers;
use rustix::fs::{CWD, FileType, Mode, OFlags, openat};
use rustix::io::Errno;

use super::image::{Elf, Image, Unfit};
use crate::trace::credentials::{Credentials, FileCapabilities, Privileges};
use crate::trace::memory::{Memory, PATH_MAX};
use crate::trace::permission::{Wish, check};
use crate::trace::place::{FileId, Place, Shown, View, real_path, reopen};
use crate::trace::supervisor::Supervisor;
use crate::trace::tasks::Task;
use crate::trace::walk::{Bound, Last, Walk};

/// As many scripts as may have scripts as interpreters (execve(2)).
const SCRIPTS: usize = 5;

/// More arguments than any process can have.
const ARGUMENTS_MAX: usize = 1 << 20;

/// All that is known before.
pub(super) struct Plan {
    /// What the kernel is to execute.
    pub(super) file: OwnedFd,
    program: Place,
    credentials: Credentials,
    start: Start,
    /// Address of the arguments; and those that come in place of the first one, for a script.
    argv: u64,
    prefix: Vec<Vec<u8>>,
    /// Address of the environment.
    pub(super) environment: u64,
    /// Address of an empty string.
    pub(super) empty: u64,
}

/// What remains to be done when the kernel has executed the file.
pub(super) struct Start {
    /// The program, if what was executed is only its loader.
    pub(super) main: Option<Main>,
    /// The path that was executed, for `AT_EXECFN`.
    pub(super) name: Vec<u8>,
    /// uid, euid, gid, egid, and whether the environment is to be distrusted.
    pub(super) ids: [u32; 4],
    pub(super) is_secure: bool,
}

/// A program that its loader finds in memory.
pub(super) struct Main {
    pub(super) elf: Elf,
    pub(super) file: OwnedFd,
    /// Where the loader begins, relative to where it lies.
    pub(super) loader_entry: u64,
}

/// Where the arguments of a program are, and down to where the stack is written to for them.
pub(super) struct Arguments {
    pub(super) argv: u64,
    pub(super) lowest: u64,
}

/// A call's arguments.
struct Call {
    dirfd: i32,
    path: u64,
    argv: u64,
    environment: u64,
    flags: i32,
}

impl Call {
    #[expect(clippy::cast_possible_truncation, reason = "the kernel looks at this half only")]
    fn of(registers: &Registers) -> Self {
        if registers.orig_rax.cast_signed() == libc::SYS_execve {
            let (path, argv, environment) = (registers.rdi, registers.rsi, registers.rdx);
            return Self { dirfd: libc::AT_FDCWD, path, argv, environment, flags: 0 };
        }
        Self {
            dirfd: (registers.rdi as u32).cast_signed(),
            path: registers.rsi,
            argv: registers.rdx,
            environment: registers.r10,
            flags: (registers.r8 as u32).cast_signed(),
        }
    }
}

/// Who executes something.
struct Executor<'a> {
    supervisor: &'a Supervisor,
    task: &'a Task,
    walk: Walk<'a>,
}

impl Plan {
    /// Finds everything that the call at whose entry a thread stands needs.
    pub(super) fn make(
        supervisor: &Supervisor,
        task: &Task,
        memory: Memory,
        registers: &Registers,
    ) -> Result<Self, Errno> {
        let call = Call::of(registers);
        let path = memory.path(call.path)?;
        let walk = Walk {
            view: &supervisor.view,
            owners: &supervisor.owners,
            task,
            tasks: &supervisor.tasks,
            credentials: &task.credentials,
            no_links: false,
            no_magic: false,
            bound: Bound::None,
        };
        let executor = Executor { supervisor, task, walk };
        let (place, name) = executor.find(&call, &path)?;
        let empty = call.path.wrapping_add(path.len() as u64);
        let mut prefix = Vec::new();
        let (program, elf) = executor.resolve_scripts(place, &name, &mut prefix)?;
        let mut credentials = (*task.credentials).clone();
        let is_secure = credentials.execute(&executor.privileges(&program)?)?;
        let ids = [credentials.uid, credentials.euid, credentials.gid, credentials.egid];
        let mut start = Start { main: None, name, ids, is_secure };
        let own = executor.open(&program)?;
        let file = match &elf.interpreter {
            None => own,
            Some(loader) => {
                let (loader_entry, file) = executor.loader(loader)?;
                start.main = Some(Main { elf, file: own, loader_entry });
                file
            }
        };
        let (argv, environment) = (call.argv, call.environment);
        Ok(Self { file, program, credentials, start, argv, prefix, environment, empty })
    }

    /// Where the kernel finds the file, with a NUL; none if that is nowhere.
    ///
    /// Below the root it is relative to it, as the kernel believes the process to be there.
    pub(super) fn path(&self, view: &View, file: FileId) -> Result<Option<Vec<u8>>, Errno> {
        let real = real_path(&self.file)?;
        if !rustix::fs::stat(&real).is_ok_and(|stat| FileId::from(&stat) == file) {
            return Ok(None);
        }
        let path = real.strip_prefix(view.host()).unwrap_or(&real);
        let mut bytes = path.as_os_str().as_bytes().to_vec();
        bytes.push(0);
        Ok(Some(bytes).filter(|bytes| bytes.len() <= PATH_MAX))
    }

    pub(super) fn into_start(self) -> (Place, Credentials, Start) {
        (self.program, self.credentials, self.start)
    }

    /// Puts the arguments of a script's interpreter below the stack.
    pub(super) fn write_arguments(&self, memory: Memory, registers: &Registers) -> Result<Arguments, Errno> {
        /// What a function may use below the stack pointer (System V ABI, "The Stack Frame").
        const RED_ZONE: u64 = 128;
        let top = registers.rsp.checked_sub(RED_ZONE + PATH_MAX as u64).ok_or(Errno::FAULT)?;
        let top = top + PATH_MAX as u64;
        if self.prefix.is_empty() {
            return Ok(Arguments { argv: self.argv, lowest: top });
        }
        let theirs = memory.pointers(self.argv, ARGUMENTS_MAX)?;
        let strings: usize = self.prefix.iter().map(|text| text.len() + 1).sum();
        let count = self.prefix.len() + theirs.len().saturating_sub(1) + 1;
        let size = (count * 8 + strings) as u64;
        let base = top.checked_sub(size + PATH_MAX as u64).ok_or(Errno::FAULT)? & !15;
        let base = base + PATH_MAX as u64;
        let mut pointers = Vec::with_capacity(count * 8 + strings);
        let mut texts = Vec::with_capacity(strings);
        for text in &self.prefix {
            let address = base + (count * 8 + texts.len()) as u64;
            pointers.extend_from_slice(&address.to_ne_bytes());
            texts.extend_from_slice(text);
            texts.push(0);
        }
        for pointer in theirs.iter().skip(1) {
            pointers.extend_from_slice(&pointer.to_ne_bytes());
        }
        pointers.extend_from_slice(&[0; 8]);
        pointers.append(&mut texts);
        memory.write(base, &pointers)?;
        Ok(Arguments { argv: base, lowest: base })
    }
}

impl Executor<'_> {
    /// The file that the call names, and its name for the program.
    fn find(&self, call: &Call, path: &[u8]) -> Result<(Place, Vec<u8>), Errno> {
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
        let name = format!("/proc/{}/fd/{}", self.task.tid, call.dirfd);
        let fd = match openat(CWD, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT) => return Err(Errno::BADF),
            fd => fd?,
        };
        let start = self.supervisor.view.place_of(fd)?;
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
        let place = self.walk.find(start, path, last)?.existing()?;
        if FileType::from_raw_mode(place.stat()?.st_mode) == FileType::Symlink {
            return Err(Errno::LOOP);
        }
        Ok(place)
    }

    /// From a script to the program that runs it; `prefix` gets the arguments in place of the first.
    fn resolve_scripts(
        &self,
        mut place: Place,
        name: &[u8],
        prefix: &mut Vec<Vec<u8>>,
    ) -> Result<(Place, Elf), Errno> {
        let mut name = name.to_vec();
        for _ in 0..=SCRIPTS {
            match self.read(&place)? {
                Image::Elf(elf) => return Ok((place, elf)),
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

    /// Reads a file that is to be executed, if it may be.
    fn read(&self, place: &Place) -> Result<Image, Errno> {
        let view = &self.supervisor.view;
        let stat = self.supervisor.owners.stat(place)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
            || view.limits(place.mount).noexec
            || !matches!(view.shown(place.mount), Shown::Files | Shown::Memory)
        {
            return Err(Errno::ACCESS);
        }
        check(&stat, Wish::EXECUTE, &self.task.credentials)?;
        match Image::read(reopen(place, OFlags::RDONLY)?) {
            Ok(image) => Ok(image),
            Err(Unfit::Errno(errno)) => Err(errno),
            Err(Unfit::Narrow) => {
                // The build's output is where somebody looks who wonders.
                crate::trace::tell(&format!(
                    "builder: cannot execute `{}`: programs of 32 bits do not run in isolation trace",
                    place.path.display()
                ));
                Err(Errno::NOEXEC)
            }
        }
    }

    /// Opens a file that the kernel is to execute, or that is mapped for it.
    fn open(&self, place: &Place) -> Result<OwnedFd, Errno> {
        let copies = self.supervisor.view.copies();
        copies.open_to_execute(place).inspect_err(|errno| {
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
    fn loader(&self, path: &[u8]) -> Result<(u64, OwnedFd), Errno> {
        let place = self.lookup(&self.task.directories.cwd, path, Last::Follow)?;
        match self.read(&place)? {
            Image::Elf(elf) if elf.interpreter.is_none() => Ok((elf.entry, self.open(&place)?)),
            _ => Err(Errno::from_raw_os_error(libc::ELIBBAD)),
        }
    }

    /// What a program gives to who executes it.
    fn privileges(&self, program: &Place) -> Result<Privileges, Errno> {
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
