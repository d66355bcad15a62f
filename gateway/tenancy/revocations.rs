use std::collections::{HashMap, HashSet};

use terms::{IssuerId, Subject, TenantId};

/// What a verified token says of itself, to find it among those that were taken back.
#[derive(Clone, Copy, Debug)]
pub struct Credential<'a> {
    /// Who issued it.
    pub issuer: &'a IssuerId,
    /// Whom it speaks of.
    pub subject: &'a Subject,
    /// Its own name (RFC 7519 §4.1.7).
    pub jti: Option<&'a str>,
    /// The session that it belongs to (OpenID Connect Front-Channel Logout 1.0 §3).
    pub sid: Option<&'a str>,
    /// When it was issued, in seconds since the Unix epoch.
    pub issued_at: Option<u64>,
}

/// Tokens that were taken back before their time. Whoever wrote that down means it at once, also for what runs already.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    issuers: HashMap<IssuerId, OfIssuer>,
    /// Of all tokens for this tenant, those that were issued before.
    tenants: HashMap<TenantId, u64>,
}

#[derive(Clone, Debug, Default)]
struct OfIssuer {
    tokens: HashSet<Box<str>>,
    sessions: HashSet<Box<str>>,
    /// Of all tokens of this subject, those that were issued before.
    subjects: HashMap<Subject, u64>,
}

/// One token or several that are taken back. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Revoked {
    /// All tokens of a session.
    Session {
        /// Whose session.
        issuer: IssuerId,
        /// Which.
        sid: Box<str>,
    },
    /// The tokens of a subject that were issued before; all of them, if nothing is said about that.
    Subject {
        /// Whose subject.
        issuer: IssuerId,
        /// Who.
        subject: Subject,
        /// Issued before.
        before: Option<u64>,
    },
    /// The tokens for a tenant that were issued before.
    Tenant {
        /// Which.
        tenant: TenantId,
        /// Issued before.
        before: u64,
    },
    /// One token.
    Token {
        /// Whose token.
        issuer: IssuerId,
        /// Which.
        jti: Box<str>,
    },
}

impl Revocations {
    /// Whether this token was taken back, in this tenant.
    #[must_use]
    pub fn revoke(&self, credential: &Credential<'_>, tenant: &TenantId) -> bool {
        // FAIL CLOSED: what does not say when it was issued was issued before.
        let before =
            |before: Option<&u64>| before.is_some_and(|before| credential.issued_at.is_none_or(|at| at < *before));
        if before(self.tenants.get(tenant)) {
            return true;
        }
        let Some(theirs) = self.issuers.get(credential.issuer) else { return false };
        credential.jti.is_some_and(|jti| theirs.tokens.contains(jti))
            || credential.sid.is_some_and(|sid| theirs.sessions.contains(sid))
            || before(theirs.subjects.get(credential.subject))
    }

    fn add(&mut self, revoked: Revoked) {
        let later = |known: &mut u64, before: u64| *known = before.max(*known); // of two times the later one takes more back
        match revoked {
            Revoked::Session { issuer, sid } => {
                self.issuers.entry(issuer).or_default().sessions.insert(sid);
            }
            Revoked::Subject { issuer, subject, before } => {
                let subjects = &mut self.issuers.entry(issuer).or_default().subjects;
                later(subjects.entry(subject).or_default(), before.unwrap_or(u64::MAX));
            }
            Revoked::Tenant { tenant, before } => later(self.tenants.entry(tenant).or_default(), before),
            Revoked::Token { issuer, jti } => {
                self.issuers.entry(issuer).or_default().tokens.insert(jti);
            }
        }
    }
}

impl FromIterator<Revoked> for Revocations {
    fn from_iter<I: IntoIterator<Item = Revoked>>(all: I) -> Self {
        let mut revocations = Self::default();
        all.into_iter().for_each(|revoked| revocations.add(revoked));
        revocations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_back_by_its_name_its_session_its_subject_or_its_tenant_and_no_other_is() {
        let issuer = |name: &str| name.parse::<IssuerId>().unwrap();
        let subject = |name: &str| name.parse::<Subject>().unwrap();
        let tenant = |name: &str| name.parse::<TenantId>().unwrap();
        let all: Revocations = [
            Revoked::Token { issuer: issuer("main"), jti: "t1".into() },
            Revoked::Session { issuer: issuer("main"), sid: "s1".into() },
            Revoked::Subject { issuer: issuer("main"), subject: subject("ada"), before: Some(100) },
            Revoked::Subject { issuer: issuer("main"), subject: subject("ada"), before: Some(50) },
            Revoked::Subject { issuer: issuer("main"), subject: subject("eve"), before: None },
            Revoked::Tenant { tenant: tenant("globex"), before: 100 },
        ]
        .into_iter()
        .collect();
        for (from, who, jti, sid, issued_at, of, revoked) in [
            ("main", "bob", Some("t1"), None, Some(500), "acme", true),
            ("main", "bob", Some("t2"), Some("s2"), Some(1), "acme", false),
            ("other", "bob", Some("t1"), Some("s1"), Some(500), "acme", false),
            ("main", "bob", None, Some("s1"), Some(500), "acme", true),
            ("main", "bob", Some("s1"), Some("t1"), Some(500), "acme", false),
            ("main", "ada", None, None, Some(99), "acme", true),
            ("main", "ada", None, None, Some(100), "acme", false),
            ("main", "ada", None, None, None, "acme", true),
            ("other", "ada", None, None, Some(99), "acme", false),
            ("main", "eve", None, None, Some(u64::MAX - 1), "acme", true),
            ("other", "bob", None, None, Some(99), "globex", true),
            ("other", "bob", None, None, Some(100), "globex", false),
            ("other", "bob", None, None, None, "globex", true),
        ] {
            let (issuer, subject) = (issuer(from), subject(who));
            let credential = Credential { issuer: &issuer, subject: &subject, jti, sid, issued_at };
            assert_eq!(all.revoke(&credential, &tenant(of)), revoked, "{credential:?} {of}");
        }
    }
}
