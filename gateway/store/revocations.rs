use rusqlite::{Row, named_params};
use tenancy::Revoked;

use crate::rows::{self, Kept, seconds};
use crate::{Store, StoreError};

/// Tokens that were taken back, and what is known of that. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revocation {
    /// Which tokens.
    pub revoked: Revoked,
    /// When it may be forgotten, because none of them is good any longer. Never, if nothing is said.
    pub until: Option<u64>,
    /// When it was made, or made last.
    pub made: u64,
}

/// Something that was done with tokens and is not in the audit log yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    id: i64,
    /// Whether they were taken back or given back.
    pub turn: Turn,
    /// Which tokens.
    pub revoked: Revoked,
}

/// What became of tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// They were given back.
    Restored,
    /// They were taken back.
    Revoked,
}

impl Store {
    /// Takes tokens back, and forgets what may be forgotten `now`. On disk when it returns. Taken back twice, what takes
    /// more back stays: the later `before`, the later `until`.
    ///
    /// # Errors
    /// Nothing was taken back.
    pub fn revoke(&self, revocation: &Revocation, now: u64) -> Result<(), StoreError> {
        self.change(|transaction| {
            rows::put(transaction, revocation, now)?;
            rows::note(transaction, Turn::Revoked, &revocation.revoked)?;
            rows::post(transaction, Turn::Revoked, revocation)
        })
    }

    /// Gives tokens back `now`: those that were taken back in just this way. `false`: there was nothing of the kind.
    ///
    /// # Errors
    /// Nothing was given back.
    pub fn restore(&self, revoked: &Revoked, now: u64) -> Result<bool, StoreError> {
        self.change(|transaction| {
            let restored = rows::remove(transaction, revoked)?;
            if restored {
                rows::note(transaction, Turn::Restored, revoked)?;
                let revocation = Revocation { revoked: revoked.clone(), until: None, made: now };
                rows::post(transaction, Turn::Restored, &revocation)?;
            }
            Ok(restored)
        })
    }

