use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use assertion::{Audience, Backend, Binding, Lifetime, SignatureKey};
use ingress::{GuardSettings, ListenerSettings, TlsFiles};
use proxy::{Timeouts, Upstream, UpstreamProtocol};
use secrets::{Environment, Reference};
use terms::{Finding, Findings, IssuerId, Place, Span, UpstreamId};
use token::{IssuerSettings, JwksSource};
use yaml::{At, Named};

use super::file::{self, File};
use super::{Audit, Settings};

/// Text, made into what the parts take. Every mistake is noted; settings come out only if nothing is missing for them.
pub(super) struct Compiler<'a> {
    pub(super) file: &'a Arc<str>,
    pub(super) environment: &'a dyn Environment,
    pub(super) findings: &'a mut Findings,
}

impl Compiler<'_> {
    pub(super) fn compile(&mut self, file: File) -> Option<Settings> {
        let File {
            version,
            listeners,
            guard,
            workers,
            shutdown,
            admin,
            state,
            issuers,
            upstreams,
            assertion,
            audit,
            telemetry,
        } = file;
        if let Some(version) = version.filter(|version| version.value != 1) {
            let message = format!("version {} of this format is not known", version.value);
            self.error(&version, message, "this program reads version 1");
        }
        if let Some(none) = workers.as_ref().filter(|workers| workers.value == 0) {
            self.error(none, "no worker would serve anything".into(), "leave it out for one per processor");
        }
        let listeners: Vec<_> = listeners.into_iter().map(|listener| self.listener(listener.value)).collect();
        let admin = admin.bind.as_ref().map_or(Some(SocketAddr::from(([127, 0, 0, 1], 9901))), |bind| self.parse(bind));
        let (issuers, issuer_places) = self.issuers(issuers);
        let upstreams: Vec<_> = upstreams.into_iter().map(|upstream| self.upstream(upstream)).collect();
        let (issuer, lifetime) = self.assertion(assertion?);
        let audit = audit?;
        Some(Settings {
            listeners: listeners.into_iter().collect::<Option<_>>()?,
            guard: self.guard(&guard),
            workers: workers.map(|workers| usize::from(workers.value)),
            grace: shutdown.grace.0,
            admin: admin?,
            state: PathBuf::from(state?.directory.value),
            issuers,
            issuer_places,
            upstreams: upstreams.into_iter().collect::<Option<_>>()?,
            assertion_issuer: issuer?,
            assertion_lifetime: lifetime?,
            audit: Audit {
                directory: PathBuf::from(audit.directory.value),
                instance: audit.instance.map_or_else(|| "gateway".into(), |instance| instance.value),
            },
            log_format: telemetry.log.format,
            log_level: telemetry.log.level,
        })
    }

    fn listener(&mut self, listener: file::Listener) -> Option<ListenerSettings> {
        let file::Listener { bind, tls } = listener;
        let tls = tls.map(|file::Tls { certificate, key }| TlsFiles {
            certificate: PathBuf::from(certificate.value),
            key: PathBuf::from(key.value),
        });
        Some(ListenerSettings { bind: self.parse(&bind)?, tls })
    }

    fn guard(&mut self, guard: &file::Guard) -> GuardSettings {
        let file::Guard { connections, connections_per_ip, handshake, head, idle, head_bytes, fields } = guard;
        GuardSettings {
            connections: *connections as usize,
            connections_per_ip: *connections_per_ip as usize,
            handshake: handshake.0,
            head: head.0,
            idle: idle.0,
            head_bytes: usize::try_from(head_bytes.0).unwrap_or(usize::MAX),
            fields: usize::from(*fields),
        }
    }

    fn issuers(&mut self, entries: Vec<Named<file::Issuer>>) -> (Vec<IssuerSettings>, BTreeMap<IssuerId, Place>) {
        let (mut issuers, mut places) = (Vec::new(), BTreeMap::new());
        for Named { name, entry } in entries {
            let id: Option<IssuerId> = self.parse(&name);
            let (Some(id), Some(entry)) = (id, entry) else { continue };
            places.insert(id.clone(), name.spot.place(self.file));
            issuers.extend(self.issuer(id, entry));
        }
        (issuers, places)
    }

    fn issuer(&mut self, id: IssuerId, entry: file::Issuer) -> Option<IssuerSettings> {
        let file::Issuer { issuer, audiences, algorithms, jwks, tenant_claim, roles_claim, leeway, .. } = entry;
        let source = match (&jwks.file, &jwks.url) {
            (Some(file), None) => {
                if let Err(error) = std::fs::metadata(&file.value) {
                    self.error(
                        file,
                        format!("`{}` cannot be read: {error}", file.value),
                        "a file with a JWK Set (RFC 7517 §5)",
                    );
                }
                JwksSource::File(PathBuf::from(&file.value))
            }
            (None, Some(url)) => JwksSource::Url(url.value.clone()),
            (Some(both), Some(_)) => {
                self.error(both, "`file` and `url` both say where the keys are".into(), "keep one of them");
                return None;
            }
            (None, None) => {
                self.error(
                    &issuer,
                    "nothing says where the keys of this issuer are".into(),
                    "give `jwks` a `file` or a `url`",
                );
                return None;
            }
        };
        Some(IssuerSettings {
            id,
            issuer: issuer.value,
            audiences,
            algorithms: algorithms.into_iter().map(|algorithm| algorithm.value).collect(),
            jwks: source,
            refresh: jwks.refresh.0,
            max_stale: jwks.max_stale.0,
            tenant_claim,
            roles_claim,
            leeway: leeway.0,
            max_token_bytes: 8 << 10,
            max_claims: 64,
        })
    }

    fn upstream(&mut self, Named { name, entry }: Named<file::Upstream>) -> Option<Upstream> {
        let id: Option<UpstreamId> = self.parse(&name);
        let file::Upstream { addresses, protocol, timeouts, assertion } = entry?;
        if addresses.value.is_empty() {
            self.error(&addresses, "an upstream needs an address".into(), "for example `[\"127.0.0.1:9001\"]`");
        }
        let addresses: Vec<Option<SocketAddr>> = addresses.value.iter().map(|address| self.parse(address)).collect();
        let file::Timeouts { connect, read, write, idle } = timeouts;
        let timeouts = Timeouts { connect: connect.0, read: read.0, write: write.0, idle: idle.0 };
        let protocol = match protocol {
            file::Protocol::H2c => UpstreamProtocol::H2c,
            file::Protocol::Http1 => UpstreamProtocol::Http1,
        };
        let backend = self.backend(&name, assertion);
        Some(Upstream::new(id?, addresses.into_iter().collect::<Option<_>>()?, protocol, timeouts, backend?))
    }

    fn backend(&mut self, name: &At<String>, entry: file::UpstreamAssertion) -> Option<Backend> {
        let file::UpstreamAssertion { audience, binding, key } = entry;
        let audience: Option<Audience> = self.parse(audience.as_ref().unwrap_or(name));
        let key = match key {
            None => None,
            Some(key) => Some(self.signature_key(name, &key)?),
        };
        let binding = match binding {
            file::Binding::InsecureReuse => Binding::InsecureReuse,
            file::Binding::PerRequest => Binding::PerRequest,
            file::Binding::Reuse => Binding::Reuse,
        };
        match Backend::new(audience?, binding, key) {
            Ok(backend) => Some(backend),
            Err(invalid) => {
                self.findings.push(Finding::error(name.spot.place(self.file), invalid.to_string()));
                None
            }
        }
    }

    fn signature_key(&mut self, name: &At<String>, written: &At<String>) -> Option<SignatureKey> {
        let reference: Reference = self.parse(written)?;
        let key = secrets::resolve(&reference, self.environment)
            .map_err(|error| terms::chain(&error))
            .and_then(|secret| SignatureKey::new(&name.value, &secret).map_err(|error| terms::chain(&error)));
        key.map_err(|message| self.findings.push(Finding::error(written.spot.place(self.file), message))).ok()
    }

    fn assertion(&mut self, entry: file::Assertion) -> (Option<assertion::Issuer>, Option<Lifetime>) {
        let file::Assertion { issuer, lifetime } = entry;
        let issuer = self.parse(&issuer);
        let Some(written) = lifetime else {
            return (issuer, Lifetime::try_from(std::time::Duration::from_secs(60)).ok());
        };
        let lifetime = self.parse::<Span>(&written).and_then(|Span(span)| {
            let lifetime = Lifetime::try_from(span);
            lifetime
                .map_err(|invalid| {
                    self.findings.push(Finding::error(written.spot.place(self.file), invalid.to_string()))
                })
                .ok()
        });
        (issuer, lifetime)
    }

    /// Reads a text as what it should be; its error says what that is.
    fn parse<T: FromStr<Err: std::fmt::Display>>(&mut self, text: &At<String>) -> Option<T> {
        let parsed = text.value.parse();
        parsed
            .map_err(|invalid| self.findings.push(Finding::error(text.spot.place(self.file), format!("{invalid}"))))
            .ok()
    }

    fn error<T>(&mut self, at: &At<T>, message: String, help: &str) {
        self.findings.push(Finding::error(at.spot.place(self.file), message).help(help));
    }
}
