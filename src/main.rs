//! The command line: arguments and environment in, text and an exit code out. It decides nothing about images.
//!
//! The way of a command: `args` reads what was typed, `settings` decides what is meant, `commands` has it done by the
//! engine, `progress` and `report` tell what happens. Only here are the environment read and anything printed. Start
//! reading at [`main`].

mod args;
mod commands;
mod error;
mod interrupt;
mod progress;
mod report;
mod results;
mod session;
mod settings;
mod stdout;

use std::process::ExitCode;

use args::Cli;
use settings::Environment;

fn main() -> ExitCode {
    sandbox::child_hook();
    let cli = match Cli::from_command_line(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody can be told that the output is closed.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let style = cli.command.report_style();
    match commands::run(cli, &Environment::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::print(&error, style);
            ExitCode::from(error.exit_code())
        }
    }
}
