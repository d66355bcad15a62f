//! Which tokens are meant, as people write it: on the command line and to the admin listener.

use clap::Args;
use serde::{Deserialize, Serialize};
use store::Revocation;
use tenancy::{Registry, Revoked};
use terms::{Author, IssuerId, Subject};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use token::IssuerSettings;

/// One token, those of a session, those of a user, those for a tenant, or those of an issuer.
#[derive(Args, Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Which {
    /// Whose tokens: an issuer as the configuration calls it. Goes with --jti, --sid and --user; with --before alone, all of
    /// its tokens that were issued before.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<String>,
    /// The token of this name (`jti`).
    #[arg(long, value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jti: Option<String>,
    /// All tokens of this session (`sid`).
    #[arg(long, value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sid: Option<String>,
    /// All tokens of this user (`sub`): with --before those that were issued before, without it also later ones.
    #[arg(long, value_name = "SUBJECT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// All tokens for this tenant that were issued before a time.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<String>,
    /// Only tokens that were issued before (`now`, or RFC 3339, for example 2026-11-23T12:00:00Z).
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<String>,
    /// When it may be forgotten, because none of these tokens is good any longer. Never, if nothing is said.
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<String>,
}

/// The names that are known here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) issuers: &'a [IssuerId],
    /// Those of them that stand for one issuer for each tenant: then `realms/acme` is that of `acme` alone.
    pub(crate) realms: &'a [IssuerId],
    pub(crate) tenants: &'a Registry,
}

/// It is not clear which tokens are meant.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Unclear {
    #[error("all tokens of an issuer, whenever issued: give `before`, or take it out of the configuration")]
    All,
    #[error("`before` goes with a user, a tenant or an issuer: a token or a session is taken back whole")]
    Before,
    #[error("`issuer` goes with `jti`, `sid` or `user`, and not with `tenant`")]
    Issuer,
    #[error("all tokens for a tenant, whenever issued: give `before`, or suspend the tenant in its policy")]
    Tenant,
    #[error("`{0}`: `{1}` is not a time such as 2026-11-23T12:00:00Z")]
    Time(&'static str, String),
    #[error("the {0} `{1}` is not known{2}")]
    Unknown(&'static str, String, Suggestion),
    #[error("`until` has passed: nothing would be taken back")]
    Until,
    #[error("`user` is not a subject: {0}")]
    User(String),
    #[error("name one of `jti`, `sid`, `user` and `tenant`, or an `issuer` with `before`")]
    What,
}

/// The nearest name that is known.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Suggestion(Option<String>);

impl std::fmt::Display for Suggestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_ref().map_or(Ok(()), |name| write!(f, ": did you mean `{name}`?"))
    }
}

impl Which {
    /// What is meant at this time, in seconds since the Unix epoch.
    ///
    /// A name that is not known is an error: what is taken back under a wrong name stays in force.
    pub(crate) fn revocation(&self, names: Names<'_>, author: Author, now: u64) -> Result<Revocation, Unclear> {
        let Self { issuer, jti, sid, user, tenant, before, until } = self;
        match ([jti, sid, user, tenant].into_iter().flatten().count(), issuer) {
            (1, _) => {}
            (0, Some(_)) if before.is_none() => return Err(Unclear::All),
            (0, Some(_)) => {}
            _ => return Err(Unclear::What),
        }
        if issuer.is_some() == tenant.is_some() {
            return Err(Unclear::Issuer);
        }
        let before = before.as_deref().map(|text| seconds("before", text, now)).transpose()?;
        let until = until.as_deref().map(|text| seconds("until", text, now)).transpose()?;
        if until.is_some_and(|until| until <= now) {
            return Err(Unclear::Until);
        }
        let issuer = || names.issuer(issuer.as_deref().unwrap_or_default());
        let revoked = match (jti, sid, user, tenant, before) {
            (Some(_), _, _, _, Some(_)) | (_, Some(_), _, _, Some(_)) => return Err(Unclear::Before),
            (Some(jti), ..) => Revoked::Token { issuer: issuer()?, jti: jti.as_str().into() },
            (_, Some(sid), ..) => Revoked::Session { issuer: issuer()?, sid: sid.as_str().into() },
            (_, _, Some(user), _, before) => {
                let subject: Subject = user.parse().map_err(|invalid| Unclear::User(format!("{invalid}")))?;
                Revoked::Subject { issuer: issuer()?, subject, before }
            }
            (_, _, _, Some(tenant), Some(before)) => {
                let known = names.tenants.possible(tenant);
                let all = names.tenants.iter().map(|tenant| tenant.id.as_str());
                Revoked::Tenant { tenant: known.ok_or_else(|| unknown("tenant", tenant, all))?, before }
            }
            (_, _, _, Some(_), None) => return Err(Unclear::Tenant),
            (None, None, None, None, Some(before)) => Revoked::Issuer { issuer: issuer()?, before },
            (None, None, None, None, None) => return Err(Unclear::What),
        };
        Ok(Revocation { revoked, until, made: now, author: Some(author) })
    }

