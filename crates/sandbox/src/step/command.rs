//! The last process of ours in a step: becomes the user, gives up what the user may not have, and is replaced.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::{Gid, Uid};

use crate::capabilities::{self, CapabilitySet};
use crate::errno::Errno;
use crate::error::{Attempt, Error, IdKind};
use crate::mount_points::open_inside;
use crate::spec::RunSpec;
use crate::sys;

/// Where programs are searched for when the environment has no `PATH`; what execvp(3) and BuildKit use.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Becomes the command; returns only if that fails.
pub(crate) fn execute(spec: &RunSpec) -> Error {
    match prepare(spec) {
        Ok(Command { program, argv, env }) => {
            let errno = match nix::unistd::execve(&program, &argv, &env) {
                Ok(never) => match never {},
                Err(errno) => errno.into(),
            };
            explain(Path::new(OsStr::from_bytes(program.as_bytes())), errno)
        }
        Err(error) => error,
    }
}

struct Command {
    program: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
}

fn prepare(spec: &RunSpec) -> Result<Command, Error> {
    rustix::process::setsid().attempt("setsid", || "start a session".to_owned())?;
    leave_session_keyring()?;
    // Rust's runtime ignores SIGPIPE; what else was inherited the keeper reset.
    sys::reset_signals().attempt("sigprocmask", || "reset signals".to_owned())?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    enter_directory(&spec.cwd)?;
    become_user(spec)?;
    let argv = spec.argv.iter().enumerate().map(|(position, argument)| {
        CString::new(argument.as_bytes()).map_err(|_| Error::NulByte { what: format!("argument {position}") })
    });
    let program = find_program(spec)?;
    Ok(Command { program, argv: argv.collect::<Result<_, _>>()?, env: environment(spec)? })
}

/// What is in the builder's session keyring, whoever has it may read.
fn leave_session_keyring() -> Result<(), Error> {
    match sys::join_new_session_keyring() {
        // The kernel has no keys, or a filter keeps them from the step as well.
        Err(Errno::NOSYS | Errno::PERM | Errno::ACCES) => Ok(()),
        answer => answer.attempt("keyctl", || "leave the builder's session keyring".to_owned()),
    }
}

fn environment(spec: &RunSpec) -> Result<Vec<CString>, Error> {
    let is_hidden = |name: &str| spec.secret_env.iter().any(|(hidden, _)| hidden == name);
    let shown =
        spec.env.iter().map(|(name, value)| (name, value.as_bytes())).filter(|(name, _)| !is_hidden(name));
    let hidden = spec.secret_env.iter().map(|(name, value)| (name, value.bytes()));
    shown
        .chain(hidden)
        .map(|(name, value)| {
            CString::new([name.as_bytes(), b"=", value].concat())
                .map_err(|_| Error::NulByte { what: format!("variable {}", name.replace('\0', "\\0")) })
        })
        .collect()
}

/// No link leads out of the root, and no `/proc/self/fd` either (CVE-2024-21626).
fn enter_directory(path: &Path) -> Result<(), Error> {
    let doing = || format!("enter `{}`", path.display());
    let root = crate::mounts::open_path(Path::new("/"))?;
    let directory = match open_inside(&root, path) {
        Err(Errno::NOENT | Errno::NOTDIR) => {
            return Err(Error::WorkingDirectory { path: path.display().to_string() });
        }
        answer => answer.attempt("openat2", doing)?,
    };
    rustix::process::fchdir(directory).attempt("fchdir", doing)
}

/// Groups go first, while the right to set them is held; then ids, whose change takes the rest of the rights away.
fn become_user(spec: &RunSpec) -> Result<(), Error> {
    give_streams(spec.uid);
    capabilities::limit_bounding(spec.capabilities)?;
    set_groups(&spec.groups)?;
    let gid = Gid::from_raw(spec.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid)
        .map_err(|errno| not_mapped(errno, IdKind::Gid, spec.gid))?;
    let uid = Uid::from_raw(spec.uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid)
        .map_err(|errno| not_mapped(errno, IdKind::Uid, spec.uid))?;
    let kept = if spec.uid == 0 { spec.capabilities } else { CapabilitySet::NONE };
    capabilities::hold_only(kept)
}

/// The outputs are pipes of the builder's, which their user may open again, as `/dev/stdout`.
fn give_streams(uid: u32) {
    let uid = Some(Uid::from_raw(uid));
    for stream in [rustix::stdio::stdout(), rustix::stdio::stderr()] {
        // Who has one id owns them already; and whoever cannot open them can still write.
        let _ = rustix::fs::fchown(stream, uid, None);
    }
}

fn not_mapped(errno: rustix::io::Errno, kind: IdKind, id: u32) -> Error {
    match errno {
        rustix::io::Errno::INVAL => Error::IdNotMapped { kind, id },
        errno => Error::Refused {
            doing: format!("become {kind} {id}"),
            call: format!("setres{kind}"),
            errno: errno.into(),
        },
    }
}

