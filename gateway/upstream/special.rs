use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one that the name of a backend has no business to stand for: this machine, its link, or where
/// clouds hand out credentials. Whoever can forge one answer of a name server would otherwise choose what is asked with
/// the identity of our callers.
pub(crate) fn is_special(ip: IpAddr) -> bool {
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
            let v4 = |high: u16, low: u16| {
                let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
                is_special(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
            };
            // What translates to IPv4 (RFC 6052, RFC 3056, RFC 4291 §2.5.5.1) is what it translates to.
            let embedded = match ip.segments() {
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
                    v4(high, low)
                }
                _ => false,
            };
            ip.is_multicast() || ip.is_unicast_link_local() || clouds.contains(&ip) || embedded || ip.is_loopback()
        }
    }
}

/// Whether a name is one of this machine by definition (RFC 6761 §6.3).
pub(crate) fn is_loopback_name(host: &str) -> bool {
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
}
