//! The configuration: `gateway.toml`, and the environment over it.

mod address;
mod env;
mod read;

pub use address::Network;
pub(super) use address::plain;
pub(super) use read::{authority, endpoint};

use minos_runtime::config::{
    AuthConfig, LogConfig, Secret,
    units::{duration, number, size},
};
use serde::{Deserialize, Deserializer};
use std::{collections::BTreeMap, net::SocketAddr, num::NonZero, path::PathBuf, time::Duration};

/// The configuration of a gateway. Every key of the file, but for those of `[services]`, can be overridden by the environment variable
/// `MINOS_GATEWAY_<SECTION>_<KEY>`, such as `MINOS_GATEWAY_HTTP_ADDR`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GatewayConfig {
    /// `[http]`
    pub http: HttpConfig,
    /// `[tls]`
    pub tls: TlsConfig,
    /// `[discovery]`
    pub discovery: DiscoveryConfig,
    /// `[services.<name>]`: services that no registry has to tell about.
    pub services: BTreeMap<String, ServiceConfig>,
    /// `[upstream]`
    pub upstream: UpstreamConfig,
    /// `[retries]`
    pub retries: RetriesConfig,
    /// `[ejection]`
    pub ejection: EjectionConfig,
    /// `[rate]`
    pub rate: RateConfig,
    /// `[cors]`
    pub cors: CorsConfig,
    /// `[auth]`, as services have it: by what tokens are verified here already. The services verify them again. Absent: only they do.
    pub auth: Option<AuthConfig>,
    /// `[access]`
    pub access: AccessConfig,
    /// `[admin]`
    pub admin: AdminConfig,
    /// `[openapi]`
    pub openapi: OpenApiConfig,
    /// `[log]`
    pub log: LogConfig,
}

/// `[http]`: the way in.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Where to listen; port 0 takes a free one. Default `127.0.0.1:8000`.
    pub addr: SocketAddr,
    /// How many threads serve connections; each has its own. Default `0`: as many as the machine has cores for this program.
    #[serde(deserialize_with = "number")]
    pub workers: usize,
    /// How many connections are open at once; more wait to be accepted. Default `10000`.
    #[serde(deserialize_with = "number")]
    pub max_connections: usize,
    /// How many of them one client may have, which is an address, or a /64 network of IPv6; more are closed at once. Trusted proxies may have all. Default `1000`.
    #[serde(deserialize_with = "number")]
    pub max_connections_per_client: usize,
    /// How many requests are under way at once; more are answered with 503 at once. Default `10000`.
    #[serde(deserialize_with = "number")]
    pub max_requests: usize,
    /// How many bytes the head of one request may have: its target, and names and values of its headers, of which there are 100 at most. Default `"64KiB"`.
    #[serde(deserialize_with = "size")]
    pub max_headers: usize,
    /// The longest body of a request. Default `"64MiB"`.
    #[serde(deserialize_with = "size")]
    pub max_body: usize,
    /// How long the headers of a request may take, and how long a connection may be idle. Default `"10s"`.
    #[serde(deserialize_with = "duration")]
    pub header_timeout: Duration,
    /// How long a body may take beyond what it would at `slowest`, and how long a client may take nothing of its answer. Default `"15s"`.
    #[serde(deserialize_with = "duration")]
    pub body_timeout: Duration,
    /// How slow a client may send its body: so many bytes a second. Default `"1KiB"`.
    #[serde(deserialize_with = "size")]
    pub slowest: usize,
    /// How long requests may go on after the gateway was told to stop. Default `"10s"`.
    #[serde(deserialize_with = "duration")]
    pub drain_timeout: Duration,
    /// Addresses and networks of proxies in front of this gateway, whose `X-Forwarded-For` is believed: `["10.0.0.0/8"]`. Default: none.
    #[serde(deserialize_with = "list")]
    pub trusted_proxies: Vec<Network>,
    /// Headers of requests that say who somebody is, and that nobody outside may set, beside `x-user*`, `x-minos-*` and `minos-*`. Default: none.
    #[serde(deserialize_with = "list")]
    pub strip: Vec<String>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            addr: SocketAddr::from(([127, 0, 0, 1], 8000)),
            workers: 0,
            max_connections: 10_000,
            max_connections_per_client: 1000,
            max_requests: 10_000,
            max_headers: 64 * 1024,
            max_body: 64 * 1024 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(15),
            slowest: 1024,
            drain_timeout: Duration::from_secs(10),
            trusted_proxies: Vec::new(),
            strip: Vec::new(),
        }
    }
}

