use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use terms::TenantId;

use crate::{Destroyed, Event, EventKind, Held, Hold, Order, Print, ShelfError, SubjectRow};

pub(super) enum Attempt {
    Held(KeptHold),
    Nothing,
    One(KeptSubject),
    Tenant(u64),
}

pub(super) struct KeptSubject {
    pub(super) print: [u8; 32],
    pub(super) tenant: String,
    pub(super) tenant_key: [u8; 16],
    pub(super) surrogate: String,
    pub(super) key_id: String,
    pub(super) key: Vec<u8>,
    pub(super) identity: Vec<u8>,
    pub(super) made: i64,
}

impl Attempt {
    /// What came of a transaction that was to destroy something.
    pub(super) fn destroyed(self, path: &Path) -> Result<Destroyed, ShelfError> {
        Ok(match self {
            Self::Held(hold) => Destroyed::Held(hold.hold(path)?),
            Self::Nothing => Destroyed::Nothing,
            Self::One(row) => Destroyed::One(Box::new(row.subject(path)?)),
            Self::Tenant(count) => Destroyed::Tenant(count),
        })
    }
}

impl KeptSubject {
    pub(super) fn subject(self, path: &Path) -> Result<SubjectRow, ShelfError> {
        let Self { print, tenant, tenant_key, surrogate, key_id, key, identity, made } = self;
        Ok(SubjectRow {
            print: Print(print),
            tenant: tenant.parse().map_err(|_| damaged(path, "tenant", &tenant))?,
            tenant_key,
            surrogate: surrogate.parse().map_err(|_| damaged(path, "surrogate", &surrogate))?,
            key_id: key_id.as_bytes().try_into().map_err(|_| damaged(path, "key_id", &key_id))?,
            key,
            identity,
            made: made.cast_unsigned(),
        })
    }

    const BY_PRINT: &str =
        "SELECT print, tenant, tenant_key, surrogate, key_id, key, identity, made FROM subjects WHERE print = :print";

    pub(super) fn find(connection: &Connection, print: Print) -> rusqlite::Result<Option<Self>> {
        let mut statement = connection.prepare_cached(Self::BY_PRINT)?;
        statement.query_row(named_params! { ":print": print.0 }, Self::read).optional()
    }

    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            print: row.get("print")?,
            tenant: row.get("tenant")?,
            tenant_key: row.get("tenant_key")?,
            surrogate: row.get("surrogate")?,
            key_id: row.get("key_id")?,
            key: row.get("key")?,
            identity: row.get("identity")?,
            made: row.get("made")?,
        })
    }
}

pub(super) struct KeptHold {
    pub(super) id: i64,
    pub(super) tenant: String,
    pub(super) is_for_one: bool,
    pub(super) surrogate: Option<String>,
    pub(super) reason: String,
    pub(super) who: String,
    pub(super) made: i64,
}

impl KeptHold {
    pub(super) fn hold(self, path: &Path) -> Result<Hold, ShelfError> {
        let whom = match (self.is_for_one, self.surrogate) {
            (false, _) => Held::All,
            (true, None) => Held::One(None),
            (true, Some(text)) => Held::One(Some(text.parse().map_err(|_| damaged(path, "surrogate", &text))?)),
        };
        Ok(Hold {
            id: self.id.cast_unsigned(),
            tenant: self.tenant.parse().map_err(|_| damaged(path, "tenant", &self.tenant))?,
            whom,
            reason: self.reason,
            who: self.who.parse().map_err(|_| damaged(path, "who", &self.who))?,
            made: self.made.cast_unsigned(),
        })
    }

    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            tenant: row.get("tenant")?,
            is_for_one: row.get("is_for_one")?,
            surrogate: row.get("surrogate")?,
            reason: row.get("reason")?,
            who: row.get("who")?,
            made: row.get("made")?,
        })
    }

    /// The first that forbids to erase this person, or anybody of the tenant.
    pub(super) fn forbidding(
        connection: &Connection,
        tenant: &TenantId,
        print: Option<Print>,
    ) -> rusqlite::Result<Option<Self>> {
        let sql = "SELECT id, tenant, print IS NOT NULL AS is_for_one, surrogate, reason, who, made FROM holds
            WHERE tenant = :tenant AND (:print IS NULL OR print IS NULL OR print = :print) ORDER BY id LIMIT 1";
        let parameters = named_params! { ":tenant": tenant.as_str(), ":print": print.map(|print| print.0) };
        connection.prepare_cached(sql)?.query_row(parameters, Self::read).optional()
    }
}

