use rusqlite::{Row, named_params};
use tenancy::Revoked;
use terms::Author;

use crate::rows::{self, Kept, KeptRevocation, seconds};
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
    /// Who made it first, if that is known.
    pub author: Option<Author>,
}

/// What is new since a reader has looked last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct News {
    /// How much of all that is there it is.
    pub extent: Extent,
    /// What is not in force any longer.
    pub gone: Vec<Revoked>,
    /// What is in force in this way now.
    pub revoked: Vec<Revocation>,
    /// When the first of them may be forgotten.
    pub until: Option<u64>,
}

/// How much the news say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    /// All that is in force.
    All,
    /// What has changed.
    Changes,
}

/// The most revocations that issuers may make, all together: about 300 MiB of memory.
const MOST: u64 = 1_000_000;

/// What became of what an issuer has taken back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Taken {
    /// All tokens that it has issued so far were taken back in its place: there was no room for more.
    Coarsely,
    /// Each was taken back, or was before.
    Singly,
}

/// Something that was done with tokens and is not in the audit log yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    id: i64,
    /// Whether they were taken back or given back.
    pub turn: Turn,
    /// Which tokens.
    pub revoked: Revoked,
    /// Who did it, if that is known.
    pub author: Option<Author>,
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
            rows::note(transaction, Turn::Revoked, &revocation.revoked, revocation.author)?;
            rows::post(transaction, Turn::Revoked, revocation)
        })
    }

    /// Takes back what an issuer says of its own tokens, as long as there are no more than `most` of these; then it is
    /// `coarser`, which takes at least as much back and is one for all. On disk when it returns.
    ///
    /// # Errors
    /// Nothing was taken back.
    pub fn revoke_by_issuer(
        &self,
        revocations: &[Revocation],
        coarser: &Revocation,
        most: u64,
        now: u64,
    ) -> Result<Taken, StoreError> {
        self.change(|transaction| {
            let mut new = 0_u64;
            for revocation in revocations {
                new += u64::from(!rows::is_kept(transaction, &revocation.revoked)?);
            }
            rows::forget(transaction, now)?;
            let issuer = match &coarser.revoked {
                Revoked::Issuer { issuer, .. }
                | Revoked::Session { issuer, .. }
                | Revoked::Subject { issuer, .. }
                | Revoked::Token { issuer, .. } => issuer.as_str(),
                Revoked::Tenant { .. } => "",
            };
            let (theirs, all) = rows::made_by_issuers(transaction, issuer)?;
            let fits = new == 0 || (theirs.saturating_add(new) <= most && all.saturating_add(new) <= MOST);
            let (all, taken) = match fits {
                true => (revocations, Taken::Singly),
                // FAIL CLOSED: what does not fit is not dropped.
                false => (std::slice::from_ref(coarser), Taken::Coarsely),
            };
            for revocation in all {
                // What is said again is nothing new, so that it fills no log and no stream.
                if rows::put(transaction, revocation, now)? {
                    rows::note(transaction, Turn::Revoked, &revocation.revoked, revocation.author)?;
                    rows::post(transaction, Turn::Revoked, revocation)?;
                }
            }
            Ok(taken)
        })
    }

    /// Gives tokens back `now`: those that were taken back in just this way. `false`: there was nothing of the kind.
    ///
    /// # Errors
    /// Nothing was given back.
    pub fn restore(&self, revoked: &Revoked, author: Author, now: u64) -> Result<bool, StoreError> {
        self.change(|transaction| {
            let restored = rows::remove(transaction, revoked, None)?;
            if restored {
                rows::note(transaction, Turn::Restored, revoked, Some(author))?;
                let (revoked, author) = (revoked.clone(), Some(author));
                rows::post(transaction, Turn::Restored, &Revocation { revoked, until: None, made: now, author })?;
            }
            Ok(restored)
        })
    }

    /// Forgets what may be forgotten `now`.
    ///
    /// # Errors
    /// Nothing is forgotten.
    pub fn forget(&self, now: u64) -> Result<(), StoreError> {
        self.transaction(|transaction| {
            if rows::forget(transaction, now)? {
                transaction.execute("UPDATE changes SET count = count + 1", [])?;
            }
            Ok(())
        })
    }

    /// All that are in force `now`, in an order that stays.
    ///
    /// # Errors
    /// The store cannot be read, in whole or in part.
    pub fn revocations(&self, now: u64) -> Result<Vec<Revocation>, StoreError> {
        let all = self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT kind, issuer, name, before, until, made, author FROM revocations
                 WHERE until IS NULL OR until > :now ORDER BY made, kind, issuer, name",
            )?;
            let all = statement.query_map(named_params! { ":now": seconds(now) }, KeptRevocation::read)?;
            all.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        all.into_iter().map(|row| self.revocation(row)).collect()
    }

    /// What is new for a reader that knows the state of [`Store::version`] `seen`, if it knows any, and has asked for the
    /// version again just before. What it knows already may be told again.
    ///
    /// # Errors
    /// The store cannot be read, in whole or in part.
    pub fn news(&self, seen: Option<u64>, version: u64) -> Result<News, StoreError> {
        let seen = seen.filter(|seen| version.checked_sub(*seen).is_some_and(|behind| behind < rows::REMEMBERED));
        let since = seen.map_or(-1, seconds);
        let (gone, revoked, until) = self.read(|connection| {
            // ORDER: what is gone, then what is there. What was taken back again in between is there.
            let mut gone = connection.prepare_cached("SELECT * FROM removals WHERE at > :since")?;
            let gone = gone.query_map(named_params! { ":since": since }, Kept::read)?;
            let gone = gone.collect::<rusqlite::Result<Vec<_>>>()?;
            let mut revoked = connection.prepare_cached("SELECT * FROM revocations WHERE at > :since")?;
            let revoked = revoked.query_map(named_params! { ":since": since }, KeptRevocation::read)?;
            let revoked = revoked.collect::<rusqlite::Result<Vec<_>>>()?;
            let mut until = connection.prepare_cached("SELECT min(until) FROM revocations WHERE until IS NOT NULL")?;
            Ok((gone, revoked, until.query_row([], |row| row.get::<_, Option<i64>>(0))?))
        })?;
        Ok(News {
            extent: if seen.is_some() { Extent::Changes } else { Extent::All },
            gone: gone.into_iter().map(|kept| self.revoked(kept)).collect::<Result<_, _>>()?,
            revoked: revoked.into_iter().map(|row| self.revocation(row)).collect::<Result<_, _>>()?,
            until: until.map(i64::cast_unsigned),
        })
    }

    /// What was done and is not in the audit log yet, the oldest first; so many at most.
    ///
    /// # Errors
    /// The store cannot be read, in whole or in part.
    pub fn revocation_events(&self, most: u32) -> Result<Vec<Event>, StoreError> {
        let all = self.read(|connection| {
            let sql =
                "SELECT id, turn, kind, issuer, name, before, author FROM revocation_events ORDER BY id LIMIT :most";
            let mut statement = connection.prepare_cached(sql)?;
            let row = |row: &Row<'_>| Ok((row.get("id")?, row.get("turn")?, Kept::read(row)?, row.get("author")?));
            let all = statement.query_map(named_params! { ":most": most }, row)?;
            all.collect::<rusqlite::Result<Vec<(i64, String, Kept, Option<String>)>>>()
        })?;
        let event = |(id, turn, kept, author): (i64, String, Kept, Option<String>)| {
            Ok(Event { id, turn: self.turn(&turn)?, revoked: self.revoked(kept)?, author: self.author(author)? })
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

    fn everything(before: u64) -> Revoked {
        Revoked::Issuer { issuer: "main".parse().unwrap(), before }
    }

    fn every_kind() -> Vec<Revoked> {
        let session = Revoked::Session { issuer: "main".parse().unwrap(), sid: "s1".into() };
        let tenant = Revoked::Tenant { tenant: "acme".parse().unwrap(), before: 50 };
        vec![everything(50), session, ada(None), tenant, token("t1")]
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
            store.revoke(&Revocation { revoked, until: None, made: 100, author: None }, 100).unwrap();
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
            store.revoke(&Revocation { revoked: ada(before), until, made: 100, author: None }, 100).unwrap();
            let all = store.revocations(100).unwrap();
            assert_eq!(all.iter().map(|it| (&it.revoked, it.until)).collect::<Vec<_>>(), [(&ada(kept.0), kept.1)]);
        }
    }

    #[test]
    fn what_may_be_forgotten_is_and_what_is_given_back_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.revoke(&Revocation { revoked: token("t1"), until: Some(200), made: 100, author: None }, 100).unwrap();
        assert_eq!(of(&store, 199), [token("t1")]);
        assert_eq!(of(&store, 200), []);
        store.revoke(&Revocation { revoked: token("t2"), until: None, made: 200, author: None }, 200).unwrap();
        assert_eq!(of(&store, 0), [token("t2")], "the other one is not even kept");
        assert!(store.restore(&token("t2"), Author::Admin, 200).unwrap());
        assert!(!store.restore(&token("t2"), Author::Admin, 200).unwrap());
        assert_eq!(of(&store, 0), []);
    }

    #[test]
    fn what_was_done_waits_for_the_audit_log_until_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for revoked in every_kind() {
            store.revoke(&Revocation { revoked, until: None, made: 100, author: None }, 100).unwrap();
        }
        assert!(store.restore(&ada(None), Author::Admin, 100).unwrap());
        assert!(!store.restore(&ada(None), Author::Admin, 100).unwrap(), "and that is nothing to tell");
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
    fn a_reader_that_takes_over_what_is_new_knows_what_one_does_that_reads_all() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let put = |revoked, until, now| {
            store.revoke(&Revocation { revoked, until, made: now, author: None }, now).unwrap();
        };
        let (mut known, mut seen) = (Vec::<Revoked>::new(), None);
        let mut look = |extent: Extent| {
            let version = store.version().unwrap();
            let news = store.news(seen, version).unwrap();
            assert_eq!(news.extent, extent);
            if extent == Extent::All {
                known.clear();
            }
            let name = |it: &Revoked| if let Revoked::Subject { .. } = it { "ada".into() } else { format!("{it:?}") };
            let new = || news.gone.iter().chain(news.revoked.iter().map(|it| &it.revoked));
            known.retain(|it| !new().any(|new| name(it) == name(new)));
            known.extend(news.revoked.iter().map(|it| it.revoked.clone()));
            seen = Some(version);
            let all = of(&store, 0);
            assert!(all.iter().all(|it| known.contains(it)) && known.len() == all.len(), "{known:?} {all:?}");
            news.until
        };
        put(token("t1"), Some(200), 100);
        put(ada(Some(50)), None, 100);
        assert_eq!(look(Extent::All), Some(200));
        put(ada(Some(60)), None, 100);
        put(token("t2"), Some(300), 100);
        assert_eq!(look(Extent::Changes), Some(200));
        assert!(store.restore(&token("t2"), Author::Admin, 100).unwrap());
        put(token("t2"), Some(400), 100);
        assert_eq!(look(Extent::Changes), Some(200), "undone and done again between two looks");
        assert!(store.restore(&ada(None), Author::Admin, 100).unwrap());
        look(Extent::Changes);
        store.forget(199).unwrap();
        let version = store.version().unwrap();
        store.forget(200).unwrap();
        assert_ne!(store.version().unwrap(), version);
        assert_eq!(look(Extent::Changes), Some(400), "what is over is gone");
        assert_eq!(look(Extent::Changes), Some(400));
        store.change(|transaction| transaction.execute("UPDATE changes SET count = count + 10000", [])).unwrap();
        look(Extent::All);
    }

    #[test]
    fn what_an_issuer_takes_back_beyond_its_bound_takes_back_all_that_it_has_issued() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let by = |author, revoked| Revocation { revoked, until: Some(900), made: 100, author: Some(author) };
        let say = |jti: &[&str], before| {
            let all: Vec<_> = jti.iter().map(|jti| by(Author::Issuer, token(jti))).collect();
            store.revoke_by_issuer(&all, &by(Author::Issuer, everything(before)), 3, 100).unwrap()
        };
        store.revoke(&by(Author::Admin, token("operator's")), 100).unwrap();
        assert_eq!(say(&["t1", "t2"], 101), Taken::Singly);
        assert_eq!(say(&["t3"], 102), Taken::Singly);
        assert_eq!(say(&["t1", "t3"], 103), Taken::Singly, "what is said again takes no room");
        let events = store.revocation_events(100).unwrap().len();
        assert_eq!(events, 4, "and is not told again");
        assert_eq!(say(&["t3", "t4"], 104), Taken::Coarsely);
        assert_eq!(say(&["t5"], 102), Taken::Coarsely);
        let all = of(&store, 100);
        assert_eq!(all.len(), 5);
        assert!(all.contains(&everything(104)), "{all:?}");
        assert_eq!(store.revocation_events(100).unwrap().last().unwrap().author, Some(Author::Issuer));
        let other = Revoked::Token { issuer: "other".parse().unwrap(), jti: "t9".into() };
        let coarser = Revoked::Issuer { issuer: "other".parse().unwrap(), before: 101 };
        let (other, coarser) = ([by(Author::Issuer, other)], by(Author::Issuer, coarser));
        assert_eq!(store.revoke_by_issuer(&other, &coarser, 3, 100).unwrap(), Taken::Singly, "each has its own room");
        // When what it said is over, there is room again.
        let late = Revocation { until: Some(2_000), ..by(Author::Issuer, token("t6")) };
        let coarser = by(Author::Issuer, everything(901));
        assert_eq!(store.revoke_by_issuer(&[late], &coarser, 3, 900).unwrap(), Taken::Singly);
    }

    #[test]
    fn a_row_that_this_program_would_not_write_is_an_error_and_not_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let sql = "INSERT INTO revocations VALUES ('tenant', '', 'Not A Tenant', 5, NULL, 1, NULL, 1)";
        store.change(|transaction| transaction.execute(sql, [])).unwrap();
        assert!(matches!(store.revocations(0), Err(StoreError::Damaged(_, "name", _))));
    }
}
