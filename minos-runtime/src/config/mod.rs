//! The configuration: `minos.toml`, and the environment over it.

mod auth;
mod discovery;
mod env;
mod retry;
mod secret;
mod telemetry;
pub mod units;

pub use auth::{AuthConfig, VerifiedBy};
pub use discovery::{DiscoveryConfig, ServiceUrls};
pub use retry::RetryPolicy;
pub use secret::Secret;
pub use telemetry::TelemetryConfig;

use crate::error::{Error, Result};
use serde::Deserialize;
use std::{collections::BTreeMap, net::SocketAddr, ops::RangeInclusive, path::Path, time::Duration};
use toml::Table;
use units::{duration, level, number, size, texts};

/// The configuration of a service. Every key of the file can be overridden by the environment variable `MINOS_<SECTION>_<KEY>`, such as
/// `MINOS_HTTP_ADDR`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
#[derive(Default)]
pub struct Config {
    /// `[service]`
    pub service: ServiceConfig,
    /// `[http]`
    pub http: HttpConfig,
    /// `[store]`
    pub store: StoreConfig,
    /// `[broker]`
    pub broker: BrokerConfig,
    /// `[sagas]`
    pub sagas: SagasConfig,
    /// `[discovery]`
    pub discovery: DiscoveryConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[admin]`
    pub admin: AdminConfig,
    /// `[auth]`; without it, the service is open.
    pub auth: Option<AuthConfig>,
    /// `[telemetry]`
    pub telemetry: TelemetryConfig,
}

/// `[service]`: who this is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ServiceConfig {
    /// The service's name: in topics, logs, and the name of the default database. Required.
    pub name: String,
    /// Which of the service's processes this is, if each has a name of its own that it keeps when it is started again. Then a restart
    /// within the broker's session timeout moves no work to the others.
    pub instance: String,
}

/// `[http]`: the way in for people and other programs.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Where to listen; port 0 takes a free one. Default `127.0.0.1:8080`.
    pub addr: SocketAddr,
    /// The longest body of a request, in bytes. Default `"1MiB"`.
    #[serde(deserialize_with = "size")]
    pub max_body: usize,
    /// How long the headers of a request may take, and how long a connection may be idle. Default `"10s"`.
    #[serde(deserialize_with = "duration")]
    pub header_timeout: Duration,
    /// How long the body of a request may take, and how long a client may take nothing of its answer. Default `"15s"`.
    #[serde(deserialize_with = "duration")]
    pub body_timeout: Duration,
    /// How long a request may take in all. Default `"30s"`.
    #[serde(deserialize_with = "duration")]
    pub request_timeout: Duration,
    /// How many connections are open at once; more wait to be accepted. Default `10000`.
    #[serde(deserialize_with = "number")]
    pub max_connections: usize,
    /// How many requests are handled at once, on all connections; more are answered with 503 at once. Default `10000`.
    #[serde(deserialize_with = "number")]
    pub max_requests: usize,
    /// How many bytes the bodies of all these requests may take; what is more is answered with 503. Default `"256MiB"`.
    #[serde(deserialize_with = "size")]
    pub max_body_memory: usize,
    /// How long requests, and handlers of messages and schedules, may go on after the service was told to stop. The process ends some ten seconds later,
    /// whatever happens. Default `"10s"`.
    #[serde(deserialize_with = "duration")]
    pub drain_timeout: Duration,
    /// How long the answer to an `Idempotency-Key` is kept. Default `"7d"`.
    #[serde(deserialize_with = "duration")]
    pub keep_answers: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            addr: SocketAddr::from(([127, 0, 0, 1], 8080)),
            max_body: 1024 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(30),
            max_connections: 10_000,
            max_requests: 10_000,
            max_body_memory: 256 * 1024 * 1024,
            drain_timeout: Duration::from_secs(10),
            keep_answers: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// `[store]`: where everything is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StoreConfig {
    /// `sqlite://file.db`, `postgres://user:password@host/database` with the feature `postgres`, or `memory:`. Default: `sqlite://<service>.db`.
    pub url: String,
    /// How many bytes of the streams that were written or read last are remembered in each process, so that most commands need not read what they
    /// change. Default `"16MiB"`; `0` for none.
    #[serde(deserialize_with = "size")]
    pub recent: usize,
    /// The key with which the keys of persons' data are encrypted where they are stored, as 64 hexadecimal digits: so who gets hold of the database alone
    /// cannot read that data. It never changes. Default: none. It takes the feature `sensitive`.
    pub master_key: Secret,
}

