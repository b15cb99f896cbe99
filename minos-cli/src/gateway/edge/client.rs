//! Who is at the other end of a connection, and who stands behind that.

use crate::gateway::config::{HttpConfig, Network, plain};
use http::{HeaderMap, HeaderValue};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Peer {
    pub(in crate::gateway) address: IpAddr,
    /// As it is told in headers.
    pub(in crate::gateway) text: HeaderValue,
    pub(in crate::gateway) is_tls: bool,
    /// What it says about who stands behind it is believed.
    pub(in crate::gateway) is_trusted: bool,
}

impl Peer {
    pub(in crate::gateway) fn new(address: SocketAddr, is_tls: bool, config: &HttpConfig) -> Self {
        let address = plain(address.ip());
        let text = HeaderValue::from_str(&address.to_string()).unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        Peer { address, text, is_tls, is_trusted: is_trusted(address, &config.trusted_proxies) }
    }

    /// The client: the nearest address that is none of our proxies. What stands further away, the client may have written itself.
    pub(in crate::gateway) fn client(&self, headers: &HeaderMap, config: &HttpConfig) -> IpAddr {
        if !self.is_trusted {
            return self.address;
        }
        let mut client = self.address;
        let all: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).collect();
        for text in all.into_iter().rev() {
            let Ok(address) = text.trim().parse::<IpAddr>() else { break };
            client = plain(address);
            if !is_trusted(client, &config.trusted_proxies) {
                break;
            }
        }
        client
    }
}

fn is_trusted(address: IpAddr, proxies: &[Network]) -> bool {
    proxies.iter().any(|network| network.has(address))
}

/// What counts as one client: who has one address of IPv6 has a network of them.
pub(in crate::gateway) fn bucket(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::GatewayConfig;

    #[test]
    fn only_proxies_of_ours_are_believed() {
        let config = GatewayConfig::parse("[http]\ntrusted_proxies = [\"10.0.0.0/8\"]").unwrap().http;
        let client = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            Peer::new(peer.parse().unwrap(), false, &config).client(&headers, &config).to_string()
        };
        assert_eq!(client("1.2.3.4:5", &["9.9.9.9"]), "1.2.3.4", "anybody may say that");
        assert_eq!(client("10.0.0.1:5", &["9.9.9.9"]), "9.9.9.9");
        assert_eq!(client("10.0.0.1:5", &["6.6.6.6, 9.9.9.9, 10.0.0.2"]), "9.9.9.9", "behind two of ours");
        assert_eq!(client("10.0.0.1:5", &["6.6.6.6", "9.9.9.9"]), "9.9.9.9", "in several lines");
        assert_eq!(client("10.0.0.1:5", &["x"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1:5", &[]), "10.0.0.1");
        assert_eq!(bucket("2001:db8:1:2:3:4:5:6".parse().unwrap()).to_string(), "2001:db8:1:2::");
    }
}
