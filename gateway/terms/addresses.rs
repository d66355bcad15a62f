use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one that a name has no business to stand for: this machine, its link, or where
/// clouds hand out credentials. Whoever can forge one answer of a name server would otherwise choose what is asked on
/// our behalf.
#[must_use]
pub fn is_special(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let clouds = [
                Ipv4Addr::new(100, 100, 100, 200), // Alibaba Cloud
                Ipv4Addr::new(168, 63, 129, 16),   // Azure
                Ipv4Addr::new(192, 0, 0, 192),     // Oracle Cloud
            ];
            let [first, ..] = ip.octets();
            first == 0
                || ip.is_loopback()
                || ip.is_link_local() // 169.254.169.254 among them
                || ip.is_multicast()
                || ip.is_broadcast()
                || clouds.contains(&ip)
        }
        IpAddr::V6(ip) => {
            let clouds = [
                Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), // AWS
                Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),  // Google Cloud
            ];
            let embedded = embedded(ip).is_some_and(|ip| is_special(IpAddr::V4(ip)));
            ip.is_multicast() || ip.is_unicast_link_local() || clouds.contains(&ip) || embedded || ip.is_loopback()
        }
    }
}

/// Whether an address is of a network that is nobody's in particular (RFC 1918, RFC 6598, RFC 4193), or special.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    let own = match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_private() || (first == 100 && second & 0xc0 == 0x40)
        }
        IpAddr::V6(ip) => ip.is_unique_local() || embedded(ip).is_some_and(|ip| is_private(IpAddr::V4(ip))),
    };
    own || is_special(ip)
}

/// What translates to IPv4 (RFC 6052, RFC 3056, RFC 4291 §2.5.5.1) is what it translates to.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let ([0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..]) =
        ip.segments()
    else {
        return None;
    };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(Ipv4Addr::new(a, b, c, d))
}

/// Whether a name is one of this machine by definition (RFC 6761 §6.3).
#[must_use]
pub fn is_loopback_name(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_its_link_and_the_metadata_of_clouds_are_special_in_every_spelling() {
        for (ip, special) in [
            ("127.0.0.1", true),
            ("127.255.0.9", true),
            ("0.0.0.0", true),
            ("169.254.169.254", true),
            ("224.0.0.1", true),
            ("255.255.255.255", true),
            ("168.63.129.16", true),
            ("::1", true),
            ("::", true),
            ("fe80::1", true),
            ("ff02::1", true),
            ("fd00:ec2::254", true),
            ("::ffff:169.254.169.254", true),
            ("::ffff:127.0.0.1", true),
            ("::127.0.0.1", true),
            ("64:ff9b::a9fe:a9fe", true),
            ("2002:7f00:1::", true),
            ("10.0.0.1", false),
            ("192.168.1.1", false),
            ("172.17.0.2", false),
            ("203.0.113.9", false),
            ("2001:db8::1", false),
            ("fd12:3456::1", false),
            ("64:ff9b::cb00:7109", false),
        ] {
            assert_eq!(is_special(ip.parse().unwrap()), special, "{ip}");
        }
    }

    #[test]
    fn what_is_nobodys_in_particular_is_private_in_every_spelling() {
        for (ip, private) in [
            ("10.0.0.1", true),
            ("172.31.255.255", true),
            ("172.32.0.1", false),
            ("192.168.1.1", true),
            ("100.64.0.1", true),
            ("100.127.255.255", true),
            ("100.128.0.1", false),
            ("127.0.0.1", true),
            ("169.254.169.254", true),
            ("203.0.113.9", false),
            ("fd12:3456::1", true),
            ("fe80::1", true),
            ("::ffff:10.0.0.1", true),
            ("64:ff9b::a00:1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(ip.parse().unwrap()), private, "{ip}");
        }
    }
}
