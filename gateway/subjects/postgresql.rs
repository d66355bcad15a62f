use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use directory::{Fault, Server};
use terms::{Surrogate, TenantId};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, IsolationLevel, Row, Transaction};

mod link;
mod renewal;
mod rows;

use link::Link;
use renewal::Renewing;

use crate::kept::{Attempt, Fresh, KeptEvent, KeptHold, damaged};
use crate::shelf::Renewal;
use crate::{
    Destroyed, Event, EventKind, HeldRow, Hold, LogName, Mark, Order, Print, Scrubbed, Shelf, ShelfError, SubjectRow,
    TenantRow,
};

/// Tables of a PostgreSQL, for gateways that share a vault. `config/postgresql/subjects.sql` makes them.
///
/// Whatever destroys, forbids or is to be on record locks the row of `vault` first, so that it is done one after the other, and
/// events are in the order of their numbers. Whatever adds a person only holds its tenant's key where it is meanwhile.
pub(crate) struct Postgresql {
    link: Link,
}

/// How long what people wait for may take, rather than requests.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many events are put on record at once.
const EVENTS: i64 = 256;

impl Postgresql {
    /// Nothing is asked yet.
    pub(crate) fn new(server: Arc<Server>) -> Result<Self, ShelfError> {
        Ok(Self { link: Link::new(server)? })
    }

    fn turned(&self) -> ShelfError {
        ShelfError::Turned(self.link.place().to_owned())
    }
}

/// Begins what is done one after the other.
async fn alone(client: &mut Client) -> Result<Transaction<'_>, Fault> {
    alone_under(client).await.map(|(change, _)| change)
}

/// The same, with what the root that is in force has sealed.
async fn alone_under(client: &mut Client) -> Result<(Transaction<'_>, Vec<u8>), Fault> {
    let change = begin(client).await?;
    let found = query(&change, "SELECT mark FROM cloister_subjects.vault FOR UPDATE", &[]).await?;
    Ok((change, found.first().map_or_else(Vec::new, |row| row.get(0))))
}

async fn begin(client: &mut Client) -> Result<Transaction<'_>, Fault> {
    // Each statement sees what was committed before it, whatever the database's default is.
    let begun = client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start().await;
    begun.map_err(|error| Fault::of(&error))
}

async fn commit(change: Transaction<'_>) -> Result<(), Fault> {
    change.commit().await.map_err(|error| Fault::of(&error))
}

type Parameter<'a> = (&'a (dyn tokio_postgres::types::ToSql + Sync), Type);

