use rusqlite::{Row, named_params};

use crate::rows::seconds;
use crate::{Store, StoreError};

/// What one key has used of a quota in the period that lasts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptQuota {
    /// What the policy files call the limit.
    pub limit: String,
    /// Its period: `day` or `month`.
    pub period: String,
    /// The name of the key, as whoever keeps it makes it.
    pub key: u64,
    /// When the period ends, in seconds since the Unix epoch.
    pub ends: u32,
    /// How much was used in it.
    pub count: u32,
}

/// How the gateway that kept quotas last has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LastRun {
    /// With all that it knew kept; or there was none.
    Tidy,
    /// In the middle, so that what it counted last is not here.
    Torn,
}

/// Whether the gateway that keeps quotas goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Keeping {
    /// It does.
    On,
    /// These are the last.
    Ended,
}

impl Store {
    /// The secret under which keys of quotas get their names: this one, unless there is one already.
    ///
    /// # Errors
    /// The store cannot be used.
    pub fn quota_seed(&self, fresh: [u8; 16]) -> Result<[u8; 16], StoreError> {
        let seed: Vec<u8> = self.transaction(|transaction| {
            transaction.execute(
                "INSERT INTO quota_state (only, seed, torn) VALUES (0, :seed, 0) ON CONFLICT (only) DO NOTHING",
                named_params! { ":seed": fresh },
            )?;
            transaction.query_row("SELECT seed FROM quota_state", [], |row| row.get(0))
        })?;
        seed.try_into().map_err(|_| self.damaged("seed", "of another length"))
    }

    /// What was used of the periods that last at this time, and whether that is all. Of a run that was torn each key is charged
    /// once more what it used between the last two times that it was kept: about what the run may have counted and not kept.
    ///
    /// # Errors
    /// The store cannot be read, in whole or in part.
    pub fn quotas(&self, now: u64) -> Result<(Vec<KeptQuota>, LastRun), StoreError> {
        let (kept, torn) = self.read(|connection| {
            let torn: i64 =
                connection.query_row("SELECT coalesce(max(torn), 0) FROM quota_state", [], |row| row.get(0))?;
            let sql = "SELECT quota, period, key, ends, count + pace * :torn AS count FROM quotas WHERE ends > :now";
            let mut statement = connection.prepare_cached(sql)?;
            let row = |row: &Row<'_>| {
                let (ends, count): (i64, i64) = (row.get("ends")?, row.get("count")?);
                let key: i64 = row.get("key")?;
                Ok(KeptQuota {
                    limit: row.get("quota")?,
                    period: row.get("period")?,
                    key: key.cast_unsigned(),
                    // FAIL CLOSED: what is too large for us lasts, and is used up.
                    ends: u32::try_from(ends).unwrap_or(u32::MAX),
                    count: u32::try_from(count).unwrap_or(u32::MAX),
                })
            };
            let kept = statement.query_map(named_params! { ":torn": torn, ":now": seconds(now) }, row)?;
            Ok((kept.collect::<rusqlite::Result<Vec<_>>>()?, torn))
        })?;
        Ok((kept, if torn == 0 { LastRun::Tidy } else { LastRun::Torn }))
    }

    /// Keeps what was used, and forgets the periods that are over. Nobody has to learn of that. Of one period a smaller number
    /// never replaces a larger one.
    ///
    /// # Errors
    /// Nothing was kept.
    pub fn keep_quotas(&self, used: &[KeptQuota], now: u64, keeping: Keeping) -> Result<(), StoreError> {
        self.transaction(|transaction| {
            let sql = "
                INSERT INTO quotas (quota, period, key, ends, count, pace)
                VALUES (:quota, :period, :key, :ends, :count, :count)
                ON CONFLICT (quota, period, key) DO UPDATE SET
                    pace = CASE WHEN ends = excluded.ends THEN max(excluded.count - count, 0) ELSE excluded.count END,
                    count = CASE WHEN ends = excluded.ends THEN max(excluded.count, count) ELSE excluded.count END,
                    ends = excluded.ends
                WHERE excluded.ends >= ends";
            let mut statement = transaction.prepare_cached(sql)?;
            for KeptQuota { limit, period, key, ends, count } in used {
                statement.execute(named_params! {
                    ":quota": limit, ":period": period, ":key": key.cast_signed(), ":ends": ends, ":count": count,
                })?;
            }
            transaction
                .prepare_cached("DELETE FROM quotas WHERE ends <= :now")?
                .execute(named_params! { ":now": seconds(now) })?;
            let torn = i64::from(keeping == Keeping::On);
            transaction
                .execute("UPDATE quota_state SET torn = :torn WHERE torn <> :torn", named_params! { ":torn": torn })?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(key: u64, ends: u32, count: u32) -> KeptQuota {
        KeptQuota { limit: "monthly".into(), period: "month".into(), key, ends, count }
    }

    #[test]
    fn what_was_used_is_there_after_a_restart_until_its_period_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let version = store.version().unwrap();
        assert_eq!(store.quotas(0).unwrap(), (Vec::new(), LastRun::Tidy));
        let seed = store.quota_seed([7; 16]).unwrap();
        store.keep_quotas(&[used(1, 100, 5), used(u64::MAX, 200, 6)], 50, Keeping::On).unwrap();
        store.keep_quotas(&[used(1, 100, 9)], 60, Keeping::Ended).unwrap();
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        assert_eq!((store.quota_seed([9; 16]).unwrap(), seed), (seed, [7; 16]), "names stay what they are");
        let mut kept = store.quotas(99).unwrap();
        kept.0.sort_by_key(|kept| kept.key);
        assert_eq!(kept, (vec![used(1, 100, 9), used(u64::MAX, 200, 6)], LastRun::Tidy));
        assert_eq!(store.quotas(100).unwrap().0, [used(u64::MAX, 200, 6)]);
        store.keep_quotas(&[used(1, 300, 1)], 100, Keeping::On).unwrap();
        assert_eq!(store.quotas(250).unwrap().0, [used(1, 300, 2)], "the next period begins anew");
        assert_eq!(store.version().unwrap(), version, "nobody has to look at anything anew");
    }

    #[test]
    fn a_run_that_was_torn_is_charged_what_it_may_have_counted_last() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.quota_seed([7; 16]).unwrap();
        store.keep_quotas(&[used(1, 100, 50)], 1, Keeping::On).unwrap();
        store.keep_quotas(&[used(1, 100, 58)], 2, Keeping::On).unwrap();
        assert_eq!(store.quotas(3).unwrap(), (vec![used(1, 100, 66)], LastRun::Torn));
        // Another process of before knows less, and does not take anything back.
        store.keep_quotas(&[used(1, 100, 40), used(1, 90, 99)], 3, Keeping::On).unwrap();
        store.keep_quotas(&[], 4, Keeping::Ended).unwrap();
        assert_eq!(store.quotas(5).unwrap(), (vec![used(1, 100, 58)], LastRun::Tidy));
    }
}
