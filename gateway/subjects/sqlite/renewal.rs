use rusqlite::{Connection, Row, named_params};
use terms::TenantId;

use super::rows;
use crate::kept::{Fresh, KeptSubject, NOBODYS, damaged};
use crate::shelf::Renewal;
use crate::{EventKind, HeldRow, Order, Print, ShelfError, TenantRow};

/// How many rows are written anew at a time.
const ROWS: i64 = 1_000;

/// Writes each row anew, within a transaction.
pub(super) struct Renewing<'a> {
    pub(super) change: &'a Connection,
    pub(super) place: &'a str,
    pub(super) renewal: &'a mut dyn Renewal,
}

impl Renewing<'_> {
    pub(super) fn all(&mut self, order: &Order) -> Result<u64, ShelfError> {
        self.tenants()?;
        self.holds()?;
        let persons = self.subjects()?;
        let check = self.renewal.check().map_err(|_| damaged(self.place, "mark", CLOSED))?;
        let event = Fresh { count: Some(persons), ..Fresh::new(EventKind::RootRotated, NOBODYS, order) };
        self.run(|change| {
            change.execute("UPDATE vault SET mark = :mark", named_params! { ":mark": check })?;
            rows::put(&event, change)
        })?;
        Ok(persons)
    }

    fn tenants(&mut self) -> Result<(), ShelfError> {
        let all = self.run(|change| {
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            let mut statement = change.prepare("SELECT name, id, key FROM tenants")?;
            let all = statement.query_map([], row)?;
            all.collect::<rusqlite::Result<Vec<(String, [u8; 16], Vec<u8>)>>>()
        })?;
        for (name, id, key) in all {
            let tenant = name.parse::<TenantId>().map_err(|_| damaged(self.place, "name", &name))?;
            let fresh = self.renewal.tenant(&TenantRow { tenant, id, key });
            let TenantRow { id, key, .. } = fresh.map_err(|_| damaged(self.place, "tenants", &name))?;
            let sql = "UPDATE tenants SET id = :id, key = :key WHERE name = :name";
            self.run(|change| change.execute(sql, named_params! { ":id": id, ":key": key, ":name": name }))?;
        }
        Ok(())
    }

    fn holds(&mut self) -> Result<(), ShelfError> {
        let all = self.run(|change| {
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            let sql = "SELECT id, tenant, print, identity FROM holds WHERE print IS NOT NULL";
            let mut statement = change.prepare(sql)?;
            let all = statement.query_map([], row)?;
            all.collect::<rusqlite::Result<Vec<(i64, String, [u8; 32], Option<Vec<u8>>)>>>()
        })?;
        for (id, tenant, print, identity) in all {
            let row = HeldRow { print: Print(print), identity };
            let subject = self.run(|change| rows::find(change, row.print))?;
            let subject = subject.map(|subject| subject.subject(self.place)).transpose()?;
            let tenant = tenant.parse().map_err(|_| damaged(self.place, "tenant", &tenant))?;
            let fresh = self.renewal.held(&tenant, &row, subject.as_ref());
            let fresh = fresh.map_err(|_| ShelfError::Unnamed(self.place.to_owned(), id.cast_unsigned()))?;
            let sql = "UPDATE holds SET print = :print, identity = :identity WHERE id = :id";
            let HeldRow { print, identity } = fresh;
            self.run(|change| {
                change.execute(sql, named_params! { ":print": print.0, ":identity": identity, ":id": id })
            })?;
        }
        Ok(())
    }

    fn subjects(&mut self) -> Result<u64, ShelfError> {
        let (mut after, mut persons) = (0, 0);
        loop {
            let some: Vec<(i64, KeptSubject)> = self.run(|change| {
                let sql =
                    "SELECT number, print, tenant, tenant_key, surrogate, key_id, key, identity, made FROM subjects
                    WHERE number > :after ORDER BY number LIMIT :most";
                let mut statement = change.prepare_cached(sql)?;
                let row = |row: &Row<'_>| Ok((row.get("number")?, rows::subject(row)?));
                let some = statement.query_map(named_params! { ":after": after, ":most": ROWS }, row)?;
                some.collect()
            })?;
            if some.is_empty() {
                return Ok(persons);
            }
            for (number, kept) in some {
                let row = kept.subject(self.place)?;
                let fresh = self.renewal.subject(&row);
                let fresh = fresh.map_err(|_| damaged(self.place, "key", row.surrogate.as_str()))?;
                self.run(|change| {
                    let sql = "UPDATE subjects SET print = :print, tenant_key = :tenant_key, key = :key
                        WHERE number = :number";
                    let mut statement = change.prepare_cached(sql)?;
                    statement.execute(named_params! {
                        ":print": fresh.print.0, ":tenant_key": fresh.tenant_key, ":key": fresh.key, ":number": number,
                    })
                })?;
                (after, persons) = (number, persons + 1);
            }
        }
    }

    fn run<T>(&self, run: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ShelfError> {
        run(self.change).map_err(|error| ShelfError::Unusable(self.place.to_owned(), error.into()))
    }
}

/// What is said of a row in which nothing opens.
const CLOSED: &str = "it does not open";
