use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use terms::{Finding, Span, UpstreamId};
use upstream::{
    AddressSettings, Balance, ClientTls, Defence, Location, Pool, Protocol, Settings, Timeouts, TlsSettings, Upstream,
    Verify,
};
use yaml::{At, Named};

use super::Compiler;
use crate::settings::file;

/// The heaviest that an address can be.
const HEAVIEST: u16 = 100;

/// How long a backend may be silent, where nothing is said about it.
const SILENCE: Duration = Duration::from_secs(60);

/// The most entries that an upstream has.
const MOST: usize = 256;

impl Compiler<'_> {
    pub(super) fn upstream(&mut self, Named { name, entry }: Named<file::Upstream>) -> Option<proxy::Backend> {
        let id: Option<UpstreamId> = self.parse(&name);
        let file::Upstream {
            addresses,
            balance,
            protocol,
            tls,
            pool,
            timeouts,
            retries,
            breaker,
            health,
            ejection,
            slow_return,
            max_in_flight,
            max_in_flight_per_tenant,
            queue,
            assertion,
        } = entry?;
        let addresses = self.addresses(&addresses);
        let timeouts = self.timeouts(timeouts);
        let health = self.health(protocol, health, ejection, slow_return);
        let tls_place = tls.as_ref().map_or(&name.spot, |tls| &tls.spot).place(self.file);
        let protocol = match (protocol, &tls) {
            (file::Protocol::H2, None) => {
                self.error(&name, "`protocol: h2` is spoken over TLS".into(), "add `tls`, or write `h2c`");
                None
            }
            (file::Protocol::H2c, Some(tls)) => {
                self.error(tls, "`protocol: h2c` is spoken without TLS".into(), "take `tls` away, or write `h2`");
                None
            }
            (file::Protocol::H2, Some(_)) => Some(Protocol::H2),
            (file::Protocol::H2c, None) => Some(Protocol::H2c),
            (file::Protocol::Http1, _) => Some(Protocol::Http1),
        };
        let tls = match (tls, &addresses) {
            (Some(tls), Some(addresses)) => self.client_tls(&tls, addresses).map(Some),
            (Some(_), None) => None,
            (None, _) => Some(None),
        };
        let balance = match balance {
            file::Balance::Consistent => Balance::Consistent,
            file::Balance::LeastRequests => Balance::LeastRequests,
            file::Balance::RoundRobin => Balance::RoundRobin,
        };
        let pool = match pool {
            Some(file::Pool::PerTenant) => Pool::PerTenant,
            Some(file::Pool::Shared) => Pool::Shared,
            None => match protocol {
                Some(Protocol::H2 | Protocol::H2c) => Pool::PerTenant,
                Some(Protocol::Http1) | None => Pool::Shared,
            },
        };
        let assertion = self.backend(&name, assertion);
        let defence = self.defence(retries, breaker, (max_in_flight, max_in_flight_per_tenant, queue));
        let (addresses, protocol, tls) = (addresses?, protocol?, tls?);
        let security = proxy::Security::new(id.clone()?, tls, pool);
        let security = security.map_err(|unfit| self.findings.push(Finding::error(tls_place, terms::chain(&unfit))));
        let now = Instant::now();
        let upstream =
            Upstream::new(Settings { id: id?, addresses, balance, protocol, timeouts, health: health? }, now);
        let defence = Arc::new(Defence::new(defence?, now));
        Some(proxy::Backend::new(Arc::new(upstream), security.ok()?, assertion?, defence))
    }

    fn timeouts(&mut self, written: file::Timeouts) -> Timeouts {
        let file::Timeouts { connect, tls, first_byte, read, write, idle, request } = written;
        if let (Some(first), Some(read)) = (&first_byte, read)
            && first.value.0 > read.0
        {
            let message = "no response is awaited for longer than the backend may be silent".into();
            self.error(first, message, "make `read` as long, or leave it out");
        }
        let first_byte = first_byte.map(|first| first.value.0);
        let read = read.map_or_else(|| first_byte.unwrap_or_default().max(SILENCE), |Span(read)| read);
        Timeouts {
            connect: connect.0,
            tls: tls.0,
            first_byte: first_byte.unwrap_or(read),
            read,
            write: write.0,
            idle: idle.0,
            request: request.0,
        }
    }

    fn addresses(&mut self, written: &At<Vec<At<file::Address>>>) -> Option<Vec<AddressSettings>> {
        if written.value.is_empty() {
            self.error(written, "an upstream needs an address".into(), "for example `[\"127.0.0.1:9001\"]`");
        }
        if written.value.len() > MOST {
            self.error(written, format!("an upstream has at most {MOST} addresses"), "a name can stand for many");
        }
        let mut seen: Vec<Location> = Vec::new();
        let mut addresses = Vec::with_capacity(written.value.len());
        for entry in &written.value {
            let (text, weight) = match &entry.value {
                file::Address::Plain(text) => (At { spot: entry.spot, value: text.clone() }, 1),
                file::Address::Weighted(file::Weighted { address, weight }) => {
                    if !(1..=HEAVIEST).contains(&weight.value) {
                        self.error(
                            weight,
                            format!("a weight is 1 to {HEAVIEST}"),
                            "to take an address out, leave it out",
                        );
                    }
                    (address.clone(), weight.value)
                }
            };
            let at: Option<Location> = self.parse(&text);
            if at.as_ref().is_some_and(|at| seen.contains(at)) {
                self.error(&text, format!("`{}` stands here twice", text.value), "give one of them more weight");
            }
            seen.extend(at.clone());
            addresses.push(at.map(|at| AddressSettings { at, weight }));
        }
        addresses.into_iter().collect()
    }

    fn client_tls(&mut self, written: &At<file::UpstreamTls>, addresses: &[AddressSettings]) -> Option<ClientTls> {
        let file::UpstreamTls { ca, server_name, certificate, key, insecure_skip_verify } = &written.value;
        let path = |text: &At<String>| PathBuf::from(&text.value);
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((path(certificate), path(key))),
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => {
                self.error(one, "a certificate and its key go together".into(), "give `certificate` and `key`");
                return None;
            }
        };
        if let (Some(ca), true) = (ca, *insecure_skip_verify) {
            self.error(ca, "with `insecure_skip_verify` nothing is asked of this".into(), "take one of them away");
            return None;
        }
        let Some(name) = server_name.as_ref().map(|name| name.value.clone()).or_else(|| common_host(addresses)) else {
            let message = "nothing says which name the certificate of this upstream must be for";
            self.error(written, message.into(), "give `server_name`");
            return None;
        };
        let verify = if *insecure_skip_verify { Verify::Nothing } else { Verify::Whole };
        let settings = TlsSettings { ca: ca.as_ref().map(path), server_name: name, identity, verify };
        ClientTls::load(settings, &self.roots())
            .map_err(|error| {
                let named = [ca, certificate, key].into_iter().flatten();
                let at = named.into_iter().find(|text| error.file() == Some(Path::new(&text.value)));
                let spot = at.map_or(written.spot, |text| text.spot);
                self.findings.push(Finding::error(spot.place(self.file), terms::chain(&error)));
            })
            .ok()
    }

    /// What the system believes; nothing, if that cannot be read.
    fn roots(&self) -> rustls::RootCertStore {
        crate::roots::of_the_system().unwrap_or_else(|_| rustls::RootCertStore::empty())
    }
}

/// The host of all addresses, if they have one and the same.
fn common_host(addresses: &[AddressSettings]) -> Option<String> {
    let mut hosts = addresses.iter().map(|address| match &address.at {
        Location::Literal(_) => None,
        Location::Name { host, .. } => Some(host),
    });
    let first = hosts.next()??;
    hosts.all(|host| host == Some(first)).then(|| first.to_string())
}
