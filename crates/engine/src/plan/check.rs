//! What is valid but cannot be done yet: refused by name before anything is done, so that nothing is ever dropped.

use std::collections::BTreeSet;

use containerfile::{Instruction, Run, Security};

use crate::error::{Cause, Error};
use crate::options::Entitlement;

/// Refuses an instruction that would have to be dropped in part, or that `allow` does not let do what it wants.
pub(crate) fn check(instruction: &Instruction, allow: &BTreeSet<Entitlement>) -> Result<(), Error> {
    let unsupported = |what: &str| Err(Cause::Unsupported { what: what.to_owned() }.into());
    match instruction {
        Instruction::Run(run) => check_run(run, allow),
        Instruction::Onbuild(onbuild) => match onbuild.instruction.as_ref() {
            // What a trigger needs is decided by the build that it triggers in.
            Instruction::Onbuild(_) => unsupported("ONBUILD of ONBUILD"),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn check_run(run: &Run, allow: &BTreeSet<Entitlement>) -> Result<(), Error> {
    if !run.devices.is_empty() {
        return Err(Cause::Unsupported { what: "`RUN --device`".to_owned() }.into());
    }
    let is_insecure = run.security.as_ref().is_some_and(|security| security.value == Security::Insecure);
    if is_insecure && !allow.contains(&Entitlement::SecurityInsecure) {
        return Err(Cause::NotAllowed {
            what: "`RUN --security=insecure`",
            entitlement: "security.insecure",
        }
        .into());
    }
    Ok(())
}
