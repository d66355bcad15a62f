use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, Transaction, TransactionBehavior, named_params};
use terms::{Surrogate, TenantId};

mod kept;
mod tables;

use kept::{Attempt, Fresh, KeptEvent, KeptHold, KeptSubject};
use tables::TABLES;

use crate::{Destroyed, Event, EventKind, Hold, Mark, Order, Print, Shelf, ShelfError, SubjectRow, TenantRow};

/// A file of SQLite, for one machine.
#[derive(Debug)]
pub(crate) struct Sqlite {
    connection: Connection,
    path: PathBuf,
    /// Device and inode, when it was opened.
    place: (u64, u64),
}

/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many events are put on record in one transaction.
const EVENTS: i64 = 256;

const FORMAT: i64 = 1;

impl Sqlite {
    /// Opens the file, which is made where there is none.
    pub(crate) fn open(path: PathBuf) -> Result<Self, ShelfError> {
        let fail = |error: io::Error| {
            ShelfError::Database(path.clone(), rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
        };
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
        let connection = connection.map_err(|error| ShelfError::Database(path.clone(), error))?;
        let mut this = Self { connection, path, place: (metadata.dev(), metadata.ino()) };
        let format = this.change(|change| {
            let format: i64 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if format == 0 {
                change.execute_batch(TABLES)?;
                change.pragma_update(None, "user_version", FORMAT)?;
            }
            Ok(format)
        })?;
        if format > FORMAT { Err(ShelfError::Newer(this.path, format)) } else { Ok(this) }
    }

    fn change<T>(&mut self, run: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, ShelfError> {
        let done = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|transaction| {
            let done = run(&transaction)?;
            transaction.commit()?;
            Ok(done)
        });
        done.map_err(|error| ShelfError::Database(self.path.clone(), error))
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ShelfError> {
        read(&self.connection).map_err(|error| ShelfError::Database(self.path.clone(), error))
    }

    fn damaged(&self, column: &'static str, found: &str) -> ShelfError {
        ShelfError::Damaged(self.path.clone(), column, found.to_owned())
    }
}

/// A text that was written from bytes that are one.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn one_more_destroyed(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE vault SET destroyed = destroyed + 1", []).map(drop)
}

impl Shelf for Sqlite {
    fn mark(&mut self, fresh: &Mark) -> Result<Mark, ShelfError> {
        self.change(|change| {
            let sql = "INSERT INTO vault VALUES (0, :id, :mark, :destroyed) ON CONFLICT DO NOTHING";
            let destroyed = fresh.destroyed.cast_signed();
            change.execute(sql, named_params! { ":id": fresh.id, ":mark": fresh.check, ":destroyed": destroyed })?;
            change.query_row("SELECT id, mark, destroyed FROM vault", [], |row| {
                let destroyed: i64 = row.get(2)?;
                Ok(Mark { id: row.get(0)?, check: row.get(1)?, destroyed: destroyed.cast_unsigned() })
            })
        })
    }

    fn destroyed(&mut self) -> Result<u64, ShelfError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT destroyed FROM vault")?;
            statement.query_row([], |row| row.get(0)).map(i64::cast_unsigned)
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
        all.into_iter().map(|name| name.parse().map_err(|_| self.damaged("name", &name))).collect()
    }

    fn put_tenant(&mut self, fresh: &TenantRow) -> Result<TenantRow, ShelfError> {
        let TenantRow { tenant, id, key } = fresh;
        self.change(|change| {
            let sql = "INSERT INTO tenants VALUES (:name, :id, :key) ON CONFLICT DO NOTHING";
            change.execute(sql, named_params! { ":name": tenant.as_str(), ":id": id, ":key": key })?;
            let row = |row: &Row<'_>| Ok(TenantRow { tenant: tenant.clone(), id: row.get(0)?, key: row.get(1)? });
            let sql = "SELECT id, key FROM tenants WHERE name = :name";
            change.query_row(sql, named_params! { ":name": tenant.as_str() }, row)
        })
    }

