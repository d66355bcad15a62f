use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A range of addresses as operators write it (RFC 4632 §3.1): `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Network(IpNet);

/// Text that is no network.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidNetwork {
    /// Bits are set behind the prefix, so that it is not clear which range is meant.
    #[error("`{0}` has bits behind its prefix; the network is `{1}`")]
    HostBits(String, Network),
    /// Neither an address nor a prefix.
    #[error("`{0}` is no network; write `10.0.0.0/8`, `2001:db8::/32` or one address")]
    Text(String),
}

impl Network {
    /// Whether it is every address there is.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.0.prefix_len() == 0
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let net = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse().map_err(|_| InvalidNetwork::Text(text.into()))?,
        };
        if net != net.trunc() {
            return Err(InvalidNetwork::HostBits(text.into(), Self(net.trunc())));
        }
        Ok(Self(net))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

/// A set of networks. Ten thousand of them cost a look-up fourteen comparisons.
///
/// IPv4 is the same whether it comes as itself or mapped into IPv6 (RFC 4291 §2.5.5.2), here and in what is looked up.
/// No network of IPv6 holds an address of IPv4, `::/0` neither.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Networks {
    v4: Box<[(Ipv4Addr, Ipv4Addr)]>,
    v6: Box<[(Ipv6Addr, Ipv6Addr)]>,
}

impl Networks {
    /// Whether one of them holds this address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => holds(&self.v4, address),
            IpAddr::V6(address) => holds(&self.v6, address),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for Network(net) in networks {
            match canonical(net) {
                IpNet::V4(net) => v4.push((net.network(), net.broadcast())),
                IpNet::V6(net) => v6.push((net.network(), net.broadcast())),
            }
        }
        Self { v4: outermost(v4), v6: outermost(v6) }
    }
}

fn canonical(net: IpNet) -> IpNet {
    match net {
        IpNet::V6(v6) => unmapped(v6).map_or(net, IpNet::V4),
        IpNet::V4(_) => net,
    }
}

fn unmapped(net: Ipv6Net) -> Option<Ipv4Net> {
    Ipv4Net::new(net.addr().to_ipv4_mapped()?, net.prefix_len().checked_sub(96)?).ok()
}

/// Sorted, and without those that lie inside another. Two networks never overlap otherwise.
fn outermost<A: Copy + Ord>(mut ranges: Vec<(A, A)>) -> Box<[(A, A)]> {
    ranges.sort_unstable_by(|(a, until_a), (b, until_b)| a.cmp(b).then(until_b.cmp(until_a)));
    ranges.dedup_by(|(_, inner), (_, outer)| *inner <= *outer);
    ranges.into()
}

fn holds<A: Copy + Ord>(ranges: &[(A, A)], address: A) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= address);
    after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, last)| address <= *last)
}

/// As ranges of addresses: `192.0.2.0-192.0.2.255`; nothing, if there are none.
impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v4 = self.v4.iter().map(|(first, last)| (IpAddr::from(*first), IpAddr::from(*last)));
        let v6 = self.v6.iter().map(|(first, last)| (IpAddr::from(*first), IpAddr::from(*last)));
        for (at, (first, last)) in v4.chain(v6).enumerate() {
            f.write_str(if at == 0 { "" } else { ", " })?;
            if first == last { write!(f, "{first}")? } else { write!(f, "{first}-{last}")? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        texts.iter().map(|text| text.parse::<Network>().unwrap()).collect()
    }

    #[test]
    fn an_address_is_in_a_network_in_whatever_spelling_both_come() {
        let set = networks(&["10.0.0.0/8", "::ffff:192.0.2.0/120", "2001:db8::/32", "203.0.113.7", "10.1.0.0/16"]);
        for inside in [
            "10.0.0.0",
            "10.255.255.255",
            "10.1.2.3",
            "::ffff:10.9.9.9",
            "192.0.2.255",
            "::ffff:192.0.2.1",
            "2001:db8::1",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "203.0.113.7",
        ] {
            assert!(set.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["9.255.255.255", "11.0.0.0", "192.0.3.0", "2001:db9::", "203.0.113.8", "::10.0.0.1", "::1"] {
            assert!(!set.contains(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn all_of_ipv6_is_not_all_of_ipv4() {
        assert!(!networks(&["::/0"]).contains("192.0.2.1".parse().unwrap()));
        assert!(!networks(&["::/0"]).contains("::ffff:192.0.2.1".parse().unwrap()));
        assert!(networks(&["0.0.0.0/0"]).contains("::ffff:192.0.2.1".parse().unwrap()));
        assert!(!Networks::default().contains("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_told_what_one_is() {
        assert_eq!("10.0.0.1/8".parse::<Network>().unwrap_err().to_string(), {
            "`10.0.0.1/8` has bits behind its prefix; the network is `10.0.0.0/8`"
        });
        for text in ["", "10.0.0.0/33", "10/8", "10.0.0.0/-1", "localhost", "010.0.0.1", "fe80::1%eth0", "10.0.0.0/08x"]
        {
            assert!(matches!(text.parse::<Network>(), Err(InvalidNetwork::Text(_))), "{text}");
        }
        for text in ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }

    /// Counts comparisons, since a clock would not tell ten thousand from ten on a busy machine.
    #[test]
    fn ten_thousand_networks_cost_a_look_up_about_fourteen_comparisons() {
        use std::cell::Cell;
        use std::cmp::Ordering;

        thread_local!(static COMPARED: Cell<u32> = const { Cell::new(0) });
        #[derive(Clone, Copy, Eq, PartialEq)]
        struct Counting(u32);
        impl PartialOrd for Counting {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for Counting {
            fn cmp(&self, other: &Self) -> Ordering {
                COMPARED.set(COMPARED.get() + 1);
                self.0.cmp(&other.0)
            }
        }
        let ranges = outermost((0..10_000).map(|n| (Counting(n * 512), Counting(n * 512 + 255))).collect());
        for (address, inside) in [(0, true), (256, false), (9_999 * 512 + 255, true), (4_000 * 512 + 256, false)] {
            COMPARED.set(0);
            assert_eq!(holds(&ranges, Counting(address)), inside);
            assert!(COMPARED.get() <= 16, "{} comparisons", COMPARED.get());
        }
    }
}
