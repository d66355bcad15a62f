use std::sync::Arc;
use std::time::Duration;

use directory::{Address, Channel, Memberships, Security, Server, Settings, Subjects, Tenants};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use terms::{Finding, Span};
use yaml::{At, Named};

use super::Compiler;
use crate::settings::file;

const MEMBERSHIPS: &str = "SELECT role FROM user_tenants WHERE tenant_id = $1 AND user_id = $2";
const TENANTS: &str = "SELECT id, status, plan, region, issuers, clients_allow, clients_deny, session_max, mfa, mfa_amr, mfa_acr \
                       FROM tenants";
const REFRESH: Duration = Duration::from_secs(30);
const CONNECTIONS: u16 = 4;
const MOST_CONNECTIONS: u16 = 64;
const CONNECT: Duration = Duration::from_secs(2);
const WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const REMEMBER: Duration = Duration::from_secs(60);
const REMEMBER_UNKNOWN: Duration = Duration::from_secs(10);
const WITHOUT_NOTICE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60 * 60);
const ENTRIES: u32 = 100_000;

/// The names of the issuers whose members the directory knows.
pub(super) fn users(issuers: &[Named<file::Issuer>]) -> Vec<String> {
    let uses = |issuer: &file::Issuer| match issuer.members {
        file::Members::Claims => false,
        file::Members::Directory | file::Members::Union => true,
    };
    let users = issuers.iter().filter(|named| named.entry.as_ref().is_some_and(uses));
    users.map(|named| named.name.value.clone()).collect()
}

