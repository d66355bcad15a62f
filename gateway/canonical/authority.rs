use std::borrow::Cow;
use std::net::Ipv6Addr;

use crate::Malformed;

/// A host and perhaps a port, as `Host`, `:authority` and the absolute form have them (RFC 3986 §3.2.2 and §3.2.3).
///
/// Narrower than the grammar, since a tenant is read from it: DNS names (RFC 1123 §2.1, and the underscores that
/// containers have in theirs), IPv4, and IPv6 in brackets. No user, no escapes, no zone. A dot at the end is refused
/// rather than taken away: DNS reads `a.example.` as `a.example`, certificates and virtual hosts do not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Authority<'h> {
    pub(crate) host: Cow<'h, str>,
    pub(crate) port: Option<u16>,
}

impl<'h> Authority<'h> {
    pub(crate) fn parse(text: &'h str) -> Result<Self, Malformed> {
        if let Some(bracketed) = text.strip_prefix('[') {
            let (address, port) = bracketed.split_once(']').ok_or(Malformed::Host)?;
            let port = match port.strip_prefix(':') {
                Some(digits) => Some(parse_port(digits)?),
                None if port.is_empty() => None,
                None => return Err(Malformed::Host),
            };
            return Ok(Self { host: parse_address(text, address)?, port });
        }
        match text.split_once(':') {
            None => Ok(Self { host: parse_name(text)?, port: None }),
            Some((name, digits)) => Ok(Self { host: parse_name(name)?, port: Some(parse_port(digits)?) }),
        }
    }
}

fn parse_port(digits: &str) -> Result<u16, Malformed> {
    match digits.as_bytes() {
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => digits.parse().map_err(|_| Malformed::Host),
        _ => Err(Malformed::Host),
    }
}

/// In the one form that RFC 5952 gives an address, so that two spellings of it are one host.
fn parse_address<'h>(text: &'h str, address: &str) -> Result<Cow<'h, str>, Malformed> {
    let parsed: Ipv6Addr = address.parse().map_err(|_| Malformed::Host)?;
    let canonical = format!("[{parsed}]"); // an allocation: hosts of production are names
    Ok(text.get(..canonical.len()).filter(|host| *host == canonical).map_or(Cow::Owned(canonical), Cow::Borrowed))
}

fn parse_name(name: &str) -> Result<Cow<'_, str>, Malformed> {
    if name.len() > 253 {
        return Err(Malformed::Host);
    }
    let mut label = 0_usize;
    let mut upper = false;
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => label += 1,
            b'A'..=b'Z' => (label, upper) = (label + 1, true),
            b'.' if (1..=63).contains(&label) => label = 0,
            _ => return Err(Malformed::Host),
        }
    }
    if !(1..=63).contains(&label) {
        return Err(Malformed::Host);
    }
    Ok(if upper { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_else() {
        for (text, host, port) in [
            ("a.example", "a.example", None),
            ("A.Example:8443", "a.example", Some(8443)),
            ("my_service:80", "my_service", Some(80)),
            ("127.0.0.1:1", "127.0.0.1", Some(1)),
            ("[::1]", "[::1]", None),
            ("[0:0:0:0:0:0:0:1]:443", "[::1]", Some(443)),
            ("[2001:DB8::A]", "[2001:db8::a]", None),
        ] {
            assert_eq!(Authority::parse(text), Ok(Authority { host: host.into(), port }), "{text}");
        }
        for text in [
            "",
            ".",
            "a.",
            "a..b",
            ".a",
            "a:",
            ":80",
            "a:0",
            "a:080",
            "a:65536",
            "a:+80",
            "a:80:80",
            "a:8o",
            "a b",
            " a",
            "a\t",
            "a/b",
            "a?b",
            "a#b",
            "u@a",
            "u:p@a",
            "a,b",
            "a%2eb",
            "ä.example",
            "a\0",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:",
            "[::1%eth0]",
            "[v1.a]",
            "[]",
            "[::1]]",
            "h.test/evil?x#y",
            "a\\b",
        ] {
            assert_eq!(Authority::parse(text), Err(Malformed::Host), "{text:?}");
        }
        assert_eq!(Authority::parse(&"a".repeat(64)), Err(Malformed::Host));
        assert_eq!(Authority::parse(&["a"; 128].join(".")), Err(Malformed::Host));
    }
}
