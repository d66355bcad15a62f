use proptest::prelude::*;

use super::InvalidProxyHeader::{Address, Checksum, Command, Fields, TooLong, Transport, Unsigned};
use super::*;

/// A header of version 2.
fn v2(command: u8, transport: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [v2::SIGNATURE, &[command, transport], &length, block].concat()
}

/// 192.0.2.1:4660 to 198.51.100.2:443.
const IPV4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0x12, 0x34, 1, 0xbb];

fn ipv6(source: &str) -> Vec<u8> {
    let octets = |address: &str| address.parse::<std::net::Ipv6Addr>().unwrap().octets();
    [&octets(source)[..], &octets("2001:db8::2"), &[0x12, 0x34, 1, 0xbb]].concat()
}

fn value(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

/// With a checksum between two other values, and what is added to it.
fn checked(off_by: u32) -> Vec<u8> {
    let with = |sum: u32| {
        v2(0x21, 0x11, &[&IPV4[..], &value(4, &[0; 7]), &value(3, &sum.to_be_bytes()), &value(1, b"h2")].concat())
    };
    with(crc32c::crc32c(&with(0)).wrapping_add(off_by))
}

type Expected = Result<Option<Origin>, InvalidProxyHeader>;

fn from(source: &str) -> Expected {
    let destination = if source.starts_with('[') { "[2001:db8::2]:443" } else { "198.51.100.2:443" };
    Ok(Some(Origin::Client { source: source.parse().unwrap(), destination: destination.parse().unwrap() }))
}

#[test]
fn a_header_says_whose_the_connection_is_or_is_none() {
    let unending = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 93]].concat();
    let longest = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 91], b"\r\n".to_vec()].concat();
    let local = Ok(Some(Origin::Proxy));
    let table: &[(&str, Vec<u8>, Expected)] = &[
        // Version 1
        ("v4", b"PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\n".into(), from("192.0.2.1:4660")),
        ("v6", b"PROXY TCP6 2001:db8::1 2001:db8::2 4660 443\r\n".into(), from("[2001:db8::1]:4660")),
        ("mapped", b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 0 443\r\n".into(), from("192.0.2.1:0")),
        ("highest port", b"PROXY TCP4 192.0.2.1 198.51.100.2 65535 443\r\n".into(), from("192.0.2.1:65535")),
        ("unknown", b"PROXY UNKNOWN\r\n".into(), local),
        ("unknown with anything", b"PROXY UNKNOWN 1 2 evil\r\n".into(), local),
        ("longest", longest, local),
        ("longer", unending, Err(TooLong)),
        ("lower case", b"proxy TCP4 192.0.2.1 198.51.100.2 4660 443\r\n".into(), Err(Unsigned)),
        ("bare line feed", b"PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\n".into(), Err(Fields)),
        ("space at the end", b"PROXY TCP4 192.0.2.1 198.51.100.2 4660 443 \r\n".into(), Err(Fields)),
        ("two spaces", b"PROXY TCP4  192.0.2.1 198.51.100.2 4660 443\r\n".into(), Err(Fields)),
        ("too many fields", b"PROXY TCP4 192.0.2.1 198.51.100.2 4660 443 1\r\n".into(), Err(Fields)),
        ("too few fields", b"PROXY TCP4 192.0.2.1 198.51.100.2 4660\r\n".into(), Err(Fields)),
        ("no fields", b"PROXY \r\n".into(), Err(Transport)),
        ("udp", b"PROXY UDP4 192.0.2.1 198.51.100.2 4660 443\r\n".into(), Err(Transport)),
        ("v6 said to be v4", b"PROXY TCP4 ::1 ::2 4660 443\r\n".into(), Err(Address)),
        ("v4 said to be v6", b"PROXY TCP6 192.0.2.1 198.51.100.2 4660 443\r\n".into(), Err(Address)),
        ("octal", b"PROXY TCP4 192.0.02.1 198.51.100.2 4660 443\r\n".into(), Err(Address)),
        ("a name", b"PROXY TCP4 localhost 198.51.100.2 4660 443\r\n".into(), Err(Address)),
        ("a scope", b"PROXY TCP6 fe80::1%eth0 2001:db8::2 4660 443\r\n".into(), Err(Address)),
        ("brackets", b"PROXY TCP6 [2001:db8::1] [2001:db8::2] 4660 443\r\n".into(), Err(Address)),
        ("nobody", b"PROXY TCP4 0.0.0.0 198.51.100.2 4660 443\r\n".into(), Err(Address)),
        ("everybody", b"PROXY TCP4 255.255.255.255 198.51.100.2 4660 443\r\n".into(), Err(Address)),
        ("port too high", b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n".into(), Err(Fields)),
        ("port with a sign", b"PROXY TCP4 192.0.2.1 198.51.100.2 +4660 443\r\n".into(), Err(Fields)),
        ("port with a zero in front", b"PROXY TCP4 192.0.2.1 198.51.100.2 04660 443\r\n".into(), Err(Fields)),
        ("no port", b"PROXY TCP4 192.0.2.1 198.51.100.2  443\r\n".into(), Err(Fields)),
        ("not text", b"PROXY TCP4 192.0.2.1\xff 198.51.100.2 4660 443\r\n".into(), Err(Fields)),
        // Neither
        ("a request", b"GET / HTTP/1.1\r\n".into(), Err(Unsigned)),
        ("tls", vec![0x16, 3, 1, 2, 0, 1], Err(Unsigned)),
        ("one wrong byte", b"PROXX".into(), Err(Unsigned)),
        ("a signature that is almost one", b"\r\n\r\n\0\r\nQUIT\r".into(), Err(Unsigned)),
        // Version 2
        ("v4", v2(0x21, 0x11, &IPV4), from("192.0.2.1:4660")),
        ("v6", v2(0x21, 0x21, &ipv6("2001:db8::1")), from("[2001:db8::1]:4660")),
        ("local", v2(0x20, 0x11, &IPV4), local),
        ("local without a word", v2(0x20, 0, &[]), local),
        ("local with anything", v2(0x20, 0x77, &[0xff; 40]), local),
        ("unspecified", v2(0x21, 0, &[]), local),
        ("unspecified with anything", v2(0x21, 0, &[0xff; 9]), local),
        (
            "with values",
            v2(0x21, 0x11, &[&IPV4[..], &value(1, b"h2"), &value(0xe0, b"")].concat()),
            from("192.0.2.1:4660"),
        ),
        ("with its checksum", checked(0), from("192.0.2.1:4660")),
        ("with another checksum", checked(1), Err(Checksum)),
        ("a checksum too short", v2(0x21, 0x11, &[&IPV4[..], &value(3, &[0; 3])].concat()), Err(Fields)),
        ("a value cut short", v2(0x21, 0x11, &[&IPV4[..], &[1, 0, 3, b'h', b'2']].concat()), Err(Fields)),
        ("half the head of a value", v2(0x21, 0x11, &[&IPV4[..], &[4, 0]].concat()), Err(Fields)),
        ("addresses cut short", v2(0x21, 0x11, &IPV4[..11]), Err(Fields)),
        ("v4 said to be v6", v2(0x21, 0x21, &IPV4), Err(Fields)),
        ("udp", v2(0x21, 0x12, &IPV4), Err(Transport)),
        ("udp over v6", v2(0x21, 0x22, &ipv6("2001:db8::1")), Err(Transport)),
        ("a unix socket", v2(0x21, 0x31, &[b'/'; 216]), Err(Transport)),
        ("tcp over nothing", v2(0x21, 0x01, &IPV4), Err(Transport)),
        ("version 1 in binary", v2(0x11, 0x11, &IPV4), Err(Command)),
        ("version 3", v2(0x31, 0x11, &IPV4), Err(Command)),
        ("an unknown command", v2(0x22, 0x11, &IPV4), Err(Command)),
        ("too long", v2(0x21, 0x11, &[&IPV4[..], &value(4, &[0; 4066])].concat()), Err(TooLong)),
        ("as long as may be", v2(0x21, 0x11, &[&IPV4[..], &value(4, &[0; 4065])].concat()), from("192.0.2.1:4660")),
        ("multicast", v2(0x21, 0x21, &ipv6("ff02::1")), Err(Address)),
        ("nobody", v2(0x21, 0x21, &ipv6("::")), Err(Address)),
        ("mapped nobody", v2(0x21, 0x21, &ipv6("::ffff:0.0.0.0")), Err(Address)),
    ];
    for (what, bytes, expected) in table {
        let parsed = ProxyHeader::parse(bytes);
        assert_eq!(parsed.map(|header| header.map(|header| header.origin)), *expected, "{what}: {bytes:?}");
        let Ok(Some(header)) = parsed else { continue };
        assert_eq!(header.length, bytes.len(), "{what}");
        let behind = [&bytes[..], b"GET / HTTP/1.1"].concat();
        assert_eq!(ProxyHeader::parse(&behind), Ok(Some(header)), "{what}: what follows is not of it");
        for length in 0..bytes.len() {
            assert_eq!(ProxyHeader::parse(&bytes[..length]), Ok(None), "{what}: the first {length} bytes");
        }
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_answered_and_what_is_no_longer_open_stays_so(
        start in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 ", v2::SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x20"]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = [start, &bytes].concat();
        let whole = ProxyHeader::parse(&bytes);
        if let Ok(Some(header)) = whole {
            prop_assert!(header.length <= bytes.len());
        }
        for length in 0..bytes.len() {
            // Neither a yes nor a no is taken back when more comes.
            let part = ProxyHeader::parse(&bytes[..length]);
            prop_assert!(part == Ok(None) || part == whole, "{part:?} became {whole:?}");
        }
    }

    #[test]
    fn every_address_that_a_client_can_have_comes_through_in_both_versions(
        address in any::<std::net::Ipv4Addr>(), to in any::<std::net::Ipv4Addr>(), port in any::<u16>(),
    ) {
        let text = format!("PROXY TCP4 {address} {to} {port} 443\r\n");
        let block = [&address.octets()[..], &to.octets(), &port.to_be_bytes(), &443u16.to_be_bytes()].concat();
        let source = SocketAddr::new(address.into(), port);
        let expected = client(address.into()).map(|_| Origin::Client { source, destination: SocketAddr::new(to.into(), 443) });
        for bytes in [text.into_bytes(), v2(0x21, 0x11, &block)] {
            let origin = ProxyHeader::parse(&bytes).ok().flatten().map(|header| header.origin);
            prop_assert_eq!(origin, expected);
        }
    }
}
