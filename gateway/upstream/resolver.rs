use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use terms::{is_loopback_name, is_special};

/// How names are looked up.
#[derive(Clone, Debug)]
pub struct Dns {
    /// Whom to ask. Nobody: those that `/etc/resolv.conf` names.
    pub servers: Vec<SocketAddr>,
    /// The shortest time that an answer is believed, whatever its TTL says.
    pub min_ttl: Duration,
    /// The longest.
    pub max_ttl: Duration,
    /// How long to wait for one server.
    pub timeout: Duration,
    /// Whether an answer may name this machine, its link or a cloud's metadata.
    pub special: Special,
}

/// Whether the answer for a name may be an address of this machine, of its link, or of a cloud's metadata.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Special {
    /// It may. Only by a setting that says `insecure`.
    Believed,
    /// Such an answer is not believed, unless the name is `localhost`.
    Refused,
}

/// Looks names up: in `/etc/hosts` first, then at the name servers. Never on a request's path.
#[derive(Debug)]
pub struct Resolver {
    resolver: TokioResolver,
    dns: Dns,
}

/// What a name stands for, and for how long.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) good_for: Duration,
}

/// Why a name could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is no such name, it has no address, or no server answered.
    #[error("no address is found")]
    Failed(#[source] NetError),
    /// The resolver could not be set up.
    #[error("names cannot be looked up; does /etc/resolv.conf name a server?")]
    Setup(#[source] NetError),
    /// The answer is not one that a backend's name should have.
    #[error("the answer is {0}, which is this machine, its link or a cloud's metadata, and so is not believed")]
    Special(IpAddr),
}

/// The most addresses of one name that are looked at.
const MOST: usize = 64;

impl Resolver {
    /// A resolver with these settings. The files of the system are read now, and not again.
    ///
    /// # Errors
    /// No server is configured, here or in `/etc/resolv.conf`.
    pub fn new(dns: Dns) -> Result<Self, ResolveError> {
        let provider = TokioRuntimeProvider::default();
        let mut builder = if dns.servers.is_empty() {
            TokioResolver::builder(provider).map_err(ResolveError::Setup)?
        } else {
            let servers = dns.servers.iter().map(|server| {
                let mut config = NameServerConfig::udp_and_tcp(server.ip());
                for connection in &mut config.connections {
                    connection.port = server.port();
                }
                config
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            TokioResolver::builder_with_config(config, provider)
        };
        let options = builder.options_mut();
        options.cache_size = 0; // what is known is kept by whoever asked, and asked again when it is time
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Always;
        options.timeout = dns.timeout;
        let resolver = builder.build().map_err(ResolveError::Setup)?;
        Ok(Self { resolver, dns })
    }

    pub(crate) async fn look_up(&self, host: &str) -> Result<Answer, ResolveError> {
        let found = self.resolver.lookup_ip(host).await.map_err(ResolveError::Failed)?;
        let mut ips: Vec<IpAddr> = found.iter().map(|ip| ip.to_canonical()).collect();
        let special = ips.iter().find(|ip| is_special(**ip)).copied();
        // FAIL CLOSED: of an answer that lies in one address none is believed.
        if let Some(ip) = special.filter(|_| self.dns.special == Special::Refused && !is_loopback_name(host)) {
            return Err(ResolveError::Special(ip));
        }
        ips.sort_unstable();
        ips.dedup();
        ips.truncate(MOST);
        let Dns { min_ttl, max_ttl, .. } = &self.dns;
        let good_for = found.valid_until().saturating_duration_since(Instant::now());
        Ok(Answer { ips, good_for: good_for.min(*max_ttl).max(*min_ttl) })
    }
}

#[cfg(test)]
mod tests;
