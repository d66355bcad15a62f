use std::fmt;
use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterClientBuilder, ClusterConfig};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _,
    RedisError, TlsCertificates,
};

use crate::Connection;
use crate::connection::Link;

/// How long it may take until a connection stands.
const CONNECT: Duration = Duration::from_secs(2);

/// How long an answer may take, besides what was asked to wait.
const ANSWER: Duration = Duration::from_secs(2);

/// How the next connection is made. Another password does not end those that there are.
pub struct Login(Way);

enum Way {
    Cluster(Box<ClusterClient>),
    One(Client),
    Sentinels { master: String, sentinels: Vec<Client>, who: Who, is_tls: IsTls },
}

/// Whether a server is spoken with over TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum IsTls {
    No,
    Yes,
}

/// Not an address of Redis that may be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidServer {
    /// Nothing is secured there.
    #[error("`ca` and a certificate are for `rediss://`")]
    Authority,
    /// Some are, and some are not.
    #[error("all of them are `rediss://`, or none")]
    Mixed,
    /// There is none.
    #[error("nothing says where it is")]
    Nowhere,
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
    /// How it is found.
    pub at: Place<'a>,
    /// The user (ACL); the default one, if it is left out.
    pub user: Option<&'a str>,
    /// What the user proves itself with.
    pub password: Option<&'a str>,
    /// Whose certificates are believed, in PEM; the system's roots, if it is left out.
    pub ca: Option<Vec<u8>>,
    /// Our certificate and its key, in PEM, where it asks for one.
    pub identity: Option<Identity>,
    /// Whether `redis://` may leave this machine.
    pub plaintext: Plaintext,
}

/// How it is found. Addresses are `rediss://host:port/database`, or `redis://`.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// Of a cluster, some of whose nodes are here; they know the others.
    Cluster(&'a [&'a str]),
    /// There.
    One(&'a str),
    /// Wherever these Sentinels say that the master of this name is. It is asked as we ask them: over TLS or not.
    Sentinels {
        /// What the Sentinels call it.
        master: &'a str,
        /// Where they are.
        urls: &'a [&'a str],
    },
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, and those between it and the authority.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(***)")
    }
}

/// Whether a connection over the network may be one that everybody in between can read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plaintext {
    /// It may.
    Believed,
    /// It may not.
    Refused,
}

/// Who we are to a server, and whom we believe.
struct Who {
    user: Option<String>,
    password: Option<String>,
    certificates: TlsCertificates,
}

impl Login {
    /// To the Redis that is reached in this way.
    ///
    /// # Errors
    /// An address is none, or not secure and not on this machine.
    pub fn new(access: Access<'_>) -> Result<Self, InvalidServer> {
        let Access { at, user, password, ca, identity, plaintext } = access;
        let urls = match &at {
            Place::One(url) => std::slice::from_ref(url),
            Place::Cluster(urls) | Place::Sentinels { urls, .. } => *urls,
        };
        let read: Vec<_> = urls.iter().map(|url| address(url, plaintext)).collect::<Result<_, _>>()?;
        let Some((_, is_tls)) = read.first() else { return Err(InvalidServer::Nowhere) };
        let is_tls = *is_tls;
        if read.iter().any(|(_, other)| *other != is_tls) {
            return Err(InvalidServer::Mixed);
        }
        if is_tls == IsTls::No && (ca.is_some() || identity.is_some()) {
            return Err(InvalidServer::Authority);
        }
        let identity = identity.map(|it| ClientTlsConfig { client_cert: it.certificate, client_key: it.key });
        let certificates = TlsCertificates { client_tls: identity, root_cert: ca };
        let who = Who { user: user.map(str::to_owned), password: password.map(str::to_owned), certificates };
        let infos = read.into_iter().map(|(info, _)| info);
        let way = match at {
            Place::One(_) => match infos.last() {
                Some(info) => Way::One(who.client(info, is_tls)?),
                None => return Err(InvalidServer::Nowhere),
            },
            Place::Cluster(_) => Way::Cluster(Box::new(who.cluster(infos.collect(), is_tls)?)),
            Place::Sentinels { master, .. } => {
                // They say to anybody where the master is: nobody's password goes to them.
                let nobody = Who { user: None, password: None, certificates: who.certificates.clone() };
                let sentinels = infos.map(|info| nobody.client(info, is_tls)).collect::<Result<_, _>>()?;
                Way::Sentinels { master: master.to_owned(), sentinels, who, is_tls }
            }
        };
        Ok(Self(way))
    }

    /// Connects. An answer may take so long, besides what it takes in any case.
    pub(crate) async fn connect(&self, waits: Duration) -> Result<Connection, RedisError> {
        let link = match &self.0 {
            Way::One(client) => Link::One(open(client, waits).await?),
            Way::Cluster(client) => {
                let config = ClusterConfig::new()
                    .set_connection_timeout(CONNECT)
                    .set_response_timeout(ANSWER.saturating_add(waits));
                Link::Cluster(client.get_async_connection_with_config(config).await?)
            }
            Way::Sentinels { master, sentinels, who, is_tls } => {
                let mut last = RedisError::from((ErrorKind::Client, "no Sentinel knows the master"));
                for sentinel in sentinels {
                    match who.master(sentinel, master, *is_tls, waits).await {
                        Ok(connection) => return Ok(Connection(Link::One(connection))),
                        Err(error) => last = error,
                    }
                }
                return Err(last);
            }
        };
        Ok(Connection(link))
    }

