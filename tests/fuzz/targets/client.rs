//! What proxies in front wrote, one field a line, behind a line that says which field and who is connected: whoever is found
//! is vouched for step by step, and what is written for the backend reads back to the same.

#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;

use canonical::{Client, ForwardedField, Proxies, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use terms::{Network, Networks};

/// Whom we believe; 10.255.255.254 is ourselves, as the backend sees us.
static TRUSTED: LazyLock<Networks> = LazyLock::new(|| {
    let networks = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"];
    networks.iter().map(|text| text.parse::<Network>().unwrap()).collect()
});

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let (field, name) = match first.first() {
        Some(b'f') => (ForwardedField::Forwarded, "forwarded"),
        _ => (ForwardedField::XForwardedFor, "x-forwarded-for"),
    };
    let peer = first.get(1..).and_then(|text| std::str::from_utf8(text).ok()?.parse::<IpAddr>().ok());
    let peer = peer.unwrap_or_else(|| [10, 0, 0, 1].into());
    let mut fields = HeaderMap::new();
    for line in lines {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        fields.append(HeaderName::from_static(name), value);
    }
    let proxies = Proxies { trusted: TRUSTED.clone(), field };
    let client = Client::find(peer, &fields, &proxies);

    // Every step towards the client is believed, from the connection on; only the client itself need not be.
    assert!(client.via.iter().all(|proxy| TRUSTED.contains(*proxy)));
    assert_eq!(client.via.last().copied().unwrap_or(client.address), peer.to_canonical());
    assert_eq!(client.address, client.address.to_canonical());
    if !TRUSTED.contains(peer) {
        assert_eq!(client, Client { address: peer.to_canonical(), via: Vec::new(), scheme: None });
    }
    if field == ForwardedField::XForwardedFor && !bytes.contains(&b'"') {
        assert_eq!(client.address, walk(peer, &fields));
    }

    if client.via.len() < 30 {
        reads_back(&client, ForwardedField::XForwardedFor, &client.to_x_forwarded_for());
        reads_back(&client, ForwardedField::Forwarded, &client.to_forwarded("acme.example:8080", Scheme::Https));
    }
});

/// The same walk by a plain reader: all entries in one row, from the right.
fn walk(peer: IpAddr, fields: &HeaderMap) -> IpAddr {
    let row =
        fields.get_all("x-forwarded-for").iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let row = row.collect::<Vec<_>>().join(",");
    let mut client = peer.to_canonical();
    for entry in row.rsplit(',').take(32) {
        if fields.is_empty() || !TRUSTED.contains(client) {
            break;
        }
        let Some(address) = read(entry.trim_matches([' ', '\t'])) else { break };
        client = address.to_canonical();
    }
    client
}

/// An address, `address:port` or `[address]:port`; a port may be a word that begins with an underscore.
fn read(entry: &str) -> Option<IpAddr> {
    if let Ok(address) = entry.parse() {
        return Some(address);
    }
    let (address, port) = match entry.strip_prefix('[') {
        Some(rest) => rest
            .split_once(']')
            .map(|(address, rest)| (address, rest.strip_prefix(':').or(rest.is_empty().then_some("0")))),
        None => entry.split_once(':').map(|(address, port)| (address, Some(port))),
    }?;
    let port = port?;
    let hidden = port.strip_prefix('_').is_some_and(|word| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    });
    let number = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let address: IpAddr = address.parse().ok()?;
    let fits = address.is_ipv6() == entry.starts_with('[');
    (fits && (hidden || number)).then_some(address)
}

/// A backend that believes us, and whom we believe, finds the same client.
fn reads_back(client: &Client, field: ForwardedField, text: &str) {
    let us: IpAddr = [10, 255, 255, 254].into();
    let name = match field {
        ForwardedField::Forwarded => "forwarded",
        ForwardedField::XForwardedFor => "x-forwarded-for",
    };
    let fields = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(text).unwrap())]);
    let again = Client::find(us, &fields, &Proxies { trusted: TRUSTED.clone(), field });
    let via: Vec<_> = client.via.iter().copied().chain([us]).collect();
    assert_eq!((again.address, again.via), (client.address, via), "{text}");
}
