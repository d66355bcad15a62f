use rusqlite::{OptionalExtension as _, Row, named_params};

use crate::rows::{self, KeptRevocation, seconds};
use crate::{Revocation, Store, StoreError, Turn};

/// A change that one store tells the others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// Whether tokens were taken back or given back.
    pub turn: Turn,
    /// Whether it is news.
    pub told: Told,
    /// Which, and since when.
    pub revocation: Revocation,
}

/// Whether a change is news.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    /// It may have been undone since: it counts only where nothing later is known.
    Again,
    /// It was made just now.
    First,
}

/// A change that was made here and waits to be told to others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Posted {
    id: i64,
    /// Which.
    pub change: Change,
}

impl Store {
    /// What others are to be told, the oldest first; so many at most.
    ///
    /// # Errors
    /// The store cannot be read, in whole or in part.
    pub fn outbox(&self, most: u32) -> Result<Vec<Posted>, StoreError> {
        let all = self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, turn, again, kind, issuer, name, before, until, made, author FROM outbox ORDER BY id LIMIT :most",
            )?;
            let row = |row: &Row<'_>| {
                Ok((row.get("id")?, row.get("turn")?, row.get("again")?, KeptRevocation::read(row)?))
            };
            let all = statement.query_map(named_params! { ":most": most }, row)?;
            all.collect::<rusqlite::Result<Vec<(i64, String, bool, KeptRevocation)>>>()
        })?;
        let posted = |(id, turn, again, row): (i64, String, bool, KeptRevocation)| {
            let (turn, told, revocation) = (self.turn(&turn)?, rows::told(again), self.revocation(row)?);
            Ok(Posted { id, change: Change { turn, told, revocation } })
        };
        all.into_iter().map(posted).collect()
    }

    /// Forgets what others were told, up to this change.
    ///
    /// # Errors
    /// It is not forgotten, and will be told again.
    pub fn sent(&self, last: &Posted) -> Result<(), StoreError> {
        self.transaction(|transaction| {
            transaction.execute("DELETE FROM outbox WHERE id <= :id", named_params! { ":id": last.id })?;
            Ok(())
        })
    }

    /// Tells nobody: there are no others.
    ///
    /// # Errors
    /// It is kept for them.
    pub fn forget_outbox(&self) -> Result<(), StoreError> {
        self.transaction(|transaction| transaction.execute("DELETE FROM outbox", []).map(drop))
    }

    /// Tells all that is in force `now` and what was undone lately, to others who may have missed some of it.
    ///
    /// # Errors
    /// Nothing more is told.
    pub fn post_all(&self, now: u64) -> Result<(), StoreError> {
        self.transaction(|transaction| {
            let sql = "INSERT INTO outbox (turn, kind, issuer, name, before, until, made, author, again)
                SELECT 'revoked', kind, issuer, name, before, until, made, author, 1 FROM revocations
                WHERE until IS NULL OR until > :now";
            transaction.execute(sql, named_params! { ":now": seconds(now) })?;
            let sql = "INSERT INTO outbox (turn, kind, issuer, name, before, until, made, author, again)
                SELECT 'restored', kind, issuer, name, before, NULL, made, NULL, 1 FROM removals WHERE made IS NOT NULL";
            transaction.execute(sql, []).map(drop)
        })
    }

    /// Up to where the others were heard; nothing, if they never were.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn cursor(&self) -> Result<Option<String>, StoreError> {
        self.read(|connection| connection.query_row("SELECT cursor FROM inbox", [], |row| row.get(0)).optional())
    }

    /// Takes over what the others have said up to this cursor, whole or not at all. Answers whether anything is new.
    ///
    /// Everybody takes over everything in the same order, also what they have said themselves: so all end with the same. What
    /// is told again brings nothing back that was undone, and undoes nothing that was made later.
    ///
    /// # Errors
    /// Nothing was taken over.
    pub fn receive(&self, changes: &[Change], cursor: &str, now: u64) -> Result<bool, StoreError> {
        let taken = self.transaction(|transaction| {
            let mut new = false;
            for Change { turn, told, revocation } in changes {
                let changed = match (turn, told) {
                    (Turn::Restored, Told::First) => rows::remove(transaction, &revocation.revoked, None)?,
                    (Turn::Restored, Told::Again) => {
                        rows::remove(transaction, &revocation.revoked, Some(revocation.made))?
                    }
                    (Turn::Revoked, Told::Again) if rows::is_undone(transaction, revocation)? => false,
                    (Turn::Revoked, _) => rows::put(transaction, revocation, now)?,
                };
                if changed {
                    rows::note(transaction, *turn, &revocation.revoked, revocation.author)?;
                    new = true;
                }
            }
            let sql = "INSERT INTO inbox VALUES (0, :cursor) ON CONFLICT DO UPDATE SET cursor = excluded.cursor";
            transaction.execute(sql, named_params! { ":cursor": cursor })?;
            if new {
                transaction.execute("UPDATE changes SET count = count + 1", [])?;
            }
            Ok(new)
        })?;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use tenancy::Revoked;
    use terms::Author;

    use super::*;

    fn change(turn: Turn, jti: &str) -> Change {
        let revoked = Revoked::Token { issuer: "main".parse().unwrap(), jti: jti.into() };
        let revocation = Revocation { revoked, until: None, made: 100, author: Some(Author::Admin) };
        Change { turn, told: Told::First, revocation }
    }

    /// A store, what it said in order, and what it made of the same in the order of all.
    struct Gateway(Store, #[expect(dead_code, reason = "it goes with it")] tempfile::TempDir);

    impl Gateway {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self(Store::open(folder.path()).unwrap(), folder)
        }

        fn make(&self, change: &Change) {
            match change.turn {
                Turn::Restored => assert!(self.0.restore(&change.revocation.revoked, Author::Admin, 100).unwrap()),
                Turn::Revoked => self.0.revoke(&change.revocation, 100).unwrap(),
            }
        }

        fn say(&self) -> Vec<Change> {
            let all = self.0.outbox(10).unwrap();
            all.last().inspect(|last| self.0.sent(last).unwrap());
            all.into_iter().map(|posted| posted.change).collect()
        }

        fn revoked(&self) -> Vec<Revocation> {
            self.0.revocations(100).unwrap()
        }
    }

    #[test]
    fn whoever_takes_over_everything_in_one_order_ends_with_the_same() {
        let (a, b) = (Gateway::new(), Gateway::new());
        a.make(&change(Turn::Revoked, "t1"));
        b.make(&change(Turn::Revoked, "t1"));
        b.make(&change(Turn::Revoked, "t2"));
        b.make(&change(Turn::Restored, "t1"));
        // What `a` said comes between the words of `b`, which has taken its own back already.
        let (of_a, of_b) = (a.say(), b.say());
        let order: Vec<_> = of_b[..2].iter().chain(&of_a).chain(&of_b[2..]).cloned().collect();
        for gateway in [&a, &b] {
            assert!(gateway.0.receive(&order, "7-0", 100).unwrap());
            assert_eq!(gateway.revoked(), [change(Turn::Revoked, "t2").revocation]);
            assert_eq!(gateway.0.cursor().unwrap().as_deref(), Some("7-0"));
            assert_eq!(gateway.say(), [], "what was heard is not told again");
        }
        let version = a.0.version().unwrap();
        assert!(!a.0.receive(&of_b[1..2], "8-0", 100).unwrap(), "and heard again it is nothing new");
        assert_eq!(a.0.version().unwrap(), version);
    }

    #[test]
    fn what_was_heard_from_others_is_told_to_the_audit_log() {
        let (a, b) = (Gateway::new(), Gateway::new());
        a.make(&change(Turn::Revoked, "t1"));
        b.0.receive(&a.say(), "1-0", 100).unwrap();
        let events = b.0.revocation_events(10).unwrap();
        assert_eq!(events.iter().map(|event| event.turn).collect::<Vec<_>>(), [Turn::Revoked]);
    }

    #[test]
    fn all_that_is_in_force_can_be_told_anew_and_nothing_if_there_are_no_others() {
        let a = Gateway::new();
        a.make(&change(Turn::Revoked, "t1"));
        a.make(&change(Turn::Revoked, "t2"));
        a.make(&change(Turn::Restored, "t1"));
        assert_eq!(a.say().len(), 3);
        a.0.post_all(100).unwrap();
        let again = |turn, jti| Change { told: Told::Again, ..change(turn, jti) };
        let undone = Revocation { author: None, ..change(Turn::Restored, "t1").revocation };
        let undone = Change { revocation: undone, ..again(Turn::Restored, "t1") };
        assert_eq!(a.say(), [again(Turn::Revoked, "t2"), undone]);
        a.0.post_all(100).unwrap();
        a.0.forget_outbox().unwrap();
        assert_eq!(a.say(), []);
    }

    #[test]
    fn what_is_told_again_brings_nothing_back_and_undoes_nothing_that_is_later() {
        let (a, b) = (Gateway::new(), Gateway::new());
        for gateway in [&a, &b] {
            gateway.make(&change(Turn::Revoked, "t1"));
            gateway.say();
        }
        b.make(&change(Turn::Restored, "t1"));
        b.say();
        // `a` has missed that, and tells what it has.
        a.0.post_all(100).unwrap();
        let of_a = a.say();
        assert!(!b.0.receive(&of_a, "1-0", 100).unwrap());
        assert_eq!(b.revoked(), []);
        // `b` tells what it has undone, and `a` hears of it after all.
        b.0.post_all(100).unwrap();
        let of_b = b.say();
        assert!(a.0.receive(&of_b, "2-0", 100).unwrap());
        assert_eq!(a.revoked(), []);
        // Taken back once more, it stays so, whatever of this is told again.
        let later = Revocation { made: 101, ..change(Turn::Revoked, "t1").revocation };
        let later = Change { revocation: later, ..change(Turn::Revoked, "t1") };
        for gateway in [&a, &b] {
            assert!(gateway.0.receive(std::slice::from_ref(&later), "3-0", 101).unwrap());
            assert!(!gateway.0.receive(&of_b, "4-0", 101).unwrap() && !gateway.0.receive(&of_a, "5-0", 101).unwrap());
            assert_eq!(gateway.revoked(), std::slice::from_ref(&later.revocation));
        }
    }
}
