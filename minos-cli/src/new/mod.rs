//! `minos new`: projects, and services in them, which compile, run and pass their tests at once.

mod format;
mod project;
mod service;
mod staging;
mod template;

pub(crate) use format::format;
pub(crate) use template::fill;

use crate::{
    error::CliResult,
    output,
    project::{ServiceName, TypeName},
};
use clap::Subcommand;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Makes a project: a directory for services, with what they need to be built, tested and shipped.
    Project {
        /// Its name, and that of its directory.
        name: ServiceName,
        /// Where `minos` is, for who builds services with one of their own; without it, it comes from crates.io.
        #[arg(long, env = "MINOS_PATH")]
        minos_path: Option<PathBuf>,
    },
    /// Makes a service in the project here, or in the only one directly below.
    Service {
        /// Its name, and that of its directory.
        name: ServiceName,
        /// The name of its first aggregate; without it, that of the service.
        #[arg(long)]
        aggregate: Option<TypeName>,
    },
}

pub(crate) fn run(json: bool, command: &Command) -> CliResult {
    match command {
        Command::Project { name, minos_path } => {
            let root = project::make(name, minos_path.as_deref())?;
            told(json, "project", name, &root, "`minos new service <name>` makes a service in it, and `minos dev` runs them all")
        }
        Command::Service { name, aggregate } => {
            let directory = service::make(name, aggregate.as_ref())?;
            told(json, "service", name, &directory, "`minos dev` runs it, and `cargo test` tests it")
        }
    }
}

fn told(json: bool, what: &str, name: &ServiceName, path: &Path, next: &str) -> CliResult {
    let (name, path) = (name.as_str(), path.display().to_string());
    match json {
        true => output::line(json!({ "made": what, "name": name, "path": path })),
        false => output::line(format_args!("made the {what} {name} in {path}: {next}")),
    }
}