/// An event as it goes into its table.
pub(super) struct Fresh<'a> {
    pub(super) kind: EventKind,
    pub(super) tenant: &'a str,
    pub(super) surrogate: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    pub(super) count: Option<u64>,
    pub(super) hold: Option<i64>,
    pub(super) sha256: Option<&'a str>,
    pub(super) order: &'a Order,
}

impl<'a> Fresh<'a> {
    pub(super) const fn new(kind: EventKind, tenant: &'a str, order: &'a Order) -> Self {
        Self { kind, tenant, surrogate: None, key: None, count: None, hold: None, sha256: None, order }
    }

    pub(super) fn put(self, connection: &Connection) -> rusqlite::Result<()> {
        let Self { kind, tenant, surrogate, key, count, hold, sha256, order } = self;
        let Order { reason, reference, who, done } = order;
        let mut statement = connection.prepare_cached(
            "INSERT INTO events (kind, tenant, surrogate, key_id, count, hold, sha256, reason, reference, who, done)
             VALUES (:kind, :tenant, :surrogate, :key, :count, :hold, :sha256, :reason, :reference, :who, :done)",
        )?;
        statement.execute(named_params! {
            ":kind": kind.as_str(), ":tenant": tenant, ":surrogate": surrogate, ":key": key,
            ":count": count.map(u64::cast_signed), ":hold": hold, ":sha256": sha256, ":reason": reason,
            ":reference": reference, ":who": who.to_string(), ":done": done.cast_signed(),
        })?;
        Ok(())
    }
}

pub(super) struct KeptEvent {
    pub(super) id: i64,
    pub(super) kind: String,
    pub(super) tenant: String,
    pub(super) surrogate: Option<String>,
    pub(super) key: Option<String>,
    pub(super) count: Option<i64>,
    pub(super) hold: Option<i64>,
    pub(super) sha256: Option<String>,
    pub(super) reason: String,
    pub(super) reference: Option<String>,
    pub(super) who: String,
    pub(super) done: i64,
}

impl KeptEvent {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            kind: row.get("kind")?,
            tenant: row.get("tenant")?,
            surrogate: row.get("surrogate")?,
            key: row.get("key_id")?,
            count: row.get("count")?,
            hold: row.get("hold")?,
            sha256: row.get("sha256")?,
            reason: row.get("reason")?,
            reference: row.get("reference")?,
            who: row.get("who")?,
            done: row.get("done")?,
        })
    }

    pub(super) fn event(self, path: &Path) -> Result<Event, ShelfError> {
        let damaged = |column, found: &str| damaged(path, column, found);
        let surrogate = self.surrogate.map(|text| text.parse().map_err(|_| damaged("surrogate", &text)));
        Ok(Event {
            kind: EventKind::read(&self.kind).ok_or_else(|| damaged("kind", &self.kind))?,
            tenant: self.tenant.parse().map_err(|_| damaged("tenant", &self.tenant))?,
            surrogate: surrogate.transpose()?,
            key: self.key,
            count: self.count.map(i64::cast_unsigned),
            hold: self.hold.map(i64::cast_unsigned),
            sha256: self.sha256,
            order: Order {
                reason: self.reason,
                reference: self.reference,
                who: self.who.parse().map_err(|_| damaged("who", &self.who))?,
                done: self.done.cast_unsigned(),
            },
        })
    }
}

fn damaged(path: &Path, column: &'static str, found: &str) -> ShelfError {
    ShelfError::Damaged(path.to_owned(), column, found.to_owned())
}
