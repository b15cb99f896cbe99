//! Routes: which handler a method and a path mean.
//!
//! A path is compared as it was sent, part by part; only then the parts are decoded. So `%2F` in a parameter is a slash of the parameter
//! and none of the path, and there are no two paths for one handler.

use crate::{
    error::{Error, ErrorKind, Result},
    handler::{HandlerDef, Kind, Parameters},
    metrics::{HandlerLabels, HttpLabels, Metrics, RouteLabels},
};
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use prometheus_client::metrics::{counter::Counter, histogram::Histogram};
use std::{collections::BTreeMap, sync::OnceLock};

/// Paths that a service answers by itself.
pub(super) const HEALTH: &str = "/health";
/// Whether it is ready.
pub(super) const READY: &str = "/health/ready";
/// What it measures of itself.
pub(super) const METRICS: &str = "/metrics";
pub(super) const OPENAPI: &str = "/openapi.json";
pub(super) const ASYNCAPI: &str = "/asyncapi.json";

/// The routes of a service.
#[derive(Debug)]
pub struct Routes {
    router: matchit::Router<usize>,
    paths: Vec<Methods>,
}

/// What one path can do.
type Methods = Vec<(Method, Target)>;

/// A handler, with the names that its route gives to the parameters.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) def: &'static HandlerDef,
    /// The route as its macro says it.
    pub(super) route: (&'static str, &'static str),
    names: Vec<String>,
    /// What is measured of it, found once: looking it up would cost each request as much as answering it.
    measured: OnceLock<Measured>,
}

/// The metrics of a route.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    pub(super) seconds: Histogram,
    /// Of answers with 200, which most are.
    pub(super) ok: Counter,
    /// Of runs of its handler that were committed.
    pub(super) handled: Counter,
}

