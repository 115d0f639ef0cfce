//! What execve(2) is to do: which files, with which arguments, as whom. Nothing is done yet.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use libc::user_regs_struct as Registers;
use rustix::io::Errno;

use super::image::Elf;
use super::program::{Executor, Named, base_name, file_name};
use crate::trace::credentials::Credentials;
use crate::trace::memory::{Memory, PATH_MAX, RED_ZONE};
use crate::trace::place::{FileId, Place, View, real_path};
use crate::trace::supervisor::Supervisor;
use crate::trace::tasks::Task;

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
    /// The name of the thread.
    pub(super) short_name: Vec<u8>,
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
pub(super) struct Call {
    pub(super) dirfd: i32,
    path: u64,
    argv: u64,
    environment: u64,
    pub(super) flags: i32,
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
        let executor = Executor { supervisor, task };
        let (place, name) = executor.find(&call, &path)?;
        let named = Named { name: name.clone(), is_lost: executor.closes(&call, &path) };
        let empty = call.path.wrapping_add(path.len() as u64);
        let mut prefix = Vec::new();
        let (program, file, elf) = executor.resolve_scripts(place, named, &mut prefix)?;
        let mut credentials = (*task.credentials).clone();
        let is_secure = credentials.execute(&executor.privileges(&program)?)?;
        let ids = [credentials.uid, credentials.euid, credentials.gid, credentials.egid];
        // A descriptor has no name; the file may have had one.
        let short_name = if path.is_empty() { file_name(&program)? } else { base_name(&name).to_vec() };
        let mut start = Start { main: None, name, short_name, ids, is_secure };
        let own = executor.for_kernel(&program, file)?;
        let file = match &elf.interpreter {
            None => own,
            Some(loader) => {
                let (loader_entry, file) = executor.loader(loader)?;
                if elf.segments.is_empty() {
                    return Err(Errno::NOEXEC);
                }
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