impl Default for StoreConfig {
    fn default() -> Self {
        StoreConfig { url: String::new(), recent: 16 * 1024 * 1024, master_key: Secret::default() }
    }
}

/// `[broker]`: the way to other services.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BrokerConfig {
    /// `local:`, for services in one process, which is the default; or `kafka://host:9092,host2:9092`.
    pub url: String,
    /// How often a message is tried before it is put among the dead letters. Default `10`.
    #[serde(deserialize_with = "number")]
    pub attempts: usize,
    /// The pause after the first attempt; it doubles with each. Default `"100ms"`.
    #[serde(deserialize_with = "duration")]
    pub first_pause: Duration,
    /// The longest pause. Default `"30s"`.
    #[serde(deserialize_with = "duration")]
    pub longest_pause: Duration,
    /// How long a handler of a message or a schedule may run; then it counts as failed, and is tried again. Default `"60s"`.
    #[serde(deserialize_with = "duration")]
    pub handler_timeout: Duration,
    /// How many handlers of messages run at once in one process. Default `256`.
    #[serde(deserialize_with = "number")]
    pub concurrency: usize,
    /// How many partitions a topic gets that is created: so many processes can share its messages. It cannot be raised later without
    /// losing the order of messages of a key. Default `6`.
    #[serde(deserialize_with = "number")]
    pub partitions: usize,
    /// How many copies the broker keeps of a topic that is created. Default `0`: what the broker has as its own default.
    #[serde(deserialize_with = "number")]
    pub replication: usize,
    /// The largest message, with its headers. Default `"1000000B"`: no more than any Kafka takes unless told otherwise.
    #[serde(deserialize_with = "size")]
    pub max_message: usize,
    /// Settings of librdkafka, as they are: `"sasl.username" = "foo"`. In the environment, `MINOS_BROKER_OPTIONS_SASL_USERNAME`.
    #[serde(deserialize_with = "texts")]
    pub options: BTreeMap<String, String>,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        BrokerConfig {
            url: LOCAL.to_owned(),
            attempts: 10,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(30),
            handler_timeout: Duration::from_secs(60),
            concurrency: 256,
            partitions: 6,
            replication: 0,
            max_message: 1_000_000,
            options: BTreeMap::new(),
        }
    }
}

/// `[sagas]`: what holds for steps that do not say it themselves.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SagasConfig {
    /// How long a remote step waits for its answer. Default `"60s"`.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
    /// How often that is tried which has to succeed, before it waits for an operator: a step behind the point of no return, or a compensation.
    /// Default `30`, which is about four hours with these pauses.
    #[serde(deserialize_with = "number")]
    pub attempts: usize,
    /// The pause after the first attempt; it doubles with each. Default `"1s"`.
    #[serde(deserialize_with = "duration")]
    pub first_pause: Duration,
    /// The longest pause. Default `"10m"`.
    #[serde(deserialize_with = "duration")]
    pub longest_pause: Duration,
    /// How long an execution may take before that is told: by a line at `error`, and in `minos_saga_alarms_total`. Default `"1h"`.
    #[serde(deserialize_with = "duration")]
    pub alarm_after: Duration,
    /// How long `get_when_free` waits for an aggregate that a saga holds. Default `"30s"`.
    #[serde(deserialize_with = "duration")]
    pub patience: Duration,
    /// How long a step that holds an aggregate, or has prepared something for an isolated saga, waits to hear how that ends, before it asks the saga's service;
    /// then at ever longer intervals. Default `"60s"`.
    #[serde(deserialize_with = "duration")]
    pub ask_after: Duration,
    /// How long executions are kept that have ended, and with them the keys that they were started with. Default `"90d"`.
    #[serde(deserialize_with = "duration")]
    pub keep: Duration,
}