    /// All that are in force `now`, in an order that stays.
    ///
    /// # Errors
    /// The store cannot be read, in whole or in part.
    pub fn revocations(&self, now: u64) -> Result<Vec<Revocation>, StoreError> {
        let all = self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT kind, issuer, name, before, until, made FROM revocations
                 WHERE until IS NULL OR until > :now ORDER BY made, kind, issuer, name",
            )?;
            let row = |row: &Row<'_>| Ok((Kept::read(row)?, row.get("until")?, row.get("made")?));
            let all = statement.query_map(named_params! { ":now": seconds(now) }, row)?;
            all.collect::<rusqlite::Result<Vec<(Kept, Option<i64>, i64)>>>()
        })?;
        let revocation = |(kept, until, made): (Kept, Option<i64>, i64)| {
            let revoked = self.revoked(kept)?;
            Ok(Revocation { revoked, until: until.map(i64::cast_unsigned), made: made.cast_unsigned() })
        };
        all.into_iter().map(revocation).collect()
    }

    /// What was done and is not in the audit log yet, the oldest first; so many at most.
    ///
    /// # Errors
    /// The store cannot be read, in whole or in part.
    pub fn revocation_events(&self, most: u32) -> Result<Vec<Event>, StoreError> {
        let all = self.read(|connection| {
            let sql = "SELECT id, turn, kind, issuer, name, before FROM revocation_events ORDER BY id LIMIT :most";
            let mut statement = connection.prepare_cached(sql)?;
            let row = |row: &Row<'_>| Ok((row.get("id")?, row.get("turn")?, Kept::read(row)?));
            let all = statement.query_map(named_params! { ":most": most }, row)?;
            all.collect::<rusqlite::Result<Vec<(i64, String, Kept)>>>()
        })?;
        let event = |(id, turn, kept): (i64, String, Kept)| {
            Ok(Event { id, turn: self.turn(&turn)?, revoked: self.revoked(kept)? })
        };
        all.into_iter().map(event).collect()
    }

    /// Forgets what was done up to this event: it is in the audit log.
    ///
    /// # Errors
    /// It is not forgotten, and will be in the log twice.
    pub fn recorded(&self, last: &Event) -> Result<(), StoreError> {
        self.transaction(|transaction| {
            transaction.execute("DELETE FROM revocation_events WHERE id <= :id", named_params! { ":id": last.id })?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(jti: &str) -> Revoked {
        Revoked::Token { issuer: "main".parse().unwrap(), jti: jti.into() }
    }

    fn ada(before: Option<u64>) -> Revoked {
        Revoked::Subject { issuer: "main".parse().unwrap(), subject: "ada".parse().unwrap(), before }
    }

    fn every_kind() -> Vec<Revoked> {
        let session = Revoked::Session { issuer: "main".parse().unwrap(), sid: "s1".into() };
        let tenant = Revoked::Tenant { tenant: "acme".parse().unwrap(), before: 50 };
        vec![session, ada(None), tenant, token("t1")]
    }

    fn of(store: &Store, now: u64) -> Vec<Revoked> {
        store.revocations(now).unwrap().into_iter().map(|kept| kept.revoked).collect()
    }

    #[test]
    fn what_was_taken_back_is_there_after_a_restart_and_for_every_other_process() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let other = Store::open_existing(folder.path()).unwrap();
        let mut version = other.version().unwrap();
        for revoked in every_kind() {
            store.revoke(&Revocation { revoked, until: None, made: 100 }, 100).unwrap();
            assert_ne!(other.version().unwrap(), version);
            version = other.version().unwrap();
        }
        assert_eq!(of(&other, 100), every_kind());
        drop((store, other));
        let again = Store::open(folder.path()).unwrap();
        assert_eq!((of(&again, 100), again.version().unwrap()), (every_kind(), version));
    }

    #[test]
    fn taken_back_twice_what_takes_more_back_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for (before, until, kept) in [
            (Some(50), Some(500), (Some(50), Some(500))),
            (Some(40), Some(400), (Some(50), Some(500))),
            (Some(60), None, (Some(60), None)),
            (None, Some(900), (None, None)),
            (Some(70), Some(900), (None, None)),
        ] {
            store.revoke(&Revocation { revoked: ada(before), until, made: 100 }, 100).unwrap();
            let all = store.revocations(100).unwrap();
            assert_eq!(all.iter().map(|it| (&it.revoked, it.until)).collect::<Vec<_>>(), [(&ada(kept.0), kept.1)]);
        }
    }

    #[test]
    fn what_may_be_forgotten_is_and_what_is_given_back_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.revoke(&Revocation { revoked: token("t1"), until: Some(200), made: 100 }, 100).unwrap();
        assert_eq!(of(&store, 199), [token("t1")]);
        assert_eq!(of(&store, 200), []);
        store.revoke(&Revocation { revoked: token("t2"), until: None, made: 200 }, 200).unwrap();
        assert_eq!(of(&store, 0), [token("t2")], "the other one is not even kept");
        assert!(store.restore(&token("t2"), 200).unwrap());
        assert!(!store.restore(&token("t2"), 200).unwrap());
        assert_eq!(of(&store, 0), []);
    }

    #[test]
    fn what_was_done_waits_for_the_audit_log_until_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for revoked in every_kind() {
            store.revoke(&Revocation { revoked, until: None, made: 100 }, 100).unwrap();
        }
        assert!(store.restore(&ada(None), 100).unwrap());
        assert!(!store.restore(&ada(None), 100).unwrap(), "and that is nothing to tell");
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        let told = |events: &[Event]| events.iter().map(|it| (it.turn, it.revoked.clone())).collect::<Vec<_>>();
        let revoked = every_kind().into_iter().map(|it| (Turn::Revoked, it));
        let all: Vec<_> = revoked.chain([(Turn::Restored, ada(None))]).collect();
        let events = store.revocation_events(10).unwrap();
        assert_eq!(told(&events), all);
        let two = store.revocation_events(2).unwrap();
        store.recorded(two.last().unwrap()).unwrap();
        assert_eq!(told(&store.revocation_events(10).unwrap()), all[2..]);
    }

    #[test]
    fn a_row_that_this_program_would_not_write_is_an_error_and_not_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let sql = "INSERT INTO revocations VALUES ('tenant', '', 'Not A Tenant', 5, NULL, 1)";
        store.change(|transaction| transaction.execute(sql, [])).unwrap();
        assert!(matches!(store.revocations(0), Err(StoreError::Damaged(_, "name", _))));
    }
}
