use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use terms::{IssuerId, RoleName, Subject, TenantId};

use crate::text;

/// Who vouches for keys, as records, limits and `issuers` of tenants name it. No issuer of tokens may have this name.
pub const ISSUER: &str = "api-keys";

/// One key as it is kept. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyRow {
    /// What it is called.
    pub id: Box<str>,
    /// SHA-256 of its text.
    pub digest: [u8; 32],
    /// The tenant that it acts for.
    pub tenant: TenantId,
    /// Who uses it: stays the same when the key is replaced.
    pub name: Box<str>,
    /// What it is there.
    pub roles: Vec<RoleName>,
    /// When it was made.
    pub made: u64,
    /// From when on it is no key any more.
    pub expires: Option<u64>,
    /// When it was taken back.
    pub revoked: Option<u64>,
}

/// A key that is in force, or was: whoever holds it sees at once when that changes.
pub struct ApiKey {
    id: Box<str>,
    digest: [u8; 32],
    issuer: IssuerId,
    tenant: TenantId,
    subject: Subject,
    roles: Arc<[RoleName]>,
    made: u64,
    expires: AtomicU64,
    revoked: AtomicBool,
    used: AtomicU64,
}

/// Why a key lets nobody in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// Its time is over.
    #[error("the key has expired")]
    Expired,
    /// It is no key, or stands beside another proof.
    #[error("this is not a key, or it stands beside a token")]
    Malformed,
    /// It was taken back.
    #[error("the key was taken back")]
    Revoked,
    /// There is none like it.
    #[error("the key is not known")]
    Unknown,
}

/// How it stands with all keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outlook {
    /// How many are good.
    pub good: usize,
    /// How many users of keys will soon have none. One that was replaced has another.
    pub ending: usize,
}

/// All keys, by what they are called. Replaced as a whole.
#[derive(Debug, Default)]
pub struct ApiKeys(HashMap<Box<str>, Arc<ApiKey>>);

/// Who a key of this name acts as: unique among all tenants.
///
/// # Errors
/// If that is no subject.
pub fn subject(tenant: &TenantId, name: &str) -> Result<Subject, terms::InvalidSubject> {
    format!("{tenant}/{name}").parse()
}

impl ApiKeys {
    /// Whose key this is, now.
    ///
    /// The name in it finds one key, and then the digests are compared in the same time however they differ: of the secret
    /// nothing can be learned from how long it takes.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn find(&self, text: &str, now: u64) -> Result<Arc<ApiKey>, KeyError> {
        let id = text::id(text).ok_or(KeyError::Malformed)?;
        let given = text::digest_of(text);
        let key = self.0.get(id).filter(|key| verify_slices_are_equal(&key.digest, &given).is_ok());
        let key = key.ok_or(KeyError::Unknown)?;
        if key.is_revoked() {
            return Err(KeyError::Revoked);
        }
        if now >= key.expires_at() {
            return Err(KeyError::Expired);
        }
        key.note_use(now);
        Ok(Arc::clone(key))
    }

    /// The keys of these rows. One that was there before is the same as before, with what has changed of it; one that is not
    /// there any more is taken back for whoever still holds it.
    #[must_use]
    pub fn succeeded_by(&self, rows: Vec<KeyRow>) -> Self {
        let next: HashMap<_, _> = rows.into_iter().filter_map(|row| Some((row.id.clone(), self.key(row)?))).collect();
        for (id, key) in &self.0 {
            if !next.get(id).is_some_and(|kept| Arc::ptr_eq(kept, key)) {
                key.revoked.store(true, Ordering::Release);
            }
        }
        Self(next)
    }

    /// FAIL CLOSED: a row that makes no key is none.
    fn key(&self, row: KeyRow) -> Option<Arc<ApiKey>> {
        let KeyRow { id, digest, tenant, name, roles, made, expires, revoked } = row;
        let subject = subject(&tenant, &name).ok()?;
        let expires = expires.unwrap_or(u64::MAX);
        let same = |old: &&Arc<ApiKey>| {
            old.digest == digest
                && old.tenant == tenant
                && old.subject == subject
                && *old.roles == *roles
                && old.made == made
        };
        if let Some(old) = self.0.get(&id).filter(same) {
            old.expires.store(expires, Ordering::Release);
            old.revoked.store(revoked.is_some(), Ordering::Release);
            return Some(Arc::clone(old));
        }
        Some(Arc::new(ApiKey {
            id,
            digest,
            issuer: ISSUER.parse().ok()?,
            tenant,
            subject,
            roles: roles.into(),
            made,
            expires: AtomicU64::new(expires),
            revoked: AtomicBool::new(revoked.is_some()),
            used: AtomicU64::new(0),
        }))
    }

    /// How many are good now, and for how many users of keys there is none that is still good at `soon`.
    #[must_use]
    pub fn outlook(&self, now: u64, soon: u64) -> Outlook {
        let good = || self.0.values().filter(|key| !key.is_revoked() && now < key.expires_at());
        let mut last: HashMap<&str, u64> = HashMap::new();
        for key in good() {
            let known = last.entry(key.subject.as_str()).or_default();
            *known = (*known).max(key.expires_at());
        }
        Outlook { good: good().count(), ending: last.values().filter(|expires| **expires <= soon).count() }
    }

    /// When keys were used last, for those that were used at this time or later.
    #[must_use]
    pub fn used_since(&self, then: u64) -> Vec<(Box<str>, u64)> {
        let used = |key: &ApiKey| key.used.load(Ordering::Relaxed);
        self.0
            .values()
            .filter(|key| used(key) > 0 && used(key) >= then)
            .map(|key| (key.id.clone(), used(key)))
            .collect()
    }
}