/// One way there and back: nothing is prepared that a connection would have to keep.
async fn query(
    client: &impl tokio_postgres::GenericClient,
    sql: &str,
    of: &[Parameter<'_>],
) -> Result<Vec<Row>, Fault> {
    client.query_typed(sql, of).await.map_err(|error| Fault::of(&error))
}

async fn one_more_destroyed(change: &Transaction<'_>) -> Result<(), Fault> {
    query(change, "UPDATE cloister_subjects.vault SET destroyed = destroyed + 1", &[]).await.map(drop)
}

/// A text that was written from bytes that are one.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

const MARK: &str = "SELECT id, mark, destroyed FROM cloister_subjects.vault";

impl Shelf for Postgresql {
    fn place(&self) -> &str {
        self.link.place()
    }

    fn mark(&mut self) -> Result<Option<Mark>, ShelfError> {
        let found = self.link.ask(async |client| query(client, MARK, &[]).await)?;
        found.first().map(|row| rows::mark(row, self.link.place())).transpose()
    }

    fn begin(&mut self, fresh: &Mark) -> Result<Mark, ShelfError> {
        let Mark { id, check, destroyed } = fresh;
        let (id, check, destroyed) = (id.as_slice(), check.as_slice(), destroyed.cast_signed());
        let found = self.link.change(PATIENCE, async |client| {
            let sql =
                "INSERT INTO cloister_subjects.vault (id, mark, destroyed) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
            query(client, sql, &[(&id, Type::BYTEA), (&check, Type::BYTEA), (&destroyed, Type::INT8)]).await?;
            query(client, MARK, &[]).await
        })?;
        let row = found.first().ok_or_else(|| damaged(self.link.place(), "vault", "no row"))?;
        rows::mark(row, self.link.place())
    }

    fn tenant(&mut self, tenant: &TenantId) -> Result<Option<TenantRow>, ShelfError> {
        let name = tenant.as_str();
        let found = self.link.ask(async |client| {
            query(client, "SELECT id, key FROM cloister_subjects.tenants WHERE name = $1", &[(&name, Type::TEXT)]).await
        })?;
        found.first().map(|row| rows::tenant(row, tenant, self.link.place())).transpose()
    }

    fn tenants(&mut self) -> Result<Vec<TenantId>, ShelfError> {
        let sql = "SELECT name FROM cloister_subjects.tenants ORDER BY name COLLATE \"C\"";
        let found = self.link.ask(async |client| query(client, sql, &[]).await)?;
        found.iter().map(|row| rows::name(row, self.link.place())).collect()
    }

    fn put_tenant(&mut self, fresh: &TenantRow, under: &[u8]) -> Result<Option<TenantRow>, ShelfError> {
        let TenantRow { tenant, id, key } = fresh;
        let (name, id, key) = (tenant.as_str(), id.as_slice(), key.as_slice());
        let found = self.link.ask(async |client| {
            // The row of the vault stays as it is until this is committed: no root is rotated meanwhile.
            let sql = "WITH vault AS MATERIALIZED (SELECT mark FROM cloister_subjects.vault FOR SHARE)
                INSERT INTO cloister_subjects.tenants SELECT $1, $2, $3 FROM vault WHERE mark = $4 ON CONFLICT DO NOTHING";
            let all: [Parameter<'_>; 4] =
                [(&name, Type::TEXT), (&id, Type::BYTEA), (&key, Type::BYTEA), (&under, Type::BYTEA)];
            query(client, sql, &all).await?;
            let sql = "SELECT tenants.id, tenants.key FROM cloister_subjects.tenants, cloister_subjects.vault
                WHERE name = $1 AND mark = $2";
            query(client, sql, &[(&name, Type::TEXT), (&under, Type::BYTEA)]).await
        })?;
        found.first().map(|row| rows::tenant(row, tenant, self.link.place())).transpose()
    }

    fn find(&mut self, prints: &[Print]) -> Result<Vec<Option<SubjectRow>>, ShelfError> {
        let found = self.link.ask(async |client| rows::find(client, prints).await)?;
        rows::in_order(prints, found, self.link.place())
    }

    fn put(&mut self, fresh: &[SubjectRow]) -> Result<Vec<Option<SubjectRow>>, ShelfError> {
        let prints: Vec<_> = fresh.iter().map(|row| row.print).collect();
        let found = self.link.ask(async |client| {
            let change = begin(client).await?;
            rows::put(&change, fresh).await?;
            let found = rows::find(&change, &prints).await?;
            commit(change).await?;
            Ok(found)
        })?;
        rows::in_order(&prints, found, self.link.place())
    }

    fn erase(&mut self, tenant: &TenantId, print: Print, under: &[u8], order: &Order) -> Result<Destroyed, ShelfError> {
        let attempt = self.link.change(PATIENCE, async |client| {
            let (change, mark) = alone_under(client).await?;
            if mark != under {
                return Ok(None);
            }
            let row = rows::find(&change, &[print]).await?.pop();
            let about = |kind| Fresh {
                surrogate: row.as_ref().map(|row| row.surrogate.as_str()),
                ..Fresh::new(kind, tenant.as_str(), order)
            };
            let attempt = if let Some(hold) = rows::forbidding(&change, tenant, Some(print)).await? {
                rows::note(&change, &Fresh { hold: Some(hold.id), ..about(EventKind::EraseRefused) }).await?;
                Attempt::Held(hold)
            } else if let Some(found) = &row {
                rows::note(&change, &Fresh { key: Some(&found.key_id), ..about(EventKind::Erased) }).await?;
                let sql = "DELETE FROM cloister_subjects.subjects WHERE print = $1";
                query(&change, sql, &[(&print.0.as_slice(), Type::BYTEA)]).await?;
                one_more_destroyed(&change).await?;
                row.map_or(Attempt::Nothing, Attempt::One)
            } else {
                Attempt::Nothing
            };
            commit(change).await?;
            Ok(Some(attempt))
        })?;
        attempt.ok_or_else(|| self.turned())?.destroyed(self.link.place())
    }

    fn off_board(&mut self, tenant: &TenantId, order: &Order) -> Result<Destroyed, ShelfError> {
        let attempt = self.link.change(PATIENCE, async |client| {
            let change = alone(client).await?;
            let about = |kind| Fresh::new(kind, tenant.as_str(), order);
            let attempt = if let Some(hold) = rows::forbidding(&change, tenant, None).await? {
                rows::note(&change, &Fresh { hold: Some(hold.id), ..about(EventKind::OffBoardRefused) }).await?;
                Attempt::Held(hold)
            } else {
                // ORDER: the key first. It waits for whoever adds persons to the tenant, and nobody does from then on.
                let name = tenant.as_str();
                let sql = "DELETE FROM cloister_subjects.tenants WHERE name = $1 RETURNING name";
                let keys = query(&change, sql, &[(&name, Type::TEXT)]).await?.len();
                let sql = "WITH gone AS (DELETE FROM cloister_subjects.subjects WHERE tenant = $1 RETURNING 1)
                    SELECT count(*) FROM gone";
                let persons = query(&change, sql, &[(&name, Type::TEXT)]).await?;
                let persons = persons.first().map_or(0, |row| row.get::<_, i64>(0).cast_unsigned());
                if keys == 0 && persons == 0 {
                    Attempt::Nothing
                } else {
                    rows::note(&change, &Fresh { count: Some(persons), ..about(EventKind::OffBoarded) }).await?;
                    one_more_destroyed(&change).await?;
                    Attempt::Tenant(persons)
                }
            };
            commit(change).await?;
            Ok(attempt)
        })?;
        attempt.destroyed(self.link.place())
    }

    fn mend(
        &mut self,
        persons: &[Surrogate],
        tenants: &[(TenantId, u64)],
        known: u64,
        order: &Order,
    ) -> Result<u64, ShelfError> {
        let persons: Vec<&str> = persons.iter().map(Surrogate::as_str).collect();
        let known = known.cast_signed();
        self.link.change(PATIENCE, async |client| {
            let change = alone(client).await?;
            let sql = "DELETE FROM cloister_subjects.subjects WHERE surrogate = ANY($1)
                RETURNING tenant, surrogate, key_id";
            let mut gone = query(&change, sql, &[(&persons, Type::TEXT_ARRAY)]).await?;
            for (tenant, until) in tenants {
                let (tenant, until) = (tenant.as_str(), until.cast_signed());
                let sql = "DELETE FROM cloister_subjects.subjects WHERE tenant = $1 AND made <= $2
                    RETURNING tenant, surrogate, key_id";
                gone.extend(query(&change, sql, &[(&tenant, Type::TEXT), (&until, Type::INT8)]).await?);
                // A tenant that came back before the backup has persons of its next key.
                let sql = "DELETE FROM cloister_subjects.tenants WHERE name = $1
                    AND id NOT IN (SELECT tenant_key FROM cloister_subjects.subjects WHERE tenant = $1)";
                query(&change, sql, &[(&tenant, Type::TEXT)]).await?;
            }
            for row in &gone {
                let (tenant, surrogate, key): (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
                let event = Fresh::new(EventKind::Erased, tenant, order);
                rows::note(&change, &Fresh { surrogate: Some(surrogate), key: Some(key), ..event }).await?;
            }
            let sql = "UPDATE cloister_subjects.vault SET destroyed = greatest(destroyed, $1) + 1";
            query(&change, sql, &[(&known, Type::INT8)]).await?;
            commit(change).await?;
            Ok(gone.len() as u64)
        })
    }

    /// Dead rows are let go at once where the role may say so. What they held stays in the pages until something else is written
    /// there, in the log of writes, and in backups.
    fn scrub(&mut self) -> Result<Scrubbed, ShelfError> {
        for table in ["subjects", "tenants"] {
            let vacuum = format!("VACUUM cloister_subjects.{table}");
            self.link.change(PATIENCE, async |client| {
                client.batch_execute(&vacuum).await.map_err(|error| Fault::of(&error))
            })?;
        }
        Ok(Scrubbed::Kept)
    }

    fn hold(
        &mut self,
        tenant: &TenantId,
        whom: Option<&HeldRow>,
        under: &[u8],
        order: &Order,
    ) -> Result<Hold, ShelfError> {
        let hold = self.link.change(PATIENCE, async |client| {
            let (change, mark) = alone_under(client).await?;
            if mark != under {
                return Ok(None);
            }
            let row = match whom {
                Some(whom) => rows::find(&change, &[whom.print]).await?.pop(),
                None => None,
            };
            let hold = rows::hold(&change, tenant, whom, row.map(|row| row.surrogate), order).await?;
            let event = Fresh::new(EventKind::HoldAdded, tenant.as_str(), order);
            rows::note(&change, &Fresh { hold: Some(hold.id), surrogate: hold.surrogate.as_deref(), ..event }).await?;
            commit(change).await?;
            Ok(Some(hold))
        })?;
        hold.ok_or_else(|| self.turned())?.hold(self.link.place())
    }

    fn release(&mut self, id: u64, order: &Order) -> Result<Option<Hold>, ShelfError> {
        let id = id.cast_signed();
        let hold = self.link.change(PATIENCE, async |client| {
            let change = alone(client).await?;
            let sql = format!("DELETE FROM cloister_subjects.holds WHERE id = $1 RETURNING {}", rows::HOLD);
            let hold = query(&change, &sql, &[(&id, Type::INT8)]).await?.first().map(rows::kept_hold);
            if let Some(hold) = &hold {
                let event = Fresh::new(EventKind::HoldRemoved, &hold.tenant, order);
                let surrogate = hold.surrogate.as_deref();
                rows::note(&change, &Fresh { hold: Some(hold.id), surrogate, ..event }).await?;
            }
            commit(change).await?;
            Ok(hold)
        })?;
        hold.map(|hold| hold.hold(self.link.place())).transpose()
    }

    fn holds(&mut self) -> Result<Vec<Hold>, ShelfError> {
        let sql = format!("SELECT {} FROM cloister_subjects.holds ORDER BY id", rows::HOLD);
        let all = self.link.ask(async |client| query(client, &sql, &[]).await)?;
        all.iter().map(|row| KeptHold::hold(rows::kept_hold(row), self.link.place())).collect()
    }

    fn renew(&mut self, under: &[u8], renewal: &mut dyn Renewal, order: &Order) -> Result<u64, ShelfError> {
        let place = self.link.place().to_owned();
        self.link.change(renewal::PATIENCE, async |client| {
            let (change, mark) = alone_under(client).await?;
            if mark != under {
                return Ok(Err(ShelfError::Turned(place.clone())));
            }
            match (Renewing { change: &change, place: &place, renewal }).all(order).await? {
                Ok(persons) => commit(change).await.map(|()| Ok(persons)),
                Err(error) => Ok(Err(error)), // what is not committed was never done
            }
        })?
    }

    fn note(&mut self, event: &Event) -> Result<(), ShelfError> {
        self.link.change(PATIENCE, async |client| {
            let change = alone(client).await?;
            rows::note(&change, &Fresh::of(event)).await?;
            commit(change).await
        })
    }

    /// Each log has all events: which records of a person are in it, nobody knows here. An event goes when the last has it.
    fn record(&mut self, log: LogName, put: &mut dyn FnMut(&Event) -> bool) -> Result<bool, ShelfError> {
        let name = rows::log(log);
        let some = self
            .link
            .ask(async |client| query(client, rows::EVENTS_FOR, &[(&name, Type::TEXT), (&EVENTS, Type::INT8)]).await)?;
        if some.is_empty() {
            return Ok(true);
        }
        let (mut last, mut all) = (None, some.len() < usize::try_from(EVENTS).unwrap_or(usize::MAX));
        let mut outcome = Ok(());
        for event in some.iter().map(rows::event) {
            let id = event.id;
            match KeptEvent::event(event, self.link.place()) {
                Ok(event) if put(&event) => last = Some(id),
                Ok(_) => {
                    all = false;
                    break;
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        if let Some(last) = last {
            self.link.ask(async |client| {
                let change = begin(client).await?;
                let sql = "INSERT INTO cloister_subjects.logs VALUES ($1, $2)
                    ON CONFLICT (id) DO UPDATE SET at = greatest(logs.at, excluded.at)";
                query(&change, sql, &[(&name, Type::TEXT), (&last, Type::INT8)]).await?;
                let sql = "DELETE FROM cloister_subjects.events
                    WHERE id <= (SELECT min(at) FROM cloister_subjects.logs)";
                query(&change, sql, &[]).await?;
                commit(change).await
            })?;
        }
        outcome.map(|()| all)
    }

    fn waiting(&mut self, log: LogName) -> Result<u64, ShelfError> {
        let name = rows::log(log);
        self.link.ask(async |client| {
            // A log is known from now on, so that events wait for it.
            let sql = "INSERT INTO cloister_subjects.logs VALUES ($1, 0) ON CONFLICT DO NOTHING";
            query(client, sql, &[(&name, Type::TEXT)]).await?;
            let found = query(client, "SELECT count(*) FROM cloister_subjects.events", &[]).await?;
            Ok(found.first().map_or(0, |row| row.get::<_, i64>(0).cast_unsigned()))
        })
    }

    /// Many are estimated, since each row would have to be looked at.
    fn persons(&mut self) -> Result<u64, ShelfError> {
        let sql = "SELECT CASE WHEN reltuples < 100000 THEN (SELECT count(*) FROM cloister_subjects.subjects)
                ELSE reltuples::bigint END
            FROM pg_catalog.pg_class WHERE oid = 'cloister_subjects.subjects'::regclass";
        let found = self.link.ask(async |client| query(client, sql, &[]).await)?;
        Ok(found.first().map_or(0, |row| row.get::<_, i64>(0).cast_unsigned()))
    }
}

impl fmt::Debug for Postgresql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Postgresql").field(&self.link.place()).finish()
    }
}
