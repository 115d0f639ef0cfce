//! What can go wrong in the sandbox, in one enum which also crosses from the child processes to the builder.

use serde::{Deserialize, Serialize};

use crate::choice::joined;
use crate::errno::Errno;
use crate::facts::Denial;

/// Why something could not be done in the sandbox.
///
/// It is serializable, since most of it happens in child processes and is reported by the parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Error {
    /// The kernel refused a system call.
    #[error("cannot {doing}: {call}: {errno}")]
    Refused {
        /// What was attempted, with the path where there is one: ``mount proc on `/proc` ``.
        doing: String,
        /// The system call, as in its manual page: `mount_setattr`.
        call: String,
        /// Its answer.
        errno: Errno,
    },
    /// Nothing that this machine or pod allows is enough to run a command in a root file system.
    #[error("cannot isolate RUN steps here: {}", briefly(denials))]
    NoIsolation {
        /// What is needed and denied, for each way of isolation.
        denials: Vec<Denial>,
    },
    /// Namespaces can be entered by single-threaded processes only.
    #[error("cannot enter a namespace from a process with {threads} threads")]
    Threaded {
        /// Threads of this process.
        threads: usize,
    },
    /// `newuidmap` or `newgidmap` failed.
    #[error("cannot map subordinate ids: {program} failed: {message}")]
    IdMapHelper {
        /// Path of the helper.
        program: String,
        /// What it said.
        message: String,
    },
    /// The user or a group of a step does not exist in the user namespace.
    #[error("cannot run as {kind} {id}: only one id is usable here, or the id map ends below it")]
    IdNotMapped {
        /// `uid` or `gid`.
        kind: IdKind,
        /// The id inside.
        id: u32,
    },
    /// The program of a step does not exist in the image.
    #[error("`{program}` not found in the image")]
    ProgramNotFound {
        /// As given in the exec form, or the shell.
        program: String,
    },
    /// The program exists, but its `#!` line or ELF header names an interpreter that does not.
    #[error("cannot execute `{program}`: its interpreter `{interpreter}` is not in the image")]
    InterpreterNotFound {
        /// As given in the exec form, or the shell.
        program: String,
        /// Path of the interpreter inside the image.
        interpreter: String,
    },
    /// The program has no execute permission, is a directory, or lies on a `noexec` mount.
    #[error("cannot execute `{program}`: permission denied")]
    ProgramNotExecutable {
        /// As given in the exec form, or the shell.
        program: String,
    },
    /// The kernel does not know the format of the program.
    #[error("cannot execute `{program}`: exec format error")]
    WrongFormat {
        /// As given in the exec form, or the shell.
        program: String,
    },
    /// Something of the wrong type stands in the image where a mount belongs.
    #[error("cannot mount on `{target}` in the image: it is not {expected}")]
    MountPoint {
        /// Path inside the image.
        target: String,
        /// `a directory` or `a file`.
        expected: String,
    },
    /// The working directory of a step does not exist in the image.
    #[error("working directory `{path}` does not exist in the image")]
    WorkingDirectory {
        /// Path inside the image.
        path: String,
    },
    /// An argument or environment value holds a NUL byte, which no program can be given.
    #[error("{what} holds a NUL byte")]
    NulByte {
        /// `argument 3`, `variable PATH`.
        what: String,
    },
    /// The table of owners beside a root file system cannot be read or written.
    #[error("{message}")]
    Ownership {
        /// What failed, and why.
        message: String,
    },
    /// The step was cancelled; all its processes are dead.
    #[error("the step was cancelled")]
    Cancelled,
    /// A process of ours vanished without a report: killed from outside, or by the kernel for lack of memory.
    #[error("the {process} process was killed before it could report{}", by(*signal))]
    Lost {
        /// Which one.
        process: String,
        /// The signal that ended it, where known.
        signal: Option<i32>,
    },
}

/// Whether an id is a user's or a group's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdKind {
    /// A user id.
    Uid,
    /// A group id.
    Gid,
}

impl std::fmt::Display for IdKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Uid => "uid",
            Self::Gid => "gid",
        })
    }
}

fn briefly(denials: &[Denial]) -> String {
    joined(&denials.iter().map(Denial::brief).collect::<Vec<_>>())
}

fn by(signal: Option<i32>) -> String {
    signal.map_or_else(String::new, |signal| format!(" (signal {signal})"))
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoIsolation { denials } => denials.iter().find_map(|denial| denial.cure.clone()),
            Self::IdMapHelper { .. } => {
                Some("check the entries of this user in /etc/subuid and /etc/subgid".to_owned())
            }
            Self::IdNotMapped { .. } => Some(
                "make more ids usable: hostUsers: false in the pod, or newuidmap with /etc/subuid entries; \
                 `builder doctor` shows what is missing"
                    .to_owned(),
            ),
            Self::WrongFormat { .. } => {
                Some("the image may be for another platform, or a script lacks its `#!` line".to_owned())
            }
            Self::Refused { errno: Errno::NOSYS, call, .. } => {
                Some(format!("{call} needs Linux 5.12 or later, and a seccomp profile that allows it"))
            }
            _ => None,
        }
    }
}

/// Turns the kernel's answers into errors that say what was attempted.
pub(crate) trait Attempt<T> {
    /// `doing` completes "cannot …"; it is only called on failure.
    fn attempt(self, call: &str, doing: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<Errno>> Attempt<T> for Result<T, E> {
    fn attempt(self, call: &str, doing: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|errno| Error::Refused { doing: doing(), call: call.to_owned(), errno: errno.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_what_where_and_why() {
        let failed: Result<(), _> = Err(Errno::PERM);
        let error = failed.attempt("fsmount", || "mount proc on `/proc`".to_owned()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot mount proc on `/proc`: fsmount: EPERM (operation not permitted)"
        );
    }

    #[test]
    fn an_error_survives_the_way_to_the_parent() {
        let error = Error::IdNotMapped { kind: IdKind::Uid, id: 1000 };
        let text = serde_json::to_string(&error).unwrap();
        assert_eq!(serde_json::from_str::<Error>(&text).unwrap(), error);
    }
}
