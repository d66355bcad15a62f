//! Version 1: one line of text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{InvalidProxyHeader, Origin, ProxyHeader, client};

pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// The longest line, with its end.
const LONGEST: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<ProxyHeader>, InvalidProxyHeader> {
    let Some(end) = bytes.iter().take(LONGEST).position(|byte| *byte == b'\n') else {
        return if bytes.len() < LONGEST { Ok(None) } else { Err(InvalidProxyHeader::TooLong) };
    };
    let line = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(InvalidProxyHeader::Fields)?;
    let line = std::str::from_utf8(line).map_err(|_| InvalidProxyHeader::Fields)?;
    Ok(Some(ProxyHeader { length: end + 1, origin: origin(line)? }))
}

fn origin(line: &str) -> Result<Origin, InvalidProxyHeader> {
    let mut fields = line.split(' ').skip(1);
    match fields.next() {
        Some("TCP4") => addresses::<Ipv4Addr>(fields),
        Some("TCP6") => addresses::<Ipv6Addr>(fields),
        Some("UNKNOWN") => Ok(Origin::Proxy), // whatever follows
        Some(_) | None => Err(InvalidProxyHeader::Transport),
    }
}

fn addresses<'a, A: std::str::FromStr + Into<IpAddr>>(
    fields: impl Iterator<Item = &'a str>,
) -> Result<Origin, InvalidProxyHeader> {
    let fields: Vec<&str> = fields.take(5).collect();
    let [source, destination, source_port, destination_port] = *fields else {
        return Err(InvalidProxyHeader::Fields);
    };
    let address = |text: &str| text.parse::<A>().map(Into::into).map_err(|_| InvalidProxyHeader::Address);
    let source = client(address(source)?).ok_or(InvalidProxyHeader::Address)?;
    let destination = address(destination)?.to_canonical();
    Ok(Origin::Client {
        source: SocketAddr::new(source, port(source_port)?),
        destination: SocketAddr::new(destination, port(destination_port)?),
    })
}

/// Digits alone, none of them a leading zero.
fn port(text: &str) -> Result<u16, InvalidProxyHeader> {
    let plain = text == "0" || text.starts_with(|first: char| ('1'..='9').contains(&first));
    text.parse().ok().filter(|_| plain).ok_or(InvalidProxyHeader::Fields)
}
