//! Version 2: sixteen bytes that say what follows, addresses, and what else the proxy has to say, as type, length, value.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{InvalidProxyHeader, Origin, ProxyHeader, client};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header. The format would take 64 KiB; what proxies say fits into far less.
const LONGEST: usize = 4096;

/// The type of the checksum over the whole header (`PP2_TYPE_CRC32C`).
const CHECKSUM: u8 = 0x03;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<ProxyHeader>, InvalidProxyHeader> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<16>() else { return Ok(None) };
    let [.., command, transport, high, low] = *fixed;
    if !matches!(command, LOCAL | PROXY) {
        return Err(InvalidProxyHeader::Command);
    }
    let length = fixed.len() + usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST {
        return Err(InvalidProxyHeader::TooLong);
    }
    let (Some(header), Some(block)) = (bytes.get(..length), rest.get(..length - fixed.len())) else {
        return Ok(None);
    };
    let (origin, values) = match (command, transport) {
        (LOCAL, _) | (_, UNSPECIFIED) => return Ok(Some(ProxyHeader { length, origin: Origin::Proxy })),
        (_, TCP_OVER_IPV4) => addresses::<4, Ipv4Addr>(block)?,
        (_, TCP_OVER_IPV6) => addresses::<16, Ipv6Addr>(block)?,
        _ => return Err(InvalidProxyHeader::Transport),
    };
    check(header, values)?;
    Ok(Some(ProxyHeader { length, origin }))
}

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// Who has connected to what, and what follows the addresses.
fn addresses<const N: usize, A: From<[u8; N]> + Into<IpAddr>>(
    block: &[u8],
) -> Result<(Origin, &[u8]), InvalidProxyHeader> {
    let read = || {
        let (source, block) = block.split_first_chunk::<N>()?;
        let (destination, block) = block.split_first_chunk::<N>()?;
        let (source_port, block) = block.split_first_chunk()?;
        let (destination_port, block) = block.split_first_chunk()?;
        let source = (A::from(*source).into(), u16::from_be_bytes(*source_port));
        let destination = (A::from(*destination).into(), u16::from_be_bytes(*destination_port));
        Some((source, destination, block))
    };
    let (source, destination, values) = read().ok_or(InvalidProxyHeader::Fields)?;
    let origin = Origin::Client {
        source: SocketAddr::new(client(source.0).ok_or(InvalidProxyHeader::Address)?, source.1),
        destination: SocketAddr::new(destination.0.to_canonical(), destination.1),
    };
    Ok((origin, values))
}

/// Passes over all that the proxy says beside the addresses; only the checksum, where there is one, must be right.
fn check(header: &[u8], mut values: &[u8]) -> Result<(), InvalidProxyHeader> {
    let mut checked = false;
    while !values.is_empty() {
        let ([kind, high, low], rest) = values.split_first_chunk().ok_or(InvalidProxyHeader::Fields)?;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, rest) = rest.split_at_checked(length).ok_or(InvalidProxyHeader::Fields)?;
        if *kind == CHECKSUM {
            let expected = value.try_into().map(u32::from_be_bytes).map_err(|_| InvalidProxyHeader::Fields)?;
            if checked || checksum(header, rest.len()) != Some(expected) {
                return Err(InvalidProxyHeader::Checksum);
            }
            checked = true;
        }
        values = rest;
    }
    Ok(())
}

/// CRC-32C over the header with zeros in place of the checksum, behind which so many bytes follow.
fn checksum(header: &[u8], behind: usize) -> Option<u32> {
    let (before, rest) = header.split_at_checked(header.len().checked_sub(behind)?.checked_sub(4)?)?;
    let before = crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]);
    Some(crc32c::crc32c_append(before, rest.get(4..)?))
}
