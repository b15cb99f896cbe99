//! The command line: what all commands share, and a line for each of them.

use crate::{admin::Admin, error::CliResult, projections};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Looks after services of Minos.
#[derive(Parser)]
#[command(name = "minos", version)]
struct Arguments {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

/// What every command can be told.
#[derive(clap::Args)]
pub(crate) struct Shared {
    /// The operator's API of the service: `admin.addr` in its configuration.
    #[arg(long, env = "MINOS_ADMIN", default_value = "http://127.0.0.1:9090", global = true)]
    admin: String,
    /// Tells what there is as JSON, for scripts.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Shared {
    /// The operator's API of the service that was named.
    pub(crate) fn admin(&self) -> Admin {
        Admin::new(&self.admin)
    }
}

#[derive(Subcommand)]
enum Command {
    /// Read models: how they stand, and to have them rebuilt.
    #[command(subcommand)]
    Projections(projections::Command),
}

impl Command {
    fn run(self, shared: &Shared) -> CliResult {
        match self {
            Command::Projections(command) => projections::run(&shared.admin(), shared.json, command),
        }
    }
}

/// Does what the command line says; an error is one line on standard error, and status 1.
pub fn run() -> ExitCode {
    let Arguments { shared, command } = Arguments::parse();
    match command.run(&shared) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_makes_sense() {
        Arguments::command().debug_assert();
    }
}
