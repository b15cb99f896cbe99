//! What may stand in an announcement, and so in a directory: looked at by the registry, which refuses the rest, and by who reads a directory, for a registry
//! may be anything that answers under its address.

use super::{Endpoint, Instance};
use http::{Method, Uri, uri::PathAndQuery};
use std::net::IpAddr;

/// The longest name of a service or an instance.
const NAME: usize = 100;
/// The longest URL or path.
const TEXT: usize = 500;
/// The most endpoints of an instance.
const ENDPOINTS: usize = 2000;

/// Why an instance cannot be what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// A name of a service or an instance.
    #[error("the {what} {name:?} is none: it has 1 to {NAME} letters, digits, `-`, `_` and `.`")]
    Name {
        /// Whose name.
        what: &'static str,
        /// What it is, or begins with.
        name: String,
    },
    /// Where it answers.
    #[error("the URL {url:?} cannot be asked: {why}")]
    Url {
        /// What it is, or begins with.
        url: String,
        /// Why not.
        why: &'static str,
    },
    /// A method.
    #[error("{0:?} is no HTTP method: it has 1 to 20 capital letters")]
    Method(String),
    /// A path.
    #[error("{path:?} is no path of an endpoint: {why}")]
    Path {
        /// What it is, or begins with.
        path: String,
        /// Why not.
        why: &'static str,
    },
    /// Too much of something good.
    #[error("an instance has at most {ENDPOINTS} endpoints, this has {0}")]
    TooMany(usize),
}

impl Instance {
    /// Looks at what it says of itself.
    ///
    /// # Errors
    /// What cannot be.
    pub fn check(&self) -> Result<(), Unfit> {
        check_name("service", &self.service)?;
        check_name("instance", &self.id)?;
        check_url(&self.url)?;
        self.admin.as_deref().map_or(Ok(()), check_url)?;
        if self.endpoints.len() > ENDPOINTS {
            return Err(Unfit::TooMany(self.endpoints.len()));
        }
        self.endpoints.iter().try_for_each(check_endpoint)
    }

    /// The same without an address of the operator's API that cannot be asked: it is worth having all the same.
    #[cfg(feature = "discovery")]
    pub(super) fn without_unfit_admin(mut self) -> Self {
        if let Some(Err(unfit)) = self.admin.as_deref().map(check_url) {
            tracing::warn!(instance = %self.name(), %unfit, "the address of its operator's API is none: it is left out");
            self.admin = None;
        }
        self
    }
}

/// What is wrong may be long, and is told in part.
fn begin(text: &str) -> String {
    text.chars().take(60).collect()
}

fn check_name(what: &'static str, name: &str) -> Result<(), Unfit> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // `.` and `..` would mean something else in a path.
    let is_name = (1..=NAME).contains(&name.len()) && name.chars().all(fits) && name.chars().any(|c| c.is_ascii_alphanumeric());
    if is_name { Ok(()) } else { Err(Unfit::Name { what, name: begin(name) }) }
}

/// Looks at a URL under which an instance answers: a scheme, a host and a port, and no more.
pub(super) fn check_url(url: &str) -> Result<(), Unfit> {
    let unfit = |why| Unfit::Url { url: begin(url), why };
    if url.len() > TEXT {
        return Err(unfit("it is too long"));
    }
    if url.contains('@') {
        return Err(Unfit::Url { url: "…@…".to_owned(), why: "names and passwords do not belong into it" });
    }
    let uri: Uri = url.parse().map_err(|_| unfit("it is no URL: write `http://host:port`"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(unfit("it has to begin with `http://` or `https://`"));
    }
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| unfit("it has no host"))?;
    if uri.port_u16() == Some(0) || (uri.port().is_none() && uri.authority().is_some_and(|authority| authority.as_str() != host)) {
        return Err(unfit("its port is none"));
    }
    if uri.path_and_query().is_some_and(|rest| *rest != PathAndQuery::from_static("/")) || url.contains('#') {
        return Err(unfit("it ends behind host and port: paths are those of the endpoints"));
    }
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(ip) if !is_somebody(ip) => Err(unfit("no service can be reached at this address")),
        _ => Ok(()),
    }
}

/// Whether an address can be that of one machine for another one. Link-local ones are those of the provider's own services in clouds.
fn is_somebody(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() || ip.is_link_local()),
        IpAddr::V6(ip) => !(ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local()),
    }
}

fn check_endpoint(endpoint: &Endpoint) -> Result<(), Unfit> {
    let Endpoint { method, path } = endpoint;
    let is_method = (1..=20).contains(&method.len()) && method.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_method || Method::from_bytes(method.as_bytes()).is_err() {
        return Err(Unfit::Method(begin(method)));
    }
    let unfit = |why| Err(Unfit::Path { path: begin(path), why });
    if path.len() > TEXT {
        return unfit("it is too long");
    }
    if !path.starts_with('/') {
        return unfit("it begins with `/`");
    }
    if path.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '?' | '#' | '\\')) {
        return unfit("a path has no blanks, control characters, `?`, `#` or `\\`");
    }
    let parts = || path.split('/').skip(1);
    if path != "/" && parts().any(|part| matches!(part, "" | "." | "..")) {
        return unfit("none of its parts is empty, `.` or `..`");
    }
    let is_balanced = |part: &str| {
        let inner = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        !inner.unwrap_or(part).contains(['{', '}']) && inner != Some("")
    };
    if !parts().all(is_balanced) {
        return unfit("a parameter is a whole part, as in `/foos/{uuid}`");
    }
    Ok(())
}