    /// The same, as it would be written.
    pub(crate) fn of(revocation: &Revocation) -> Self {
        let mut which = Self { until: revocation.until.map(time), ..Self::default() };
        match &revocation.revoked {
            Revoked::Issuer { issuer, before } => {
                (which.issuer, which.before) = (Some(issuer.to_string()), Some(time(*before)));
            }
            Revoked::Session { issuer, sid } => {
                (which.issuer, which.sid) = (Some(issuer.to_string()), Some(sid.to_string()));
            }
            Revoked::Subject { issuer, subject, before } => {
                (which.issuer, which.user) = (Some(issuer.to_string()), Some(subject.to_string()));
                which.before = before.map(time);
            }
            Revoked::Tenant { tenant, before } => {
                (which.tenant, which.before) = (Some(tenant.to_string()), Some(time(*before)));
            }
            Revoked::Token { issuer, jti } => {
                (which.issuer, which.jti) = (Some(issuer.to_string()), Some(jti.to_string()));
            }
        }
        which
    }
}

impl Names<'_> {
    pub(crate) fn issuer(self, written: &str) -> Result<IssuerId, Unclear> {
        let known = self.issuers.iter().find(|issuer| issuer.as_str() == written).cloned();
        let of_tenant = || {
            let (realms, tenant) = written.rsplit_once('/')?;
            let realms = self.realms.iter().find(|issuer| issuer.as_str() == realms)?;
            Some(realms.of_tenant(&self.tenants.possible(tenant)?))
        };
        known.or_else(of_tenant).ok_or_else(|| unknown("issuer", written, self.issuers.iter().map(IssuerId::as_str)))
    }
}

/// What issuers are called, and those of them that stand for one issuer for each tenant.
pub(crate) fn issuers(settings: &[IssuerSettings]) -> (Vec<IssuerId>, Vec<IssuerId>) {
    let all = settings.iter().map(|issuer| issuer.id.clone()).collect();
    let realms = settings.iter().filter(|issuer| issuer.is_of_tenants()).map(|issuer| issuer.id.clone()).collect();
    (all, realms)
}

fn unknown<'a>(what: &'static str, written: &str, known: impl Iterator<Item = &'a str>) -> Unclear {
    Unclear::Unknown(what, written.into(), Suggestion(terms::nearest(written, known).map(Into::into)))
}

/// The first whole second that is not before this time, since tokens tell whole seconds.
fn seconds(what: &'static str, text: &str, now: u64) -> Result<u64, Unclear> {
    if text == "now" {
        return Ok(now.saturating_add(1)); // also the tokens of this very second
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).ok();
    let whole =
        time.and_then(|time| u64::try_from(time.unix_timestamp()).ok()?.checked_add(u64::from(time.nanosecond() > 0)));
    whole.ok_or_else(|| Unclear::Time(what, text.into()))
}