    fn find(&mut self, prints: &[Print]) -> Result<Vec<Option<SubjectRow>>, ShelfError> {
        let all = self.read(|connection| {
            let all = prints.iter().map(|print| KeptSubject::find(connection, *print));
            all.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        all.into_iter().map(|row| row.map(|row| row.subject(&self.path)).transpose()).collect()
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
                all.push(KeptSubject::find(change, row.print)?);
            }
            Ok(all)
        })?;
        all.into_iter().map(|row| row.map(|row| row.subject(&self.path)).transpose()).collect()
    }

    fn erase(&mut self, tenant: &TenantId, print: Print, order: &Order) -> Result<Destroyed, ShelfError> {
        let attempt = self.change(|change| {
            let row = KeptSubject::find(change, print)?;
            let about = |kind| Fresh {
                surrogate: row.as_ref().map(|row| row.surrogate.as_str()),
                ..Fresh::new(kind, tenant.as_str(), order)
            };
            if let Some(hold) = KeptHold::forbidding(change, tenant, Some(print))? {
                Fresh { hold: Some(hold.id), ..about(EventKind::EraseRefused) }.put(change)?;
                return Ok(Attempt::Held(hold));
            }
            let Some(found) = &row else { return Ok(Attempt::Nothing) };
            Fresh { key: Some(&found.key_id), ..about(EventKind::Erased) }.put(change)?;
            change.execute("DELETE FROM subjects WHERE print = :print", named_params! { ":print": print.0 })?;
            one_more_destroyed(change)?;
            Ok(row.map_or(Attempt::Nothing, Attempt::One))
        })?;
        attempt.destroyed(&self.path)
    }

    fn off_board(&mut self, tenant: &TenantId, order: &Order) -> Result<Destroyed, ShelfError> {
        let attempt = self.change(|change| {
            let about = |kind| Fresh::new(kind, tenant.as_str(), order);
            if let Some(hold) = KeptHold::forbidding(change, tenant, None)? {
                Fresh { hold: Some(hold.id), ..about(EventKind::OffBoardRefused) }.put(change)?;
                return Ok(Attempt::Held(hold));
            }
            let name = named_params! { ":name": tenant.as_str() };
            let keys = change.execute("DELETE FROM tenants WHERE name = :name", name)?;
            let persons = change.execute("DELETE FROM subjects WHERE tenant = :name", name)?;
            if keys == 0 && persons == 0 {
                return Ok(Attempt::Nothing);
            }
            let persons = persons as u64;
            Fresh { count: Some(persons), ..about(EventKind::OffBoarded) }.put(change)?;
            one_more_destroyed(change)?;
            Ok(Attempt::Tenant(persons))
        })?;
        attempt.destroyed(&self.path)
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
                Fresh { surrogate: Some(surrogate), key: Some(key), ..event }.put(change)?;
            }
            let sql = "UPDATE vault SET destroyed = max(destroyed, :known) + 1";
            change.execute(sql, named_params! { ":known": known.cast_signed() })?;
            Ok(gone.len() as u64)
        })
    }

    /// Deleted cells are overwritten, but trees leave copies behind when they are balanced, and the log of writes has them all:
    /// so the whole file is written anew, and the log is emptied.
    fn scrub(&mut self) -> Result<(), ShelfError> {
        let fail = |error| ShelfError::Database(self.path.clone(), error);
        self.connection.execute_batch("VACUUM").map_err(fail)?;
        for _ in 0..50 {
            let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
            let busy: i64 = self.connection.query_row(sql, [], |row| row.get(0)).map_err(fail)?;
            if busy == 0 {
                return Ok(());
            }
            std::thread::sleep(PATIENCE / 50);
        }
        Err(ShelfError::Busy(self.path.clone()))
    }

    fn hold(&mut self, tenant: &TenantId, print: Option<Print>, order: &Order) -> Result<Hold, ShelfError> {
        let hold = self.change(|change| {
            let row = print.map(|print| KeptSubject::find(change, print)).transpose()?.flatten();
            let surrogate = row.map(|row| row.surrogate);
            let sql = "INSERT INTO holds (tenant, print, surrogate, reason, who, made)
                VALUES (:tenant, :print, :surrogate, :reason, :who, :made)";
            change.execute(
                sql,
                named_params! {
                    ":tenant": tenant.as_str(), ":print": print.map(|print| print.0), ":surrogate": surrogate,
                    ":reason": order.reason, ":who": order.who.to_string(), ":made": order.done.cast_signed(),
                },
            )?;
            let id = change.last_insert_rowid();
            let event = Fresh::new(EventKind::HoldAdded, tenant.as_str(), order);
            Fresh { hold: Some(id), surrogate: surrogate.as_deref(), ..event }.put(change)?;
            Ok(KeptHold {
                id,
                tenant: tenant.to_string(),
                is_for_one: print.is_some(),
                surrogate,
                reason: order.reason.clone(),
                who: order.who.to_string(),
                made: order.done.cast_signed(),
            })
        })?;
        hold.hold(&self.path)
    }

    fn release(&mut self, id: u64, order: &Order) -> Result<Option<Hold>, ShelfError> {
        let hold = self.change(|change| {
            let sql = "DELETE FROM holds WHERE id = :id
                RETURNING id, tenant, print IS NOT NULL AS is_for_one, surrogate, reason, who, made";
            let hold = change.query_row(sql, named_params! { ":id": id.cast_signed() }, KeptHold::read).optional()?;
            if let Some(hold) = &hold {
                let event = Fresh::new(EventKind::HoldRemoved, &hold.tenant, order);
                Fresh { hold: Some(hold.id), surrogate: hold.surrogate.as_deref(), ..event }.put(change)?;
            }
            Ok(hold)
        })?;
        hold.map(|hold| hold.hold(&self.path)).transpose()
    }

    fn holds(&mut self) -> Result<Vec<Hold>, ShelfError> {
        let all = self.read(|connection| {
            let sql = "SELECT id, tenant, print IS NOT NULL AS is_for_one, surrogate, reason, who, made FROM holds
                ORDER BY id";
            let mut statement = connection.prepare_cached(sql)?;
            let all = statement.query_map([], KeptHold::read)?;
            all.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        all.into_iter().map(|hold| hold.hold(&self.path)).collect()
    }

    fn note(&mut self, event: &Event) -> Result<(), ShelfError> {
        let Event { kind, tenant, surrogate, key, count, hold, sha256, order } = event;
        self.change(|change| {
            Fresh {
                kind: *kind,
                tenant: tenant.as_str(),
                surrogate: surrogate.as_ref().map(Surrogate::as_str),
                key: key.as_deref(),
                count: *count,
                hold: hold.map(u64::cast_signed),
                sha256: sha256.as_deref(),
                order,
            }
            .put(change)
        })
    }

    fn record(&mut self, put: &mut dyn FnMut(&Event) -> bool) -> Result<bool, ShelfError> {
        // Most of the time there is none, and nobody needs to be kept from writing to find that out.
        let some: bool = self.read(|connection| {
            connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM events)")?.query_row([], |row| row.get(0))
        })?;
        if !some {
            return Ok(true);
        }
        let path = self.path.clone();
        self.change(|change| {
            let sql = "SELECT id, kind, tenant, surrogate, key_id, count, hold, sha256, reason, reference, who, done FROM events
                ORDER BY id LIMIT :most";
            let mut statement = change.prepare_cached(sql)?;
            let all = statement.query_map(named_params! { ":most": EVENTS }, KeptEvent::read)?;
            for event in all.collect::<rusqlite::Result<Vec<_>>>()? {
                let id = event.id;
                match event.event(&path) {
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

    fn is_in_place(&self) -> bool {
        let found = std::fs::metadata::<&Path>(&self.path).map(|metadata| (metadata.dev(), metadata.ino()));
        found.is_ok_and(|found| found == self.place)
    }
}
