//! Headers that are of one connection only, that say who somebody is, or that say where something comes from.

use super::Peer;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// The gateway, as it is told to instances.
const OWN: &str = "1.1 minos-gateway";
/// How many headers a request gets.
const ADDED: usize = 7;
/// So often a request may have come through a gateway.
const MOST_GATEWAYS: usize = 3;

/// Headers that are for the next hop only.
const HOPS: [HeaderName; 9] = [
    header::CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What else a request says to the next hop only.
const HOPS_ASKED: [HeaderName; 2] = [header::EXPECT, HTTP2_SETTINGS];

/// Where a request comes from, as only proxies of ours can know.
const ORIGINS: [HeaderName; 4] = [header::FORWARDED, FORWARDED_PROTO, FORWARDED_HOST, REAL_IP];

/// What nobody outside may say.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Identity {
    /// Beside those that every gateway knows.
    names: Vec<HeaderName>,
}

impl Identity {
    pub(in crate::gateway) fn new(names: &[String]) -> Result<Self, String> {
        let name = |name: &String| {
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`http.strip` has `{name}`, which is no name of a header"))
        };
        Ok(Identity { names: names.iter().map(name).collect::<Result<_, _>>()? })
    }

    fn has(&self, name: &HeaderName) -> bool {
        let text = name.as_str();
        // `X_User` is `X-User` to those who make variables of headers.
        let begins = |prefix: &str| {
            text.len() >= prefix.len()
                && text.bytes().zip(prefix.bytes()).all(|(byte, wanted)| byte == wanted || (byte == b'_' && wanted == b'-'))
        };
        match text.as_bytes().first() {
            Some(b'x') => {
                begins("x-user")
                    || begins("x-minos-")
                    || begins("x-auth-request-")
                    || begins("x-forwarded-user")
                    // What proxies that log people in say beside it.
                    || begins("x-forwarded-email")
                    || begins("x-forwarded-groups")
                    || begins("x-forwarded-preferred-username")
                    || begins("x-forwarded-access-token")
                    || begins("x-remote-user")
                    || self.names.contains(name)
            }
            Some(b'm') => begins("minos-") || self.names.contains(name),
            _ => self.names.contains(name),
        }
    }

    fn remove(&self, headers: &mut HeaderMap) {
        // Mostly there are none.
        if headers.keys().any(|name| self.has(name)) {
            let all: Vec<HeaderName> = headers.keys().filter(|name| self.has(name)).cloned().collect();
            for name in all {
                headers.remove(name);
            }
        }
    }
}

/// Takes these away. Mostly there are none of them, which is seen at one look.
fn remove_all(headers: &mut HeaderMap, names: &[HeaderName]) {
    if headers.keys().any(|name| names.contains(name)) {
        for name in names {
            headers.remove(name);
        }
    }
}

/// Takes away what is of this connection only. What the header `Connection` names, and what else it says.
fn remove_hops(headers: &mut HeaderMap) -> bool {
    let mut closes = false;
    let mut said = headers.get_all(header::CONNECTION).iter();
    let names_nothing = match (said.next(), said.next()) {
        (None, _) => true,
        (Some(only), None) => only.as_bytes().eq_ignore_ascii_case(b"keep-alive"),
        _ => false,
    };
    if !names_nothing {
        let named: Vec<String> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|name| name.trim().to_ascii_lowercase())
            .collect();
        for name in named {
            match name.as_str() {
                "close" => closes = true,
                // Nobody can have taken away what a request needs to be understood, or what the gateway says.
                "host" | "content-length" | "content-type" | "authorization" | "cookie" | "idempotency-key" | "origin"
                | "x-correlation-id" | "traceparent" => {}
                name => drop(headers.remove(name)),
            }
        }
    }
    remove_all(headers, &HOPS);
    closes
}

/// Whether somebody wants another protocol, and will not go on with this one.
pub(in crate::gateway) fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| !value.as_bytes().to_ascii_lowercase().starts_with(b"h2c"))
}

/// Whether a request of HTTP/1.1 names one host, as each has to (RFC 9112, 3.2).
pub(in crate::gateway) fn names_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    version != Version::HTTP_11 || (hosts.next().is_some() && hosts.next().is_none())
}

/// Whether a request goes in a circle.
pub(in crate::gateway) fn is_looping(headers: &HeaderMap) -> bool {
    let ours = |value: &HeaderValue| value.to_str().map_or(0, |value| value.matches(OWN).count());
    headers.get_all(header::VIA).iter().map(ours).sum::<usize>() >= MOST_GATEWAYS
}

