//! Under which name something is asked.
//!
//! What is open to everybody at this machine is open to the pages in their browsers, too, if these come under a name of their own: whoever has a name can let it lead to 127.0.0.1 (DNS rebinding).
//! To the browser, the page and what answers there are one site then, and it asks whatever the page wants. But it sends the name.

use http::{HeaderMap, HeaderValue, Uri, header, uri::Authority};
use std::net::IpAddr;

/// Whether something is asked under a name of this machine: `localhost`, or an address that leads nowhere else, such as `127.0.0.1` and `[::1]`; with any port. Whoever names nothing does not ask so, and
/// neither does who names two, unless both are.
pub fn is_for_this_machine(uri: &Uri, headers: &HeaderMap) -> bool {
    let told = headers.get_all(header::HOST).iter().map(|host| parsed(host).is_some_and(|host| is_own(&host)));
    let mut all = uri.authority().map(is_own).into_iter().chain(told).peekable();
    all.peek().is_some() && all.all(|is_own| is_own)
}

fn parsed(host: &HeaderValue) -> Option<Authority> {
    host.to_str().ok()?.parse().ok()
}

fn is_own(authority: &Authority) -> bool {
    let host = authority.host().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_asked(target: &str, hosts: &[&str]) -> bool {
        let headers = hosts.iter().map(|host| (header::HOST, HeaderValue::from_str(host).unwrap())).collect();
        is_for_this_machine(&target.parse().unwrap(), &headers)
    }

    #[test]
    fn names_of_this_machine_are_few() {
        for host in [
            "localhost",
            "LocalHost:9090",
            "127.0.0.1",
            "127.0.0.1:9090",
            "127.8.9.1:1",
            "[::1]",
            "[::1]:9090",
            "[0:0:0:0:0:0:0:1]:9090",
            "[::ffff:127.0.0.1]:9090",
        ] {
            assert!(is_asked("/", &[host]), "{host}");
            assert!(is_asked(&format!("http://{host}/"), &[]), "{host} of HTTP/2");
        }
        for host in [
            "evil.example",
            "evil.example:9090",
            "localhost.evil.example",
            "127.0.0.1.evil.example:9090",
            "localhost@evil.example",
            "a.localhost",
            "x",
            "10.0.0.7:9090",
            "0.0.0.0:9090",
            "[::]:9090",
            "[fd00::1]:9090",
            "[::ffff:10.0.0.7]:9090",
            "2130706433",
        ] {
            assert!(!is_asked("/", &[host]), "{host}");
            assert!(!is_asked(&format!("http://{host}/"), &[]), "{host} of HTTP/2");
        }
        for host in ["", "[::1", "127.0.0.1:x:y", "localhost, evil.example"] {
            assert!(!is_asked("/", &[host]), "{host:?}");
        }
    }

    #[test]
    fn each_name_counts_and_none_is_none() {
        assert!(!is_asked("/", &[]), "HTTP/1.0 need not name any");
        assert!(!is_asked("http://evil.example/", &["localhost"]) && !is_asked("http://localhost/", &["evil.example"]));
        assert!(!is_asked("/", &["localhost", "evil.example"]) && !is_asked("/", &["evil.example", "localhost"]));
        assert!(is_asked("http://localhost:1/", &["127.0.0.1:1"]));
        let unreadable = HeaderMap::from_iter([(header::HOST, HeaderValue::from_bytes(b"localhost\xff").unwrap())]);
        assert!(!is_for_this_machine(&Uri::from_static("/"), &unreadable));
    }
}
