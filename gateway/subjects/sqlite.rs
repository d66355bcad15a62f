use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, Transaction, TransactionBehavior, named_params};
use terms::{Surrogate, TenantId};

mod renewal;
mod rows;
mod tables;

use renewal::Renewing;
use tables::{TABLES, TO_2};

use crate::kept::{Attempt, Fresh, KeptHold, damaged};
use crate::shelf::{Renewal, StorageError};
use crate::{
    Destroyed, Event, EventKind, HeldRow, Hold, LogName, Mark, Order, Print, Scrubbed, Shelf, ShelfError, SubjectRow,
    TenantRow,
};

/// A file of SQLite, for one machine.
#[derive(Debug)]
pub(crate) struct Sqlite {
    connection: Connection,
    path: PathBuf,
    /// The path, as it is told.
    place: String,
    /// Device and inode, when it was opened.
    file: (u64, u64),
}

/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many events are put on record in one transaction.
const EVENTS: i64 = 256;

const FORMAT: i64 = 2;

impl Sqlite {
    /// Opens the file, which is made where there is none.
    pub(crate) fn open(path: PathBuf) -> Result<Self, ShelfError> {
        let place = format!("`{}`", path.display());
        let fail = |error: io::Error| ShelfError::Unusable(place.clone(), error.into());
        // SQLite gives its other files the rights of this one. INVARIANT: one that is there is not opened otherwise than by SQLite.
        // Closing it would take away all locks that this process has on it (fcntl), and the next process that ends would delete
        // the log of writes beneath those who still use it.
        match OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => drop(made.map_err(fail)?),
        }
        let metadata = std::fs::metadata(&path).map_err(fail)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).and_then(|connection| {
            connection.busy_timeout(PATIENCE)?;
            // A row is on disk before anybody hears of it, and what is deleted is overwritten.
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update(None, "secure_delete", true)?;
            connection.pragma_update(None, "temp_store", "memory")?;
            connection.pragma_update(None, "trusted_schema", false)?;
            Ok(connection)
        });
        let connection = connection.map_err(|error| ShelfError::Unusable(place.clone(), error.into()))?;
        let mut this = Self { connection, path, place, file: (metadata.dev(), metadata.ino()) };
        let format = this.change(|change| {
            let format: i64 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if format < FORMAT {
                change.execute_batch(if format == 0 { TABLES } else { TO_2 })?;
                change.pragma_update(None, "user_version", FORMAT)?;
            }
            Ok(format)
        })?;
        if format > FORMAT { Err(ShelfError::Newer(this.place, format, FORMAT)) } else { Ok(this) }
    }

    fn change<T>(&mut self, run: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, ShelfError> {
        let done = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|transaction| {
            let done = run(&transaction)?;
            transaction.commit()?;
            Ok(done)
        });
        done.map_err(|error| self.unusable(error))
    }

    /// The same, if the root is still the one that it was.
    fn change_under<T>(
        &mut self,
        under: &[u8],
        run: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, ShelfError> {
        let done = self.change(|change| if is_under(change, under)? { run(change).map(Some) } else { Ok(None) })?;
        done.ok_or_else(|| ShelfError::Turned(self.place.clone()))
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ShelfError> {
        read(&self.connection).map_err(|error| self.unusable(error))
    }

    fn unusable(&self, error: impl Into<StorageError>) -> ShelfError {
        ShelfError::Unusable(self.place.clone(), error.into())
    }

    /// A file may have been put in its place: what is written into one that nobody finds any more is lost.
    fn is_in_place(&self) -> bool {
        let found = std::fs::metadata::<&Path>(&self.path).map(|metadata| (metadata.dev(), metadata.ino()));
        found.is_ok_and(|found| found == self.file)
    }
}

/// A text that was written from bytes that are one.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Whether the root is still the one that has sealed this.
fn is_under(connection: &Connection, under: &[u8]) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM vault WHERE mark = :under)";
    connection.query_row(sql, named_params! { ":under": under }, |row| row.get(0))
}

fn one_more_destroyed(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE vault SET destroyed = destroyed + 1", []).map(drop)
}

fn mark(row: &Row<'_>) -> rusqlite::Result<Mark> {
    let destroyed: i64 = row.get(2)?;
    Ok(Mark { id: row.get(0)?, check: row.get(1)?, destroyed: destroyed.cast_unsigned() })
}

const MARK: &str = "SELECT id, mark, destroyed FROM vault";

impl Shelf for Sqlite {
    fn place(&self) -> &str {
        &self.place
    }

    fn mark(&mut self) -> Result<Option<Mark>, ShelfError> {
        if !self.is_in_place() {
            return Ok(None);
        }
        self.read(|connection| connection.prepare_cached(MARK)?.query_row([], mark).optional())
    }

