//! The command line: what all commands share, and a line for each of them.

use crate::{
    add,
    admin::Admin,
    contract, dead_letters, dev, discovery, doctor,
    error::{CliError, CliResult},
    events, gateway, new, output, projections, saga,
};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::{Shell, generate};
use std::process::ExitCode;

/// Makes services of Minos, runs them while they are worked on, and looks after those that run.
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
    /// The token for the service, where it has `[auth]`: of a user with the role `minos:read`, or `minos:operate` to change something.
    #[arg(long, env = "MINOS_TOKEN", hide_env_values = true, global = true)]
    token: Option<String>,
    /// Tells what there is as JSON, for scripts.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Shared {
    /// The operator's API of the service that was named.
    pub(crate) fn admin(&self) -> Admin {
        Admin::new(&self.admin, self.token.as_deref())
    }
}

#[derive(Subcommand)]
enum Command {
    /// Adds an aggregate, command, query, event handler or saga to a service, in a file of its own.
    Add(add::Add),
    /// What a service promises: exported from its code, and compared with what it promised.
    #[command(subcommand)]
    Contract(contract::Command),
    /// What a service could not handle, and what to do about it.
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Runs all services of a project, and starts them again when a file changes.
    Dev(dev::Dev),
    /// Runs the registry of services, which knows which of them run, and where.
    Discovery(discovery::Command),
    /// Looks after the configuration of services and what they stand on, and says what to do.
    Doctor(doctor::Doctor),
    /// What happened: to one aggregate, and in all of a service.
    #[command(subcommand)]
    Events(events::Command),
    /// Serves all services under one address: routes, balances, limits.
    Gateway(gateway::command::Arguments),
    /// Makes a project, or a service in one.
    #[command(subcommand)]
    New(new::Command),
    /// Read models: how they stand, and to have them rebuilt.
    #[command(subcommand)]
    Projections(projections::Command),
    /// Executions of sagas, and the repair of those that cannot go on.
    #[command(subcommand)]
    Saga(saga::Command),
    /// Writes what a shell completes commands with: `minos completions bash > /etc/bash_completion.d/minos`.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

impl Command {
    fn run(self, shared: &Shared) -> CliResult {
        match self {
            Command::Add(add) => add.run(shared.json),
            Command::Completions { shell } => completions(shell),
            Command::Contract(command) => contract::run(shared.json, command),
            Command::DeadLetters(command) => dead_letters::run(&shared.admin(), shared.json, command),
            Command::Dev(dev) => dev.run(),
            Command::Discovery(command) => discovery::run(command),
            Command::Doctor(doctor) => doctor.run(shared.json),
            Command::Events(command) => events::run(&shared.admin(), shared.json, command),
            Command::Gateway(arguments) => Ok(gateway::command::run(arguments)?),
            Command::New(command) => new::run(shared.json, &command),
            Command::Projections(command) => projections::run(&shared.admin(), shared.json, command),
            Command::Saga(command) => saga::run(&shared.admin(), shared.json, command),
        }
    }
}

fn completions(shell: Shell) -> CliResult {
    let mut text = Vec::new();
    generate(shell, &mut Arguments::command(), "minos", &mut text);
    output::print(&String::from_utf8_lossy(&text))
}

/// Does what the command line says; an error is one line on standard error, and status 1.
pub fn run() -> ExitCode {
    let Arguments { shared, command } = Arguments::parse();
    match command.run(&shared) {
        Ok(()) | Err(CliError::ReadEnough) => ExitCode::SUCCESS,
        Err(CliError::Told) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_makes_sense() {
        Arguments::command().debug_assert();
    }
}