impl HttpConfig {
    /// The threads that serve connections.
    pub(super) fn worker_threads(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, NonZero::get),
            some => some,
        }
    }
}

/// `[tls]`: with it, the way in is HTTPS, by HTTP/1.1 and HTTP/2.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsConfig {
    /// A PEM file with the certificate, and those that lead to its authority.
    pub certificate: Option<PathBuf>,
    /// A PEM file with its private key.
    pub key: Option<PathBuf>,
}

/// `[discovery]`: who tells which services there are.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DiscoveryConfig {
    /// As in the configuration of services: `http://host:7070` of a registry, several with commas between, or `static:services.toml`. Default: none, only
    /// `[services]`.
    pub url: String,
    /// What the registry wants to see of who asks. Default: nothing.
    pub token: Secret,
}

/// `[services.<name>]`: a service that is always there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ServiceConfig {
    /// Its instances: `["http://10.0.0.7:8080"]`.
    pub urls: Vec<String>,
    /// What it answers: `["GET /foos/{uuid}", "POST /foos"]`; without a method, by all methods. `{*rest}` at the end is all that follows.
    pub routes: Vec<String>,
    /// Where its operator's API is, for the console: `"http://10.0.0.7:9090"`, or one for each of `urls`. Default: nowhere.
    #[serde(default, deserialize_with = "list")]
    pub admin: Vec<String>,
}

/// `[upstream]`: how instances are asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UpstreamConfig {
    /// How long a connection to an instance may take to be made. Default `"1s"`.
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: Duration,
    /// How long an instance may take until it begins to answer, from when it has the request. Default `"30s"`.
    #[serde(deserialize_with = "duration")]
    pub first_byte_timeout: Duration,
    /// How long an answer that has begun may pause. Default `"60s"`.
    #[serde(deserialize_with = "duration")]
    pub idle_timeout: Duration,
    /// How long a request and its answer may take in all. Default `"10m"`.
    #[serde(deserialize_with = "duration")]
    pub total_timeout: Duration,
    /// How long a connection to an instance is kept that nobody uses: shorter than the instance itself would keep it. Default `"4s"`.
    #[serde(deserialize_with = "duration")]
    pub keep_idle: Duration,
    /// How many of them are kept for each instance, spread evenly over the threads that serve. Default `256`.
    #[serde(deserialize_with = "number")]
    pub max_idle: usize,
    /// How long a request waits when no service is known at all, or no instance of its service can be reached, before it is refused with 503. Default: none, it is
    /// refused at once. It is for where services are started again with nobody in their place, as `minos dev` does.
    #[serde(deserialize_with = "duration")]
    pub patience: Duration,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        UpstreamConfig {
            connect_timeout: Duration::from_secs(1),
            first_byte_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            total_timeout: Duration::from_secs(600),
            keep_idle: Duration::from_secs(4),
            max_idle: 256,
            patience: Duration::ZERO,
        }
    }
}

/// `[retries]`: what is asked again when an instance fails.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetriesConfig {
    /// How often a request is tried again at most. Default `2`.
    #[serde(deserialize_with = "number")]
    pub attempts: usize,
    /// How many of a hundred requests may be tried again that an instance may have seen. Default `20`.
    #[serde(deserialize_with = "number")]
    pub percent: usize,
    /// Up to which size the body of a request that may be repeated is kept for that. Default `"64KiB"`.
    #[serde(deserialize_with = "size")]
    pub max_body: usize,
}

impl Default for RetriesConfig {
    fn default() -> Self {
        RetriesConfig { attempts: 2, percent: 20, max_body: 64 * 1024 }
    }
}

/// `[ejection]`: instances that fail are left alone for a while.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EjectionConfig {
    /// How many failures in a row put an instance out: broken connections, no answer in time, 502, 503, 504. One that cannot be connected to is out at once. Default `5`.
    #[serde(deserialize_with = "number")]
    pub failures: usize,
    /// How long it is out the first time; it doubles with each. Then one request is let through to see. Default `"500ms"`.
    #[serde(deserialize_with = "duration")]
    pub first_pause: Duration,
    /// The longest that it is out. Default `"30s"`.
    #[serde(deserialize_with = "duration")]
    pub longest_pause: Duration,
}

impl Default for EjectionConfig {
    fn default() -> Self {
        EjectionConfig { failures: 5, first_pause: Duration::from_millis(500), longest_pause: Duration::from_secs(30) }
    }
}

