use std::sync::Arc;

use terms::{IssuerId, Subject, TenantId};

use crate::shared::Shared;

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
///
/// A copy costs next to nothing, and so does a change of one, however many there are.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    issuers: Shared<IssuerId, Arc<OfIssuer>>,
    /// Of all tokens for this tenant, those that were issued before.
    tenants: Shared<TenantId, u64>,
    of_issuers: usize,
}

#[derive(Clone, Debug, Default)]
struct OfIssuer {
    /// Of all its tokens, those that were issued before; 0 is none.
    before: u64,
    tokens: Shared<Box<str>, ()>,
    sessions: Shared<Box<str>, ()>,
    /// Of all tokens of this subject, those that were issued before.
    subjects: Shared<Subject, u64>,
}

/// One token or several that are taken back. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Revoked {
    /// The tokens of an issuer that were issued before.
    Issuer {
        /// Whose tokens.
        issuer: IssuerId,
        /// Issued before.
        before: u64,
    },
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
        credential.jti.is_some_and(|jti| theirs.tokens.get(jti).is_some())
            || credential.sid.is_some_and(|sid| theirs.sessions.get(sid).is_some())
            || before(theirs.subjects.get(credential.subject))
            || before(Some(&theirs.before).filter(|before| **before > 0))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.of_issuers + self.tenants.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes these back, too.
    pub fn add(&mut self, revoked: Revoked) {
        match revoked {
            Revoked::Issuer { issuer, before } => self.change(issuer, |theirs| later(&mut theirs.before, before)),
            Revoked::Session { issuer, sid } => self.change(issuer, |theirs| *theirs.sessions.entry(sid, || ()) = ()),
            Revoked::Subject { issuer, subject, before } => self.change(issuer, |theirs| {
                later(theirs.subjects.entry(subject, || 0), before.unwrap_or(u64::MAX));
            }),
            Revoked::Tenant { tenant, before } => later(self.tenants.entry(tenant, || 0), before),
            Revoked::Token { issuer, jti } => self.change(issuer, |theirs| *theirs.tokens.entry(jti, || ()) = ()),
        }
    }

    /// Takes these back no longer, before whatever time that was.
    pub fn remove(&mut self, revoked: &Revoked) {
        match revoked {
            Revoked::Issuer { issuer, .. } => self.change(issuer.clone(), |theirs| theirs.before = 0),
            Revoked::Session { issuer, sid } => self.change(issuer.clone(), |theirs| theirs.sessions.remove(sid)),
            Revoked::Subject { issuer, subject, .. } => {
                self.change(issuer.clone(), |theirs| theirs.subjects.remove(subject));
            }
            Revoked::Tenant { tenant, .. } => self.tenants.remove(tenant),
            Revoked::Token { issuer, jti } => self.change(issuer.clone(), |theirs| theirs.tokens.remove(jti)),
        }
    }

    fn change(&mut self, issuer: IssuerId, change: impl FnOnce(&mut OfIssuer)) {
        let theirs = Arc::make_mut(self.issuers.entry(issuer.clone(), Arc::default));
        let before = theirs.len();
        change(theirs);
        let after = theirs.len();
        self.of_issuers = self.of_issuers + after - before;
        if after == 0 {
            self.issuers.remove(&issuer);
        }
    }
}

impl OfIssuer {
    fn len(&self) -> usize {
        let Self { before, tokens, sessions, subjects } = self;
        usize::from(*before > 0) + tokens.len() + sessions.len() + subjects.len()
    }
}

/// Of two times the later one takes more back.
fn later(known: &mut u64, before: u64) {
    *known = before.max(*known);
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
        let each = [
            Revoked::Token { issuer: issuer("main"), jti: "t1".into() },
            Revoked::Session { issuer: issuer("main"), sid: "s1".into() },
            Revoked::Subject { issuer: issuer("main"), subject: subject("ada"), before: Some(100) },
            Revoked::Subject { issuer: issuer("main"), subject: subject("ada"), before: Some(50) },
            Revoked::Subject { issuer: issuer("main"), subject: subject("eve"), before: None },
            Revoked::Tenant { tenant: tenant("globex"), before: 100 },
            Revoked::Issuer { issuer: issuer("leaky"), before: 100 },
        ];
        let all: Revocations = each.clone().into_iter().collect();
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
            ("leaky", "bob", None, None, Some(99), "acme", true),
            ("leaky", "bob", None, None, Some(100), "acme", false),
            ("leaky", "bob", None, None, None, "acme", true),
        ] {
            let (issuer, subject) = (issuer(from), subject(who));
            let credential = Credential { issuer: &issuer, subject: &subject, jti, sid, issued_at };
            assert_eq!(all.revoke(&credential, &tenant(of)), revoked, "{credential:?} {of}");
        }
        let mut rest = all.clone();
        each.iter().chain(&each).for_each(|revoked| rest.remove(revoked));
        let (issuer, subject) = (issuer("leaky"), subject("bob"));
        let credential = Credential { issuer: &issuer, subject: &subject, jti: None, sid: None, issued_at: None };
        assert!(all.revoke(&credential, &tenant("acme")), "a copy is another one");
        assert_eq!(
            (all.len(), rest.len(), rest.issuers.len()),
            (6, 0, 0),
            "nothing is left of what is taken back no longer"
        );
    }
}
