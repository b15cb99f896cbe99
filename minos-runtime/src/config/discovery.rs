//! `[discovery]`: how services find each other.

use super::{Secret, units::duration};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use std::{collections::BTreeMap, fmt, time::Duration};

/// `[discovery]`: how this service is found, and finds others. It takes the feature `discovery`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DiscoveryConfig {
    /// Who knows which services there are: `http://host:7070` is a registry, `minos discovery`, and there may be several with commas between; `static:` is the
    /// table below, `static:services.toml` a file with one; `dns:` looks up the hosts of the table. Absent: nobody is told and nobody is asked.
    pub url: String,
    /// The URL under which others reach this instance: `http://10.0.0.7:8080`. Default: that of `http.addr`, unless it is `0.0.0.0`, which nobody can ask.
    pub advertise: String,
    /// How often this instance says that it is there. Default `"5s"`.
    #[serde(deserialize_with = "duration")]
    pub renew: Duration,
    /// How long this instance goes on answering when it stops, after it has said so: until then all who ask it have noticed. Default `"1s"`.
    #[serde(deserialize_with = "duration")]
    pub linger: Duration,
    /// What the registry wants to see of who may ask it. Default: nothing.
    pub token: Secret,
    /// Services and their URLs, for `static:` and `dns:`.
    pub services: BTreeMap<String, ServiceUrls>,
}

impl Default for DiscoveryConfig {
    fn default() -> Self {
        DiscoveryConfig {
            url: String::new(),
            advertise: String::new(),
            renew: Duration::from_secs(5),
            linger: Duration::from_secs(1),
            token: Secret::default(),
            services: BTreeMap::new(),
        }
    }
}

impl DiscoveryConfig {
    /// Whoever knows which services there are, at this URL; the rest as it is by default.
    pub fn at(url: impl Into<String>) -> Self {
        DiscoveryConfig { url: url.into(), ..DiscoveryConfig::default() }
    }
}

/// Where a service is, in a table: `"http://order:8080"`, a list of such URLs, or `{ urls = […], routes = ["GET /orders/{id}"], admin = "http://order:9090" }` where somebody has
/// to know what it answers, or where its operator's API is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceUrls {
    /// Where its instances are.
    pub urls: Vec<String>,
    /// What each of them answers.
    pub routes: Vec<String>,
    /// Where its operator's API is: one URL for each of `urls`, or one for all.
    pub admin: Vec<String>,
}

impl<'de> Deserialize<'de> for ServiceUrls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Forms)
    }
}

/// A URL, or a list of them.
struct OneOrMore(Vec<String>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            One(String),
            More(Vec<String>),
        }
        Ok(OneOrMore(match Given::deserialize(deserializer)? {
            Given::One(url) => vec![url],
            Given::More(urls) => urls,
        }))
    }
}

/// The three ways to write it.
struct Forms;

impl<'de> Visitor<'de> for Forms {
    type Value = ServiceUrls;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL, a list of URLs, or `{ urls = [\"http://host:port\"], routes = [\"GET /path\"], admin = \"http://host:port\" }`")
    }

    fn visit_str<E: Error>(self, url: &str) -> Result<ServiceUrls, E> {
        Ok(ServiceUrls { urls: vec![url.to_owned()], ..ServiceUrls::default() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ServiceUrls, A::Error> {
        let mut urls = Vec::new();
        while let Some(url) = list.next_element()? {
            urls.push(url);
        }
        Ok(ServiceUrls { urls, ..ServiceUrls::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ServiceUrls, A::Error> {
        let mut whole = ServiceUrls::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "urls" => whole.urls = map.next_value()?,
                "routes" => whole.routes = map.next_value()?,
                "admin" => whole.admin = map.next_value::<OneOrMore>()?.0,
                _ => return Err(A::Error::unknown_field(&key, &["urls", "routes", "admin"])),
            }
        }
        Ok(whole)
    }
}