/// `[rate]`: how many requests a second are let through; 0 is no limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RateConfig {
    /// Of all clients together. Default `0`.
    #[serde(deserialize_with = "number")]
    pub global: usize,
    /// Of one client address; of IPv6, of one network of 64 bits. Default `0`.
    #[serde(deserialize_with = "number")]
    pub per_client: usize,
    /// Of one user, as its token says. Default `0`.
    #[serde(deserialize_with = "number")]
    pub per_user: usize,
    /// How many seconds' worth may come at once. Default `2`.
    #[serde(deserialize_with = "number")]
    pub burst: usize,
    /// How many clients and users are remembered; those that were not seen for long are forgotten. Default `100000`.
    #[serde(deserialize_with = "number")]
    pub remembered: usize,
}

impl Default for RateConfig {
    fn default() -> Self {
        RateConfig { global: 0, per_client: 0, per_user: 0, burst: 2, remembered: 100_000 }
    }
}

/// `[cors]`: which pages of other origins may ask.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CorsConfig {
    /// `["https://shop.example"]`, or `["*"]` for all, which takes no credentials. Default: none.
    #[serde(deserialize_with = "list")]
    pub origins: Vec<String>,
    /// Headers that they may send beside the simple ones. Default `authorization`, `content-type`, `idempotency-key`, `traceparent`, `x-correlation-id`.
    #[serde(deserialize_with = "list")]
    pub headers: Vec<String>,
    /// Headers of the answer that they may read. Default `x-correlation-id`, `retry-after`.
    #[serde(deserialize_with = "list")]
    pub expose: Vec<String>,
    /// Whether they may send cookies and certificates. Default `false`.
    #[serde(deserialize_with = "switch")]
    pub credentials: bool,
    /// How long a browser may remember the answer to a preflight. Default `"10m"`.
    #[serde(deserialize_with = "duration")]
    pub max_age: Duration,
}

impl Default for CorsConfig {
    fn default() -> Self {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        CorsConfig {
            origins: Vec::new(),
            headers: words("authorization content-type idempotency-key traceparent x-correlation-id"),
            expose: words("x-correlation-id retry-after"),
            credentials: false,
            max_age: Duration::from_secs(600),
        }
    }
}

/// `[access]`: who has to have a token.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AccessConfig {
    /// Whether a request without a token is refused here. Else the service decides; a token that is wrong is refused either way. Default `false`.
    #[serde(deserialize_with = "switch")]
    pub required: bool,
    /// Routes for which nobody has to be known, `["GET /foos/{uuid}"]`: no token is needed though `required`, and one that is no good counts as none. Default: none.
    #[serde(deserialize_with = "list")]
    pub public: Vec<String>,
}

/// `[admin]`: the way in for the operator and their tools.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AdminConfig {
    /// Where the operator's API listens, and the console of all services at `/console` of it, such as `127.0.0.1:9091`. Absent: there is none.
    pub addr: Option<SocketAddr>,
    /// Who sends this as `Authorization: Bearer …` is the operator: 16 characters at least.
    pub token: Secret,
    /// Who has a token of this role is the operator, too.
    pub role: String,
}

/// `[openapi]`: what all services can be asked, in one document.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OpenApiConfig {
    /// Whose `/openapi.json` and the page `/docs` are: `"everybody"` (the default), `"operator"`, or `"nobody"`, and then no service is asked for its document.
    pub serve: Audience,
    /// What it is called. Default `"All services"`.
    pub title: String,
    /// How often the services are asked for their documents, beside whenever there are others. Default `"60s"`.
    #[serde(deserialize_with = "duration")]
    pub refresh: Duration,
}

/// Who sees something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// At the gateway's own address.
    Everybody,
    /// At the operator's API.
    Operator,
    /// Nowhere.
    Nobody,
}

impl Default for OpenApiConfig {
    fn default() -> Self {
        OpenApiConfig { serve: Audience::Everybody, title: "All services".to_owned(), refresh: Duration::from_secs(60) }
    }
}

/// `["a", "b"]`, or `"a, b"`, as the environment says it.
fn list<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Text(String),
        List(Vec<String>),
    }
    let given = match Given::deserialize(deserializer)? {
        Given::Text(text) => text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect(),
        Given::List(list) => list,
    };
    given.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

/// `true`, or its text.
fn switch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Switch(bool),
        Text(String),
    }
    match Given::deserialize(deserializer)? {
        Given::Switch(switch) => Ok(switch),
        Given::Text(text) => text.trim().parse().map_err(|_| serde::de::Error::custom(format!("`{text}` is neither true nor false"))),
    }
}
