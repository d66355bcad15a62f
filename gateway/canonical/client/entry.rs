//! What proxies write, read from the right: there stands what the last of them wrote, and to its left what it was told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{ForwardedField, Scheme};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// One step towards the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Hop {
    pub(super) address: IpAddr,
    pub(super) scheme: Option<Scheme>,
}

/// The entries of all fields of this kind, the last one first. `None` for one that cannot be read.
pub(super) fn hops(fields: &HeaderMap, field: ForwardedField) -> impl Iterator<Item = Option<Hop>> {
    let name = match field {
        ForwardedField::Forwarded => header::FORWARDED,
        ForwardedField::XForwardedFor => FOR,
    };
    let read = move |entry: &[u8]| {
        let entry = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
        match field {
            ForwardedField::Forwarded => element(entry),
            ForwardedField::XForwardedFor => plain(entry).map(|address| Hop { address, scheme: None }),
        }
    };
    fields.get_all(name).iter().rev().flat_map(|value| Entries(Some(value.as_bytes()))).map(read)
}

/// What the client has spoken, as a proxy says beside `X-Forwarded-For`: one word, or it is not known.
pub(super) fn scheme(fields: &HeaderMap) -> Option<Scheme> {
    let mut values = fields.get_all(PROTO).iter();
    match (values.next().map(HeaderValue::as_bytes), values.next()) {
        (Some(one), None) => word(one),
        _ => None,
    }
}

fn word(word: &[u8]) -> Option<Scheme> {
    match word {
        b"http" => Some(Scheme::Http),
        b"https" => Some(Scheme::Https),
        _ => None,
    }
}

/// The parts between commas, from the right. A comma inside quotes is none; read from this side, what a client has written
/// to the left cannot open quotes around what a proxy has written.
struct Entries<'v>(Option<&'v [u8]>);

impl<'v> Iterator for Entries<'v> {
    type Item = &'v [u8];

    fn next(&mut self) -> Option<&'v [u8]> {
        let value = self.0.take()?;
        let mut quoted = false;
        for (at, byte) in value.iter().enumerate().rev() {
            match byte {
                b'"' => quoted = !quoted,
                b',' if !quoted => {
                    self.0 = value.get(..at);
                    return value.get(at + 1..);
                }
                _ => {}
            }
        }
        Some(value)
    }
}

/// An entry of `X-Forwarded-For`: an address as it stands, or with a port.
fn plain(entry: &str) -> Option<IpAddr> {
    entry.parse().ok().map(|address: IpAddr| address.to_canonical()).or_else(|| node(entry))
}

/// An element of `Forwarded` (RFC 7239 §4) with exactly one `for`.
fn element(entry: &str) -> Option<Hop> {
    let (mut address, mut scheme) = (None, None);
    for pair in entry.split(';') {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        let value = value.strip_prefix('"').map_or(Some(value), |value| value.strip_suffix('"'))?;
        if name.eq_ignore_ascii_case("for") {
            if address.replace(node(value)?).is_some() {
                return None;
            }
        } else if name.eq_ignore_ascii_case("proto") && scheme.replace(word(value.as_bytes())).is_some() {
            return None;
        }
    }
    Some(Hop { address: address?, scheme: scheme.flatten() })
}

/// A node (RFC 7239 §6) that is an address: `unknown` and what a proxy made up for one are none.
fn node(node: &str) -> Option<IpAddr> {
    if let Some(bracketed) = node.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let known = port.is_empty() || is_port(port.strip_prefix(':')?);
        let address: Ipv6Addr = address.parse().ok()?;
        return known.then_some(IpAddr::V6(address).to_canonical());
    }
    let (address, known) = node.split_once(':').map_or((node, true), |(address, port)| (address, is_port(port)));
    let address: Ipv4Addr = address.parse().ok()?;
    known.then_some(IpAddr::V4(address))
}

/// Digits, or a word made up in place of them, which begins with an underscore (RFC 7239 §6.3).
fn is_port(port: &str) -> bool {
    let made_up = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    match port.strip_prefix('_') {
        Some(word) => made_up(word),
        None => port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok(),
    }
}