    pub(crate) fn shown(&self) -> String {
        match &self.0 {
            Way::Cluster(_) => "a cluster".to_owned(),
            Way::One(client) => client.get_connection_info().addr().to_string(),
            Way::Sentinels { master, .. } => format!("the master `{master}`"),
        }
    }
}

async fn open(client: &Client, waits: Duration) -> Result<redis::aio::MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER.saturating_add(waits)));
    client.get_multiplexed_async_connection_with_config(&config).await
}

impl Who {
    fn client(&self, info: ConnectionInfo, is_tls: IsTls) -> Result<Client, RedisError> {
        let mut settings = info.redis_settings().clone();
        if let Some(user) = &self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        let info = info.set_redis_settings(settings);
        match is_tls {
            IsTls::No => Client::open(info),
            IsTls::Yes => Client::build_with_tls(info, self.certificates.clone()),
        }
    }

    fn cluster(&self, infos: Vec<ConnectionInfo>, is_tls: IsTls) -> Result<ClusterClient, RedisError> {
        let mut builder = ClusterClientBuilder::new(infos).retries(2);
        if let Some(user) = &self.user {
            builder = builder.username(user);
        }
        if let Some(password) = &self.password {
            builder = builder.password(password);
        }
        if is_tls == IsTls::Yes {
            builder = builder.certs(self.certificates.clone());
        }
        builder.build()
    }

    /// A connection to the master that this Sentinel knows; what was one and is none any more, is not taken for it.
    async fn master(
        &self,
        sentinel: &Client,
        master: &str,
        is_tls: IsTls,
        waits: Duration,
    ) -> Result<redis::aio::MultiplexedConnection, RedisError> {
        let mut asked = open(sentinel, Duration::ZERO).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(master);
        let found: Option<(String, u16)> = question.query_async(&mut asked).await?;
        let (host, port) =
            found.ok_or_else(|| RedisError::from((ErrorKind::Client, "the Sentinel knows no such master")))?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let scheme = if is_tls == IsTls::Yes { "rediss" } else { "redis" };
        let info = format!("{scheme}://{host}:{port}").into_connection_info()?;
        let mut connection = open(&self.client(info, is_tls)?, waits).await?;
        let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
        match role.first() {
            Some(redis::Value::BulkString(word)) if word == b"master" => Ok(connection),
            _ => Err((ErrorKind::Client, "what the Sentinel calls the master is none").into()),
        }
    }
}

/// An address that may be used, without anybody's name in it.
fn address(url: &str, plaintext: Plaintext) -> Result<(ConnectionInfo, IsTls), InvalidServer> {
    let invalid = || InvalidServer::Url(if url.contains('@') { "…".into() } else { url.into() });
    let info = url.into_connection_info().map_err(|_| invalid())?;
    if info.redis_settings().username().is_some() || info.redis_settings().password().is_some() {
        return Err(invalid());
    }
    let is_tls = match info.addr() {
        ConnectionAddr::Tcp(host, _) => {
            let is_local = terms::is_loopback_name(host) || is_loopback(host);
            if !is_local && plaintext == Plaintext::Refused {
                return Err(InvalidServer::Plain);
            }
            IsTls::No
        }
        ConnectionAddr::TcpTls { insecure: false, .. } => IsTls::Yes,
        ConnectionAddr::TcpTls { .. } | ConnectionAddr::Unix(_) | _ => return Err(invalid()),
    };
    Ok((info, is_tls))
}

fn is_loopback(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// The address, and nothing of who we are.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("at", &self.shown()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access<'a>(at: Place<'a>) -> Access<'a> {
        let (user, password, plaintext) = (Some("cloister"), Some("secret"), Plaintext::Refused);
        Access { at, user, password, ca: None, identity: None, plaintext }
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
            for at in [Place::One(url), Place::Sentinels { master: "m", urls: &[url] }, Place::Cluster(&[url])] {
                if matches!(at, Place::Cluster(_)) && url.ends_with("/3") {
                    continue; // a cluster has one database, in versions that are not new
                }
                let login = Login::new(access(at));
                assert_eq!(login.is_ok(), good, "{at:?}");
                let shown = login.map_or_else(|error| terms::chain(&error), |login| format!("{login:?}"));
                assert!(!shown.contains("secret") && !shown.contains("pass@"), "{shown}");
            }
        }
        let plaintext = Plaintext::Believed;
        assert!(Login::new(Access { plaintext, ..access(Place::One("redis://10.0.0.1:6379")) }).is_ok());
        let two = ["redis://127.0.0.1:6379", "rediss://127.0.0.1:6380"];
        for at in [Place::Cluster(&two), Place::Cluster(&[]), Place::Sentinels { master: "m", urls: &two }] {
            assert!(Login::new(access(at)).is_err(), "{at:?}");
        }
    }
}
