//! Which addresses a call to a partner may reach.
//!
//! # Motivation
//! A partner's base URL is data. Whoever writes it, or runs the name server of its host, must not
//! get the network's servers to talk to machines that only these can reach.
//!
//! # Theory of operation
//! The policy is applied to addresses, never to names: to a literal address before the call, and
//! to every address that a name resolves to inside the resolver of the HTTP client, so that what
//! was checked is what is connected to. One refused address refuses the name. Redirects are not
//! followed and proxies of the environment are not used, so there is no other way out.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Networks of IPv4 that are not public (IANA special-purpose registry).
const SPECIAL_V4: [([u8; 4], u8); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    ([255, 255, 255, 255], 32),
];

/// Networks of IPv6 that are not public although they lie within global unicast, 2000::/3:
/// protocol assignments with Teredo, documentation, 6to4. Everything outside of it is not public.
const SPECIAL_V6: [([u16; 3], u8); 4] = [
    ([0x2001, 0, 0], 23),
    ([0x2001, 0xdb8, 0], 32),
    ([0x2002, 0, 0], 16),
    ([0x3fff, 0, 0], 20),
];

/// Which addresses may be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Policy {
    /// Networks that the operator allows beyond public addresses, and without TLS.
    pub(crate) allowed: Arc<[IpNet]>,
    /// Whether the call is protected by TLS, and so may go to public addresses.
    pub(crate) is_https: bool,
}

/// An address that the policy does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PolicyRefusal {
    #[error(
        "the network policy refuses {0}: it is neither public nor in the partner's allowed networks"
    )]
    NotPublic(IpAddr),
    #[error(
        "the network policy refuses http to {0}: outside the partner's allowed networks https is required"
    )]
    NotHttps(IpAddr),
}

impl Policy {
    /// Checks one address; an IPv4 address inside an IPv6 one counts as what it is.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), PolicyRefusal> {
        let address = address.to_canonical();
        if self.allowed.iter().any(|net| net.contains(&address)) {
            Ok(())
        } else if !is_public(address) {
            Err(PolicyRefusal::NotPublic(address))
        } else if !self.is_https {
            Err(PolicyRefusal::NotHttps(address))
        } else {
            Ok(())
        }
    }
}

impl Resolve for Policy {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.clone();
        Box::pin(async move {
            let addresses: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            for address in &addresses {
                policy.check(address.ip())?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Whether the address can be reached from everywhere, as far as its form tells.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => !SPECIAL_V4
            .iter()
            .any(|(net, length)| lies_in((*net).into(), *length, address)),
        IpAddr::V6(_) => {
            lies_in([0x2000, 0, 0, 0, 0, 0, 0, 0].into(), 3, address)
                && !SPECIAL_V6.iter().any(|([a, b, c], length)| {
                    lies_in([*a, *b, *c, 0, 0, 0, 0, 0].into(), *length, address)
                })
        }
    }
}

fn lies_in(network: IpAddr, length: u8, address: IpAddr) -> bool {
    IpNet::new(network, length).is_ok_and(|net| net.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allowed: &[&str], is_https: bool) -> Policy {
        Policy {
            allowed: allowed.iter().map(|net| net.parse().unwrap()).collect(),
            is_https,
        }
    }

    #[test]
    fn only_public_addresses_are_reached_unasked() {
        let policy = policy(&[], true);
        for public in [
            "1.1.1.1",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1",
            "::ffff:1.1.1.1",
        ] {
            assert_eq!(policy.check(public.parse().unwrap()), Ok(()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
        ] {
            let address: IpAddr = private.parse().unwrap();
            let refusal = PolicyRefusal::NotPublic(address.to_canonical());
            assert_eq!(policy.check(address), Err(refusal), "{private}");
        }
    }

    #[test]
    fn allowed_networks_are_reached_even_without_tls() {
        let policy = policy(&["10.1.0.0/16", "fd00::/8"], false);
        for allowed in ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"] {
            assert_eq!(policy.check(allowed.parse().unwrap()), Ok(()), "{allowed}");
        }
        assert_eq!(
            policy.check("10.2.0.1".parse().unwrap()),
            Err(PolicyRefusal::NotPublic("10.2.0.1".parse().unwrap()))
        );
        assert_eq!(
            policy.check("1.1.1.1".parse().unwrap()),
            Err(PolicyRefusal::NotHttps("1.1.1.1".parse().unwrap()))
        );
    }
}
