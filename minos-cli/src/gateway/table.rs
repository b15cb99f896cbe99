//! Which instances a method and a path mean. The table is made anew whenever the directory is another one, and then taken as a whole: a request never waits for it.
//!
//! A path is compared as it was sent, part by part.

use super::{
    config::{GatewayConfig, authority},
    metrics::{Metrics, RouteMetrics},
    operator::Places,
    upstream::Instance,
};
use http::Method;
use minos_runtime::discovery::{Directory, Endpoint};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// Paths that the gateway answers itself.
pub(super) const OWN: [&str; 3] = ["/health", "/openapi.json", "/docs"];

/// What the gateway serves.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) revision: String,
    router: matchit::Router<usize>,
    /// By the number that the router gives.
    paths: Vec<Vec<Arc<Route>>>,
    /// The numbers of paths with numbers for names.
    shapes: BTreeMap<String, usize>,
    pub(super) instances: Vec<Arc<Instance>>,
    pub(super) conflicts: Vec<Conflict>,
    /// Instances that cannot be asked, and why.
    pub(super) unusable: Vec<(String, String)>,
    /// Where the operators' APIs of services are.
    pub(super) operated: Places,
}

/// A method and a path of a service, and who answers them.
#[derive(Debug)]
pub(super) struct Route {
    /// `*` for all.
    pub(super) method: String,
    pub(super) path: String,
    pub(super) service: String,
    pub(super) instances: Vec<Arc<Instance>>,
    pub(super) measured: Arc<RouteMetrics>,
}

/// A route that a service does not get, because another one has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Conflict {
    pub(super) route: String,
    pub(super) service: String,
    /// Who has it.
    pub(super) kept_by: String,
}

/// What a method and a path mean.
pub(super) enum Found<'t> {
    Route(&'t Arc<Route>),
    /// The path is known, with these methods.
    OtherMethods(String),
    Nothing,
}

impl Route {
    fn answers(&self, method: &str) -> bool {
        self.method == "*" || self.method == method
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl Table {
    /// The table of this directory. A service keeps the routes that it has; instances keep their connections and what is known of them.
    pub(super) fn build(before: &Table, directory: &Directory, config: &GatewayConfig, metrics: &Metrics) -> Table {
        let mut table = Table { revision: directory.revision.clone(), ..Table::default() };
        let kept: HashMap<_, _> = before.instances.iter().map(|one| ((&*one.service, &*one.id, &*one.url), one)).collect();
        // Who offers what: by service and route.
        let mut offers = BTreeMap::<(&str, &Endpoint), Vec<Arc<Instance>>>::new();
        for told in &directory.instances {
            let known = kept.get(&(&*told.service, &*told.id, &*told.url));
            let instance = match (known, authority(&told.url)) {
                (Some(known), _) => Some(Arc::clone(known)),
                (None, Ok(authority)) => Instance::new(told, &authority, config).map(Arc::new),
                (None, Err(why)) => {
                    table.unusable.push((told.service.clone(), why));
                    None
                }
            };
            let Some(instance) = instance else { continue };
            for endpoint in told.endpoints.iter().collect::<BTreeSet<_>>() {
                offers.entry((&told.service, endpoint)).or_default().push(instance.clone());
            }
            table.instances.push(instance);
        }
        // First those that had it before, then in the order of services.
        let there: HashSet<_> = before.routes().map(|route| (&*route.service, &*route.method, &*route.path)).collect();
        let had = |service: &str, endpoint: &Endpoint| there.contains(&(service, &*endpoint.method, &*endpoint.path));
        let mut offers: Vec<_> =
            offers.into_iter().map(|((service, endpoint), instances)| (!had(service, endpoint), service, endpoint, instances)).collect();
        offers.sort_by_key(|(is_new, service, ..)| (*is_new, *service));
        for (_, service, endpoint, instances) in offers {
            let measured = metrics.route(service, &endpoint.method, &endpoint.path);
            let (method, path) = (endpoint.method.clone(), endpoint.path.clone());
            table.add(Route { method, path, service: service.to_owned(), instances, measured });
        }
        table.conflicts.sort();
        table.operated = Places::build(&before.operated, directory, config);
        table
    }

    fn add(&mut self, route: Route) {
        let shape = shape(&route.path);
        let conflict = |kept_by: &str| Conflict { route: route.name(), service: route.service.clone(), kept_by: kept_by.to_owned() };
        if OWN.contains(&route.path.as_str()) {
            self.conflicts.push(conflict("the gateway"));
            return;
        }
        if let Some(routes) = self.shapes.get(&shape).and_then(|at| self.paths.get_mut(*at)) {
            let claims = |other: &&Arc<Route>| other.answers(&route.method) || route.method == "*";
            match routes.iter().find(claims) {
                Some(other) if other.service == route.service => {}
                Some(other) => {
                    let conflict = conflict(&other.service);
                    self.conflicts.push(conflict);
                }
                None => routes.push(Arc::new(route)),
            }
            return;
        }
        match self.router.insert(shape.as_str(), self.paths.len()) {
            Ok(()) => {
                self.shapes.insert(shape, self.paths.len());
                self.paths.push(vec![Arc::new(route)]);
            }
            // Paths that cannot be told apart.
            Err(matchit::InsertError::Conflict { with }) => {
                let other = self.shapes.get(&with).and_then(|at| self.paths.get(*at)?.first());
                self.conflicts.push(conflict(other.map_or("another service", |other| &other.service)));
            }
            Err(error) => self.unusable.push((route.service.clone(), format!("its route `{}` cannot be read: {error}", route.name()))),
        }
    }

    /// What this method and path mean.
    pub(super) fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let Some(routes) = self.at(path) else { return Found::Nothing };
        // HEAD is GET, of which the body is left away; unless a service answers it itself.
        let found = routes.iter().find(|route| route.answers(method.as_str()));
        let found = found.or_else(|| routes.iter().find(|route| *method == Method::HEAD && route.answers("GET")));
        match found {
            Some(route) => Found::Route(route),
            None => Found::OtherMethods(methods(routes)),
        }
    }

    fn at(&self, path: &str) -> Option<&[Arc<Route>]> {
        self.paths.get(*self.router.at(path).ok()?.value).map(Vec::as_slice)
    }

    /// The methods that a path has.
    pub(super) fn methods(&self, path: &str) -> String {
        self.at(path).map(methods).unwrap_or_default()
    }

    pub(super) fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.paths.iter().flatten()
    }
}