impl Default for SagasConfig {
    fn default() -> Self {
        SagasConfig {
            timeout: Duration::from_secs(60),
            attempts: 30,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(600),
            alarm_after: Duration::from_secs(3600),
            patience: Duration::from_secs(30),
            ask_after: Duration::from_secs(60),
            keep: Duration::from_secs(90 * 24 * 3600),
        }
    }
}

/// `[admin]`: the way in for the operator and their tools.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AdminConfig {
    /// Where the operator's API listens, such as `127.0.0.1:9090`. Absent: there is none. Who reaches it may deal with dead letters, repair sagas and release what they hold, so it
    /// is no address for the public. Without `[auth]`, one that only this machine reaches takes what is asked under a name of this machine.
    pub addr: Option<SocketAddr>,
    /// With `[discovery]`: the URL under which others, such as the gateway, reach this API: `http://10.0.0.7:9090`. Default: that of `addr`, unless only this machine reaches it.
    pub advertise: String,
    /// With `[auth]`: the role with which one may look at what there is. Default `"minos:read"`.
    pub read_role: String,
    /// With `[auth]`: the role with which one may also change something. Default `"minos:operate"`.
    pub operate_role: String,
}

impl Default for AdminConfig {
    fn default() -> Self {
        AdminConfig { addr: None, advertise: String::new(), read_role: "minos:read".to_owned(), operate_role: "minos:operate".to_owned() }
    }
}

/// `[log]`: what is told on standard error.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LogConfig {
    /// `"text"` for people (the default), `"json"` for machines.
    pub format: LogFormat,
    /// `off`, `error`, `warn`, `info` (the default), `debug` or `trace`, for all or by module: `"info,shop::orders=debug"`.
    #[serde(deserialize_with = "level")]
    pub level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line.
    Text,
    /// One JSON object a line.
    Json,
}

const LOCAL: &str = "local:";

/// What a file has to say at least.
const SMALLEST: &str = "[service]\nname = \"foo\"";

