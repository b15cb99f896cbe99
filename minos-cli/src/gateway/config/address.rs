//! Networks of addresses: `10.0.0.0/8`.

use std::{net::IpAddr, str::FromStr};

/// An address, or all that begin like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// An IPv4 address in the clothes of IPv6 is one of IPv4.
pub(in crate::gateway) fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn number(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

impl Network {
    /// Whether this address is in it.
    pub fn has(&self, address: IpAddr) -> bool {
        let address = plain(address);
        let ((own, _), (other, _)) = (number(self.address), number(address));
        let same = |bits: u8| bits == 0 || (own ^ other) >> (128 - u32::from(bits)) == 0;
        self.address.is_ipv4() == address.is_ipv4() && same(self.bits)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no address and no network: write \"10.0.0.7\" or \"10.0.0.0/8\"");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address = plain(address.trim().parse().map_err(|_| wrong())?);
        let (_, all) = number(address);
        let bits = bits.map_or(Ok(all), |bits| bits.trim().parse().map_err(|_| wrong()))?;
        if bits > all { Err(wrong()) } else { Ok(Network { address, bits }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_what_begins_like_it() {
        let has = |network: &str, address: &str| network.parse::<Network>().unwrap().has(address.parse().unwrap());
        assert!(has("10.0.0.0/8", "10.200.3.4") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("10.0.0.7", "10.0.0.7") && !has("10.0.0.7", "10.0.0.8"));
        assert!(has("10.0.0.0/8", "::ffff:10.1.1.1"), "as a socket for both kinds tells it");
        assert!(has("fd00::/8", "fd12::1") && !has("fd00::/8", "fe80::1") && !has("::/0", "10.0.0.1") && has("0.0.0.0/0", "1.2.3.4"));
        for wrong in ["", "x", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129"] {
            assert!(wrong.parse::<Network>().unwrap_err().contains("10.0.0.0/8"), "{wrong}");
        }
    }
}