impl ApiKey {
    /// What it is called. No secret.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A digest that names it.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// [`ISSUER`].
    #[must_use]
    pub const fn issuer(&self) -> &IssuerId {
        &self.issuer
    }

    /// The tenant that it acts for.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Who uses it.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What it is in its tenant.
    #[must_use]
    pub const fn roles(&self) -> &Arc<[RoleName]> {
        &self.roles
    }

    /// When it was made.
    #[must_use]
    pub const fn made(&self) -> u64 {
        self.made
    }

    /// From this second on it is no key any more, as far as is known now.
    #[must_use]
    pub fn expires_at(&self) -> u64 {
        self.expires.load(Ordering::Acquire)
    }

    /// Whether it was taken back by now.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// By the minute, so that a key which is used all the time is written to once in a while.
    fn note_use(&self, now: u64) {
        if now.saturating_sub(self.used.load(Ordering::Relaxed)) >= 60 {
            self.used.store(now, Ordering::Relaxed);
        }
    }
}

/// Says which key, not whose.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NewKey;

    fn row(new: &NewKey) -> KeyRow {
        KeyRow {
            id: new.id.clone(),
            digest: new.digest,
            tenant: "acme".parse().unwrap(),
            name: "ci".into(),
            roles: vec!["viewer".parse().unwrap()],
            made: 10,
            expires: Some(1_000),
            revoked: None,
        }
    }

    #[test]
    fn a_key_lets_in_whoever_it_was_made_for_until_it_is_over_or_taken_back() {
        let (one, other) = (NewKey::by_chance(), NewKey::by_chance());
        let keys = ApiKeys::default().succeeded_by(vec![row(&one)]);
        let found = keys.find(&one.text, 100).unwrap();
        assert_eq!((found.subject().as_str(), found.tenant().as_str(), found.id()), ("acme/ci", "acme", &*one.id));
        assert_eq!(keys.find(&other.text, 100).err(), Some(KeyError::Unknown));
        assert_eq!(keys.find(&one.text, 1_000).err(), Some(KeyError::Expired));
        assert_eq!(keys.find("clk_", 100).err(), Some(KeyError::Malformed));
        // The name of one with the secret of another, as it would be if both were well made.
        let stolen = KeyRow { digest: other.digest, ..row(&one) };
        assert_eq!(ApiKeys::default().succeeded_by(vec![stolen]).find(&one.text, 100).err(), Some(KeyError::Unknown));
        assert!(!format!("{found:?}").contains("acme"));
    }

    #[test]
    fn whoever_holds_a_key_sees_what_becomes_of_it() {
        let one = NewKey::by_chance();
        let keys = ApiKeys::default().succeeded_by(vec![row(&one)]);
        let held = keys.find(&one.text, 100).unwrap();
        let keys = keys.succeeded_by(vec![KeyRow { expires: Some(200), ..row(&one) }]);
        assert_eq!((held.expires_at(), held.is_revoked()), (200, false), "replaced, with some time left");
        let keys = keys.succeeded_by(vec![KeyRow { revoked: Some(150), ..row(&one) }]);
        assert!(held.is_revoked());
        assert_eq!(keys.find(&one.text, 150).err(), Some(KeyError::Revoked));
        let keys = keys.succeeded_by(vec![row(&one)]);
        assert!(!held.is_revoked());
        let keys = keys.succeeded_by(vec![KeyRow { roles: Vec::new(), ..row(&one) }]);
        assert!(held.is_revoked(), "what it was it is no more");
        drop(keys.succeeded_by(Vec::new()));
        assert_eq!(
            keys.find(&one.text, 150).err(),
            Some(KeyError::Revoked),
            "and one that is gone is gone for everybody"
        );
    }

    #[test]
    fn who_will_soon_have_no_key_is_counted_and_who_has_another_is_not() {
        let mut rows: Vec<_> = (0..6).map(|_| row(&NewKey::by_chance())).collect();
        for (row, name) in rows.iter_mut().zip(["ci", "ci", "cd", "lost", "over", "for ever"]) {
            row.name = name.into();
        }
        rows[1].expires = Some(5_000); // the next of `ci`
        rows[3].revoked = Some(50);
        rows[4].expires = Some(90);
        rows[5].expires = None;
        rows[5].name = "forever".into();
        let keys = ApiKeys::default().succeeded_by(rows);
        for (now, soon, good, ending) in
            [(100, 999, 4, 0), (100, 1_000, 4, 1), (100, 5_000, 4, 2), (1_000, 4_999, 2, 0), (1_000, 5_000, 2, 1)]
        {
            assert_eq!(keys.outlook(now, soon), Outlook { good, ending }, "{now} {soon}");
        }
    }

    #[test]
    fn use_is_noted_by_the_minute() {
        let one = NewKey::by_chance();
        let keys = ApiKeys::default().succeeded_by(vec![row(&one)]);
        assert_eq!(keys.used_since(0), []);
        for (now, noted) in [(100, 100), (120, 100), (160, 160)] {
            drop(keys.find(&one.text, now));
            assert_eq!(keys.used_since(0), [(one.id.clone(), noted)]);
        }
        assert_eq!(keys.used_since(161), []);
    }
}
