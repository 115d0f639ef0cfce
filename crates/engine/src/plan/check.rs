//! What is valid but cannot be done yet: refused by name before anything is done, so that nothing is ever dropped.

use containerfile::{Instruction, Run, Security};

use crate::error::{Cause, Error};

/// Refuses an instruction that would have to be dropped in part.
pub(crate) fn check(instruction: &Instruction) -> Result<(), Error> {
    let unsupported = |what: &str| Err(Cause::Unsupported { what: what.to_owned() }.into());
    match instruction {
        Instruction::Run(run) => check_run(run),
        Instruction::Copy(copy) if copy.link => unsupported("`COPY --link`"),
        Instruction::Copy(copy) if copy.parents => unsupported("`COPY --parents`"),
        Instruction::Copy(copy) if !copy.excludes.is_empty() => unsupported("`COPY --exclude`"),
        Instruction::Add(add) if add.link => unsupported("`ADD --link`"),
        Instruction::Add(add) if !add.excludes.is_empty() => unsupported("`ADD --exclude`"),
        Instruction::Add(add) if add.checksum.is_some() => unsupported("`ADD --checksum`"),
        Instruction::Add(add) if add.keep_git_dir.is_some() => unsupported("`ADD --keep-git-dir`"),
        Instruction::Onbuild(onbuild) => match onbuild.instruction.as_ref() {
            // What a trigger needs is decided by the build that it triggers in.
            Instruction::Onbuild(_) => unsupported("ONBUILD of ONBUILD"),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn check_run(run: &Run) -> Result<(), Error> {
    let unsupported = |what: &str| Err(Cause::Unsupported { what: what.to_owned() }.into());
    if !run.mounts.is_empty() {
        return unsupported("`RUN --mount`");
    }
    if !run.devices.is_empty() {
        return unsupported("`RUN --device`");
    }
    if run.security.as_ref().is_some_and(|security| security.value == Security::Insecure) {
        return unsupported("`RUN --security=insecure`");
    }
    if matches!(run.invocation(), containerfile::Invocation::Script { .. }) {
        return unsupported("a heredoc with an interpreter of its own (`#!`)");
    }
    Ok(())
}