/// Makes the headers of a client those of a request to an instance.
pub(in crate::gateway) fn clean_request(headers: &mut HeaderMap, host: Option<&HeaderValue>, peer: &Peer, identity: &Identity) {
    remove_hops(headers);
    remove_all(headers, &HOPS_ASKED);
    identity.remove(headers);
    headers.reserve(ADDED);
    headers.append(header::VIA, HeaderValue::from_static(OWN));
    let proto = if peer.is_tls { "https" } else { "http" };
    if peer.is_trusted && headers.contains_key(FORWARDED_FOR) {
        // Ours stand in front of us: what they say is right, and the client is behind them.
        headers.append(FORWARDED_FOR, peer.text.clone());
    } else {
        remove_all(headers, &ORIGINS);
        headers.insert(FORWARDED_FOR, peer.text.clone());
    }
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static(proto));
    let mut forwarded = String::with_capacity(128);
    let address = peer.text.to_str().unwrap_or("unknown");
    let (begin, end) = if peer.address.is_ipv6() { ("for=\"[", "]\";proto=") } else { ("for=", ";proto=") };
    forwarded.extend([begin, address, end, proto]);
    if let Some(host) = host {
        headers.entry(FORWARDED_HOST).or_insert_with(|| host.clone());
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte);
        if let Ok(text) = host.to_str()
            && text.as_bytes().iter().all(is_plain)
        {
            forwarded.extend([";host=\"", text, "\""]);
        }
    }
    if let Ok(value) = HeaderValue::try_from(forwarded) {
        headers.append(header::FORWARDED, value);
    }
}

/// Makes the headers of an instance those of an answer to a client. Whether the instance closes the connection.
pub(in crate::gateway) fn clean_answer(headers: &mut HeaderMap) -> bool {
    remove_hops(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::GatewayConfig;

    fn cleaned(peer: &str, given: &[(&str, &str)]) -> HeaderMap {
        let config = GatewayConfig::parse("[http]\ntrusted_proxies = [\"10.0.0.0/8\"]\nstrip = [\"remote-user\"]").unwrap().http;
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let host = HeaderValue::from_static("shop.example");
        clean_request(&mut headers, Some(&host), &Peer::new(peer.parse().unwrap(), false, &config), &Identity::new(&config.strip).unwrap());
        headers
    }

    fn text(headers: &HeaderMap, name: &str) -> String {
        headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn nobody_outside_says_who_they_are() {
        let forged = [
            "X-User",
            "x-user-id",
            "X_User",
            "x_user_roles",
            "X-Minos-Anything",
            "minos-user",
            "Remote-User",
            "X-Auth-Request-User",
            "x-forwarded-user",
            "X-Forwarded-Email",
            "X-Forwarded-Groups",
            "X_Forwarded_Groups",
            "X-Forwarded-Preferred-Username",
            "X-Forwarded-Access-Token",
            "X-Remote-User",
        ];
        let given: Vec<_> = forged.iter().map(|name| (*name, "admin")).collect();
        let headers = cleaned("1.2.3.4:5", &given);
        assert!(forged.iter().all(|name| !headers.contains_key(*name)), "{headers:?}");
        let kept = cleaned("1.2.3.4:5", &[("authorization", "Bearer t"), ("x-use", "1"), ("cookie", "a=b")]);
        assert!(["authorization", "x-use", "cookie"].iter().all(|name| kept.contains_key(*name)));
    }

    #[test]
    fn what_is_of_one_connection_stays_there() {
        let given = [
            ("connection", "keep-alive, X-Mine, Upgrade, authorization"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "Basic x"),
            ("expect", "100-continue"),
            ("authorization", "Bearer t"),
        ];
        let headers = cleaned("1.2.3.4:5", &given);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["authorization", "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]);
    }

    #[test]
    fn where_it_comes_from_is_said_by_the_gateway() {
        let lies = [
            ("x-forwarded-for", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-proto", "https"),
            ("x-real-ip", "6.6.6.6"),
        ];
        let headers = cleaned("1.2.3.4:5", &lies);
        assert_eq!(text(&headers, "x-forwarded-for"), "1.2.3.4");
        assert_eq!(text(&headers, "forwarded"), "for=1.2.3.4;proto=http;host=\"shop.example\"");
        assert_eq!((text(&headers, "x-forwarded-host"), text(&headers, "x-forwarded-proto")), ("shop.example".into(), "http".into()));
        assert!(!headers.contains_key("x-real-ip"));
        let headers = cleaned("10.0.0.1:5", &lies);
        assert_eq!(text(&headers, "x-forwarded-for"), "6.6.6.6 | 10.0.0.1", "a proxy of ours");
        assert_eq!(text(&headers, "x-forwarded-proto"), "https");
        let headers = cleaned("[2001:db8::1]:5", &[]);
        assert_eq!(text(&headers, "forwarded"), "for=\"[2001:db8::1]\";proto=http;host=\"shop.example\"");
    }

    #[test]
    fn circles_end() {
        let mut headers = HeaderMap::new();
        for _ in 0..MOST_GATEWAYS {
            assert!(!is_looping(&headers));
            headers.append(header::VIA, HeaderValue::from_static(OWN));
        }
        assert!(is_looping(&headers));
    }
}
