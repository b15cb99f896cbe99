//! From a file to a configuration that makes sense.

use super::{GatewayConfig, env};
use crate::gateway::GatewayError;
use minos_runtime::discovery::{Directory, Endpoint, Instance};
use std::{ops::RangeInclusive, path::Path};
use toml::Table;

type Read<T> = Result<T, GatewayError>;

/// The shortest token of an operator: what can be guessed is none.
const SHORTEST_TOKEN: usize = 16;

impl GatewayConfig {
    /// Reads this file, and the environment over it.
    ///
    /// # Errors
    /// If the file is not there, or a key or value makes no sense; the error names the file, the line and the key.
    pub fn load(path: impl AsRef<Path>) -> Read<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        GatewayConfig::read(&text, &path.display().to_string(), environment())
    }

    /// The defaults, and the environment over them: for who needs no file.
    ///
    /// # Errors
    /// If a variable makes no sense.
    pub fn from_env() -> Read<Self> {
        GatewayConfig::read("", "the environment", environment())
    }

    /// Reads the text of a file, without the environment.
    ///
    /// # Errors
    /// As [`load`](GatewayConfig::load).
    pub fn parse(text: &str) -> Read<Self> {
        GatewayConfig::read(text, "the configuration", [])
    }

    fn read(text: &str, name: &str, vars: impl IntoIterator<Item = (String, String)>) -> Read<Self> {
        // Read once as it is, so that mistakes are told with their line.
        toml::from_str::<GatewayConfig>(text).map_err(|error| misread(text, name, &error))?;
        let mut table: Table = text.parse().map_err(|error| misread(text, name, &error))?;
        env::apply(&mut table, vars)?;
        let config: GatewayConfig = table.try_into().map_err(|error| GatewayError::Config(format!("{name}: {error}")))?;
        config.check().map_err(|wrong| GatewayError::Config(format!("{name}: {wrong}")))?;
        Ok(config)
    }

    /// What a key alone does not tell.
    fn check(&self) -> Result<(), String> {
        for (key, value, bounds) in self.bounded() {
            if !bounds.contains(&value) {
                return Err(format!("`{key}` is {value}; it has to be from {} to {}", bounds.start(), bounds.end()));
            }
        }
        if let Some(auth) = &self.auth {
            auth.verified_by().map_err(|error| error.to_string())?;
        }
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            return Err("`tls.certificate` and `tls.key` go together: set both, or none".to_owned());
        }
        let admin = &self.admin;
        if admin.addr.is_some() && admin.token.is_empty() && admin.role.is_empty() {
            return Err("`admin.addr` is set, and nothing says who the operator is: set `admin.token`, or `admin.role`".to_owned());
        }
        if !admin.token.is_empty() && admin.token.expose().len() < SHORTEST_TOKEN {
            return Err(format!("`admin.token` is too short: it has to have {SHORTEST_TOKEN} characters at least"));
        }
        if self.cors.credentials && self.cors.origins.iter().any(|origin| origin == "*") {
            return Err("`cors.credentials` cannot be for all origins: name them in `cors.origins`, or leave it away".to_owned());
        }
        if let Some(origin) = self.cors.origins.iter().find(|origin| !is_origin(origin)) {
            return Err(format!(
                "`cors.origins` has `{origin}`, which is no origin: write \"https://shop.example\", without a path, or \"*\""
            ));
        }
        for text in &self.access.public {
            endpoint(text).map_err(|why| format!("`access.public`: {why}"))?;
        }
        for (name, service) in &self.services {
            if service.urls.is_empty() {
                return Err(format!("`services.{name}` has no instances: write urls = [\"http://127.0.0.1:8080\"]"));
            }
            for url in &service.urls {
                authority(url).map_err(|why| format!("`services.{name}.urls`: {why}"))?;
            }
            for url in &service.admin {
                authority(url).map_err(|why| format!("`services.{name}.admin`: {why}"))?;
            }
            let (urls, admin) = (service.urls.len(), service.admin.len());
            if admin > 1 && admin != urls {
                return Err(format!("`services.{name}` has {urls} of `urls` and {admin} of `admin`: write one for each, or one for all"));
            }
            for route in &service.routes {
                endpoint(route).map_err(|why| format!("`services.{name}.routes`: {why}"))?;
            }
        }
        Ok(())
    }

    /// Numbers that not all values make sense for.
    fn bounded(&self) -> [(&'static str, usize, RangeInclusive<usize>); 13] {
        [
            ("http.max_connections", self.http.max_connections, 1..=1_000_000),
            ("http.max_connections_per_client", self.http.max_connections_per_client, 1..=1_000_000),
            ("http.workers", self.http.workers, 0..=1024),
            ("http.max_requests", self.http.max_requests, 1..=1_000_000),
            // Hyper reads in pieces of 8 KiB at least.
            ("http.max_headers", self.http.max_headers, 8 * 1024..=16 * 1024 * 1024),
            ("http.slowest", self.http.slowest, 1..=usize::MAX),
            ("upstream.max_idle", self.upstream.max_idle, 0..=100_000),
            ("retries.attempts", self.retries.attempts, 0..=10),
            ("retries.percent", self.retries.percent, 0..=100),
            ("ejection.failures", self.ejection.failures, 1..=1_000_000),
            ("rate.burst", self.rate.burst, 1..=3600),
            ("rate.remembered", self.rate.remembered, 1..=100_000_000),
            ("rate.per_client", self.rate.per_client, 0..=1_000_000_000),
        ]
    }

    /// The services of the file, as a registry would tell them.
    pub(in crate::gateway) fn directory(&self) -> Directory {
        let of = |(name, service): (&String, &super::ServiceConfig)| {
            let endpoints: Vec<Endpoint> = service.routes.iter().filter_map(|route| endpoint(route).ok()).collect();
            let admin = |n: usize| if let [all] = &service.admin[..] { Some(all) } else { service.admin.get(n) };
            let instance = |(n, url): (usize, &String)| Instance {
                service: name.clone(),
                id: url.clone(),
                url: url.clone(),
                endpoints: endpoints.clone(),
                admin: admin(n).cloned(),
            };
            service.urls.iter().enumerate().map(instance).collect::<Vec<_>>()
        };
        Directory { revision: "configuration".to_owned(), instances: self.services.iter().flat_map(of).collect() }
    }
}

fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
}

/// `GET /foos/{uuid}`; the method `*` is any.
pub(in crate::gateway) fn endpoint(text: &str) -> Result<Endpoint, String> {
    let (method, path) = text.trim().split_once(' ').unwrap_or(("*", text.trim()));
    let path = path.trim();
    let is_method = method == "*" || (!method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase()));
    if !is_method || !path.starts_with('/') || path.contains(|c: char| c.is_whitespace() || c == '?' || c == '#') {
        return Err(format!("`{text}` is no route: write \"GET /foos/{{uuid}}\", or \"/foos/{{*rest}}\" for all methods"));
    }
    Ok(Endpoint { method: method.to_owned(), path: path.to_owned() })
}

/// The `host:port` of `http://host:port`.
pub(in crate::gateway) fn authority(url: &str) -> Result<http::uri::Authority, String> {
    let wrong = |why: &str| format!("`{url}` cannot be asked: {why}; write \"http://10.0.0.7:8080\"");
    let uri: http::Uri = url.parse().map_err(|_| wrong("it is no URL"))?;
    if uri.scheme_str() != Some("http") {
        return Err(wrong("only `http:` is spoken with instances"));
    }
    let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("it has a user"));
    }
    if uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
        return Err(wrong("it has a path"));
    }
    Ok(authority.clone())
}

fn is_origin(text: &str) -> bool {
    text == "*"
        || text
            .parse::<http::Uri>()
            .is_ok_and(|uri| uri.scheme().is_some() && !text.ends_with('/') && uri.path() == "/" && uri.query().is_none())
}

fn unreadable(path: &Path, error: &std::io::Error) -> GatewayError {
    let name = path.display();
    GatewayError::Config(match error.kind() {
        std::io::ErrorKind::NotFound => {
            let directory = std::env::current_dir().map(|directory| directory.display().to_string()).unwrap_or_default();
            format!(
                "there is no {name} in {directory}: create one, with at least `[discovery] url = \"http://…\"` or `[services.order] urls = [\"http://…\"] routes = [\"GET /orders/{{id}}\"]`"
            )
        }
        _ => format!("{name} cannot be read: {error}"),
    })
}

