use std::fmt;
use std::time::Duration;

use terms::Reason;

use crate::Tenant;

/// What a token says about how its subject has proven itself, and when. Times are seconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub struct Authenticated<'a> {
    /// How sure the issuer is (`acr`).
    pub acr: Option<&'a str>,
    /// By what means (`amr`, RFC 8176).
    pub amr: &'a [Box<str>],
    /// When (`auth_time`).
    pub at: Option<u64>,
    /// When the token was issued (`iat`).
    pub issued_at: Option<u64>,
}

/// How a subject must have proven itself (RFC 9470).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Authentication {
    /// With one of these for `acr`. However sure, if there is none.
    pub acr: Vec<Box<str>>,
    /// By one of these means at least.
    pub any_of: Vec<Box<str>>,
    /// By all of these means.
    pub all_of: Vec<Box<str>>,
    /// No longer ago than this.
    pub max_age: Option<Duration>,
}

/// By what more than one factor is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mfa {
    /// One of these in `amr`,
    pub amr: Vec<Box<str>>,
    /// or one of these for `acr`.
    pub acr: Vec<Box<str>>,
}

impl fmt::Display for Mfa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amr = self.amr.iter().map(|method| format!("amr {method}"));
        let texts: Vec<String> = amr.chain(self.acr.iter().map(|class| format!("acr {class}"))).collect();
        f.write_str(&texts.join(" or "))
    }
}

/// Why it is not enough that a token is good.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Insufficient {
    /// The issuer is not sure enough.
    #[error("`acr` is none of those that are demanded")]
    Acr,
    /// The subject has proven itself too long ago, or nobody knows when.
    #[error("`auth_time` is too long ago, or missing")]
    Age,
    /// Not by the means that are demanded.
    #[error("`amr` does not have what is demanded")]
    Amr,
    /// Not by more than one factor.
    #[error("the tenant demands more than one factor")]
    Mfa,
    /// The session has lasted for longer than the tenant lets it, or nobody knows since when.
    #[error("the session is older than the tenant lets sessions be")]
    Session,
}

/// No clock of an issuer's may be further ahead of ours. What is, would be young for ever.
const AHEAD: u64 = 300;

impl Authentication {
    /// Whether anything is demanded at all.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.acr.is_empty() && self.any_of.is_empty() && self.all_of.is_empty() && self.max_age.is_none()
    }

    /// Whether a token says enough, now.
    ///
    /// # Errors
    /// What of it is not enough.
    pub fn met_by(&self, said: &Authenticated<'_>, now: u64) -> Result<(), Insufficient> {
        let has = |demanded: &str| said.amr.iter().any(|method| **method == *demanded);
        if !(self.acr.is_empty() || is_one_of(said.acr, &self.acr)) {
            return Err(Insufficient::Acr);
        }
        if !(self.any_of.is_empty() || self.any_of.iter().any(|it| has(it))) || !self.all_of.iter().all(|it| has(it)) {
            return Err(Insufficient::Amr);
        }
        match self.max_age {
            Some(longest) if !is_within(said.at, longest, now) => Err(Insufficient::Age),
            Some(_) | None => Ok(()),
        }
    }

    /// The last second at which it is young enough, for what goes on after it has begun.
    #[must_use]
    pub fn lasts_until(&self, said: &Authenticated<'_>) -> Option<u64> {
        self.max_age.map(|longest| said.at.map_or(0, |at| at.saturating_add(longest.as_secs())))
    }
}

impl Tenant {
    /// Whether a token says enough for this tenant, now.
    ///
    /// # Errors
    /// What of it is not enough.
    pub fn is_content_with(&self, said: &Authenticated<'_>, now: u64) -> Result<(), Insufficient> {
        let by_factors = self.mfa.as_ref().is_none_or(|Mfa { amr, acr }| {
            amr.iter().any(|method| said.amr.contains(method)) || is_one_of(said.acr, acr)
        });
        if !by_factors {
            return Err(Insufficient::Mfa);
        }
        if self.session_lasts(said, now) { Ok(()) } else { Err(Insufficient::Session) }
    }

    /// Whether a session has lasted no longer than this tenant lets it: since its subject has proven itself, or, where that is
    /// not said, since the token was issued.
    #[must_use]
    pub fn session_lasts(&self, said: &Authenticated<'_>, now: u64) -> bool {
        self.session_max.is_none_or(|longest| is_within(said.at.or(said.issued_at), longest, now))
    }
}

fn is_one_of(acr: Option<&str>, demanded: &[Box<str>]) -> bool {
    acr.is_some_and(|acr| demanded.iter().any(|one| **one == *acr))
}

