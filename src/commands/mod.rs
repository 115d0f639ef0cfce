//! What each subcommand does: a file for each. They settle, open a session, let the engine work, and print the result.

mod build;
mod call;
mod check;
mod doctor;
mod images;
mod inspect;
mod lookup;
mod prune;
mod pull;
mod push;
mod rmi;
mod tag;
mod tekton;

use crate::args::{Cli, Command, ProgressArgs};
use crate::error::Error;
use crate::progress::{Progress, Style};
use crate::report;
use crate::settings::Environment;

/// Runs the command line.
pub(crate) fn run(cli: Cli, environment: &Environment) -> Result<(), Error> {
    let global = &cli.global;
    match cli.command {
        Command::Build(args) => build::run(&args, global, environment),
        Command::Push(args) => push::run(&args, global, environment),
        Command::Pull(args) => pull::run(&args, global, environment),
        Command::Images(args) => images::run(&args, global, environment),
        Command::Inspect(args) => inspect::run(&args, global, environment),
        Command::Tag(args) => tag::run(&args, global, environment),
        Command::Rmi(args) => rmi::run(&args, global, environment),
        Command::Prune(args) => prune::run(&args, global, environment),
        Command::Tekton(args) => tekton::run(&args, global, environment),
        Command::Doctor(args) => doctor::run(&args, global, environment),
    }
}

impl Command {
    /// How errors of this command are written.
    pub(crate) fn report_style(&self) -> report::Style {
        match self {
            Self::Build(args) => (&args.progress).into(),
            Self::Push(args) => (&args.progress).into(),
            Self::Pull(args) => (&args.progress).into(),
            _ => report::Style::Text,
        }
    }
}

/// Does `work` with progress on display, which is over before anything else is printed.
fn with_progress<T>(
    args: &ProgressArgs,
    environment: &Environment,
    work: impl FnOnce(Progress) -> Result<T, Error>,
) -> Result<T, Error> {
    let progress = Progress::new(Style::settle(args, environment.terminal));
    let outcome = work(progress.clone());
    progress.finish();
    outcome
}

/// Progress of a command that says nothing on its way but what must be known.
fn brief() -> Progress {
    Progress::new(Style::Plain)
}