/// A mistake in the file, on one line: `gateway.toml:4: unknown field `adr`, expected `addr``.
fn misread(text: &str, name: &str, error: &toml::de::Error) -> GatewayError {
    let line = error.span().map(|span| 1 + text.get(..span.start).unwrap_or_default().matches('\n').count());
    let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
    let shown = line.and_then(|line| text.lines().nth(line - 1)).filter(|line| !line.contains("token") && !line.contains("secret"));
    let shown = shown.map(|line| format!(" in `{}`", line.trim())).unwrap_or_default();
    GatewayError::Config(format!("{place}: {}{shown}", error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        GatewayConfig::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn nothing_has_to_be_said() {
        let config = GatewayConfig::parse("").unwrap();
        assert_eq!(config.http.addr.to_string(), "127.0.0.1:8000");
        assert!(config.directory().instances.is_empty());
    }

    #[test]
    fn services_are_told_as_a_registry_would() {
        let text = "[services.order]\nurls = [\"http://a:1\", \"http://b:1\"]\nroutes = [\"GET /orders/{id}\", \"/order/{*rest}\"]";
        let instances = GatewayConfig::parse(text).unwrap().directory().instances;
        assert_eq!(instances.iter().map(|one| one.url.as_str()).collect::<Vec<_>>(), ["http://a:1", "http://b:1"]);
        let endpoints: Vec<_> = instances[0].endpoints.iter().map(|one| (one.method.as_str(), one.path.as_str())).collect();
        assert_eq!(endpoints, [("GET", "/orders/{id}"), ("*", "/order/{*rest}")]);
        let operated = |admin: &str| {
            let instances = GatewayConfig::parse(&format!("{text}\nadmin = {admin}")).unwrap().directory().instances;
            instances.into_iter().filter_map(|one| one.admin).collect::<Vec<_>>()
        };
        assert_eq!(operated("\"http://a:9\""), ["http://a:9", "http://a:9"]);
        assert_eq!(operated("[\"http://a:9\", \"http://b:9\"]"), ["http://a:9", "http://b:9"]);
        assert!(instances.iter().all(|one| one.admin.is_none()));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (text, told) in [
            ("[http]\nadr = 1", "the configuration:2: unknown field `adr`, expected one of `addr`"),
            ("[http]\nheader_timeout = \"5\"", "`5` is no duration"),
            ("[http]\nmax_connections = 0", "`http.max_connections` is 0; it has to be from 1 to 1000000"),
            ("[http]\ntrusted_proxies = [\"10.0.0.0/99\"]", "`10.0.0.0/99` is no address and no network"),
            ("[tls]\nkey = \"key.pem\"", "`tls.certificate` and `tls.key` go together"),
            ("[admin]\naddr = \"127.0.0.1:9091\"", "set `admin.token`, or `admin.role`"),
            ("[admin]\ntoken = \"short\"", "it has to have 16 characters at least"),
            ("[cors]\norigins = [\"*\"]\ncredentials = true", "`cors.credentials` cannot be for all origins"),
            ("[cors]\norigins = [\"https://a/b\"]", "`https://a/b`, which is no origin"),
            ("[cors]\norigins = [\"https://a/\"]", "which is no origin"),
            ("[services.order]\nurls = []\nroutes = []", "`services.order` has no instances"),
            ("[services.order]\nurls = [\"https://a\"]\nroutes = []", "only `http:` is spoken"),
            ("[services.order]\nurls = [\"http://me:pw@a\"]\nroutes = []", "it has a user"),
            ("[services.order]\nurls = [\"http://a/b\"]\nroutes = []", "it has a path"),
            ("[services.order]\nurls = [\"http://a\"]\nroutes = [\"get /x\"]", "`get /x` is no route: write \"GET /foos/{uuid}\""),
            ("[services.order]\nurls = [\"http://a\"]\nroutes = [\"GET x\"]", "`GET x` is no route"),
            (
                "[services.order]\nurls = [\"http://a\"]\nroutes = []\nadmin = \"a:9090\"",
                "`services.order.admin`: `a:9090` cannot be asked",
            ),
            (
                "[services.order]\nurls = [\"http://a\", \"http://b\", \"http://c\"]\nroutes = []\nadmin = [\"http://a:9\", \"http://b:9\"]",
                "has 3 of `urls` and 2 of `admin`",
            ),
            ("[auth]\nissuer = \"x\"", "it needs one of `secret`, `public_key` and `jwks`"),
            ("[access]\npublic = [\"x\"]", "`access.public`: `x` is no route"),
        ] {
            assert!(wrong(text).contains(told), "{text}: {}", wrong(text));
        }
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let with = |vars: &[(&str, &str)]| {
            let vars: Vec<_> = vars.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
            GatewayConfig::read("[http]\naddr = \"127.0.0.1:1\"", "gateway.toml", vars)
        };
        let config = with(&[
            ("MINOS_GATEWAY_HTTP_ADDR", "127.0.0.1:2"),
            ("MINOS_GATEWAY_CORS_ORIGINS", "https://a, https://b"),
            ("MINOS_GATEWAY_ACCESS_REQUIRED", "true"),
            ("MINOS_GATEWAY_RATE_PER_CLIENT", "7"),
            ("MINOS_HTTP_ADDR", "not ours"),
        ]);
        let config = config.unwrap();
        assert_eq!((config.http.addr.port(), config.cors.origins.len(), config.access.required, config.rate.per_client), (2, 2, true, 7));
        let wrong = |name: &str, value: &str| with(&[(name, value)]).unwrap_err().to_string();
        assert!(wrong("MINOS_GATEWAY_HTTP_ADDR", "here").starts_with("MINOS_GATEWAY_HTTP_ADDR=`here`: "));
        assert!(wrong("MINOS_GATEWAY_HTTP_ADR", "x").contains("write one of MINOS_GATEWAY_HTTP_ADDR, "));
        assert!(wrong("MINOS_GATEWAY_HTP_ADDR", "x").contains("MINOS_GATEWAY_HTTP_…"));
    }

    #[test]
    fn a_token_is_not_told() {
        let error = wrong("[admin]\naddr = \"127.0.0.1:1\"\ntoken = [\"very-secret\"]");
        assert!(error.contains("the configuration:3") && !error.contains("very-secret"), "{error}");
        let config = GatewayConfig::parse("[admin]\ntoken = \"0123456789abcdef\"").unwrap();
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }
}
