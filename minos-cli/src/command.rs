//! The command line: what all commands share, and a line for each of them.

use crate::{
    add,
    admin::Admin,
    contract, dead_letters, dev, discovery, doctor,
    error::{CliError, CliResult},
    events, gateway, new, output, projections, saga,
};
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, parser::ValueSource};
use clap_complete::{Shell, generate};
use std::process::ExitCode;

/// The status where the command line makes no sense, as `clap` has it.
const MISUSED: u8 = 2;

/// Makes services of Minos, runs them while they are worked on, and looks after those that run.
#[derive(Parser)]
#[command(name = "minos", version)]
struct Arguments {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

/// What every command can be told. Who is told what means nothing to it [refuses](Command::has_no_use_for) that.
#[derive(clap::Args)]
pub(crate) struct Shared {
    /// The operator's API of the service that is asked: `admin.addr` in its configuration.
    #[arg(long, env = "MINOS_ADMIN", default_value = "http://127.0.0.1:9090", global = true)]
    admin: String,
    /// The token for the service that is asked, where it has `[auth]`: of a user with the role `minos:read`, or `minos:operate` to change something.
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
    /// Why one of the [shared](Shared) options means nothing to it, and what to write instead; none, if it means something.
    fn has_no_use_for(&self, option: &str) -> Option<&'static str> {
        const NO_QUESTION: &str = "it asks no service that runs; leave it away";
        const OWN_LOG: &str = "what it tells is its log: `format = \"json\"` in `[log]` of its configuration";
        match (self, option) {
            (Command::DeadLetters(_) | Command::Events(_) | Command::Projections(_) | Command::Saga(_), _) => None,
            (Command::Add(_) | Command::Contract(contract::Command::Check { .. }) | Command::Doctor(_) | Command::New(_), "json") => None,
            (Command::Contract(_), "json") => Some("what it exports is JSON by itself; leave it away"),
            (Command::Discovery(_), "token") => Some(
                "it is for a service that is asked; the registry's own is `token` in `[registry]` of its configuration, or MINOS_REGISTRY_TOKEN",
            ),
            (Command::Discovery(_), "admin") => Some("the registry has no operator's API; where it listens, `--addr` says"),
            (Command::Gateway(_), "token") => Some(
                "it is for a service that is asked; that of the gateway's own operators is `token` in `[admin]` of its configuration, or MINOS_GATEWAY_ADMIN_TOKEN",
            ),
            (Command::Gateway(_), "admin") => Some(
                "it is for a service that is asked; where the gateway's own operators' API listens is `addr` in `[admin]` of its configuration, or MINOS_GATEWAY_ADMIN_ADDR",
            ),
            (Command::Discovery(_) | Command::Gateway(_), _) => Some(OWN_LOG),
            (Command::Dev(_), "json") => Some("what it tells is for who sits there; leave it away"),
            (Command::Completions { .. }, "json") => Some("what it writes is for a shell; leave it away"),
            (
                Command::Add(_)
                | Command::Completions { .. }
                | Command::Contract(_)
                | Command::Dev(_)
                | Command::Doctor(_)
                | Command::New(_),
                _,
            ) => Some(NO_QUESTION),
        }
    }

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

/// Which of the shared options stand on the command line, and mean nothing to its command. The environment may say them: it is that of all commands.
fn misused(command: &Command, matches: &ArgMatches) -> Option<String> {
    let is_typed = |option: &str| matches.value_source(option) == Some(ValueSource::CommandLine);
    let name = matches.subcommand_name().unwrap_or_default();
    ["admin", "token", "json"].into_iter().filter(|option| is_typed(option)).find_map(|option| {
        let why = command.has_no_use_for(option)?;
        Some(format!("`--{option}` means nothing to `minos {name}`: {why}"))
    })
}

/// Does what the command line says. An error is one line on standard error, and status 1; if the command line makes no sense, it is 2.
pub fn run() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let Arguments { shared, command } = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if let Some(misused) = misused(&command, &matches) {
        eprintln!("error: {misused}");
        return ExitCode::from(MISUSED);
    }
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

    fn told(line: &str) -> Option<String> {
        let matches = Arguments::command().try_get_matches_from(line.split(' ')).unwrap();
        misused(&Arguments::from_arg_matches(&matches).unwrap().command, &matches)
    }

    #[test]
    fn what_means_nothing_to_a_command_is_not_ignored() {
        for (line, words) in [
            (
                "minos discovery --token x",
                "`--token` means nothing to `minos discovery`: it is for a service that is asked; the registry's own is",
            ),
            ("minos --token x discovery", "MINOS_REGISTRY_TOKEN"),
            ("minos discovery --admin 127.0.0.1:1", "the registry has no operator's API"),
            ("minos discovery --json", "`[log]`"),
            ("minos gateway --token x", "MINOS_GATEWAY_ADMIN_TOKEN"),
            ("minos gateway --admin 127.0.0.1:1", "MINOS_GATEWAY_ADMIN_ADDR"),
            ("minos gateway --json", "`[log]`"),
            ("minos dev --json", "leave it away"),
            ("minos dev --admin 127.0.0.1:1", "it asks no service that runs"),
            ("minos doctor --token x", "it asks no service that runs"),
            ("minos new project shop --token x", "`--token` means nothing to `minos new`"),
            ("minos add command Place --admin x", "it asks no service that runs"),
            ("minos contract export --json", "is JSON by itself"),
            ("minos contract check a.json --token x", "it asks no service that runs"),
            ("minos completions bash --json", "for a shell"),
        ] {
            let told = told(line).unwrap_or_default();
            assert!(told.contains(words) && !told.contains('\n'), "{line}: {told}");
        }
        for line in [
            "minos discovery",
            "minos gateway --config x.toml",
            "minos doctor --json",
            "minos new project shop --json",
            "minos add command Place --json",
            "minos contract check a.json --json",
            "minos saga list --admin 127.0.0.1:1 --token x --json",
            "minos --token x events tail",
            "minos dead-letters list --json --token x",
            "minos projections list --admin x --json",
        ] {
            assert_eq!(told(line), None, "{line}");
        }
    }
}
