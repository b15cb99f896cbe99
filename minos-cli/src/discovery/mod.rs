//! `minos discovery`: the registry, which knows which services run, and where.
//!
//! It is a service of Minos itself: its routes are handlers, its store is whatever a service can have, and health, limits, logs and a clean stop are those of all
//! services. What it knows is in memory (`register`); the store carries it over a restart, and to other processes of it (`records`). It looks itself
//! whether instances are ready (`checks`), and hands out none that is not (`vitality`).

mod checks;
mod published;
mod records;
mod register;
mod routes;
mod server;
mod settings;
mod vitality;

#[cfg(test)]
mod tests;

pub use server::{RegistryServer, start};
pub use settings::{RegistrySettings, SettingsError};

use crate::error::{CliError, CliResult};
use std::{net::SocketAddr, path::PathBuf};

/// Runs the registry of services.
#[derive(clap::Args)]
pub(crate) struct Command {
    /// Its configuration, with a table `[registry]`. Default: none, and all is as it is by default.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where it listens.
    #[arg(long, env = "MINOS_REGISTRY_ADDR")]
    addr: Option<SocketAddr>,
    /// Where it keeps what it knows: `sqlite://discovery.db`, `postgres://…` for several of it, or `memory:`.
    #[arg(long, env = "MINOS_REGISTRY_STORE", hide_env_values = true)]
    store: Option<String>,
}

/// Runs the registry until it is told to stop.
pub(crate) fn run(command: Command) -> CliResult {
    let mut settings = RegistrySettings::load(command.config.as_deref())?;
    settings.addr = command.addr.unwrap_or(settings.addr);
    settings.store = command.store.unwrap_or(settings.store);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| CliError::Discovery(error.into()))?;
    runtime.block_on(server::run(settings)).map_err(CliError::Discovery)
}
