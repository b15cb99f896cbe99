//! Written by `minos dev`, and written again each time: all services of the project in one process.

use minos::{Config, Error, Result, Service, config::DiscoveryConfig};
use std::{io::Read, path::Path, thread, time::Duration};

#[minos::main]
async fn main() -> Result<()> {
    // Whoever has started this holds the other end: when it is gone, however it went, nobody is left to stop this.
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
    Service::run_all([
{{services}}    ])
    .await
}

/// The configuration of a service, as it is in its directory, on the addresses that it was given.
fn config(n: usize, directory: &str) -> Result<Config> {
    let mut config = Config::load(Path::new(directory).join("minos.toml"))?;
    let path = config.store.url.strip_prefix("sqlite://").map(|path| Path::new(directory).join(path));
    if let Some(path) = path {
        config.store.url = format!("sqlite://{}", path.display());
    }
    let addr = |what: &str| -> Result<_> {
        let addr = told(&format!("{what}_{n}"))?;
        addr.parse().map_err(|error| Error::invalid(format!("`{addr}` is no address: {error}")))
    };
    config.http.addr = addr("HTTP")?;
    config.admin.addr = Some(addr("ADMIN")?);
    config.admin.advertise.clear();
    // Whatever stands there is for elsewhere: here, the registry is that of `minos dev`.
    config.discovery = DiscoveryConfig::at(told("REGISTRY")?);
    config.discovery.advertise = told(&format!("URL_{n}"))?;
    // The gateway has stopped asking by the time that this is told to stop.
    config.discovery.linger = Duration::ZERO;
    Ok(config)
}

fn told(what: &str) -> Result<String> {
    let name = format!("MINOS_DEV_{what}");
    std::env::var(&name).map_err(|_| Error::invalid(format!("{name} is not there: run `minos dev`")))
}
