mod entry;
mod written;

use std::net::IpAddr;

use http::HeaderMap;
use terms::Networks;

use entry::Hop;

/// Which proxies in front are believed, and in which field they write whose request it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proxies {
    /// Where they are. Nobody else is believed.
    pub trusted: Networks,
    /// What they write. The other field is not looked at.
    pub field: ForwardedField,
}

/// A field in which a proxy says whom it forwards for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ForwardedField {
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For`, and `X-Forwarded-Proto` with it.
    #[default]
    XForwardedFor,
}

/// Whose request it is, and by whom it came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Client {
    /// The client's address: the last one that somebody who is believed vouches for.
    pub address: IpAddr,
    /// The believed proxies between the client and us, ours last. None if the client has connected to us itself.
    pub via: Vec<IpAddr>,
    /// What the client has spoken to the first of those proxies, if they say it.
    pub scheme: Option<Scheme>,
}

/// What a client has spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

/// As many proxies are walked through. Nobody has that many; whoever lets one write more of itself does not keep us busy.
const HOPS: usize = 32;

impl Client {
    /// Finds out whose request it is. From the peer of the connection on, whoever is believed is asked whom it forwards
    /// for; the first who is not believed is the client. Where a believed proxy says nothing, or nothing that can be read,
    /// it is itself as far as one can see: what stands before that could be anybody's word.
    #[must_use]
    pub fn find(peer: IpAddr, fields: &HeaderMap, proxies: &Proxies) -> Self {
        let mut client = Self { address: peer.to_canonical(), via: Vec::new(), scheme: None };
        if !proxies.trusted.contains(peer) {
            return client;
        }
        let mut hops = entry::hops(fields, proxies.field);
        while proxies.trusted.contains(client.address)
            && client.via.len() < HOPS
            && let Some(Some(Hop { address, scheme })) = hops.next()
        {
            client.via.push(client.address);
            client.address = address;
            client.scheme = scheme;
        }
        client.via.reverse();
        if proxies.field == ForwardedField::XForwardedFor {
            client.scheme = entry::scheme(fields);
        }
        client
    }
}
