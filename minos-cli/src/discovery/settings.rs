//! The configuration of the registry.

use minos::config::{
    LogConfig, Secret,
    units::{duration, number},
};
use serde::Deserialize;
use std::{net::SocketAddr, path::Path, time::Duration};

/// `[registry]`: how the registry works.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrySettings {
    /// Where it listens. Default `127.0.0.1:7070`.
    pub addr: SocketAddr,
    /// Where it keeps what it knows: `sqlite://file.db`, `postgres://user:password@host/database`, which several of it can share, or `memory:`. Default
    /// `sqlite://discovery.db`.
    pub store: String,
    /// What everybody who asks it has to show, as `Authorization: Bearer …`. Without it, it listens on this machine only. Also by `MINOS_REGISTRY_TOKEN`.
    pub token: Secret,
    /// How long an instance counts that is not heard of, at least; it is three times as long as the instance's own rhythm. Default `"15s"`.
    #[serde(deserialize_with = "duration")]
    pub ttl: Duration,
    /// How often each instance is asked whether it is ready. Default `"2s"`.
    #[serde(deserialize_with = "duration")]
    pub check_every: Duration,
    /// How long it may take to answer. Default `"1s"`.
    #[serde(deserialize_with = "duration")]
    pub check_timeout: Duration,
    /// How many instances there are at most. Default `10000`.
    #[serde(deserialize_with = "number")]
    pub max_instances: usize,
    /// `[log]`, as of a service. Default: as of a service, without a line for each request.
    #[serde(skip)]
    pub log: LogConfig,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        RegistrySettings {
            addr: SocketAddr::from(([127, 0, 0, 1], 7070)),
            store: "sqlite://discovery.db".to_owned(),
            token: Secret::default(),
            ttl: Duration::from_secs(15),
            check_every: Duration::from_secs(2),
            check_timeout: Duration::from_secs(1),
            max_instances: 10_000,
            log: quiet(),
        }
    }
}

/// Without a line for each time that somebody says that they are there.
fn quiet() -> LogConfig {
    let mut log = LogConfig::default();
    log.level = "info,minos_runtime::http::app=warn".to_owned();
    log
}

/// What is in the file.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct File {
    registry: RegistrySettings,
    log: Option<LogConfig>,
}

/// Why the configuration of the registry makes no sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file.
    #[error("{file} cannot be read: {why}")]
    Unreadable {
        /// Its name.
        file: String,
        /// Why not.
        why: String,
    },
    /// A key or its value.
    #[error("{file}: {why}")]
    Wrong {
        /// The name of the file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// Anybody could register anything.
    #[error(
        "without a token, whoever reaches {0} could register what they like, and get the requests of others: set `token` in `[registry]` or MINOS_REGISTRY_TOKEN, or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
}

impl RegistrySettings {
    /// What this file says, if there is one, and the token of the environment over it.
    ///
    /// # Errors
    /// If the file cannot be read, or has unknown keys or values that make no sense.
    pub fn load(path: Option<&Path>) -> Result<Self, SettingsError> {
        let mut settings = match path {
            None => RegistrySettings::default(),
            Some(path) => {
                let file = path.display().to_string();
                let text = std::fs::read_to_string(path)
                    .map_err(|error| SettingsError::Unreadable { file: file.clone(), why: error.to_string() })?;
                RegistrySettings::parse(&text).map_err(|why| SettingsError::Wrong { file, why })?
            }
        };
        if let Ok(token) = std::env::var("MINOS_REGISTRY_TOKEN") {
            settings.token = token.as_str().into();
        }
        Ok(settings)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let File { registry, log } = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| 1 + text.get(..span.start).unwrap_or_default().matches('\n').count());
            format!("{}{}", line.map(|line| format!("line {line}: ")).unwrap_or_default(), error.message())
        })?;
        Ok(RegistrySettings { log: log.unwrap_or_else(quiet), ..registry })
    }

    /// Looks whether they can be lived with.
    ///
    /// # Errors
    /// If anybody could register anything.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.token.is_empty() && !self.addr.ip().is_loopback() { Err(SettingsError::Open(self.addr)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_says_holds() {
        let text = "[registry]\naddr = \"0.0.0.0:7171\"\nstore = \"memory:\"\ntoken = \"x\"\nttl = \"20s\"\nmax_instances = 5\n[log]\nlevel = \"warn\"";
        let settings = RegistrySettings::parse(text).unwrap();
        assert_eq!((settings.addr.port(), settings.store.as_str(), settings.max_instances), (7171, "memory:", 5));
        assert_eq!((settings.ttl, settings.check_every), (Duration::from_secs(20), Duration::from_secs(2)));
        assert_eq!(settings.log.level, "warn");
        assert!(settings.check().is_ok());
        assert!(!format!("{settings:?}").contains("\"x\""));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        assert!(RegistrySettings::parse("[registry]\n\nttls = \"1s\"").unwrap_err().starts_with("line 3: unknown field `ttls`"));
        assert!(RegistrySettings::parse("[registry]\nttl = 5").unwrap_err().contains("is no duration"));
        let open = RegistrySettings { addr: ([0, 0, 0, 0], 7070).into(), ..RegistrySettings::default() };
        assert!(open.check().unwrap_err().to_string().starts_with("without a token, whoever reaches 0.0.0.0:7070 could"));
        assert!(
            RegistrySettings::load(Some(Path::new("/no/such.toml"))).unwrap_err().to_string().starts_with("/no/such.toml cannot be read")
        );
    }
}