/// Reads `GET /foos/{uuid}`.
#[cfg(feature = "discovery")]
pub(super) fn parse_endpoint(text: &str) -> Result<Endpoint, Unfit> {
    let (method, path) = text.trim().split_once(' ').unwrap_or((text, ""));
    let endpoint = Endpoint { method: method.to_owned(), path: path.trim().to_owned() };
    check_endpoint(&endpoint)?;
    Ok(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(service: &str, id: &str, url: &str, endpoint: (&str, &str)) -> Instance {
        let endpoints = vec![Endpoint { method: endpoint.0.to_owned(), path: endpoint.1.to_owned() }];
        Instance { service: service.to_owned(), id: id.to_owned(), url: url.to_owned(), endpoints, admin: None }
    }

    #[test]
    fn what_an_instance_may_say() {
        let get = ("GET", "/foos/{uuid}");
        for url in ["http://10.0.0.7:8080", "http://127.0.0.1:1/", "https://order.shop.svc", "http://[::1]:8080", "http://[fd00::1]:80"] {
            assert_eq!(instance("order", "a", url, get).check(), Ok(()), "{url}");
            let operated = Instance { admin: Some(url.to_owned()), ..instance("order", "a", "http://a:1", get) };
            assert_eq!(operated.check(), Ok(()), "{url}");
        }
        for path in ["/", "/foos", "/foos/{uuid}/bar", "/files/{*rest}", "/a%2Fb", "/a.b-c_d~e"] {
            assert_eq!(instance("order", "a", "http://a:1", ("PUT", path)).check(), Ok(()), "{path}");
        }
    }

    #[test]
    fn what_it_may_not() {
        let get = ("GET", "/");
        for (service, id) in [("", "a"), ("a/b", "a"), ("a\u{7}", "a"), ("a\nb", "a"), ("..", "a"), ("a", ""), ("a", "b c"), ("ä", "a")] {
            let wrong = instance(service, id, "http://a:1", get).check();
            assert!(matches!(wrong, Err(Unfit::Name { .. })), "{service:?} {id:?}: {wrong:?}");
        }
        assert!(matches!(instance(&"a".repeat(101), "a", "http://a:1", get).check(), Err(Unfit::Name { .. })));
        for url in [
            "",
            "a:1",
            "ftp://a",
            "file:///etc/passwd",
            "http://",
            "http://a:0",
            "http://a:99999",
            "http://a:1/path",
            "http://a:1/?x=1",
            "http://a:1/#x",
            "http://0.0.0.0:1",
            "http://[::]:1",
            "http://169.254.169.254",
            "http://[::ffff:169.254.169.254]:80",
            "http://224.0.0.1:1",
            "http://255.255.255.255",
            "http://[fe80::1]:80",
            "http://a b",
            "gopher://a",
            "//a:1",
            "http:///x",
            "http://a:1\r\nx: y",
        ] {
            let wrong = instance("order", "a", url, get).check();
            assert!(matches!(wrong, Err(Unfit::Url { .. })), "{url:?}: {wrong:?}");
            let operated = Instance { admin: Some(url.to_owned()), ..instance("order", "a", "http://a:1", get) };
            assert_eq!(operated.check(), wrong, "{url:?}");
        }
        let told = instance("order", "a", "http://me:secret@a:1", get).check().unwrap_err().to_string();
        assert!(told.contains("do not belong") && !told.contains("secret"), "{told}");
        for path in [
            "",
            "foos",
            "http://a/",
            "/a//b",
            "/a/",
            "/../a",
            "/a/./b",
            "/a?x",
            "/a#x",
            "/a b",
            "/a\u{0}",
            "/{",
            "/a{b}",
            "/{}",
            "/{a}{b}",
            "/a\\b",
        ] {
            let wrong = instance("order", "a", "http://a:1", ("GET", path)).check();
            assert!(matches!(wrong, Err(Unfit::Path { .. })), "{path:?}: {wrong:?}");
        }
        for method in ["", "get", "G T", "A-B", &"A".repeat(21)] {
            assert!(matches!(instance("order", "a", "http://a:1", (method, "/")).check(), Err(Unfit::Method(_))), "{method:?}");
        }
        let mut many = instance("order", "a", "http://a:1", get);
        many.endpoints = vec![many.endpoints[0].clone(); 2001];
        assert_eq!(many.check(), Err(Unfit::TooMany(2001)));
    }
}
