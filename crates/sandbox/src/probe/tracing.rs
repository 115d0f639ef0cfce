//! Whether system calls of children can be stopped and answered: ptrace(2), seccomp(2), landlock(7).

use rustix::process::{Signal, WaitOptions};

use crate::error::{Attempt, Error};
use crate::facts::Detail;
use crate::process::{self, ask_child, retry};
use crate::sys::{self, Forked};
use crate::trace;

pub(super) fn ptrace() -> Result<Detail, Error> {
    ask_child(try_ptrace).map(|()| Detail::None)
}

pub(super) fn seccomp_filter() -> Result<Detail, Error> {
    ask_child(|| load_filter(0)).map(|()| Detail::None)
}

pub(super) fn seccomp_notify() -> Result<Detail, Error> {
    ask_child(|| load_filter(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)).map(|()| Detail::None)
}

/// All of it together, as isolation trace does it: what is allowed one by one may still not be enough.
pub(super) fn supervision() -> Result<Detail, Error> {
    ask_child(trace::supervise_a_child).map(|()| Detail::None)
}

pub(super) fn landlock() -> Result<Detail, Error> {
    let abi = sys::landlock_abi().attempt("landlock_create_ruleset", || "use Landlock".to_owned());
    abi.map(Detail::Abi)
}

/// A child that asks to be traced must be seen to stop.
fn try_ptrace() -> Result<(), Error> {
    match sys::fork()? {
        Forked::Child => {
            let status = match sys::trace_me() {
                Ok(()) => {
                    i32::from(rustix::process::kill_process(rustix::process::getpid(), Signal::STOP).is_err())
                }
                Err(_) => 1,
            };
            sys::exit_now(status);
        }
        Forked::Parent(child) => {
            let changed = retry(|| rustix::process::waitpid(Some(child), WaitOptions::UNTRACED));
            let stopped = matches!(changed, Ok(Some((_, status))) if status.stopped());
            if stopped {
                process::kill(child)?;
                return Ok(());
            }
            Err(crate::Errno::PERM).attempt("ptrace", || "trace a child".to_owned())
        }
    }
}

/// Without capabilities a filter needs `no_new_privs` (seccomp(2)); this process is a child that ends after it.
fn load_filter(flags: libc::c_ulong) -> Result<(), Error> {
    let doing = || "load a seccomp filter".to_owned();
    rustix::thread::set_no_new_privs(true).attempt("prctl(PR_SET_NO_NEW_PRIVS)", doing)?;
    sys::load_permissive_filter(flags).attempt("seccomp", doing).map(|_| ())
}