/// FAIL CLOSED: what is said to have been at no time, or at one that is still to come, is not within any.
fn is_within(at: Option<u64>, longest: Duration, now: u64) -> bool {
    at.is_some_and(|at| at <= now.saturating_add(AHEAD) && now <= at.saturating_add(longest.as_secs()))
}

impl Insufficient {
    /// The word for it.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Acr => Reason::AuthInsufficientAcr,
            Self::Age => Reason::AuthInsufficientAge,
            Self::Amr => Reason::AuthInsufficientAmr,
            Self::Mfa => Reason::AuthInsufficientMfa,
            Self::Session => Reason::AuthInsufficientSession,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;

    const NOW: u64 = 1_700_000_000;

    fn texts(texts: &[&str]) -> Vec<Box<str>> {
        texts.iter().map(|text| (*text).into()).collect()
    }

    #[test]
    fn a_token_says_enough_only_if_it_says_so() {
        let minutes = |count: u64| Some(Duration::from_secs(count * 60));
        let nothing = Authentication::default();
        let gold = Authentication { acr: texts(&["gold", "platinum"]), ..nothing.clone() };
        let any = Authentication { any_of: texts(&["otp", "hwk"]), ..nothing.clone() };
        let all = Authentication { all_of: texts(&["pwd", "otp"]), ..nothing.clone() };
        let young = Authentication { max_age: minutes(5), ..nothing.clone() };
        for (demand, acr, amr, at, expected) in [
            (&nothing, None, &[][..], None, None),
            (&gold, Some("platinum"), &[], None, None),
            (&gold, Some("Gold"), &[], None, Some(Insufficient::Acr)),
            (&gold, Some("gold platinum"), &[], None, Some(Insufficient::Acr)),
            (&gold, Some(""), &[], None, Some(Insufficient::Acr)),
            (&gold, None, &["gold"], None, Some(Insufficient::Acr)),
            (&any, None, &["pwd", "hwk"], None, None),
            (&any, None, &["pwd"], None, Some(Insufficient::Amr)),
            (&any, None, &[], None, Some(Insufficient::Amr)),
            (&all, None, &["otp", "sms", "pwd"], None, None),
            (&all, None, &["otp"], None, Some(Insufficient::Amr)),
            (&young, None, &[], Some(NOW), None),
            (&young, None, &[], Some(NOW - 300), None),
            (&young, None, &[], Some(NOW - 301), Some(Insufficient::Age)),
            (&young, None, &[], Some(0), Some(Insufficient::Age)),
            (&young, None, &[], None, Some(Insufficient::Age)),
            (&young, None, &[], Some(NOW + 300), None), // a clock that is ahead
            (&young, None, &[], Some(NOW + 301), Some(Insufficient::Age)),
            (&young, None, &[], Some(u64::MAX), Some(Insufficient::Age)),
        ] {
            let amr = texts(amr);
            let said = Authenticated { acr, amr: &amr, at, issued_at: Some(NOW) };
            assert_eq!(demand.met_by(&said, NOW).err(), expected, "{demand:?} {said:?}");
        }
    }

    #[test]
    fn a_tenant_has_demands_of_its_own() {
        let acme = Tenant::new("acme".parse().unwrap(), Status::Active);
        let mfa = Tenant { mfa: Some(Mfa { amr: texts(&["mfa"]), acr: texts(&["gold"]) }), ..acme.clone() };
        let hour = Tenant { session_max: Some(Duration::from_secs(3_600)), ..acme.clone() };
        for (tenant, acr, amr, at, issued_at, expected) in [
            (&acme, None, &[][..], None, None, None),
            (&mfa, None, &["pwd", "mfa"], None, None, None),
            (&mfa, Some("gold"), &["pwd"], None, None, None),
            (&mfa, Some("mfa"), &["gold"], None, None, Some(Insufficient::Mfa)),
            (&mfa, None, &["MFA"], None, None, Some(Insufficient::Mfa)),
            (&mfa, None, &[], None, None, Some(Insufficient::Mfa)),
            (&hour, None, &[], Some(NOW - 3_600), None, None),
            (&hour, None, &[], Some(NOW - 3_601), Some(NOW), Some(Insufficient::Session)), // a refreshed token
            (&hour, None, &[], None, Some(NOW - 3_600), None),
            (&hour, None, &[], None, Some(NOW - 3_601), Some(Insufficient::Session)),
            (&hour, None, &[], None, None, Some(Insufficient::Session)),
        ] {
            let amr = texts(amr);
            let said = Authenticated { acr, amr: &amr, at, issued_at };
            assert_eq!(tenant.is_content_with(&said, NOW).err(), expected, "{tenant:?} {said:?}");
        }
    }
}