    fn begin(&mut self, fresh: &Mark) -> Result<Mark, ShelfError> {
        self.change(|change| {
            let sql = "INSERT INTO vault VALUES (0, :id, :mark, :destroyed) ON CONFLICT DO NOTHING";
            let destroyed = fresh.destroyed.cast_signed();
            change.execute(sql, named_params! { ":id": fresh.id, ":mark": fresh.check, ":destroyed": destroyed })?;
            change.query_row(MARK, [], mark)
        })
    }

    fn tenant(&mut self, tenant: &TenantId) -> Result<Option<TenantRow>, ShelfError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT id, key FROM tenants WHERE name = :name")?;
            let row = |row: &Row<'_>| Ok(TenantRow { tenant: tenant.clone(), id: row.get(0)?, key: row.get(1)? });
            statement.query_row(named_params! { ":name": tenant.as_str() }, row).optional()
        })
    }

    fn tenants(&mut self) -> Result<Vec<TenantId>, ShelfError> {
        let all = self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT name FROM tenants ORDER BY name")?;
            let all = statement.query_map([], |row| row.get(0))?;
            all.collect::<rusqlite::Result<Vec<String>>>()
        })?;
        all.into_iter().map(|name| name.parse().map_err(|_| damaged(&self.place, "name", &name))).collect()
    }

    fn put_tenant(&mut self, fresh: &TenantRow, under: &[u8]) -> Result<Option<TenantRow>, ShelfError> {
        let TenantRow { tenant, id, key } = fresh;
        self.change(|change| {
            let sql =
                "INSERT INTO tenants SELECT :name, :id, :key WHERE EXISTS (SELECT 1 FROM vault WHERE mark = :under)
                ON CONFLICT DO NOTHING";
            change.execute(sql, named_params! { ":name": tenant.as_str(), ":id": id, ":key": key, ":under": under })?;
            let row = |row: &Row<'_>| Ok(TenantRow { tenant: tenant.clone(), id: row.get(0)?, key: row.get(1)? });
            let sql = "SELECT tenants.id, tenants.key FROM tenants, vault WHERE name = :name AND mark = :under";
            change.query_row(sql, named_params! { ":name": tenant.as_str(), ":under": under }, row).optional()
        })
    }

    fn find(&mut self, prints: &[Print]) -> Result<Vec<Option<SubjectRow>>, ShelfError> {
        let all = self.read(|connection| {
            let all = prints.iter().map(|print| rows::find(connection, *print));
            all.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        all.into_iter().map(|row| row.map(|row| row.subject(&self.place)).transpose()).collect()
    }

    fn put(&mut self, fresh: &[SubjectRow]) -> Result<Vec<Option<SubjectRow>>, ShelfError> {
        let all = self.change(|change| {
            let mut all = Vec::with_capacity(fresh.len());
            for row in fresh {
                // ORDER: the tenant's key in the same transaction. What it wraps is lost if it was destroyed meanwhile.
                let mut statement = change.prepare_cached(
                    "INSERT INTO subjects (print, tenant, tenant_key, surrogate, key_id, key, identity, made)
                     SELECT :print, :tenant, :tenant_key, :surrogate, :key_id, :key, :identity, :made
                     WHERE EXISTS (SELECT 1 FROM tenants WHERE name = :tenant AND id = :tenant_key)
                     ON CONFLICT DO NOTHING",
                )?;
                statement.execute(named_params! {
                    ":print": row.print.0, ":tenant": row.tenant.as_str(), ":tenant_key": row.tenant_key,
                    ":surrogate": row.surrogate.as_str(), ":key_id": text(&row.key_id), ":key": row.key,
                    ":identity": row.identity, ":made": row.made.cast_signed(),
                })?;
                all.push(rows::find(change, row.print)?);
            }
            Ok(all)
        })?;
        all.into_iter().map(|row| row.map(|row| row.subject(&self.place)).transpose()).collect()
    }

    fn erase(&mut self, tenant: &TenantId, print: Print, under: &[u8], order: &Order) -> Result<Destroyed, ShelfError> {
        let attempt = self.change_under(under, |change| {
            let row = rows::find(change, print)?;
            let about = |kind| Fresh {
                surrogate: row.as_ref().map(|row| row.surrogate.as_str()),
                ..Fresh::new(kind, tenant.as_str(), order)
            };
            if let Some(hold) = rows::forbidding(change, tenant, Some(print))? {
                rows::put(&Fresh { hold: Some(hold.id), ..about(EventKind::EraseRefused) }, change)?;
                return Ok(Attempt::Held(hold));
            }
            let Some(found) = &row else { return Ok(Attempt::Nothing) };
            rows::put(&Fresh { key: Some(&found.key_id), ..about(EventKind::Erased) }, change)?;
            change.execute("DELETE FROM subjects WHERE print = :print", named_params! { ":print": print.0 })?;
            one_more_destroyed(change)?;
            Ok(row.map_or(Attempt::Nothing, Attempt::One))
        })?;
        attempt.destroyed(&self.place)
    }

    fn off_board(&mut self, tenant: &TenantId, order: &Order) -> Result<Destroyed, ShelfError> {
        let attempt = self.change(|change| {
            let about = |kind| Fresh::new(kind, tenant.as_str(), order);
            if let Some(hold) = rows::forbidding(change, tenant, None)? {
                rows::put(&Fresh { hold: Some(hold.id), ..about(EventKind::OffBoardRefused) }, change)?;
                return Ok(Attempt::Held(hold));
            }
            let name = named_params! { ":name": tenant.as_str() };
            let keys = change.execute("DELETE FROM tenants WHERE name = :name", name)?;
            let persons = change.execute("DELETE FROM subjects WHERE tenant = :name", name)?;
            if keys == 0 && persons == 0 {
                return Ok(Attempt::Nothing);
            }
            let persons = persons as u64;
            rows::put(&Fresh { count: Some(persons), ..about(EventKind::OffBoarded) }, change)?;
            one_more_destroyed(change)?;
            Ok(Attempt::Tenant(persons))
        })?;
        attempt.destroyed(&self.place)
    }

    fn mend(
        &mut self,
        persons: &[Surrogate],
        tenants: &[(TenantId, u64)],
        known: u64,
        order: &Order,
    ) -> Result<u64, ShelfError> {
        self.change(|change| {
            let mut gone: Vec<(String, String, String)> = Vec::new();
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            for surrogate in persons {
                let sql = "DELETE FROM subjects WHERE surrogate = :surrogate RETURNING tenant, surrogate, key_id";
                let mut statement = change.prepare_cached(sql)?;
                let some = statement.query_map(named_params! { ":surrogate": surrogate.as_str() }, row)?;
                gone.extend(some.collect::<rusqlite::Result<Vec<_>>>()?);
            }
            for (tenant, until) in tenants {
                let sql = "DELETE FROM subjects WHERE tenant = :tenant AND made <= :until
                    RETURNING tenant, surrogate, key_id";
                let (tenant, until) = (tenant.as_str(), until.cast_signed());
                let mut statement = change.prepare_cached(sql)?;
                let some = statement.query_map(named_params! { ":tenant": tenant, ":until": until }, row)?;
                gone.extend(some.collect::<rusqlite::Result<Vec<_>>>()?);
                // A tenant that came back before the backup has persons of its next key.
                let sql = "DELETE FROM tenants WHERE name = :tenant
                    AND id NOT IN (SELECT tenant_key FROM subjects WHERE tenant = :tenant)";
                change.execute(sql, named_params! { ":tenant": tenant })?;
            }
            for (tenant, surrogate, key) in &gone {
                let event = Fresh::new(EventKind::Erased, tenant, order);
                rows::put(&Fresh { surrogate: Some(surrogate), key: Some(key), ..event }, change)?;
            }
            let sql = "UPDATE vault SET destroyed = max(destroyed, :known) + 1";
            change.execute(sql, named_params! { ":known": known.cast_signed() })?;
            Ok(gone.len() as u64)
        })
    }

    /// Deleted cells are overwritten, but trees leave copies behind when they are balanced, and the log of writes has them all:
    /// so the whole file is written anew, and the log is emptied.
    fn scrub(&mut self) -> Result<Scrubbed, ShelfError> {
        let fail = |error| self.unusable(error);
        self.connection.execute_batch("VACUUM").map_err(fail)?;
        for _ in 0..50 {
            let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
            let busy: i64 = self.connection.query_row(sql, [], |row| row.get(0)).map_err(fail)?;
            if busy == 0 {
                return Ok(Scrubbed::Gone);
            }
            std::thread::sleep(PATIENCE / 50);
        }
        Err(ShelfError::Busy(self.place.clone()))
    }

    fn hold(
        &mut self,
        tenant: &TenantId,
        whom: Option<&HeldRow>,
        under: &[u8],
        order: &Order,
    ) -> Result<Hold, ShelfError> {
        let (print, identity) = whom.map_or((None, None), |whom| (Some(whom.print), whom.identity.as_ref()));
        let hold = self.change_under(under, |change| {
            let row = print.map(|print| rows::find(change, print)).transpose()?.flatten();
            let surrogate = row.map(|row| row.surrogate);
            let sql = "INSERT INTO holds (tenant, print, surrogate, reason, who, made, identity)
                VALUES (:tenant, :print, :surrogate, :reason, :who, :made, :identity)";
            change.execute(
                sql,
                named_params! {
                    ":tenant": tenant.as_str(), ":print": print.map(|print| print.0), ":surrogate": surrogate,
                    ":reason": order.reason, ":who": order.who.to_string(), ":made": order.done.cast_signed(),
                    ":identity": identity,
                },
            )?;
            let id = change.last_insert_rowid();
            let event = Fresh::new(EventKind::HoldAdded, tenant.as_str(), order);
            rows::put(&Fresh { hold: Some(id), surrogate: surrogate.as_deref(), ..event }, change)?;
            Ok(KeptHold::fresh(id, tenant, print.is_some(), surrogate, order))
        })?;
        hold.hold(&self.place)
    }

    fn release(&mut self, id: u64, order: &Order) -> Result<Option<Hold>, ShelfError> {
        let hold = self.change(|change| {
            let sql = "DELETE FROM holds WHERE id = :id
                RETURNING id, tenant, print IS NOT NULL AS is_for_one, surrogate, reason, who, made";
            let hold = change.query_row(sql, named_params! { ":id": id.cast_signed() }, rows::hold).optional()?;
            if let Some(hold) = &hold {
                let event = Fresh::new(EventKind::HoldRemoved, &hold.tenant, order);
                rows::put(&Fresh { hold: Some(hold.id), surrogate: hold.surrogate.as_deref(), ..event }, change)?;
            }
            Ok(hold)
        })?;
        hold.map(|hold| hold.hold(&self.place)).transpose()
    }

    fn holds(&mut self) -> Result<Vec<Hold>, ShelfError> {
        let all = self.read(|connection| {
            let sql = "SELECT id, tenant, print IS NOT NULL AS is_for_one, surrogate, reason, who, made FROM holds
                ORDER BY id";
            let mut statement = connection.prepare_cached(sql)?;
            let all = statement.query_map([], rows::hold)?;
            all.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        all.into_iter().map(|hold| hold.hold(&self.place)).collect()
    }

    fn renew(&mut self, under: &[u8], renewal: &mut dyn Renewal, order: &Order) -> Result<u64, ShelfError> {
        let place = self.place.clone();
        let broke = |error: rusqlite::Error| ShelfError::Unusable(place.clone(), error.into());
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(broke)?;
        if !is_under(&change, under).map_err(broke)? {
            return Err(ShelfError::Turned(place.clone()));
        }
        let persons = Renewing { change: &change, place: &place, renewal }.all(order)?;
        change.commit().map_err(broke)?;
        Ok(persons)
    }

    fn note(&mut self, event: &Event) -> Result<(), ShelfError> {
        self.change(|change| rows::put(&Fresh::of(event), change))
    }

    /// One file has one log, so an event is gone when it is in it.
    fn record(&mut self, _log: LogName, put: &mut dyn FnMut(&Event) -> bool) -> Result<bool, ShelfError> {
        // Most of the time there is none, and nobody needs to be kept from writing to find that out.
        let some: bool = self.read(|connection| {
            connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM events)")?.query_row([], |row| row.get(0))
        })?;
        if !some {
            return Ok(true);
        }
        let place = self.place.clone();
        self.change(|change| {
            let sql = "SELECT id, kind, tenant, surrogate, key_id, count, hold, sha256, reason, reference, who, done FROM events
                ORDER BY id LIMIT :most";
            let mut statement = change.prepare_cached(sql)?;
            let all = statement.query_map(named_params! { ":most": EVENTS }, rows::event)?;
            for event in all.collect::<rusqlite::Result<Vec<_>>>()? {
                let id = event.id;
                match event.event(&place) {
                    Ok(event) if put(&event) => {
                        change.execute("DELETE FROM events WHERE id = :id", named_params! { ":id": id })?;
                    }
                    Ok(_) => return Ok(Ok(false)),
                    Err(error) => return Ok(Err(error)),
                }
            }
            let rest = change.query_row("SELECT NOT EXISTS (SELECT 1 FROM events)", [], |row| row.get(0))?;
            Ok(Ok(rest))
        })?
    }

    fn persons(&mut self) -> Result<u64, ShelfError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT count(*) FROM subjects")?;
            statement.query_row([], |row| row.get(0)).map(i64::cast_unsigned)
        })
    }

    fn waiting(&mut self, _log: LogName) -> Result<u64, ShelfError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT count(*) FROM events")?;
            statement.query_row([], |row| row.get(0)).map(i64::cast_unsigned)
        })
    }
}
