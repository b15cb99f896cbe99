//! `minos contract`: what a service promises, and whether a change of it breaks who relies on it.

mod changes;
mod check;
mod consumer;
mod export;
mod schema;
#[cfg(test)]
mod tests;

use crate::{
    error::{CliError, CliResult},
    output,
};
use clap::{Subcommand, ValueEnum};
use serde_json::Value;
use std::{fmt::Write, io, path::PathBuf};
use thiserror::Error;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Prints what a service promises, from its code. Nothing is started or opened.
    Export {
        /// Which document.
        #[arg(value_enum, default_value_t = Format::Contract)]
        format: Format,
        #[command(flatten)]
        program: export::Program,
        /// Writes it to this file.
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
    /// Tells changes that break who relies on a service from harmless ones. The exit code is 1 if one breaks.
    Check {
        /// The contract as it was: a `contract.json`.
        old: PathBuf,
        /// The contract as it is; without, that of the package here.
        new: Option<PathBuf>,
        /// Counts only what these use: a `contract.json` of each.
        #[arg(long, value_name = "CONTRACT")]
        consumer: Vec<PathBuf>,
        #[command(flatten)]
        program: export::Program,
    },
}

/// A document about a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// OpenAPI 3.1, of what is asked by HTTP.
    Openapi,
    /// AsyncAPI 3, of what is sent by the broker.
    Asyncapi,
    /// `contract.json`, to be committed and compared.
    Contract,
}

/// Why it cannot be told.
#[derive(Debug, Error)]
pub(crate) enum ContractError {
    #[error("{} cannot be {what}: {error}", .path.display())]
    File { path: PathBuf, what: &'static str, error: io::Error },
    #[error("{} is no contract: {why}; `minos contract export` writes one", .path.display())]
    NoContract { path: PathBuf, why: String },
    #[error("`cargo` cannot be run: {0}")]
    NoCargo(io::Error),
    #[error(
        "the program did not export anything: it has to end in `Service::run` or `run_all`, and to be built with the same version of Minos"
    )]
    Nothing,
    #[error("the program ended with {0}, which is told above")]
    Failed(std::process::ExitStatus),
}

pub(crate) fn run(json: bool, command: Command) -> CliResult {
    match command {
        Command::Export { format, program, output } => {
            let text = program.export(format)?;
            match output {
                Some(path) => std::fs::write(&path, text).map_err(|error| ContractError::File { path, what: "written", error })?,
                None => output::print(&text)?,
            }
            Ok(())
        }
        Command::Check { old, new, consumer, program } => {
            let old = read(&old)?;
            let new = match new {
                Some(path) => read(&path)?,
                None => parse(&program.export(Format::Contract)?, &PathBuf::from("what the program exports"))?,
            };
            let mut found = check::changes(&old, &new);
            if !consumer.is_empty() {
                let consumers = consumer.iter().map(read).collect::<Result<Vec<_>, _>>()?;
                found.retain(|change| consumers.iter().any(|consumer| consumer::uses(consumer, change)));
            }
            if json {
                output::line(Value::Array(found.iter().map(changes::Change::to_json).collect()))?;
            } else {
                output::print(&table(&found))?;
            }
            // What breaks is told above.
            if found.iter().any(|change| change.breaks) { Err(CliError::Told) } else { Ok(()) }
        }
    }
}

fn read(path: &PathBuf) -> Result<Value, ContractError> {
    let text = std::fs::read_to_string(path).map_err(|error| ContractError::File { path: path.clone(), what: "read", error })?;
    parse(&text, path)
}

fn parse(text: &str, path: &std::path::Path) -> Result<Value, ContractError> {
    let no_contract = |why: String| ContractError::NoContract { path: path.to_owned(), why };
    let contract: Value = serde_json::from_str(text).map_err(|error| no_contract(error.to_string()))?;
    match contract.get("contract").and_then(Value::as_u64) {
        Some(1) => Ok(contract),
        Some(version) => Err(no_contract(format!("it is of version {version}, and this `minos` knows version 1: take a newer one"))),
        None => Err(no_contract("it does not say `\"contract\": 1`".to_owned())),
    }
}

/// What breaks first, then what does not.
fn table(found: &[changes::Change]) -> String {
    let mut text = String::new();
    let width = found.iter().map(|change| change.at.chars().count()).max().unwrap_or_default();
    for breaks in [true, false] {
        for change in found.iter().filter(|change| change.breaks == breaks) {
            let _ = writeln!(text, "{}  {:width$}  {}", if breaks { "BREAKS  " } else { "harmless" }, change.at, change.what);
        }
    }
    let breaking = found.iter().filter(|change| change.breaks).count();
    let _ = match (found.len(), breaking) {
        (0, _) => writeln!(text, "nothing has changed"),
        (all, 0) => writeln!(text, "{all} changes, and none breaks anything"),
        (all, breaking) => writeln!(text, "{all} changes, of which {breaking} break who relies on it"),
    };
    text
}
