mod reading;
mod v1;
mod v2;

use std::net::{IpAddr, SocketAddr};

pub(crate) use reading::{Unread, read};

/// What a proxy in front says of a connection before its first byte: the PROXY protocol, versions 1 and 2, of HAProxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProxyHeader {
    /// How many bytes it has. What follows them is the client's.
    pub length: usize,
    /// Whose connection it is.
    pub origin: Origin,
}

/// Whose connection a proxy hands over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// A client's.
    Client {
        /// Where the client is.
        source: SocketAddr,
        /// Where it has connected to.
        destination: SocketAddr,
    },
    /// The proxy's own, as for a health check, or one of which it does not know the addresses: those of the socket hold.
    Proxy,
}

/// Why bytes are no header of the PROXY protocol. Whoever sends them is not who was expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidProxyHeader {
    /// An address that cannot be read, or cannot be a client's.
    #[error("an address that no client can have")]
    Address,
    /// The checksum does not fit.
    #[error("a checksum that does not fit")]
    Checksum,
    /// Neither `LOCAL` nor `PROXY`, or of another version than 2.
    #[error("a command or a version that is not known")]
    Command,
    /// Not the fields of its kind, in their order, each set off by one space.
    #[error("fields that are not those of a header")]
    Fields,
    /// Neither TCP over IPv4 nor over IPv6: a datagram, a UNIX socket.
    #[error("a transport that is not tcp")]
    Transport,
    /// Longer than any header.
    #[error("longer than a header may be")]
    TooLong,
    /// Something else than a header.
    #[error("no header")]
    Unsigned,
}

impl ProxyHeader {
    /// Reads the header at the start of `bytes`. `None`: all of these belong to it, and there is more to come.
    ///
    /// # Errors
    /// As soon as it is certain that no bytes that follow would make it one.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, InvalidProxyHeader> {
        if begins(bytes, v2::SIGNATURE) {
            v2::parse(bytes)
        } else if begins(bytes, v1::SIGNATURE) {
            v1::parse(bytes)
        } else {
            Err(InvalidProxyHeader::Unsigned)
        }
    }
}

/// Whether these are a signature, or the beginning of one.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(byte, expected)| byte == expected)
}

/// The address of a client, IPv4 as IPv4 in whatever form it comes. `None` for what no client connects from.
fn client(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    (!address.is_unspecified() && !address.is_multicast() && !broadcast).then_some(address)
}

#[cfg(test)]
mod tests;
