//! `minos`: looks after services of Minos, by the operator's API of each (`admin.addr` in its configuration).

mod admin;
mod projections;

use admin::{Admin, AdminError};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Looks after services of Minos.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The operator's API of the service: `admin.addr` in its configuration.
    #[arg(long, env = "MINOS_ADMIN", default_value = "http://127.0.0.1:9090", global = true)]
    admin: String,
    /// Tells what there is as JSON, for scripts.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Read models: how they stand, and to have them rebuilt.
    #[command(subcommand)]
    Projections(projections::Command),
}

fn main() -> ExitCode {
    let Arguments { admin, json, command } = Arguments::parse();
    let admin = Admin::new(&admin);
    let done: Result<(), AdminError> = match command {
        Command::Projections(command) => projections::run(&admin, json, command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
