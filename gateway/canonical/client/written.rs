//! What whoever is behind us is told of the client: every believed step, so that it reads back to the same.

use std::fmt;
use std::net::IpAddr;

use super::{Client, Scheme};

impl Client {
    /// As `X-Forwarded-For` has it: the client, and the proxies between it and us.
    #[must_use]
    pub fn to_x_forwarded_for(&self) -> String {
        let mut text = self.address.to_string();
        for proxy in &self.via {
            text.push_str(", ");
            text.push_str(&proxy.to_string());
        }
        text
    }

    /// The same as `Forwarded` has it, with the host that was asked for and what was spoken.
    #[must_use]
    pub fn to_forwarded(&self, host: &str, scheme: Scheme) -> String {
        let mut text = format!("for={};host=\"{host}\";proto={}", Node(self.address), scheme.as_str());
        for proxy in &self.via {
            text.push_str(", for=");
            text.push_str(&Node(*proxy).to_string());
        }
        text
    }
}

impl Scheme {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// An address as `Forwarded` has it (RFC 7239 §6).
struct Node(IpAddr);

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => write!(f, "\"[{address}]\""),
        }
    }
}
