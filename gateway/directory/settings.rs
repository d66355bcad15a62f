use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use secrets::{Kept, Secret};

/// What is asked, where, and how long its answers count.
#[derive(Debug)]
pub struct Settings {
    /// Where the database is.
    pub server: Server,
    /// Connections that ask who is a member.
    pub connections: usize,
    /// On which channel it says that something has changed.
    pub channel: Channel,
    /// Who belongs where, if anybody wants to know.
    pub memberships: Option<Memberships>,
    /// Which tenants there are, if they stand there.
    pub tenants: Option<Tenants>,
}

impl Settings {
    /// Whether others could say in its place who belongs where.
    #[must_use]
    pub fn is_open_to_all(&self) -> bool {
        self.server.is_open_to_all()
    }
}

/// One database, and who we are there.
#[derive(Debug)]
pub struct Server {
    /// Where it is, in the order in which they are tried. Of several, one is no standby.
    pub addresses: Vec<Address>,
    /// Its name.
    pub database: String,
    /// The role.
    pub user: String,
    /// What it proves itself with. Another one is for connections that are made from then on.
    pub password: Option<Kept<Secret<Vec<u8>>>>,
    /// How connections over the network are secured.
    pub security: Security,
    /// How long it may take until a connection stands.
    pub connect: Duration,
    /// How long one request waits, whatever it waits for.
    pub wait: Duration,
}

impl Server {
    /// Whether others can read and change what is said.
    #[must_use]
    pub fn is_open_to_all(&self) -> bool {
        matches!(self.security, Security::Plain) && !self.addresses.iter().all(Address::is_local)
    }
}

/// How connections over the network are secured.
#[derive(Clone, Debug)]
pub enum Security {
    /// Not at all.
    Plain,
    /// By TLS, which this configuration judges.
    Tls(Arc<rustls::ClientConfig>),
}

/// Who belongs where, and how long that counts.
#[derive(Debug)]
pub struct Memberships {
    /// Asks for the roles of `$2` in `$1`, and of which issuer, if it has `$3`.
    pub query: String,
    /// Whose subjects may be asked for.
    pub subjects: Subjects,
    /// How long roles are remembered.
    pub remember: Duration,
    /// How long it is remembered that somebody does not belong.
    pub remember_unknown: Duration,
    /// How long either is, while the database cannot say that something has changed.
    pub without_notice: Duration,
    /// How many memberships are remembered.
    pub entries: usize,
}

/// Which tenants there are.
#[derive(Debug)]
pub struct Tenants {
    /// Reads all of them.
    pub query: String,
    /// How often it does, besides when they are said to have changed.
    pub refresh: Duration,
}

/// Whose subjects may be asked for. One is unique only within its issuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subjects {
    /// Those of one issuer, so that the query need not ask which.
    OfOneIssuer,
    /// Those of several, so that it must.
    OfSeveralIssuers,
}

/// Where a database is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// On the network.
    Tcp {
        /// The host's name or IP address, which its certificate must name.
        host: Box<str>,
        /// The port.
        port: u16,
    },
    /// On this machine: a socket `.s.PGSQL.<port>` in this folder.
    Unix(PathBuf),
}

/// Not an address of a PostgreSQL.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an address is `host:port`, or the path of a socket such as /run/postgresql/.s.PGSQL.5432")]
pub struct InvalidAddress;

impl Address {
    /// Whether what is said there stays on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => {
                let ip = host.parse::<std::net::IpAddr>();
                terms::is_loopback_name(host) || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
            }
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') {
            return Ok(Self::Unix(PathBuf::from(text)));
        }
        let (host, port) = text.rsplit_once(':').ok_or(InvalidAddress)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse::<u16>().ok().filter(|port| *port > 0).ok_or(InvalidAddress)?;
        let good = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:_".contains(&byte));
        if good { Ok(Self::Tcp { host: host.into(), port }) } else { Err(InvalidAddress) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The name of a channel of `NOTIFY`, which needs no quotes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Channel(Box<str>);

/// Not the name of a channel.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a channel has 1 to 63 small letters, digits and `_`, and begins with a letter")]
pub struct InvalidChannel;

impl Channel {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Channel {
    type Err = InvalidChannel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let good = plain && text.len() <= 63 && text.starts_with(|first: char| first.is_ascii_lowercase());
        if good { Ok(Self(text.into())) } else { Err(InvalidChannel) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_the_network_or_a_socket() {
        for (text, shown, local) in [
            ("db.internal:5432", Some("db.internal:5432"), false),
            ("10.0.0.1:5432", Some("10.0.0.1:5432"), false),
            ("[::1]:5432", Some("::1:5432"), true),
            ("127.0.0.1:1", Some("127.0.0.1:1"), true),
            ("localhost:5432", Some("localhost:5432"), true),
            ("/run/postgresql/.s.PGSQL.5432", Some("/run/postgresql/.s.PGSQL.5432"), true),
            ("db.internal", None, false),
            (":5432", None, false),
            ("db:0", None, false),
            ("db:70000", None, false),
            ("postgres://u:p@db:5432", None, false),
            ("", None, false),
        ] {
            let address = text.parse::<Address>();
            assert_eq!(address.as_ref().map(ToString::to_string).ok().as_deref(), shown, "{text}");
            assert_eq!(address.is_ok_and(|address| address.is_local()), local, "{text}");
        }
    }

    #[test]
    fn a_channel_needs_no_quotes() {
        for (text, good) in [("cloister", true), ("a_1", true), ("", false), ("Cloister", false), ("a\"; DROP", false)]
        {
            assert_eq!(text.parse::<Channel>().is_ok(), good, "{text}");
        }
    }
}