fn methods(routes: &[Arc<Route>]) -> String {
    let mut all: Vec<&str> = routes
        .iter()
        .flat_map(|route| if route.method == "*" { vec!["GET", "POST", "PUT", "PATCH", "DELETE"] } else { vec![&*route.method] })
        .collect();
    if all.contains(&"GET") && !all.contains(&"HEAD") {
        all.push("HEAD");
    }
    if !all.contains(&"OPTIONS") {
        all.push("OPTIONS");
    }
    all.join(", ")
}

/// The path with numbers for names, so that `/foos/{id}` and `/foos/{uuid}` are one.
pub(super) fn shape(path: &str) -> String {
    let (mut shape, mut rest, mut n) = (String::with_capacity(path.len()), path, 0);
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}').map(|close| open + close) else { break };
        let name = &rest[open + 1..close];
        shape.push_str(&rest[..open]);
        if name.starts_with('*') {
            shape.push_str(&format!("{{*{n}}}"));
        } else {
            shape.push_str(&format!("{{{n}}}"));
        }
        n += 1;
        rest = &rest[close + 1..];
    }
    shape.push_str(rest);
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use minos_runtime::discovery::Instance as Told;

    fn told(service: &str, id: &str, routes: &[&str]) -> Told {
        let endpoints = routes.iter().map(|route| super::super::config::endpoint(route).unwrap()).collect();
        Told { service: service.into(), id: id.into(), url: format!("http://{id}:1"), endpoints, admin: None }
    }

    fn build(before: &Table, instances: Vec<Told>) -> Table {
        let directory = Directory { revision: "r".into(), instances };
        Table::build(before, &directory, &GatewayConfig::default(), &Metrics::new())
    }

    fn found(table: &Table, method: &str, path: &str) -> String {
        match table.find(&method.parse().unwrap(), path) {
            Found::Route(route) => format!(
                "{} {} {}",
                route.service,
                route.path,
                route.instances.iter().map(|one| one.id.as_str()).collect::<Vec<_>>().join("+")
            ),
            Found::OtherMethods(methods) => methods,
            Found::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_request_goes_to_those_who_offer_it() {
        let table = build(
            &Table::default(),
            vec![
                told("foo", "a", &["GET /foos/{uuid}", "POST /foos", "GET /foos/example"]),
                told("foo", "b", &["GET /foos/{uuid}", "POST /foos", "GET /foos/new/{x}"]),
                told("bar", "c", &["/bar/{*rest}", "PUT /foos/{id}"]),
            ],
        );
        assert!(table.conflicts.is_empty() && table.unusable.is_empty(), "{:?} {:?}", table.conflicts, table.unusable);
        assert_eq!(found(&table, "GET", "/foos/1"), "foo /foos/{uuid} a+b");
        assert_eq!(found(&table, "HEAD", "/foos/1"), "foo /foos/{uuid} a+b");
        assert_eq!(found(&table, "PUT", "/foos/1"), "bar /foos/{id} c", "another method of the same path");
        assert_eq!(found(&table, "GET", "/foos/example"), "foo /foos/example a");
        assert_eq!(found(&table, "GET", "/foos/new/1"), "foo /foos/new/{x} b", "what only a newer instance offers");
        assert_eq!(found(&table, "DELETE", "/bar/x/y"), "bar /bar/{*rest} c");
        assert_eq!(found(&table, "DELETE", "/foos/1"), "PUT, GET, HEAD, OPTIONS");
        for path in ["/foos/", "/foos//", "//foos/1", "/foos/1/", "/Foos/1", "/bar/", "/foos/1/../2", "/foos%2F1", "/x"] {
            assert_eq!(found(&table, "GET", path), "nothing", "{path}");
        }
        assert_eq!(found(&table, "GET", "/foos/a%2Fb"), "foo /foos/{uuid} a+b", "as it was sent");
    }

    #[test]
    fn who_has_a_route_keeps_it() {
        let first = build(&Table::default(), vec![told("zoo", "z", &["GET /things/{id}"])]);
        let claim = || vec![told("ant", "a", &["GET /things/{uuid}", "GET /ants"]), told("zoo", "z", &["GET /things/{id}"])];
        let second = build(&first, claim());
        assert_eq!(found(&second, "GET", "/things/1"), "zoo /things/{id} z");
        assert_eq!(found(&second, "GET", "/ants"), "ant /ants a");
        let conflict = Conflict { route: "GET /things/{uuid}".into(), service: "ant".into(), kept_by: "zoo".into() };
        assert_eq!(second.conflicts, [conflict]);
        assert!(Arc::ptr_eq(&first.instances[0], &second.instances[1]), "an instance stays what it is");
        let third = build(&second, claim()[..1].to_vec());
        assert_eq!(found(&third, "GET", "/things/1"), "ant /things/{uuid} a", "when the other one has gone");
        assert_eq!(found(&build(&Table::default(), claim()), "GET", "/things/1"), "ant /things/{uuid} a", "nobody had it: by name");
    }

    #[test]
    fn what_cannot_be_told_apart_is_a_conflict() {
        let table = build(
            &Table::default(),
            vec![told("a", "a", &["GET /x/{id}", "GET /health", "/all"]), told("b", "b", &["GET /x/{*rest}", "POST /all"])],
        );
        let conflicts: Vec<_> =
            table.conflicts.iter().map(|one| (one.route.as_str(), one.service.as_str(), one.kept_by.as_str())).collect();
        assert_eq!(conflicts, [("GET /health", "a", "the gateway"), ("GET /x/{*rest}", "b", "a"), ("POST /all", "b", "a")]);
    }

    #[test]
    fn many_routes_take_no_longer_than_a_change_may_take() {
        let all = || {
            let of = |n: usize| {
                let routes: Vec<String> = (0..2000).map(|path| format!("GET /service-{n}/path-{path}")).collect();
                told(&format!("service-{n}"), &n.to_string(), &routes.iter().map(String::as_str).collect::<Vec<_>>())
            };
            (0..25).map(of).collect::<Vec<_>>()
        };
        let first = build(&Table::default(), all());
        let begun = std::time::Instant::now();
        let again = build(&first, all());
        assert_eq!(again.routes().count(), 50_000);
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    }

    #[test]
    fn nonsense_of_a_registry_does_no_harm() {
        let mut odd = told("b", "b", &[]);
        odd.url = "https://b".into();
        let mut none = told("c", "c", &[]);
        none.endpoints =
            vec![Endpoint { method: "GET".into(), path: "no-slash{".into() }, Endpoint { method: "G T".into(), path: "/ok".into() }];
        let table = build(&Table::default(), vec![told("a", "a", &["GET /ok"]), odd, none]);
        assert_eq!(found(&table, "GET", "/ok"), "a /ok a");
        assert_eq!(table.unusable.len(), 2, "{:?}", table.unusable);
    }
}
