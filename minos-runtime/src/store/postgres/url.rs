//! What a `postgres://` URL says.

use super::tls;
use crate::store::{StoreError, StoreResult};
use percent_encoding::percent_decode_str;
use std::{path::PathBuf, time::Duration};
use tokio_postgres::config::{Config, Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The database schema in which the tables are, unless the URL names another one.
const SCHEMA: &str = "minos";
/// How many connections a store uses at most, unless the URL says.
const CONNECTIONS: usize = 8;
/// One that writes, one of the recovery loops, one that reads, and one for queries of the user.
const FEWEST_CONNECTIONS: usize = 4;

/// All that is needed to connect.
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
    pub(super) schema: String,
    pub(super) connections: usize,
    /// For the operator, without the password.
    pub(super) place: String,
}

impl Settings {
    /// Reads a URL.
    ///
    /// # Errors
    /// If something in it is not known: the error names it, and never tells the password.
    pub(super) fn parse(url: &str) -> StoreResult<Self> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut schema, mut connections) = (SCHEMA.to_owned(), CONNECTIONS);
        let (mut mode, mut roots, mut rest) = (tls::Mode::Prefer, None, Vec::new());
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = || percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "schema" => schema = checked_schema(value())?,
                "connections" => connections = checked_connections(&value())?,
                "sslmode" => mode = tls::Mode::parse(&value())?,
                "sslrootcert" => roots = Some(PathBuf::from(value())),
                _ => rest.push(parameter),
            }
        }
        let mut config: Config = format!("{base}?{}", rest.join("&")).parse().map_err(|error| unreadable(&error))?;
        config.ssl_mode(match mode {
            tls::Mode::Disable => SslMode::Disable,
            tls::Mode::Prefer => SslMode::Prefer,
            tls::Mode::Require | tls::Mode::VerifyFull => SslMode::Require,
        });
        defaults(&mut config);
        let place = format!("{}, schema {schema}", place(&config));
        Ok(Settings { tls: tls::connector(mode, roots.as_deref())?, config, schema, connections, place })
    }
}

fn unreadable(error: &tokio_postgres::Error) -> StoreError {
    // What the error quotes is at most the name of an option.
    let reason = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    StoreError::Unsupported(format!(
        "the store's URL cannot be read ({reason}): write `postgres://user:password@host:5432/database`, with `%40` for an `@` in the password"
    ))
}

/// Names that need no quotes, so that they can be typed in `psql` as they are.
fn checked_schema(name: String) -> StoreResult<String> {
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') && !name.starts_with("pg_");
    if starts && name.len() <= 50 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        return Ok(name);
    }
    Err(StoreError::Unsupported(format!(
        "`schema={name}` in the store's URL is no name of a schema: use at most 50 lower-case letters, digits and `_`, not beginning with `pg_`"
    )))
}

fn checked_connections(value: &str) -> StoreResult<usize> {
    let count = value.parse().ok().filter(|count| (FEWEST_CONNECTIONS..=1000).contains(count));
    count.ok_or_else(|| {
        let message = format!("`connections={value}` in the store's URL: write a number from {FEWEST_CONNECTIONS} to 1000");
        StoreError::Unsupported(message)
    })
}

/// What the URL does not say: a peer that has gone is noticed, and no attempt to connect hangs.
fn defaults(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(15));
    }
    config.keepalives_idle(config.get_keepalives_idle().min(Duration::from_secs(15)));
    config.keepalives_interval(config.get_keepalives_interval().unwrap_or(Duration::from_secs(5)));
    config.keepalives_retries(config.get_keepalives_retries().unwrap_or(3));
    if config.get_application_name().is_none() {
        config.application_name("minos");
    }
}

fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => config.get_hostaddrs().first().map_or_else(|| "localhost".to_owned(), ToString::to_string),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user().unwrap_or("?");
    format!("{user}@{host}:{port}/{}", config.get_dbname().unwrap_or(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        Settings::parse(url).err().expect("it is refused").to_string()
    }

    #[test]
    fn what_a_url_says() {
        let settings = Settings::parse("postgres://ada:s%40cret@db.example:5433/foo?schema=foo_1&connections=5&sslmode=require").unwrap();
        assert_eq!((settings.schema.as_str(), settings.connections), ("foo_1", 5));
        assert_eq!(settings.place, "ada@db.example:5433/foo, schema foo_1");
        assert_eq!((settings.config.get_password(), settings.config.get_ssl_mode()), (Some(&b"s@cret"[..]), SslMode::Require));
        let settings = Settings::parse("postgres://ada@localhost/foo?target_session_attrs=read-write").unwrap();
        assert_eq!((settings.schema.as_str(), settings.connections, settings.config.get_ssl_mode()), ("minos", 8, SslMode::Prefer));
    }

    #[test]
    fn mistakes_are_told_and_passwords_are_not() {
        for (url, why) in [
            ("postgres://ada:secret@host/foo?schema=Foo%22", "is no name of a schema"),
            ("postgres://ada:secret@host/foo?schema=pg_foo", "is no name of a schema"),
            ("postgres://ada:secret@host/foo?connections=1", "write a number from 4"),
            ("postgres://ada:secret@host/foo?sslmode=verify-ca", "`sslmode=verify-ca`"),
            ("postgres://ada:secret@host/foo?sslrootcert=/no/such/file&sslmode=verify-full", "/no/such/file"),
            ("postgres://ada:secret@host/foo?nonsense=1", "nonsense"),
            ("postgres://ada:secret@host:port/foo", "cannot be read"),
        ] {
            let error = refused(url);
            assert!(error.contains(why) && !error.contains("secret"), "{url}: {error}");
        }
    }
}