/// A time as it is written; the end of time, where it is later than can be written.
pub(crate) fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| "9999-12-31T23:59:59Z".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Which {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_written_is_what_is_meant_and_is_written_again_in_the_same_way() {
        let (issuers, realms) = (["main".parse().unwrap(), "realms".parse().unwrap()], ["realms".parse().unwrap()]);
        let tenants = registry();
        let names = Names { issuers: &issuers, realms: &realms, tenants: &tenants };
        for text in [
            r#"{"issuer":"main","jti":"t1"}"#,
            r#"{"issuer":"main","sid":"s1","until":"2027-01-01T00:00:00Z"}"#,
            r#"{"issuer":"main","user":"ada"}"#,
            r#"{"issuer":"main","user":"ada","before":"2026-11-23T12:00:00Z"}"#,
            r#"{"tenant":"acme","before":"2026-11-23T12:00:00Z"}"#,
            r#"{"issuer":"realms/acme","user":"ada"}"#,
            r#"{"issuer":"realms/acme","before":"2026-11-23T12:00:00Z"}"#,
            r#"{"issuer":"realms","user":"ada"}"#,
        ] {
            let revocation = written(text).revocation(names, Author::Admin, 100).unwrap();
            assert_eq!(serde_json::to_string(&Which::of(&revocation)).unwrap(), text);
        }
        let now = written(r#"{"tenant":"acme","before":"now"}"#).revocation(names, Author::Admin, 100).unwrap();
        assert_eq!(now.revoked, Revoked::Tenant { tenant: "acme".parse().unwrap(), before: 101 });
        let parts = written(r#"{"tenant":"acme","before":"1970-01-01T00:00:07.5Z"}"#)
            .revocation(names, Author::Admin, 100)
            .unwrap();
        assert_eq!(parts.revoked, Revoked::Tenant { tenant: "acme".parse().unwrap(), before: 8 });
    }

    #[test]
    fn what_is_not_clear_is_told_with_its_remedy() {
        let (issuers, realms) = (["main".parse().unwrap(), "realms".parse().unwrap()], ["realms".parse().unwrap()]);
        let tenants = registry();
        let names = Names { issuers: &issuers, realms: &realms, tenants: &tenants };
        for (text, said) in [
            ("{}", "name one of `jti`, `sid`, `user` and `tenant`, or an `issuer` with `before`"),
            (
                r#"{"issuer":"main","jti":"a","sid":"b"}"#,
                "name one of `jti`, `sid`, `user` and `tenant`, or an `issuer` with `before`",
            ),
            (
                r#"{"issuer":"main"}"#,
                "all tokens of an issuer, whenever issued: give `before`, or take it out of the configuration",
            ),
            (r#"{"before":"now"}"#, "name one of `jti`, `sid`, `user` and `tenant`, or an `issuer` with `before`"),
            (r#"{"jti":"a"}"#, "`issuer` goes with `jti`, `sid` or `user`, and not with `tenant`"),
            (
                r#"{"issuer":"main","tenant":"acme","before":"now"}"#,
                "`issuer` goes with `jti`, `sid` or `user`, and not with `tenant`",
            ),
            (
                r#"{"issuer":"main","jti":"a","before":"now"}"#,
                "`before` goes with a user, a tenant or an issuer: a token or a session is taken back whole",
            ),
            (
                r#"{"tenant":"acme"}"#,
                "all tokens for a tenant, whenever issued: give `before`, or suspend the tenant in its policy",
            ),
            (r#"{"issuer":"mian","user":"ada"}"#, "the issuer `mian` is not known: did you mean `main`?"),
            (r#"{"issuer":"realms/initech","user":"ada"}"#, "the issuer `realms/initech` is not known"),
            (r#"{"issuer":"main/acme","user":"ada"}"#, "the issuer `main/acme` is not known"),
            (
                r#"{"issuer":"main","jti":"a","until":"1970-01-01T00:01:40Z"}"#,
                "`until` has passed: nothing would be taken back",
            ),
            (r#"{"tenant":"initech","before":"now"}"#, "the tenant `initech` is not known"),
            (
                r#"{"tenant":"acme","before":"yesterday"}"#,
                "`before`: `yesterday` is not a time such as 2026-11-23T12:00:00Z",
            ),
        ] {
            assert_eq!(written(text).revocation(names, Author::Admin, 100).unwrap_err().to_string(), said, "{text}");
        }
    }

    fn registry() -> Registry {
        let known = policy::Known::default();
        let text = "tenants: { acme: { status: active } }";
        let compiled = policy::compile(&[policy::Source { path: "t.yaml", text }], &known).unwrap();
        compiled.policy.tenants().clone()
    }
}
