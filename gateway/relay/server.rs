use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, RedisError, TlsCertificates};
use secrets::Kept;

/// How long it may take until a connection stands.
const CONNECT: Duration = Duration::from_secs(2);

/// How long an answer may take, besides what was asked to wait.
const ANSWER: Duration = Duration::from_secs(2);

/// Where Redis is, and who we are there.
#[derive(Clone)]
pub struct Server {
    login: Kept<Login>,
    prefix: Box<str>,
}

/// How the next connection is made. Another password does not end those that there are.
pub struct Login(Client);

/// Not an address of Redis that may be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidServer {
    /// Nothing is secured there.
    #[error("`ca` is for `rediss://`")]
    Authority,
    /// Over the network, everybody in between would read and write it.
    #[error("`redis://` is for this machine only: use `rediss://`, or say `insecure_plaintext: true`")]
    Plain,
    /// Unreadable, or with what stands elsewhere.
    #[error("`{0}` is not an address such as rediss://redis.internal:6379/0, without user and password")]
    Url(String),
    /// The authority's certificate, or what Redis makes of it.
    #[error("no client for it can be made")]
    Client(#[from] RedisError),
}

/// Where it is, and who we are there.
#[derive(Clone, Debug)]
pub struct Access<'a> {
    /// `rediss://host:port/database`, or `redis://`.
    pub url: &'a str,
    /// The user (ACL); the default one, if it is left out.
    pub user: Option<&'a str>,
    /// What the user proves itself with.
    pub password: Option<&'a str>,
    /// Whose certificates are believed, in PEM; the system's roots, if it is left out.
    pub ca: Option<Vec<u8>>,
    /// Whether `redis://` may leave this machine.
    pub plaintext: Plaintext,
}

/// Whether a connection over the network may be one that everybody in between can read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plaintext {
    /// It may.
    Believed,
    /// It may not.
    Refused,
}

impl Login {
    /// To the Redis that is reached in this way.
    ///
    /// # Errors
    /// The address is none, or not secure and not on this machine.
    pub fn new(access: Access<'_>) -> Result<Self, InvalidServer> {
        let Access { url, user, password, ca, plaintext } = access;
        let invalid = || InvalidServer::Url(if url.contains('@') { "…".into() } else { url.into() });
        let info = url.into_connection_info().map_err(|_| invalid())?;
        let anonymous = info.redis_settings().username().is_none() && info.redis_settings().password().is_none();
        let plain = match info.addr() {
            ConnectionAddr::Tcp(host, _) => Some(terms::is_loopback_name(host) || is_loopback(host)),
            ConnectionAddr::TcpTls { insecure: false, .. } => None,
            ConnectionAddr::TcpTls { .. } | ConnectionAddr::Unix(_) | _ => return Err(invalid()),
        };
        if !anonymous {
            return Err(invalid());
        }
        if ca.is_some() && plain.is_some() {
            return Err(InvalidServer::Authority);
        }
        if plain == Some(false) && plaintext == Plaintext::Refused {
            return Err(InvalidServer::Plain);
        }
        let mut settings = info.redis_settings().clone();
        if let Some(user) = user {
            settings = settings.set_username(user);
        }
        if let Some(password) = password {
            settings = settings.set_password(password);
        }
        let info = info.set_redis_settings(settings);
        let client = match plain {
            Some(_) => Client::open(info)?,
            None => Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: ca })?,
        };
        Ok(Self(client))
    }
}

impl Server {
    /// The Redis that is reached by this login. Everything of ours there begins with the prefix.
    pub fn new(login: impl Into<Kept<Login>>, prefix: &str) -> Self {
        Self { login: login.into(), prefix: prefix.into() }
    }

    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    pub(crate) async fn connect(&self, waits: Duration) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER.saturating_add(waits)));
        let client = self.login.glance().0.clone();
        client.get_multiplexed_async_connection_with_config(&config).await
    }
}

fn is_loopback(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// The address, and nothing of who we are.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("at", &self.0.get_connection_info().addr().to_string()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("login", &**self.login.glance()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(url: &str) -> Access<'_> {
        let (user, password, plaintext) = (Some("cloister"), Some("secret"), Plaintext::Refused);
        Access { url, user, password, ca: None, plaintext }
    }

    #[test]
    fn an_address_is_secure_or_on_this_machine_and_names_nobody() {
        for (url, good) in [
            ("redis://127.0.0.1:6379", true),
            ("redis://localhost/3", true),
            ("redis://[::1]:6379", true),
            ("rediss://redis.internal:6379/0", true),
            ("redis://redis.internal:6379", false),
            ("redis://10.0.0.1:6379", false),
            ("rediss://redis.internal:6379/#insecure", false),
            ("redis://user:pass@127.0.0.1:6379", false),
            ("redis://:pass@127.0.0.1:6379", false),
            ("unix:///run/redis.sock", false),
            ("http://127.0.0.1:6379", false),
            ("127.0.0.1:6379", false),
            ("", false),
        ] {
            let server = Login::new(access(url)).map(|login| Server::new(login, "cloister"));
            assert_eq!(server.is_ok(), good, "{url}");
            let shown = server.map_or_else(|error| terms::chain(&error), |server| format!("{server:?}"));
            assert!(!shown.contains("secret") && !shown.contains("pass@"), "{shown}");
        }
        let plaintext = Plaintext::Believed;
        assert!(Login::new(Access { plaintext, ..access("redis://10.0.0.1:6379") }).is_ok());
    }
}
