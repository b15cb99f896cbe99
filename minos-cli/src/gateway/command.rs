//! `minos gateway` on the command line.

use super::{Gateway, GatewayConfig, GatewayError, RunningGateway};
use std::{future::Future, io, path::PathBuf};

/// Where the configuration is looked for.
const FILE: &str = "gateway.toml";

/// Serves all services under one address.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The configuration. Without it, `gateway.toml` if there is one, and the environment.
    #[arg(long, env = "MINOS_GATEWAY_CONFIG")]
    config: Option<PathBuf>,
}

/// Runs a gateway until it is told to stop: by SIGTERM or Ctrl-C. A second signal ends it at once.
pub(crate) fn run(arguments: Arguments) -> Result<(), GatewayError> {
    let config = match arguments.config {
        Some(path) => GatewayConfig::load(path)?,
        None if PathBuf::from(FILE).exists() => GatewayConfig::load(FILE)?,
        None => GatewayConfig::from_env()?,
    };
    minos_runtime::init_logs(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| GatewayError::Config(format!("no threads can be started: {error}")))?;
    runtime.block_on(async {
        let stop = signals().map_err(|error| GatewayError::Config(format!("signals cannot be received: {error}")))?;
        let running = Gateway::new(config).start().await?;
        tell(&running);
        stop.await;
        tracing::info!("gateway: stopping");
        running.stop().await;
        tracing::info!("gateway: stopped");
        minos_runtime::flush_logs();
        Ok(())
    })
}

fn tell(running: &RunningGateway) {
    for route in running.routes() {
        tracing::info!("gateway: {route}");
    }
    let config = &running.app.config;
    let scheme = if config.tls.certificate.is_some() { "https" } else { "http" };
    if config.services.is_empty() && config.discovery.url.is_empty() {
        tracing::warn!("gateway: no services: say in `discovery.url` who knows them, or name some in `[services.<name>]`");
    }
    tracing::info!("gateway: listening on {scheme}://{}", running.addr());
    if let Some(admin) = running.admin_addr() {
        tracing::info!("gateway: the operator's API is on http://{admin}, and the console of all services on http://{admin}/console");
    }
}

#[cfg(unix)]
fn signals() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::warn!("told to stop twice: ending at once");
            minos_runtime::flush_logs();
            std::process::exit(130);
        });
    })
}

#[cfg(not(unix))]
fn signals() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