fn set_groups(groups: &[u32]) -> Result<(), Error> {
    // user_namespaces(7): with one mapped id groups cannot be set, nor dropped.
    if fs::read_to_string("/proc/self/setgroups").is_ok_and(|state| state.trim() == "deny") {
        return Ok(());
    }
    let gids: Vec<_> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    match rustix::thread::set_thread_groups(&gids) {
        Err(rustix::io::Errno::INVAL) => {
            let map = crate::IdMap::current()?;
            let id = groups.iter().copied().find(|gid| !map.contains_gid(*gid)).unwrap_or_default();
            Err(Error::IdNotMapped { kind: IdKind::Gid, id })
        }
        answer => answer.attempt("setgroups", || "set supplementary groups".to_owned()),
    }
}

/// As execvp(3): a name without `/` is searched for; what is found but not executable is remembered.
fn find_program(spec: &RunSpec) -> Result<CString, Error> {
    let program = spec.argv.first().map_or(OsStr::new(""), OsString::as_os_str);
    let name = || program.to_string_lossy().into_owned();
    let nul = |_| Error::NulByte { what: "argument 0".to_owned() };
    if program.as_bytes().contains(&b'/') {
        return CString::new(program.as_bytes()).map_err(nul);
    }
    let path = spec.env.iter().rfind(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, value)| value);
    let mut denied = false;
    for directory in path.split(':').filter(|_| !program.is_empty()) {
        let directory = if directory.is_empty() { "." } else { directory };
        let candidate = PathBuf::from(directory).join(program);
        let Ok(metadata) = fs::metadata(&candidate) else { continue };
        if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            return CString::new(candidate.as_os_str().as_bytes()).map_err(nul);
        }
        denied |= metadata.is_file();
    }
    Err(if denied {
        Error::ProgramNotExecutable { program: name() }
    } else {
        Error::ProgramNotFound { program: name() }
    })
}

/// What execve(2) means by its errno: it does not tell a missing program from a missing interpreter.
fn explain(path: &Path, errno: Errno) -> Error {
    let program = path.display().to_string();
    match errno {
        Errno::NOENT | Errno::NOTDIR => match interpreter(path) {
            Some(interpreter) => Error::InterpreterNotFound { program, interpreter },
            None => Error::ProgramNotFound { program },
        },
        Errno::ACCES | Errno::ISDIR => Error::ProgramNotExecutable { program },
        Errno::NOEXEC => Error::WrongFormat { program },
        errno => Error::Refused { doing: format!("execute `{program}`"), call: "execve".to_owned(), errno },
    }
}

/// The interpreter that a script's first line or an ELF program's header names.
fn interpreter(program: &Path) -> Option<String> {
    let mut start = Vec::new();
    File::open(program).ok()?.take(64 << 10).read_to_end(&mut start).ok()?;
    let name = match start.strip_prefix(b"#!") {
        Some(line) => line.trim_ascii_start().split(u8::is_ascii_whitespace).next()?,
        None => elf_interpreter(&start)?,
    };
    Some(String::from_utf8_lossy(name).into_owned())
}

/// The `PT_INTERP` segment of a 64 bit little-endian program (elf(5)).
fn elf_interpreter(elf: &[u8]) -> Option<&[u8]> {
    const INTERP: u32 = 3;
    let number = |at: usize, length: usize| {
        let bytes = elf.get(at..at.checked_add(length)?)?;
        let value = bytes.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        usize::try_from(value).ok()
    };
    if elf.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let header = (0..count)
        .filter_map(|index| table.checked_add(index * size))
        .find(|header| number(*header, 4) == Some(INTERP as usize))?;
    let (start, length) = (number(header.checked_add(8)?, 8)?, number(header.checked_add(32)?, 8)?);
    elf.get(start..start.checked_add(length)?)?.split(|byte| *byte == 0).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_read_from_scripts_and_programs() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("script");
        fs::write(&script, "#! /no/such/python -u\nprint()\n").unwrap();
        assert_eq!(interpreter(&script).as_deref(), Some("/no/such/python"));
        fs::write(&script, "echo hello\n").unwrap();
        assert_eq!(interpreter(&script), None);
        let loader = interpreter(Path::new("/bin/sh"));
        assert!(loader.is_none_or(|loader| loader.contains("ld")));
    }

    #[test]
    fn a_broken_elf_header_names_no_interpreter() {
        let mut elf = b"\x7fELF\x02\x01".to_vec();
        elf.resize(64, 0xff);
        for length in 0..elf.len() {
            assert_eq!(elf_interpreter(&elf[..length]), None);
        }
        assert_eq!(elf_interpreter(&elf), None);
    }

    #[test]
    fn execve_errors_are_told_apart() {
        let missing = Path::new("/no/such/program");
        assert!(matches!(explain(missing, Errno::NOENT), Error::ProgramNotFound { .. }));
        assert!(matches!(explain(missing, Errno::ACCES), Error::ProgramNotExecutable { .. }));
        assert!(matches!(explain(missing, Errno::NOEXEC), Error::WrongFormat { .. }));
        assert!(matches!(explain(missing, Errno::NOSPC), Error::Refused { .. }));
    }
}
