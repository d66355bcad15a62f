mod authority;
mod backend;
mod defence;
mod directory;
mod dns;
mod dpop;
mod edge;
mod health;
mod issuer;
mod keys;
mod networks;
mod policies;
mod privacy;
mod redis;
mod response;
mod retention;
mod sinks;
mod telling;
mod tls;
mod upstream;
mod vault;
mod witnesses;

pub(crate) use defence::MOST_ATTEMPTS;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use admin::AdminToken;
use assertion::Lifetime;
use secrets::{Environment, Followed, Kept, Reference, Secret, Unfit, Use};
use terms::{Finding, Findings, Span};
use token::{IssuerSettings, ToldClaim};
use yaml::At;

use authority::AuthorityNames;
use vault::Values;

use super::file::{self, File};
use super::{Audit, KeySettings, Rotation, Settings, Shutdown};
use crate::asking::Asking;
use crate::backend_events::Source;
use crate::trusted::Trust;

/// Text, made into what the parts take. Every mistake is noted; settings come out only if nothing is missing for them.
pub(super) struct Compiler<'a> {
    file: &'a Arc<str>,
    environment: &'a dyn Environment,
    findings: &'a mut Findings,
    /// Of which the keys come that are shared with backends and not given.
    root: Option<Secret<Vec<u8>>>,
    /// Every secret, with what is made of it.
    followed: Followed,
    /// Where values of Vault come from.
    values: Values,
    /// The SHA-256 of every key that is given, and what it is for.
    keys: BTreeMap<Vec<u8>, String>,
    /// The claims that backends are told in fields of their own.
    wanted: Vec<ToldClaim>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(file: &'a Arc<str>, environment: &'a dyn Environment, findings: &'a mut Findings) -> Self {
        Self {
            file,
            environment,
            findings,
            root: None,
            values: Values::default(),
            followed: Followed::new(),
            keys: BTreeMap::new(),
            wanted: Vec::new(),
        }
    }
}

