//! What may be asked of a service: what services of this version answer at their operator's API, and nothing else of what may be at that address.

use http::Method;
use std::collections::BTreeMap;

/// The methods of each path.
#[derive(Debug)]
pub(super) struct Routes(matchit::Router<Vec<&'static str>>);

/// What a method and a path come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// It looks, and changes nothing.
    Looks,
    Changes,
    /// The path is known, with these methods.
    Otherwise(String),
    Nothing,
}

impl Routes {
    pub(super) fn new() -> Self {
        let (mut paths, mut router) = (BTreeMap::<_, Vec<_>>::new(), matchit::Router::new());
        for (method, path) in minos_runtime::operator::routes() {
            paths.entry(path).or_default().push(method);
        }
        for (path, methods) in paths {
            if let Err(error) = router.insert(path, methods) {
                tracing::error!(path, %error, "a path of the operator's API is none");
            }
        }
        Routes(router)
    }

    /// What this comes to. The path is compared as it was sent, part by part.
    pub(super) fn asks(&self, method: &Method, path: &str) -> Asks {
        let Ok(found) = self.0.at(path) else { return Asks::Nothing };
        let has = |method: &str| found.value.contains(&method);
        match method.as_str() {
            "HEAD" | "GET" if has("GET") => Asks::Looks,
            method if method != "GET" && has(method) => Asks::Changes,
            _ => Asks::Otherwise(found.value.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_operators_ask_is_there_and_nothing_else() {
        let routes = Routes::new();
        let asks = |method: &str, path: &str| routes.asks(&method.parse().unwrap(), path);
        for (method, path) in minos_runtime::operator::routes() {
            let expected = if method == "GET" { Asks::Looks } else { Asks::Changes };
            let path = path.replace(['{', '}'], "");
            assert_eq!(asks(method, &path), expected, "{method} {path}");
        }
        assert_eq!(asks("HEAD", "/overview"), Asks::Looks);
        assert_eq!(asks("DELETE", "/dead-letters/7"), Asks::Changes);
        assert_eq!(asks("PUT", "/dead-letters/7/replay"), Asks::Changes);
        assert_eq!(asks("PATCH", "/dead-letters"), Asks::Otherwise("GET".to_owned()));
        assert_eq!(asks("OPTIONS", "/overview"), Asks::Otherwise("GET".to_owned()));
        for path in [
            "/",
            "",
            "/health",
            "/metrics",
            "/console",
            "/console/app.js",
            "/overview/",
            "//overview",
            "/Overview",
            "/orders/1",
            "/dead-letters/1/2/3",
        ] {
            assert_eq!(asks("GET", path), Asks::Nothing, "{path}");
        }
    }
}
