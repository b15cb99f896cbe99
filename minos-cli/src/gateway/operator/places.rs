//! Where the operators' APIs of services are, as their instances say.

use crate::gateway::{
    config::{GatewayConfig, authority},
    upstream::{Instance, Standing},
};
use minos_runtime::discovery::{self, Directory};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The operators' APIs of all services that are known.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Places {
    services: BTreeMap<String, Service>,
}

#[derive(Debug, Default)]
struct Service {
    /// Each with the id of its instance, and the URL of the operator's API.
    places: Vec<Arc<Instance>>,
    /// Why instances cannot be asked there.
    unusable: BTreeSet<String>,
    /// It stands in the configuration.
    is_configured: bool,
}

/// Why a service's operator's API cannot be asked, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Nobody runs it.
    Service,
    Address(String),
}

impl Places {
    /// Those of this directory. An instance that stays keeps its connections, and what is known of it.
    pub(in crate::gateway) fn build(before: &Places, directory: &Directory, config: &GatewayConfig) -> Self {
        let mut places = Places::default();
        if config.admin.addr.is_none() {
            return places;
        }
        for told in &directory.instances {
            let service = places.services.entry(told.service.clone()).or_default();
            service.is_configured |= config.services.contains_key(&told.service);
            let Some(url) = told.admin.as_deref() else { continue };
            let known = before.of(&told.service).iter().find(|one| one.id == told.id && one.url == url);
            let place = match known {
                Some(known) => Some(known.clone()),
                None => place(told, url, config).map_err(|why| service.unusable.insert(why)).ok(),
            };
            // One address for all of them is one.
            service.places.extend(place.filter(|place| service.places.iter().all(|other| other.url != place.url)));
        }
        places
    }

    /// Those of a service.
    pub(super) fn of(&self, service: &str) -> &[Arc<Instance>] {
        self.services.get(service).map_or(&[], |service| &service.places)
    }

    /// The names of all services.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// In which order those of a service are asked: first the one that is wanted, last those that were not reached lately.
    pub(super) fn in_order(&self, service: &str, wanted: Option<&str>) -> Vec<Arc<Instance>> {
        let mut places = self.of(service).to_vec();
        let rank = |place: &Instance| match place.standing() {
            Standing::In => 1,
            Standing::Due => 2,
            Standing::Leaving => 3,
            Standing::Out => 4,
        };
        places.sort_by_key(|place| if wanted == Some(&place.id) { (0, 0) } else { (rank(place), place.load()) });
        places
    }

    /// Why nobody can be asked, if it is so.
    pub(super) fn missing(&self, service: &str) -> Option<Missing> {
        let Some(known) = self.services.get(service) else { return Some(Missing::Service) };
        if !known.places.is_empty() {
            return None;
        }
        if !known.unusable.is_empty() {
            let whys: Vec<&str> = known.unusable.iter().map(String::as_str).collect();
            return Some(Missing::Address(whys.join("; ")));
        }
        let key = if known.is_configured {
            format!("set `admin = \"http://host:9090\"` in `[services.{service}]` of the gateway's configuration")
        } else {
            "set `[admin] addr` in its `minos.toml` to an address that the gateway reaches, and `[admin] advertise` if it is reached under another one; in a table of \
             services, `admin` says it"
                .to_owned()
        };
        Some(Missing::Address(format!("no instance of `{service}` says where its operator's API is: {key}")))
    }

    /// Lets go of connections that nobody has used for too long.
    pub(in crate::gateway) fn tidy(&self) {
        self.services.values().flat_map(|service| &service.places).for_each(|place| place.tidy());
    }
}

fn place(told: &discovery::Instance, url: &str, config: &GatewayConfig) -> Result<Arc<Instance>, String> {
    let unusable = |why: &str| format!("the operator's API of `{}`: {why}", told.id);
    let authority = authority(url).map_err(|why| unusable(&why))?;
    let told = discovery::Instance { url: url.to_owned(), endpoints: Vec::new(), admin: None, ..told.clone() };
    Instance::new(&told, &authority, config).map(Arc::new).ok_or_else(|| unusable("its host is none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(service: &str, id: &str, admin: Option<&str>) -> discovery::Instance {
        let url = format!("http://{id}:1");
        discovery::Instance { service: service.into(), id: id.into(), url, endpoints: Vec::new(), admin: admin.map(str::to_owned) }
    }

    fn build(before: &Places, instances: Vec<discovery::Instance>) -> Places {
        let text = "[admin]\naddr = \"127.0.0.1:0\"\ntoken = \"0123456789abcdef\"\n[services.legacy]\nurls = [\"http://l:1\"]\nroutes = []";
        Places::build(before, &Directory { revision: "r".into(), instances }, &GatewayConfig::parse(text).unwrap())
    }

    fn address(places: &Places, service: &str) -> String {
        match places.missing(service) {
            Some(Missing::Address(why)) => why,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn who_says_where_it_is_can_be_asked_there() {
        let first = build(
            &Places::default(),
            vec![
                told("order", "a", Some("http://a:9090")),
                told("order", "b", None),
                told("order", "c", Some("http://c:9090")),
                told("pay", "d", Some("http://all:9090")),
                told("pay", "e", Some("http://all:9090")),
                told("stock", "f", None),
                told("legacy", "g", None),
                told("away", "h", Some("https://h:9090")),
            ],
        );
        let urls = |places: &Places, service| places.of(service).iter().map(|one| one.url.clone()).collect::<Vec<_>>();
        assert_eq!(urls(&first, "order"), ["http://a:9090", "http://c:9090"]);
        assert_eq!(urls(&first, "pay"), ["http://all:9090"]);
        assert_eq!(first.missing("order"), None);
        assert_eq!(first.missing("nobody"), Some(Missing::Service));
        assert!(address(&first, "stock").contains("set `[admin] addr` in its `minos.toml`"), "{}", address(&first, "stock"));
        assert!(address(&first, "legacy").contains("in `[services.legacy]`"), "{}", address(&first, "legacy"));
        assert!(address(&first, "away").contains("only `http:` is spoken"), "{}", address(&first, "away"));
        let second = build(&first, vec![told("order", "a", Some("http://a:9090")), told("order", "c", Some("http://c:9091"))]);
        assert!(Arc::ptr_eq(&first.of("order")[0], &second.of("order")[0]), "it stays what it is");
        assert_eq!(urls(&second, "order"), ["http://a:9090", "http://c:9091"]);
        assert_eq!(second.names().collect::<Vec<_>>(), ["order"]);
        let ids = |wanted| second.in_order("order", wanted).iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        assert_eq!((ids(Some("c")), ids(Some("x"))), (vec!["c".to_owned(), "a".to_owned()], vec!["a".to_owned(), "c".to_owned()]));
    }

    #[test]
    fn without_an_operator_nobody_is_kept() {
        let directory = Directory { revision: "r".into(), instances: vec![told("order", "a", Some("http://a:9090"))] };
        assert_eq!(Places::build(&Places::default(), &directory, &GatewayConfig::default()).names().count(), 0);
    }
}