impl Config {
    /// Reads this file, and the environment over it.
    ///
    /// # Errors
    /// If the file is not there, or a key or value makes no sense; the error names the file, the line and the key.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        let name = path.display().to_string();
        let vars = std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
        let mut config = Config::read(&text, &name, vars)?;
        config.telemetry.from_environment = true;
        Ok(config)
    }

    /// Reads the text of a file, without the environment.
    ///
    /// # Errors
    /// As [`load`](Config::load).
    pub fn parse(text: &str) -> Result<Self> {
        Config::read(text, "the configuration", [])
    }

    fn read(text: &str, name: &str, vars: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        // Read once as it is, so that mistakes are told with their line.
        toml::from_str::<Config>(text).map_err(|error| misread(text, name, &error))?;
        let mut table: Table = text.parse().map_err(|error| misread(text, name, &error))?;
        env::apply(&mut table, vars)?;
        let config: Config = table.try_into().map_err(|error| Error::invalid(format!("{name}: {error}")))?;
        config.complete(name)
    }

    /// What has no default, and defaults that depend on other keys.
    fn complete(mut self, name: &str) -> Result<Self> {
        if self.service.name.is_empty() {
            return Err(Error::invalid(format!("{name} does not say who this is: it needs `{}`", SMALLEST.replace('\n', " "))));
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !self.service.name.chars().all(fits) {
            let message = format!(
                "{name}: `service.name` is `{}`; it is a part of topics and file names, so letters, digits, `-`, `_` and `.` only",
                self.service.name
            );
            return Err(Error::invalid(message));
        }
        if self.store.url.is_empty() {
            self.store.url = format!("sqlite://{}.db", self.service.name);
        }
        if let Some(auth) = &self.auth {
            auth.verified_by().map_err(|error| error.context(name.to_owned()))?;
        }
        for (key, value, bounds) in self.bounded() {
            if !bounds.contains(&value) {
                let (least, most) = bounds.into_inner();
                return Err(Error::invalid(format!("{name}: `{key}` is {value}; it has to be from {least} to {most}")));
            }
        }
        Ok(self)
    }

    /// Numbers that not all values make sense for, whatever the file says: more would not fit into what they are for.
    fn bounded(&self) -> [(&'static str, usize, RangeInclusive<usize>); 9] {
        [
            ("http.max_connections", self.http.max_connections, 1..=1_000_000),
            ("http.max_requests", self.http.max_requests, 1..=1_000_000),
            // No body that is allowed may be too large for it.
            ("http.max_body_memory", self.http.max_body_memory, self.http.max_body.max(1)..=usize::MAX),
            ("sagas.attempts", self.sagas.attempts, 1..=1_000_000),
            ("broker.attempts", self.broker.attempts, 1..=1_000_000),
            ("broker.concurrency", self.broker.concurrency, 1..=1_000_000),
            ("broker.partitions", self.broker.partitions, 1..=100_000),
            ("broker.replication", self.broker.replication, 0..=1000),
            // Headers alone may take 2 KiB; Kafka itself takes no more than 1 GB.
            ("broker.max_message", self.broker.max_message, 8 * 1024..=1_000_000_000),
        ]
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let name = path.display();
    let message = match error.kind() {
        std::io::ErrorKind::NotFound => {
            let directory = std::env::current_dir().map(|directory| directory.display().to_string()).unwrap_or_default();
            format!("there is no {name} in {directory}: create one, with at least `{}`", SMALLEST.replace('\n', " "))
        }
        _ => format!("{name} cannot be read: {error}"),
    };
    Error::invalid(message)
}

/// A mistake in the file, on one line: `minos.toml:4: unknown field `adr`, expected `addr``.
fn misread(text: &str, name: &str, error: &toml::de::Error) -> Error {
    let line = error.span().map(|span| 1 + text.get(..span.start).unwrap_or_default().matches('\n').count());
    let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
    let shown = line.and_then(|line| text.lines().nth(line - 1)).map(|line| format!(" in `{}`", line.trim())).unwrap_or_default();
    Error::invalid(format!("{place}: {}{shown}", error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    fn with(text: &str, vars: &[(&str, &str)]) -> Result<Config> {
        Config::read(text, "minos.toml", vars.iter().map(|(key, value)| (key.to_string(), value.to_string())))
    }

    #[test]
    fn a_name_is_enough() {
        let config = Config::parse("[service]\nname = \"foo\"").unwrap();
        assert_eq!(config.store.url, "sqlite://foo.db");
        assert_eq!(config.http.addr.to_string(), "127.0.0.1:8080");
        assert_eq!(config.http.max_body, 1_048_576);
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let text = "[service]\nname = \"foo\"\n[http]\nadr = \"127.0.0.1:1\"";
        assert!(wrong(text).starts_with("the configuration:4: unknown field `adr`, expected one of `addr`"), "{}", wrong(text));
        let text = "[service]\nname = \"foo\"\n[http]\nrequest_timeout = \"30\"";
        assert_eq!(
            wrong(text),
            "the configuration:4: `30` is no duration: write \"30s\", \"5m\", \"500ms\", \"2h\" or \"7d\" in `request_timeout = \"30\"`"
        );
        let log = |level: &str| format!("[service]\nname = \"foo\"\n[log]\nlevel = \"{level}\"");
        for level in ["infoo", "info,shop=debgu", "shop", ""] {
            assert!(wrong(&log(level)).contains("is no log level: write one of off, error"), "{level}: {}", wrong(&log(level)));
        }
        for level in ["info", "WARN", "off", "info,shop::orders=debug", "error, shop=trace"] {
            assert_eq!(Config::parse(&log(level)).unwrap().log.level, level);
        }
        assert!(wrong("[http]\nmax_body = \"1MiB\"").contains("does not say who this is"));
        assert!(wrong("[service]\nname = \"foo\"\n[oauth]\nsecret = \"x\"").contains("unknown field `oauth`"));
        assert!(wrong("[service]\nname = \"a/b\"").contains("letters, digits"));
        assert!(wrong("[service\nname").contains("the configuration:1:"));
    }

    #[test]
    fn numbers_have_bounds() {
        let text = |section: &str, line: &str| format!("[service]\nname = \"foo\"\n[{section}]\n{line}");
        for (section, line, told) in [
            ("http", "max_connections = 0", "`http.max_connections` is 0; it has to be from 1 to 1000000"),
            ("http", "max_connections = 9223372036854775807", "it has to be from 1 to 1000000"),
            ("http", "max_requests = 0", "`http.max_requests` is 0; it has to be from 1 to 1000000"),
            ("http", "max_body_memory = \"1MiB\"\nmax_body = \"2MiB\"", "`http.max_body_memory` is 1048576; it has to be from 2097152 to "),
            ("broker", "concurrency = 0", "`broker.concurrency` is 0; it has to be from 1 to 1000000"),
            ("broker", "concurrency = 9223372036854775807", "it has to be from 1 to 1000000"),
            ("broker", "attempts = 0", "`broker.attempts` is 0; "),
            ("broker", "partitions = 0", "`broker.partitions` is 0; "),
            ("broker", "replication = 99999", "`broker.replication` is 99999; it has to be from 0 to 1000"),
            ("broker", "max_message = \"2048B\"", "`broker.max_message` is 2048; it has to be from 8192 to 1000000000"),
            ("broker", "handler_timeout = \"99999999999d\"", "`99999999999d` is longer than the longest duration, `36500d`"),
            ("http", "drain_timeout = \"36501d\"", "`36501d` is longer than the longest duration, `36500d`"),
        ] {
            let error = wrong(&text(section, line));
            assert!(error.contains(told), "{line}: {error}");
        }
        assert!(Config::parse(&text("broker", "max_message = \"8KiB\"")).is_ok());
        assert!(Config::parse(&text("http", "keep_answers = \"36500d\"")).is_ok());
        let error = with(&text("log", ""), &[("MINOS_BROKER_CONCURRENCY", "0")]).unwrap_err().to_string();
        assert_eq!(error, "minos.toml: `broker.concurrency` is 0; it has to be from 1 to 1000000");
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let text = "[service]\nname = \"foo\"\n[http]\naddr = \"127.0.0.1:1\"";
        let config = with(
            text,
            &[("MINOS_HTTP_ADDR", "127.0.0.1:2"), ("MINOS_STORE_URL", "memory:"), ("MINOS_HTTP_MAX_CONNECTIONS", "5"), ("HOME", "/")],
        )
        .unwrap();
        assert_eq!(config.http.addr.port(), 2);
        assert_eq!(config.store.url, "memory:");
        assert_eq!(config.http.max_connections, 5);
        assert_eq!(with("", &[("MINOS_SERVICE_NAME", "bar")]).unwrap().service.name, "bar");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let text = "[service]\nname = \"foo\"";
        let config = with(text, &[("MINOS_STORE_MASTER_KEY", "0f0f")]).unwrap();
        assert_eq!(config.store.master_key.expose(), "0f0f");
        assert!(!format!("{config:?}").contains("0f0f"));
        assert!(Config::parse(text).unwrap().store.master_key.is_empty());
    }

    #[test]
    fn options_of_the_broker_by_file_and_environment() {
        let text = "[service]\nname = \"foo\"\n[broker.options]\n\"socket.keepalive.enable\" = true\n\"linger.ms\" = 2";
        let config = with(text, &[("MINOS_BROKER_OPTIONS_SASL_USERNAME", "me"), ("MINOS_BROKER_OPTIONS_LINGER_MS", "3")]).unwrap();
        let options: Vec<_> = config.broker.options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(options, [("linger.ms", "3"), ("sasl.username", "me"), ("socket.keepalive.enable", "true")]);
        let error = wrong("[service]\nname = \"foo\"\n[broker.options]\nx = [1]");
        assert!(error.contains("`x` is no text, number or switch"), "{error}");
    }

    #[test]
    fn a_mistake_in_the_environment_names_the_variable() {
        let text = "[service]\nname = \"foo\"";
        let error = with(text, &[("MINOS_HTTP_ADDR", "here")]).unwrap_err().to_string();
        assert!(error.starts_with("MINOS_HTTP_ADDR=`here`: "), "{error}");
        let error = with(text, &[("MINOS_HTTP_ADRR", "127.0.0.1:1")]).unwrap_err().to_string();
        assert_eq!(error, "MINOS_HTTP_ADRR is no key of the configuration: did you mean MINOS_HTTP_ADDR?");
    }
}