impl Compiler<'_> {
    pub(super) fn compile(&mut self, file: File, asking: Asking) -> Option<Settings> {
        let File {
            version,
            listeners,
            guard,
            clients,
            workers,
            shutdown,
            admin,
            state,
            policies,
            redis,
            directory,
            vault,
            issuers,
            claims,
            authorities,
            dpop,
            upstreams,
            dns,
            response,
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
        let vault = self.vault(vault, asking); // first: others may need what is there
        let authorities = self.authorities(authorities, &issuers);
        let known = AuthorityNames::of(&authorities);
        let listeners: Vec<_> = listeners.into_iter().map(|listener| self.listener(listener.value, &known)).collect();
        let authorities: Vec<_> = authorities.into_iter().map(|(_, settings)| settings).collect();
        let admin_token = admin.token.as_ref().map(|token| self.admin_token(token));
        let admin = admin.bind.as_ref().map_or(Some(SocketAddr::from(([127, 0, 0, 1], 9901))), |bind| self.parse(bind));
        let redis = redis.map(|redis| self.redis(redis));
        let users = directory::users(&issuers);
        let directory = directory.map(|directory| self.directory(directory, &users));
        let clients = self.clients(clients);
        let (issuers, issuer_places) = self.issuers(issuers);
        self.claims(claims); // ORDER: first, so that policies know each by its place among these
        self.root = assertion.as_ref().and_then(|assertion| self.root(assertion.root.as_ref()?));
        let upstreams: Vec<_> = upstreams.into_iter().map(|upstream| self.upstream(upstream)).collect();
        let dpop = self.dpop(dpop);
        let wanted: Arc<[ToldClaim]> = std::mem::take(&mut self.wanted).into();
        let wanting = |issuer: IssuerSettings| IssuerSettings { wanted: Arc::clone(&wanted), ..issuer };
        let issuers = issuers.into_iter().map(wanting).collect();
        let signers = self.signers(&policies);
        let dns = self.dns(&dns);
        let response = self.response(response);
        let (issuer, lifetime, keys) = self.assertion(assertion?);
        let audit = self.audit(audit?);
        let (proxies, clients) = clients?;
        let state = PathBuf::from(state?.directory.value);
        let signers = signers?;
        Some(Settings {
            proxies,
            clients,
            listeners: listeners.into_iter().collect::<Option<_>>()?,
            authorities: authorities.into_iter().collect::<Option<_>>()?,
            requests: guard.requests as usize,
            requests_per_tenant: self.requests_per_tenant(guard.requests_per_tenant.as_ref()),
            guard: self.guard(guard),
            workers: workers.map(|workers| usize::from(workers.value)),
            shutdown: Shutdown { grace: shutdown.grace.0, delay: shutdown.delay.0, idle: shutdown.idle.0 },
            admin: admin?,
            admin_token: match admin_token {
                Some(token) => Some(token?),
                None => None,
            },
            redis: match redis {
                Some(redis) => Some(redis?),
                None => None,
            },
            directory: match directory {
                Some(directory) => Some(directory?),
                None => None,
            },
            vault,
            trust: (!signers.is_empty()).then(|| Trust::of(signers, &state)),
            state,
            issuers,
            issuer_places,
            backends: upstreams.into_iter().collect::<Option<_>>()?,
            dpop: dpop?,
            dns: dns?,
            response: response?,
            assertion_issuer: issuer?,
            assertion_lifetime: lifetime?,
            keys: keys?,
            root: self.root.take(),
            followed: std::mem::take(&mut self.followed),
            audit: audit?,
            log_format: telemetry.log.format,
            log_level: telemetry.log.level,
        })
    }

    fn admin_token(&mut self, written: &At<String>) -> Option<Kept<AdminToken>> {
        let given = self.key_for(written, "the admin token")?;
        let make = |secret: Secret<Vec<u8>>, _: Option<&AdminToken>| {
            AdminToken::new(secret.expose()).map_err(|guessable| guessable.to_string())
        };
        self.kept("admin.token", written, given, make)
    }

    fn assertion(
        &mut self,
        entry: file::Assertion,
    ) -> (Option<assertion::Issuer>, Option<Lifetime>, Option<KeySettings>) {
        let file::Assertion { issuer, lifetime, keys, root: _ } = entry;
        let issuer = self.parse(&issuer);
        let lifetime = match lifetime {
            None => Lifetime::try_from(Duration::from_secs(60)).ok(),
            Some(written) => self.parse::<Span>(&written).and_then(|Span(span)| {
                let note = |invalid: assertion::InvalidLifetime| {
                    self.findings.push(Finding::error(written.spot.place(self.file), invalid.to_string()));
                };
                Lifetime::try_from(span).map_err(note).ok()
            }),
        };
        let keys = lifetime.and_then(|lifetime| self.signing_keys(keys, lifetime));
        (issuer, lifetime, keys)
    }

    fn audit(&mut self, entry: file::Audit) -> Option<Audit> {
        let file::Audit { directory, instance, origin, checkpoint, events, witnesses, sinks, key, retention, privacy } =
            entry;
        let rotation = self.log_key(key);
        let events = self.event_sources(events);
        let witnesses = witnesses.map(|witnesses| self.witnesses(witnesses));
        let hostname = instance.as_ref().map_or("gateway", |instance| instance.value.as_str());
        let sinks = self.sinks(sinks, hostname);
        let retention = self.retention(retention);
        let privacy = self.privacy(privacy);
        let origin = origin.map(|origin| self.parse(&origin));
        let checkpoint = checkpoint.map(|written| {
            let Span(span) = self.parse(&written)?;
            let fits = (Duration::from_millis(100)..=Duration::from_secs(60)).contains(&span);
            if !fits {
                self.error(
                    &written,
                    "a checkpoint is signed every 100ms to 1m".into(),
                    "each costs a sync of the disk",
                );
            }
            fits.then_some(span)
        });
        let (retention, classes) = retention?;
        Some(Audit {
            directory: PathBuf::from(directory.value),
            instance: instance.map_or_else(|| "gateway".into(), |instance| instance.value),
            origin: match origin {
                Some(origin) => Some(origin?),
                None => None,
            },
            checkpoint: checkpoint.unwrap_or(Some(Duration::from_secs(1)))?,
            events,
            witnesses: match witnesses {
                Some(witnesses) => Some(witnesses?),
                None => None,
            },
            sinks: sinks?.into_iter().map(Arc::new).collect(),
            rotation: rotation?,
            retention,
            classes,
            privacy: privacy?,
        })
    }

    fn log_key(&mut self, entry: file::LogKey) -> Option<Rotation> {
        const DAY: Duration = Duration::from_secs(24 * 3_600);
        let file::LogKey { rotate_after, overlap } = entry;
        let after = rotate_after.map(|written| {
            let Span(span) = self.parse(&written)?;
            if span < 7 * DAY {
                let hint = "write for example 365d; `cloister keys rotate --set log` does it at once";
                self.error(&written, "a key of the log signs for seven days at least".into(), hint);
            }
            (span >= 7 * DAY).then_some(span)
        });
        let overlap = overlap.map(|written| {
            let Span(span) = self.parse(&written)?;
            let fits = (Duration::from_secs(1)..=365 * DAY).contains(&span);
            if !fits {
                let hint = "leave it out for 30d; a key that leaked goes at once with `cloister keys rotate --set log --withdraw`";
                self.error(&written, "a key that is replaced signs on for 1s to 365d".into(), hint);
            }
            fits.then_some(span)
        });
        let overlap = overlap.unwrap_or(Some(30 * DAY))?;
        let after = match after {
            Some(after) => Some(after?),
            None => None,
        };
        Some(Rotation { after, overlap })
    }

    /// FAIL CLOSED: one that cannot be read is a finding, and nothing starts.
    fn event_sources(&mut self, entries: Vec<file::EventSource>) -> Vec<(Source, Kept<AdminToken>)> {
        let mut sources: Vec<(Source, Kept<AdminToken>)> = Vec::new();
        for file::EventSource { backend, token, rate } in entries {
            if self.parse::<terms::LimitId>(&backend).is_none() {
                continue;
            }
            if sources.iter().any(|(source, _)| source.name == backend.value) {
                self.error(
                    &backend,
                    "this backend stands here twice".into(),
                    "one token is enough; it can be changed while it runs",
                );
                continue;
            }
            let rate = match rate {
                Some(rate) => self.parse(&rate),
                None => "100/s".parse().ok(),
            };
            let name = backend.value;
            let given = self.key_for(&token, &format!("the events of {name}"));
            let make = |secret: Secret<Vec<u8>>, _: Option<&AdminToken>| {
                AdminToken::new(secret.expose()).map_err(|guessable| guessable.to_string())
            };
            let kept = given.and_then(|given| self.kept(&format!("audit.events.{name}.token"), &token, given, make));
            if let (Some(rate), Some(kept)) = (rate, kept) {
                sources.push((Source { name, rate }, kept));
            }
        }
        sources
    }

    fn root(&mut self, written: &At<String>) -> Option<Secret<Vec<u8>>> {
        let Given { reference, secret: root, .. } = self.key_for(written, "all that comes of `root`")?;
        if root.expose().len() < 32 {
            self.error(written, "a root has at least 32 bytes".into(), "make one with `openssl rand -hex 32`");
            return None;
        }
        let why = "another root would change every key that comes of it at once, and backends would refuse what is signed with \
                   them: it is in force after a restart";
        self.followed.pin("assertion.root", reference, &root, why);
        Some(root)
    }

    /// Reads a text as what it should be; its error says what that is.
    fn parse<T: FromStr<Err: std::fmt::Display>>(&mut self, text: &At<String>) -> Option<T> {
        let parsed = text.value.parse();
        parsed
            .map_err(|invalid| self.findings.push(Finding::error(text.spot.place(self.file), format!("{invalid}"))))
            .ok()
    }

    /// Keeps what is made of a secret in step with it, from now until the gateway ends.
    fn kept<T: Send + Sync + 'static>(
        &mut self,
        setting: &str,
        written: &At<String>,
        given: Given,
        make: impl Fn(Secret<Vec<u8>>, Option<&T>) -> Result<T, Unfit> + Send + Sync + 'static,
    ) -> Option<Kept<T>> {
        let Given { reference, value, secret } = given;
        self.followed.keep(setting, reference, value, secret, make).map_err(|why| self.note(written, why)).ok()
    }

    /// A secret that is used as it is.
    fn plain_secret(&mut self, setting: &str, written: &At<String>) -> Option<Kept<Secret<Vec<u8>>>> {
        let given = self.secret(written)?;
        self.kept(setting, written, given, |secret, _: Option<&Secret<Vec<u8>>>| Ok(secret))
    }

    fn reference(&mut self, written: &At<String>) -> Option<Reference> {
        let reference = written.value.parse::<Reference>().map_err(|invalid| {
            // What stands there may be the secret itself.
            let finding = Finding::error(written.spot.place(self.file), invalid.to_string());
            self.findings.push(finding.unquoted());
        });
        reference.ok()
    }

    /// Reads what a reference to a secret refers to.
    fn secret(&mut self, written: &At<String>) -> Option<Given> {
        let reference = self.reference(written)?;
        if let Some(place) = reference.vault().cloned() {
            return self.vaulted(written, reference, &place);
        }
        match secrets::resolve(&reference, self.environment) {
            Ok(secret) => Some(Given { reference, value: Use::Any, secret }),
            Err(error) => {
                self.note(written, terms::chain(&error));
                None
            }
        }
    }

    fn error<T>(&mut self, at: &At<T>, message: String, help: &str) {
        self.findings.push(Finding::error(at.spot.place(self.file), message).help(help));
    }
}

/// A secret as it was given at the start.
struct Given {
    reference: Reference,
    value: Use,
    secret: Secret<Vec<u8>>,
}
