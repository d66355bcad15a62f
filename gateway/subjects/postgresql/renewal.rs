use std::time::Duration;

use directory::Fault;
use terms::TenantId;
use tokio_postgres::types::Type;
use tokio_postgres::{Row, Transaction};

use super::{query, rows};
use crate::kept::{Fresh, NOBODYS, damaged};
use crate::shelf::Renewal;
use crate::{EventKind, HeldRow, Order, Print, ShelfError, SubjectRow};

/// How long it may take to write all rows anew.
pub(super) const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// How many rows are written anew at a time.
const ROWS: i64 = 1_000;

/// Writes each row anew, within a transaction. Rows of tenants are locked first, so that nobody adds a person meanwhile.
pub(super) struct Renewing<'a> {
    pub(super) change: &'a Transaction<'a>,
    pub(super) place: &'a str,
    pub(super) renewal: &'a mut dyn Renewal,
}

/// What the database says, and what is in it.
type Outcome<T> = Result<Result<T, ShelfError>, Fault>;

/// Hands on what is wrong with a row.
macro_rules! read {
    ($outcome:expr) => {
        match $outcome {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}

impl Renewing<'_> {
    pub(super) async fn all(&mut self, order: &Order) -> Outcome<u64> {
        read!(self.tenants().await?);
        read!(self.holds().await?);
        let persons = read!(self.subjects().await?);
        let check = read!(self.renewal.check().map_err(|_| damaged(self.place, "mark", "it cannot be sealed")));
        query(self.change, "UPDATE cloister_subjects.vault SET mark = $1", &[(&check, Type::BYTEA)]).await?;
        let event = Fresh { count: Some(persons), ..Fresh::new(EventKind::RootRotated, NOBODYS, order) };
        rows::note(self.change, &event).await?;
        Ok(Ok(persons))
    }

    async fn tenants(&mut self) -> Outcome<()> {
        let sql = "SELECT id, key, name FROM cloister_subjects.tenants ORDER BY name FOR UPDATE";
        for row in query(self.change, sql, &[]).await? {
            let name: &str = row.get(2);
            let tenant = read!(name.parse::<TenantId>().map_err(|_| damaged(self.place, "name", name)));
            let row = read!(rows::tenant(&row, &tenant, self.place));
            let fresh = read!(self.renewal.tenant(&row).map_err(|_| damaged(self.place, "tenants", tenant.as_str())));
            let sql = "UPDATE cloister_subjects.tenants SET id = $1, key = $2 WHERE name = $3";
            let id = fresh.id.as_slice();
            query(self.change, sql, &[(&id, Type::BYTEA), (&fresh.key, Type::BYTEA), (&tenant.as_str(), Type::TEXT)])
                .await?;
        }
        Ok(Ok(()))
    }

    async fn holds(&mut self) -> Outcome<()> {
        let sql = "SELECT id, tenant, print, identity FROM cloister_subjects.holds WHERE print IS NOT NULL";
        for row in query(self.change, sql, &[]).await? {
            let (id, tenant, print): (i64, &str, &[u8]) = (row.get(0), row.get(1), row.get(2));
            let print = read!(print.try_into().map_err(|_| damaged(self.place, "print", "another length")));
            let row = HeldRow { print: Print(print), identity: row.get(3) };
            let subject = rows::find(self.change, &[row.print]).await?.pop();
            let subject = read!(subject.map(|subject| subject.subject(self.place)).transpose());
            let tenant = read!(tenant.parse().map_err(|_| damaged(self.place, "tenant", tenant)));
            let fresh = self.renewal.held(&tenant, &row, subject.as_ref());
            let fresh = read!(fresh.map_err(|_| ShelfError::Unnamed(self.place.to_owned(), id.cast_unsigned())));
            let sql = "UPDATE cloister_subjects.holds SET print = $1, identity = $2 WHERE id = $3";
            let print = fresh.print.0.as_slice();
            query(self.change, sql, &[(&print, Type::BYTEA), (&fresh.identity, Type::BYTEA), (&id, Type::INT8)])
                .await?;
        }
        Ok(Ok(()))
    }

    /// Each row is deleted and added again: the role may do no more with it.
    async fn subjects(&mut self) -> Outcome<u64> {
        let (mut after, mut persons) = (String::new(), 0);
        loop {
            let sql = "SELECT print, tenant, tenant_key, surrogate, key_id, key, identity, made
                FROM cloister_subjects.subjects WHERE surrogate > $1 ORDER BY surrogate LIMIT $2";
            let some: Vec<Row> = query(self.change, sql, &[(&after, Type::TEXT), (&ROWS, Type::INT8)]).await?;
            let Some(last) = some.last() else { return Ok(Ok(persons)) };
            after = last.get(3);
            let mut fresh: Vec<SubjectRow> = Vec::with_capacity(some.len());
            for row in &some {
                let row = read!(rows::subject(row).subject(self.place));
                let renewed = self.renewal.subject(&row);
                fresh.push(read!(renewed.map_err(|_| damaged(self.place, "key", row.surrogate.as_str()))));
            }
            persons += fresh.len() as u64;
            let names: Vec<&str> = fresh.iter().map(|row| row.surrogate.as_str()).collect();
            let sql = "DELETE FROM cloister_subjects.subjects WHERE surrogate = ANY($1)";
            query(self.change, sql, &[(&names, Type::TEXT_ARRAY)]).await?;
            rows::put(self.change, &fresh).await?;
        }
    }
}
