mod authority;
mod defence;
mod dns;
mod dpop;
mod edge;
mod health;
mod issuer;
mod networks;
mod redis;
mod response;
mod tls;
mod upstream;

pub(crate) use defence::MOST_ATTEMPTS;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use assertion::Lifetime;
use secrets::{Environment, Reference, Secret};
use terms::{Finding, Findings, Span};
use yaml::At;

use authority::AuthorityNames;

use super::file::{self, File};
use super::{Audit, Settings, Shutdown};

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
            clients,
            workers,
            shutdown,
            admin,
            state,
            redis,
            issuers,
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
        let authorities = self.authorities(authorities, &issuers);
        let known = AuthorityNames::of(&authorities);
        let listeners: Vec<_> = listeners.into_iter().map(|listener| self.listener(listener.value, &known)).collect();
        let authorities: Vec<_> = authorities.into_iter().map(|(_, settings)| settings).collect();
        let admin_token = admin.token.as_ref().map(|token| self.admin_token(token));
        let admin = admin.bind.as_ref().map_or(Some(SocketAddr::from(([127, 0, 0, 1], 9901))), |bind| self.parse(bind));
        let redis = redis.as_ref().map(|redis| self.redis(redis));
        let clients = self.clients(clients);
        let (issuers, issuer_places) = self.issuers(issuers);
        let upstreams: Vec<_> = upstreams.into_iter().map(|upstream| self.upstream(upstream)).collect();
        let dpop = self.dpop(dpop);
        let dns = self.dns(&dns);
        let response = self.response(response);
        let (issuer, lifetime) = self.assertion(assertion?);
        let audit = audit?;
        let (proxies, clients) = clients?;
        Some(Settings {
            proxies,
            clients,
            listeners: listeners.into_iter().collect::<Option<_>>()?,
            authorities: authorities.into_iter().collect::<Option<_>>()?,
            requests: guard.requests as usize,
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
            state: PathBuf::from(state?.directory.value),
            issuers,
            issuer_places,
            backends: upstreams.into_iter().collect::<Option<_>>()?,
            dpop: dpop?,
            dns: dns?,
            response: response?,
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

    fn admin_token(&mut self, written: &At<String>) -> Option<Secret<Vec<u8>>> {
        let token = self.secret(written)?;
        let guessable = admin::Operations::check(token.expose()).err();
        guessable.map_or(Some(token), |guessable| {
            self.findings.push(Finding::error(written.spot.place(self.file), guessable.to_string()));
            None
        })
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

    /// Reads what a reference to a secret refers to.
    fn secret(&mut self, written: &At<String>) -> Option<Secret<Vec<u8>>> {
        let reference: Reference = self.parse(written)?;
        let secret = secrets::resolve(&reference, self.environment);
        secret
            .map_err(|error| self.findings.push(Finding::error(written.spot.place(self.file), terms::chain(&error))))
            .ok()
    }

    fn error<T>(&mut self, at: &At<T>, message: String, help: &str) {
        self.findings.push(Finding::error(at.spot.place(self.file), message).help(help));
    }
}