impl Compiler<'_> {
    /// `users` are the issuers whose members it knows.
    pub(super) fn directory(&mut self, entry: file::Directory, users: &[String]) -> Option<Settings> {
        let file::Postgresql {
            addresses,
            database,
            user,
            password,
            ca,
            insecure_plaintext,
            connections,
            connect,
            wait,
            channel,
            memberships,
            tenants,
        } = entry.postgresql;
        let (read, security) = self.postgresql(&addresses, ca, insecure_plaintext);
        let password = password.map(|written| self.plain_secret("directory.postgresql.password", &written));
        let connections = connections.map_or(CONNECTIONS, |written| {
            if written.value == 0 || written.value > MOST_CONNECTIONS {
                self.error(&written, format!("from 1 to {MOST_CONNECTIONS} connections"), "leave it out for 4");
            }
            written.value
        });
        let channel = channel.map_or_else(|| "cloister".parse::<Channel>().ok(), |channel| self.parse(&channel));
        let memberships = if users.is_empty() && memberships.is_none() && tenants.is_some() {
            None
        } else {
            Some(self.memberships(memberships, &addresses, users))
        };
        let tenants = tenants.map(|file::Tenants { query, refresh }| Tenants {
            query: query.map_or_else(|| TENANTS.to_owned(), |query| query.value),
            refresh: self.span(refresh, REFRESH, LONGEST),
        });
        Some(Settings {
            connections: usize::from(connections),
            channel: channel?,
            memberships: match memberships {
                Some(memberships) => Some(memberships?),
                None => None,
            },
            tenants,
            server: Server {
                addresses: read?,
                database: database.value,
                user: user.value,
                password: match password {
                    Some(password) => Some(password?),
                    None => None,
                },
                security: security?,
                connect: self.span(connect, CONNECT, LONGEST_WAIT),
                wait: self.span(wait, WAIT, LONGEST_WAIT),
            },
        })
    }

    fn memberships(
        &mut self,
        entry: Option<At<file::Memberships>>,
        addresses: &At<Vec<At<String>>>,
        users: &[String],
    ) -> Option<Memberships> {
        if users.is_empty() {
            let help = "say `members: directory` or `members: union` of an issuer, or leave the section out";
            self.error(addresses, "no issuer has its members in the directory".into(), help);
            return None;
        }
        let file::Memberships { query, remember, remember_unknown, without_notice, entries } =
            entry.map(|entry| entry.value).unwrap_or_default();
        let of_several = users.len() > 1;
        let text = query.as_ref().map_or(MEMBERSHIPS, |query| query.value.as_str()).to_owned();
        if of_several && !text.contains("$3") {
            let message = format!("{} have their members in the directory", users.join(" and "));
            let help = "a subject is unique only within its issuer; give a `query` that also asks for the issuer, $3";
            match &query {
                Some(query) => self.error(query, message, help),
                None => self.error(addresses, message, help),
            }
        }
        let entries = entries.map_or(ENTRIES, |written| {
            if written.value == 0 {
                self.error(&written, "nothing could be remembered".into(), "leave it out for 100000");
            }
            written.value
        });
        Some(Memberships {
            query: text,
            subjects: if of_several { Subjects::OfSeveralIssuers } else { Subjects::OfOneIssuer },
            remember: self.span(remember, REMEMBER, LONGEST),
            remember_unknown: self.span(remember_unknown, REMEMBER_UNKNOWN, LONGEST),
            without_notice: self.span(without_notice, WITHOUT_NOTICE, LONGEST),
            entries: usize::try_from(entries).unwrap_or(usize::MAX),
        })
    }

    /// Where a database is, and how connections to it are secured.
    pub(super) fn postgresql(
        &mut self,
        addresses: &At<Vec<At<String>>>,
        ca: Option<At<String>>,
        plaintext: Option<At<bool>>,
    ) -> (Option<Vec<Address>>, Option<Security>) {
        if addresses.value.is_empty() {
            self.error(addresses, "nothing says where the database is".into(), "write `[\"db.internal:5432\"]`");
        }
        let read: Vec<Option<Address>> = addresses.value.iter().map(|address| self.parse(address)).collect();
        let is_local = read.iter().flatten().all(Address::is_local);
        let security = self.security(is_local, ca, plaintext);
        (read.into_iter().collect::<Option<Vec<_>>>().filter(|read| !read.is_empty()), security)
    }

    /// How connections are secured: by TLS, unless they stay on this machine or somebody has said that they need not be.
    pub(super) fn security(
        &mut self,
        is_local: bool,
        ca: Option<At<String>>,
        plaintext: Option<At<bool>>,
    ) -> Option<Security> {
        let is_plain = plaintext.as_ref().is_some_and(|plaintext| plaintext.value);
        if let Some(ca) = ca.as_ref().filter(|_| is_plain) {
            self.error(ca, "without TLS there are no certificates".into(), "leave out `ca` or `insecure_plaintext`");
        }
        // On this machine nobody is in between; whoever names an authority wants TLS there, too.
        if is_plain || (is_local && ca.is_none()) {
            return Some(Security::Plain);
        }
        let roots = match ca {
            None => crate::roots::of_the_system().ok()?, // what is wrong with them is said elsewhere
            Some(ca) => {
                let roots = roots(&ca.value);
                let fault = |why: String| {
                    self.findings.push(Finding::error(ca.spot.place(self.file), why));
                };
                roots.map_err(fault).ok()?
            }
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let judge = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
        Some(Security::Tls(Arc::new(judge.with_root_certificates(roots).with_no_client_auth())))
    }

    fn span(&mut self, written: Option<At<Span>>, default: Duration, longest: Duration) -> Duration {
        self.span_between(written, default, Duration::from_millis(100), longest)
    }

    pub(super) fn span_between(
        &mut self,
        written: Option<At<Span>>,
        default: Duration,
        shortest: Duration,
        longest: Duration,
    ) -> Duration {
        let Some(written) = written else { return default };
        let Span(span) = written.value;
        if span < shortest || span > longest {
            let message = format!("from {} to {}", Span(shortest), Span(longest));
            self.error(&written, message, "leave it out for the default");
        }
        span
    }
}

fn roots(path: &str) -> Result<RootCertStore, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("`{path}` cannot be read: {error}"))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let certificates = certificates.map_err(|_| format!("`{path}` is not PEM"))?;
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(certificates) {
        (0, _) => Err(format!("`{path}` has no certificate in it that can be used")),
        (_, 0) => Ok(roots),
        (_, _) => Err(format!("`{path}` has a certificate in it that cannot be used")),
    }
}