/// What a method and a path mean.
pub(super) enum Found<'r, 'p> {
    Handler(&'r Target, matchit::Params<'r, 'p>),
    /// The path is known, with these methods.
    OtherMethods(Vec<&'r str>),
    Nothing,
}

impl Routes {
    /// The routes of these handlers.
    ///
    /// # Errors
    /// Routes that two handlers claim, that cannot be told apart, or that no path can have: each as a sentence for the operator.
    pub fn of(defs: &[&'static HandlerDef]) -> Result<Self, Vec<String>> {
        let (mut wrong, mut by_path) = (Vec::new(), BTreeMap::<String, Methods>::new());
        for def in defs.iter().filter(|def| matches!(def.kind, Kind::Command | Kind::Query)) {
            for (method, path) in def.routes {
                if let Err(why) = add(&mut by_path, def, method, path) {
                    wrong.push(why);
                }
            }
        }
        let mut routes = Routes { router: matchit::Router::new(), paths: Vec::new() };
        for (path, methods) in by_path {
            if let Err(error) = routes.router.insert(path.as_str(), routes.paths.len()) {
                wrong.push(routes.ambiguous(&path, &methods, &error));
                continue;
            }
            routes.paths.push(methods);
        }
        if wrong.is_empty() { Ok(routes) } else { Err(wrong) }
    }

    fn ambiguous(&self, path: &str, methods: &Methods, error: &matchit::InsertError) -> String {
        let mine = methods.iter().map(|(_, target)| at(target.def)).collect::<Vec<_>>().join(" and ");
        let matchit::InsertError::Conflict { with } = error else {
            return format!("the route `{path}` of {mine} cannot be read: {error}");
        };
        let other = self.router.at(&with.replace(['{', '}', '*'], "")).ok().and_then(|found| self.paths.get(*found.value));
        let theirs = other.into_iter().flatten().map(|(_, target)| at(target.def)).collect::<Vec<_>>().join(" and ");
        format!("the routes `{path}` of {mine} and `{with}` of {theirs} cannot be told apart")
    }

    /// What this method and path mean.
    pub(super) fn find<'r, 'p>(&'r self, method: &Method, path: &'p str) -> Found<'r, 'p> {
        let Ok(found) = self.router.at(path) else { return Found::Nothing };
        let Some(methods) = self.paths.get(*found.value) else { return Found::Nothing };
        // HEAD is GET, of which hyper leaves the body away.
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        match methods.iter().find(|(known, _)| known == wanted) {
            Some((_, target)) => Found::Handler(target, found.params),
            None => Found::OtherMethods(methods.iter().map(|(known, _)| known.as_str()).collect()),
        }
    }
}

impl Target {
    pub(super) fn measured(&self, metrics: &Metrics) -> &Measured {
        self.measured.get_or_init(|| {
            let (def, (method, route)) = (self.def, self.route);
            Measured {
                seconds: metrics.http_seconds.get_or_create_owned(&RouteLabels { method, route }),
                ok: metrics.http_requests.get_or_create_owned(&HttpLabels { method, route, status: StatusCode::OK.as_u16() }),
                handled: metrics.handled.get_or_create_owned(&HandlerLabels { kind: def.kind.name(), handler: def.function }),
            }
        })
    }

    /// The parameters of the path, decoded, with their names.
    pub(super) fn parameters(&self, found: &matchit::Params<'_, '_>) -> Result<Parameters> {
        let decoded = self.names.iter().zip(found.iter()).map(|(name, (_, value))| {
            let text = percent_decode_str(value).decode_utf8();
            text.map(|text| (name.clone(), text.into_owned()))
                .map_err(|_| Error::new(ErrorKind::Malformed, format!("`{value}` in the path is not UTF-8")))
        });
        Ok(Parameters(decoded.collect::<Result<_>>()?))
    }
}

fn add(by_path: &mut BTreeMap<String, Methods>, def: &'static HandlerDef, method: &'static str, path: &'static str) -> Result<(), String> {
    if matches!(path, HEALTH | READY | METRICS | OPENAPI | ASYNCAPI) {
        return Err(format!("`{path}` of {} is answered by Minos itself: take another path", at(def)));
    }
    let parsed = Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` of {} is no HTTP method", at(def)))?;
    let (shape, names) = shape(path);
    let methods = by_path.entry(shape).or_default();
    if let Some((_, other)) = methods.iter().find(|(known, _)| *known == parsed) {
        return Err(format!("two handlers for `{method} {path}`: {} and {}", at(other.def), at(def)));
    }
    methods.push((parsed, Target { def, route: (method, path), names, measured: OnceLock::new() }));
    Ok(())
}

fn at(def: &HandlerDef) -> String {
    format!("`{}` at {}", def.function, def.place())
}

/// A path with its parameters numbered, since two handlers of one path may name them differently; and their names.
fn shape(path: &str) -> (String, Vec<String>) {
    let mut names = Vec::new();
    let parts = path.split('/').map(|part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => {
            names.push(name.trim_start_matches('*').to_owned());
            let star = if name.starts_with('*') { "*" } else { "" };
            format!("{{{star}p{}}}", names.len())
        }
        None => part.to_owned(),
    });
    let shape = parts.collect::<Vec<_>>().join("/");
    (shape, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn def(function: &'static str, routes: &'static [(&'static str, &'static str)], line: u32) -> &'static HandlerDef {
        let handle: crate::handler::Handle = |_, _| unreachable!();
        Box::leak(Box::new(HandlerDef {
            kind: Kind::Command,
            function,
            names: &[],
            routes,
            access: crate::auth::Access::CLOSED,
            handle,
            about: crate::handler::About::NOTHING,
            module: "m",
            file: "src/m.rs",
            line,
        }))
    }

    fn found(routes: &Routes, method: Method, path: &str) -> String {
        match routes.find(&method, path) {
            Found::Handler(target, params) => match target.parameters(&params) {
                Ok(parameters) => format!("{} {:?}", target.def.function, parameters.0),
                Err(error) => error.to_string(),
            },
            Found::OtherMethods(methods) => format!("only {}", methods.join(", ")),
            Found::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_path_and_a_method_mean_a_handler() {
        let routes = Routes::of(&[
            def("get", &[("GET", "/foos/{uuid}")], 1),
            def("put", &[("PUT", "/foos/{id}")], 2),
            def("example", &[("GET", "/foos/example")], 3),
        ])
        .unwrap();
        assert_eq!(found(&routes, Method::GET, "/foos/1"), r#"get [("uuid", "1")]"#);
        assert_eq!(found(&routes, Method::HEAD, "/foos/1"), r#"get [("uuid", "1")]"#);
        assert_eq!(found(&routes, Method::PUT, "/foos/a%2Fb%20c"), r#"put [("id", "a/b c")]"#);
        assert_eq!(found(&routes, Method::GET, "/foos/example"), "example []");
        assert_eq!(found(&routes, Method::DELETE, "/foos/1"), "only GET, PUT");
        for path in ["/foos", "/foos/", "/foos/1/", "//foos/1", "/Foos/1", "/foos/1/2"] {
            assert_eq!(found(&routes, Method::GET, path), "nothing", "{path}");
        }
        assert_eq!(found(&routes, Method::GET, "/foos/%ff"), "`%ff` in the path is not UTF-8");
    }

    #[test]
    fn what_cannot_be_told_apart_names_both_places() {
        let wrong = |defs: &[&'static HandlerDef]| Routes::of(defs).unwrap_err().join("\n");
        assert_eq!(
            wrong(&[def("a", &[("GET", "/x/{a}")], 1), def("b", &[("GET", "/x/{b}")], 2)]),
            "two handlers for `GET /x/{b}`: `a` at src/m.rs:1 and `b` at src/m.rs:2"
        );
        let text = wrong(&[def("a", &[("GET", "/x/{*rest}")], 1), def("b", &[("GET", "/x/{b}")], 2)]);
        assert!(text.contains("cannot be told apart") && text.contains("src/m.rs:1") && text.contains("src/m.rs:2"), "{text}");
        assert!(wrong(&[def("a", &[("GET", "/health")], 1)]).contains("answered by Minos itself"));
    }
}
