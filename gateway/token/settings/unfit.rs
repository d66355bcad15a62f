//! What is wrong with settings.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use terms::IssuerId;

use super::{
    ClientAuthentication, ClientCredentials, IntrospectionSettings, IssuerSettings, JwksSource, LONGEST_TOKEN, address,
};
use crate::pattern::{Pattern, is_open};

/// What keeps a set of issuers from being used: everything at once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SettingsError {
    /// Each fault, with the issuer that it belongs to, in the order in which the issuers were given.
    pub faults: Vec<(Option<IssuerId>, Unfit)>,
}

/// One thing that is wrong with an issuer's settings, or with what they need.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unfit {
    /// Algorithms for tokens that are not verified here.
    #[error("`algorithms` says how JWTs may be signed, and without `jwks` none is verified here")]
    AlgorithmsUnused,
    /// No algorithm is allowed.
    #[error("`algorithms` is empty")]
    Algorithms,
    /// No audience, or an empty one.
    #[error("`audiences` is empty or has an empty entry")]
    Audiences,
    /// No room for a single token.
    #[error("the cache of tokens has no room for one")]
    Cache,
    /// Zero, or more than 4096.
    #[error("`max_claims` is not between 1 and 4096")]
    Claims,
    /// Whom a client's word is for.
    #[error("`introspection.audience` is empty")]
    ClientAudience,
    /// Our name at the issuer is empty.
    #[error("`introspection.client_id` is empty")]
    ClientId,
    /// The HTTP client could not be made.
    #[error("no client for https could be made: {0}")]
    Client(String),
    /// Two issuers have the same name.
    #[error("another issuer has the same name")]
    Id,
    /// Zero, or more than 1024.
    #[error("`introspection.concurrency` is not between 1 and 1024")]
    IntrospectionConcurrency,
    /// More than five minutes.
    #[error("`introspection.remember` is more than five minutes")]
    IntrospectionRemember,
    /// Zero, or more than ten seconds.
    #[error("`introspection.timeout` is not between a millisecond and ten seconds")]
    IntrospectionTimeout,
    /// Records put the tenant's name behind it.
    #[error("the name of a pattern has at most 64 characters")]
    LongId,
    /// `iss` is empty, or that of another issuer.
    #[error("`issuer` is empty, or the same as that of another issuer")]
    Issuer,
    /// All issuers of a pattern would have the same keys.
    #[error("`jwks` has no `{{tenant}}` in it: with keys in common, whoever signs for one tenant could sign for each")]
    KeysInCommon,
    /// Nobody is named, or it is not known for how long what was taken back has to be remembered.
    #[error(
        "`notices` needs `audiences`, from 1 to 1000000 `max_revocations`, and `max_lifetime`: for so long it is remembered \
         which tokens were taken back"
    )]
    Notices,
    /// More than five minutes.
    #[error("`leeway` is more than five minutes")]
    Leeway,
    /// Another pattern could stand for the same issuer, or there are more than a few patterns.
    #[error("another pattern could stand for the same issuer, or there are more than 16 patterns")]
    Patterns,
    /// An opaque token does not say of which tenant's issuer it is.
    #[error("`introspection` goes with one issuer: an opaque token does not say of which tenant's it is")]
    PatternOpaque,
    /// `{tenant}` does not stand where it may, or something else is in braces.
    #[error(
        "`{0}` has `{{tenant}}` in it more than once, at its beginning or without need, or something else in braces"
    )]
    Pattern(&'static str),
    /// Zero, or more than a million.
    #[error("`max_tenants` is not between 1 and 1000000")]
    Tenants,
    /// Zero, or shorter than the time between two fetches.
    #[error("`max_stale` is shorter than `refresh`")]
    MaxStale,
    /// Less than a second.
    #[error("`refresh` is shorter than a second")]
    Refresh,
    /// Zero, or more than 64 KiB.
    #[error("`max_token_bytes` is not between 1 and 65536")]
    TokenBytes,
    /// Nothing says how its tokens are verified.
    #[error("neither `jwks` nor `introspection` says how tokens of this issuer are verified")]
    Unverifiable,
    /// Not an address that keys are fetched from.
    #[error("`{0}` is not an https address without user and password (http is for this machine only)")]
    Url(&'static str),
    /// An address that is nobody's in particular.
    #[error("`{0}` is a private address, which is not asked unless `private_addresses` says so")]
    Private(&'static str),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (issuer, fault)) in self.faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            match issuer {
                Some(issuer) => write!(f, "{separator}issuer `{issuer}`: {fault}")?,
                None => write!(f, "{separator}{fault}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}

/// All faults of all issuers.
pub(crate) fn faults(issuers: &[IssuerSettings], cache_capacity: usize) -> Vec<(Option<IssuerId>, Unfit)> {
    let mut faults = Vec::new();
    let (mut ids, mut names) = (HashSet::new(), HashSet::new());
    let mut patterns: Vec<(&IssuerId, Pattern)> = Vec::new();
    for settings in issuers {
        match Pattern::parse(&settings.issuer) {
            Err(fault) => faults.push((Some(settings.id.clone()), fault)),
            Ok(None) => {}
            Ok(Some(pattern)) => {
                let meets = patterns.iter().any(|(_, other)| other.meets(&pattern));
                if meets || patterns.len() >= MOST_PATTERNS {
                    faults.push((Some(settings.id.clone()), Unfit::Patterns));
                }
                if settings.id.as_str().len() > 64 {
                    faults.push((Some(settings.id.clone()), Unfit::LongId));
                }
                patterns.push((&settings.id, pattern));
            }
        }
    }
    for settings in issuers {
        let (has_keys, is_asked) = (settings.jwks != JwksSource::None, settings.introspection.is_some());
        let checks = [
            (settings.algorithms.is_empty() && has_keys, Unfit::Algorithms),
            (!settings.algorithms.is_empty() && !has_keys && is_asked, Unfit::AlgorithmsUnused),
            (!has_keys && !is_asked, Unfit::Unverifiable),
            (is_asked && is_open(&settings.issuer), Unfit::PatternOpaque),
            (settings.audiences.is_empty() || settings.audiences.iter().any(String::is_empty), Unfit::Audiences),
            (!(1..=4_096).contains(&settings.max_claims), Unfit::Claims),
            (!ids.insert(&settings.id) || is_of_pattern(&settings.id, &patterns), Unfit::Id),
            (settings.issuer.is_empty() || !names.insert(settings.issuer.as_str()), Unfit::Issuer),
            (settings.leeway > Duration::from_secs(300), Unfit::Leeway),
            (!(1..=1_000_000).contains(&settings.max_tenants), Unfit::Tenants),
            (settings.max_stale < settings.refresh, Unfit::MaxStale),
            (!settings.notices_fit(), Unfit::Notices),
            (settings.refresh < Duration::from_secs(1), Unfit::Refresh),
            (!(1..=LONGEST_TOKEN).contains(&settings.max_token_bytes), Unfit::TokenBytes),
        ];
        let found = checks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, fault)| fault);
        let asked = settings.introspection.iter().flat_map(IntrospectionSettings::faults);
        faults
            .extend(found.chain(settings.located().err()).chain(asked).map(|fault| (Some(settings.id.clone()), fault)));
    }
    if cache_capacity == 0 {
        faults.push((None, Unfit::Cache));
    }
    faults
}

/// Each is compared with the `iss` of a token, so there are few.
const MOST_PATTERNS: usize = 16;

/// Whether it is named as the issuers of a pattern are in records ([`IssuerId::of_tenant`]).
fn is_of_pattern(id: &IssuerId, patterns: &[(&IssuerId, Pattern)]) -> bool {
    let named = |pattern: &IssuerId| id.as_str().strip_prefix(pattern.as_str()).is_some_and(|it| it.starts_with('/'));
    patterns.iter().any(|(pattern, _)| named(pattern))
}

impl ClientCredentials {
    const fn is_to_nobody(&self) -> bool {
        matches!(&self.authentication, ClientAuthentication::PrivateKey { audience, .. } if audience.is_empty())
    }
}

impl IntrospectionSettings {
    fn faults(&self) -> Vec<Unfit> {
        let Self { url, client, reach, remember, timeout, concurrency } = self;
        let within = Duration::from_millis(1)..=Duration::from_secs(10);
        let checks = [
            (client.id.is_empty(), Unfit::ClientId),
            (client.is_to_nobody(), Unfit::ClientAudience),
            (*remember > Duration::from_secs(300), Unfit::IntrospectionRemember),
            (!within.contains(timeout), Unfit::IntrospectionTimeout),
            (!(1..=1_024).contains(concurrency), Unfit::IntrospectionConcurrency),
        ];
        let found = checks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, fault)| fault);
        found.chain(address(url, *reach, "introspection.url").err()).collect()
    }
}
