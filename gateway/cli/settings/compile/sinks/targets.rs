//! Where records go, kind by kind.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrets::Secret;
use sinks::{
    Acknowledged, Address, Endpoint, Http, Lock, Nats, Otlp, Plaintext, S3, Server, Syslog, Target, WebhookKey,
};
use terms::{Finding, Span};
use yaml::At;

use super::{Aimed, Compiler};
use crate::settings::file::sinks as file;

const AUDIT: u32 = 13;
const CONNECT: Duration = Duration::from_secs(5);
const DAY: Duration = Duration::from_secs(86_400);
const WRITER: &str = "cloister_audit_writer";

impl Compiler<'_> {
    pub(super) fn aimed_at_file(&mut self, entry: file::ToFile) -> Option<Aimed> {
        let path = PathBuf::from(&entry.path.value);
        if !path.is_absolute() {
            let help = "it would be another file for whoever starts in another folder";
            self.error(&entry.path, "the path of a file begins with `/`".into(), help);
            return None;
        }
        Some(Aimed { target: Target::File(path), place: format!("file {}", entry.path.value) })
    }

    pub(super) fn aimed_at_http(&mut self, setting: &str, At { spot, value }: At<file::ToHttp>) -> Option<Aimed> {
        let file::ToHttp { url, key, authorization, ca, insecure_plaintext } = value;
        let endpoint = self.endpoint(&url, ca, insecure_plaintext);
        if key.is_none() && authorization.is_none() {
            let help = "write `key` to sign what is sent, or `authorization`";
            self.error(&At { spot, value: () }, "nothing shows the receiver that it is us".into(), help);
        }
        let key = key.map(|written| {
            let given = self.secret(&written)?;
            let make = |secret: Secret<Vec<u8>>, _: Option<&WebhookKey>| {
                WebhookKey::new(secret.expose()).map_err(|invalid| invalid.to_string())
            };
            self.kept(&format!("{setting}.http.key"), &written, given, make)
        });
        let authorization = authorization.map(|it| self.plain_secret(&format!("{setting}.http.authorization"), &it));
        let endpoint = endpoint?;
        let place = format!("http {}", endpoint.url());
        let (key, authorization) = (given(key)?, given(authorization)?);
        Some(Aimed { target: Target::Http(Http { endpoint, key, authorization }), place })
    }

    fn endpoint(&mut self, url: &At<String>, ca: Option<At<String>>, insecure_plaintext: bool) -> Option<Endpoint> {
        let ca = match ca {
            Some(path) => match std::fs::read(&path.value) {
                Ok(pem) => Some(pem),
                Err(error) => {
                    let message = format!("`{}` cannot be read: {error}", path.value);
                    self.error(&path, message, "it holds certificates in PEM");
                    return None;
                }
            },
            None => None,
        };
        let plaintext = if insecure_plaintext { Plaintext::Believed } else { Plaintext::Refused };
        let endpoint = Endpoint::new(&url.value, ca.as_deref(), plaintext).map_err(|invalid| {
            // Whoever writes a password into it has written it down; there is no need to print it, too.
            self.findings.push(Finding::error(url.spot.place(self.file), terms::chain(&invalid)).unquoted());
        });
        endpoint.ok()
    }

    pub(super) fn aimed_at_nats(&mut self, setting: &str, entry: file::ToNats) -> Option<Aimed> {
        let file::ToNats { address, subject, user, password, ca, insecure_plaintext } = entry;
        let server = self.server(&address, ca, insecure_plaintext);
        let good = |token: &str| {
            !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic() && !b"*>".contains(&byte))
        };
        let is_subject = subject.value.split('.').all(good);
        if !is_subject {
            self.error(&subject, "a subject is words with dots between, without `*` and `>`".into(), "`audit.records`");
        }
        if let Some(user) = user.as_ref().filter(|_| password.is_none()) {
            self.error(user, "nothing proves that it is us".into(), "write `password`");
        }
        let password = password.map(|it| self.plain_secret(&format!("{setting}.nats.password"), &it));
        let (server, password) = (server?, given(password)?);
        let place = format!("nats {} {}", server.address, subject.value);
        let (subject, user) = (subject.value, user.map(|user| user.value));
        is_subject.then_some(Aimed { target: Target::Nats(Nats { server, subject, user, password }), place })
    }

    pub(super) fn aimed_at_otlp(&mut self, setting: &str, entry: file::ToOtlp) -> Option<Aimed> {
        let file::ToOtlp { url, authorization, ca, insecure_plaintext } = entry;
        let endpoint = self.endpoint(&url, ca, insecure_plaintext);
        let authorization = authorization.map(|it| self.plain_secret(&format!("{setting}.otlp.authorization"), &it));
        let (endpoint, authorization) = (endpoint?, given(authorization)?);
        let place = format!("otlp {}", endpoint.url());
        Some(Aimed { target: Target::Otlp(Otlp { endpoint, authorization }), place })
    }

    pub(super) fn aimed_at_postgresql(&mut self, setting: &str, entry: file::ToPostgresql) -> Option<Aimed> {
        let file::ToPostgresql { addresses, database, user, password, ca, insecure_plaintext } = entry;
        let (addresses, security) = self.postgresql(&addresses, ca, insecure_plaintext);
        let password = password.map(|it| self.plain_secret(&format!("{setting}.postgresql.password"), &it));
        let addresses = addresses?;
        let first = addresses.first().map(ToString::to_string).unwrap_or_default();
        let place = format!("postgresql {first} {}", database.value);
        let server = directory::Server {
            addresses,
            database: database.value,
            user: user.map_or_else(|| WRITER.to_owned(), |user| user.value),
            password: given(password)?,
            security: security?,
            connect: CONNECT,
            wait: CONNECT,
        };
        Some(Aimed { target: Target::Postgresql(Arc::new(server)), place })
    }

    pub(super) fn aimed_at_s3(&mut self, setting: &str, entry: file::ToS3) -> Option<Aimed> {
        let file::ToS3 { url, region, bucket, prefix, access_key, secret_key, retain, lock, ca, insecure_plaintext } =
            entry;
        let endpoint = self.endpoint(&url, ca, insecure_plaintext);
        let endpoint = endpoint.filter(|endpoint| {
            let is_bare = endpoint.url().path() == "/" && endpoint.url().query().is_none();
            if !is_bare {
                self.error(&url, "the address of a store has no path".into(), "the bucket is a setting of its own");
            }
            is_bare
        });
        let plain = |text: &str, more: &[u8]| text.bytes().all(|it| it.is_ascii_alphanumeric() || more.contains(&it));
        let prefix = prefix.filter(|prefix| {
            let good = plain(&prefix.value, b"/_.-") && !prefix.value.starts_with('/') && prefix.value.len() <= 256;
            if !good {
                self.error(prefix, "a prefix has letters, digits and `/ _ . -`".into(), "`audit/`");
            }
            good
        });
        for (written, most) in [(&region, 64), (&bucket, 63), (&access_key, 128)] {
            if written.value.is_empty() || written.value.len() > most || !plain(&written.value, b"._-") {
                self.error(written, "letters, digits and `. _ -`".into(), "as the store calls it");
            }
        }
        let Span(span) = retain.value;
        if span < DAY || span > DAY * 36_500 {
            self.error(&retain, "from 1d to 36500d".into(), "an object cannot be let go before: begin with little");
        }
        let secret_key = self.plain_secret(&format!("{setting}.s3.secret_key"), &secret_key);
        let lock = match lock {
            file::Lock::Compliance => Lock::Compliance,
            file::Lock::InsecureGovernance => Lock::Governance,
        };
        let prefix = prefix.map(|prefix| prefix.value).unwrap_or_default();
        let (endpoint, secret_key) = (endpoint?, secret_key?);
        let place = format!("s3 {} {} {prefix}", endpoint.url(), bucket.value);
        let (region, bucket, access_key) = (region.value, bucket.value, access_key.value);
        let s3 = S3 { endpoint, region, bucket, prefix, access_key, secret_key, lock, retain: span };
        Some(Aimed { target: Target::S3(s3), place })
    }

    pub(super) fn aimed_at_syslog(&mut self, entry: file::ToSyslog, hostname: &str) -> Option<Aimed> {
        let file::ToSyslog { address, facility, insecure_unacknowledged, ca, insecure_plaintext } = entry;
        let server = self.server(&address, ca, insecure_plaintext);
        let facility = self.bounded(facility, AUDIT, 0, 23);
        let acknowledged = if insecure_unacknowledged { Acknowledged::BySending } else { Acknowledged::ByClose };
        let server = server?;
        let place = format!("syslog {}", server.address);
        let facility = u8::try_from(facility).ok()?;
        let syslog = Syslog { server, hostname: hostname.to_owned(), facility, acknowledged };
        Some(Aimed { target: Target::Syslog(syslog), place })
    }

    /// A server that is spoken with over TLS, unless it is on this machine or somebody has said otherwise.
    fn server(
        &mut self,
        address: &At<String>,
        ca: Option<At<String>>,
        insecure_plaintext: Option<At<bool>>,
    ) -> Option<Server> {
        let parsed: Option<Address> = self.parse(address);
        let is_local = parsed.as_ref().is_some_and(Address::is_local);
        let security = self.security(is_local, ca, insecure_plaintext);
        Some(Server { address: parsed?, security: security? })
    }
}

/// What is there must be good; what is not there is not missed.
fn given<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        Some(value) => value.map(Some),
        None => Some(None),
    }
}
