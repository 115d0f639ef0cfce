//! Takes the builder into its namespaces, for good; the process that stays behind becomes its supervisor.

use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, SigmaskHow};

use crate::choice::{Choice, Isolation};
use crate::error::{Attempt, Error};
use crate::identity::{Identity, fork_as, unshare_mounts};
use crate::process;
use crate::supervisor;
use crate::sys::Forked;

/// Proof that this process is in the namespaces that were chosen.
#[derive(Debug)]
pub struct Entered(());

/// Enters the namespaces of `choice`; what is mounted from then on vanishes when the builder ends.
///
/// Without namespaces there is nothing to enter. Real root goes there itself. Otherwise the function returns in a forked
/// child, which is root of its user namespace and keeps arguments, environment, open files and working directory, while
/// the parent passes signals on to it and ends as it ends. The child is killed if the parent is. To be called while the
/// process has a single thread.
///
/// Nobody of the same user can look into the memory of either, where credentials are, and no core file shows it.
pub fn enter(choice: &Choice) -> Result<Entered, Error> {
    if choice.isolation == Ok(Isolation::Namespaces) {
        enter_namespaces(choice)?;
    }
    // Not before: maps of ids are written by who owns the process's files in /proc.
    process::hide_memory()?;
    Ok(Entered(()))
}

fn enter_namespaces(choice: &Choice) -> Result<(), Error> {
    if let Identity::Root(_) = choice.identity {
        return unshare_mounts(CloneFlags::empty());
    }
    // Held back from here on: a signal for the child must not end the parent.
    let passed_on = supervisor::passed_on();
    let before: SigSet = passed_on
        .thread_swap_mask(SigmaskHow::SIG_BLOCK)
        .attempt("sigprocmask", || "hold back signals".to_owned())?;
    match fork_as(&choice.identity) {
        Ok(Forked::Parent(child)) => supervisor::supervise(child, &passed_on),
        in_child_or_failed => {
            before.thread_set_mask().attempt("sigprocmask", || "let signals through".to_owned())?;
            in_child_or_failed.map(drop)
        }
    }
}
