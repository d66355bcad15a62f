use rusqlite::{Row, named_params};
use terms::{Author, TenantId};

use crate::rows::seconds;
use crate::{Store, StoreError};

/// Something that was done with the audit log and is not in it yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditUse {
    /// What.
    pub what: UseOf,
    /// Whose records, if they are of one tenant.
    pub tenant: Option<TenantId>,
    /// Which records.
    pub filter: String,
    /// How many, if that was known.
    pub found: Option<u64>,
    /// Who did it.
    pub who: Author,
    /// When, in seconds since the Unix epoch.
    pub done: u64,
}

/// What was done with the audit log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UseOf {
    /// Records were read.
    Read,
    /// A report was made.
    Reported,
}

/// Which uses are waiting to be put on record, up to which.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UsesUpTo(i64);

impl UseOf {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Reported => "reported",
        }
    }
}

type Kept = (i64, String, Option<String>, String, Option<i64>, String, i64);

impl Store {
    /// Has the audit log learn that it was used, whether or not a gateway runs.
    ///
    /// # Errors
    /// It will not.
    pub fn note_use(&self, used: &AuditUse) -> Result<(), StoreError> {
        let AuditUse { what, tenant, filter, found, who, done } = used;
        self.change(|transaction| {
            transaction.execute(
                "INSERT INTO audit_uses (what, tenant, filter, found, who, done)
                 VALUES (:what, :tenant, :filter, :found, :who, :done)",
                named_params! {
                    ":what": what.as_str(), ":tenant": tenant.as_ref().map(TenantId::as_str), ":filter": filter,
                    ":found": found.map(seconds), ":who": who.to_string(), ":done": seconds(*done),
                },
            )?;
            Ok(())
        })
    }

    /// What was done with the audit log and is not in it yet, the oldest first; so many at most.
    ///
    /// # Errors
    /// The store cannot be read, in whole or in part.
    pub fn audit_uses(&self, most: u32) -> Result<(Vec<AuditUse>, Option<UsesUpTo>), StoreError> {
        let all = self.read(|connection| {
            let sql = "SELECT id, what, tenant, filter, found, who, done FROM audit_uses ORDER BY id LIMIT :most";
            let mut statement = connection.prepare_cached(sql)?;
            let row = |row: &Row<'_>| {
                let (id, what, tenant) = (row.get("id")?, row.get("what")?, row.get("tenant")?);
                Ok((id, what, tenant, row.get("filter")?, row.get("found")?, row.get("who")?, row.get("done")?))
            };
            let all = statement.query_map(named_params! { ":most": most }, row)?;
            all.collect::<rusqlite::Result<Vec<Kept>>>()
        })?;
        let last = all.last().map(|(id, ..)| UsesUpTo(*id));
        let used = |(_, what, tenant, filter, found, who, done): Kept| {
            let of = [UseOf::Read, UseOf::Reported].into_iter().find(|of| of.as_str() == what);
            let tenant = tenant.map(|tenant| tenant.parse().map_err(|_| self.damaged("tenant", &tenant)));
            Ok(AuditUse {
                what: of.ok_or_else(|| self.damaged("what", &what))?,
                tenant: tenant.transpose()?,
                filter,
                found: found.map(i64::cast_unsigned),
                who: who.parse().map_err(|_| self.damaged("who", &who))?,
                done: done.cast_unsigned(),
            })
        };
        Ok((all.into_iter().map(used).collect::<Result<_, _>>()?, last))
    }

    /// Forgets what was done up to there: it is in the audit log.
    ///
    /// # Errors
    /// It is not forgotten, and will be in the log twice.
    pub fn uses_recorded(&self, last: UsesUpTo) -> Result<(), StoreError> {
        self.transaction(|transaction| {
            transaction.execute("DELETE FROM audit_uses WHERE id <= :id", named_params! { ":id": last.0 })?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_with_the_log_waits_until_it_is_on_record() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let read = AuditUse {
            what: UseOf::Read,
            tenant: Some("acme".parse().unwrap()),
            filter: "tenant=acme".into(),
            found: Some(7),
            who: Author::Command(1000),
            done: 1_790_000_000,
        };
        let report = AuditUse { what: UseOf::Reported, tenant: None, found: None, ..read.clone() };
        let before = store.version().unwrap();
        store.note_use(&read).unwrap();
        store.note_use(&report).unwrap();
        assert_ne!(store.version().unwrap(), before, "whoever looks at the store learns of it");
        let store = Store::open_existing(folder.path()).unwrap();
        let (uses, last) = store.audit_uses(1).unwrap();
        assert_eq!(uses, [read]);
        store.uses_recorded(last.unwrap()).unwrap();
        let (uses, last) = store.audit_uses(10).unwrap();
        assert_eq!(uses, [report]);
        store.uses_recorded(last.unwrap()).unwrap();
        assert_eq!(store.audit_uses(10).unwrap(), (vec![], None));
    }
}
