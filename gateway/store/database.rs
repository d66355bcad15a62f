use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

/// One database of SQLite. Several processes may have it open; each sees what another one has acknowledged.
#[derive(Debug)]
pub struct Store {
    connection: Mutex<Connection>,
    path: PathBuf,
}

/// The store cannot do what was asked of it; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What it holds is not what it wrote.
    #[error("`{0}` holds in `{1}` what cannot be read: {2}")]
    Damaged(PathBuf, &'static str, String),
    /// SQLite says so.
    #[error("`{0}` cannot be used")]
    Database(PathBuf, #[source] rusqlite::Error),
    /// The file or its folder cannot be made.
    #[error("`{0}` cannot be made")]
    File(PathBuf, #[source] io::Error),
    /// There is none.
    #[error("`{0}` is not there: the gateway that makes it has never started with this state folder")]
    Missing(PathBuf),
    /// A later version of the program wrote it.
    #[error("`{0}` is of format {1}, and this program knows {known}: it was used by a later version", known = STEPS.len())]
    Newer(PathBuf, i64),
}

/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// How an empty database becomes one of this format, step by step. The number of steps taken stands in the file.
const STEPS: [&str; 6] = [
    "
    CREATE TABLE changes (only INTEGER PRIMARY KEY CHECK (only = 0), count INTEGER NOT NULL) STRICT;
    INSERT INTO changes VALUES (0, 0);
    CREATE TABLE revocations (
        kind TEXT NOT NULL CHECK (kind IN ('session', 'subject', 'tenant', 'token')),
        issuer TEXT NOT NULL CHECK ((issuer = '') = (kind = 'tenant')),
        name TEXT NOT NULL,
        before INTEGER,
        until INTEGER,
        made INTEGER NOT NULL,
        PRIMARY KEY (kind, issuer, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE revocation_events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        turn TEXT NOT NULL CHECK (turn IN ('restored', 'revoked')),
        kind TEXT NOT NULL,
        issuer TEXT NOT NULL,
        name TEXT NOT NULL,
        before INTEGER
    ) STRICT;
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        turn TEXT NOT NULL CHECK (turn IN ('restored', 'revoked')),
        kind TEXT NOT NULL,
        issuer TEXT NOT NULL,
        name TEXT NOT NULL,
        before INTEGER,
        until INTEGER,
        made INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE inbox (only INTEGER PRIMARY KEY CHECK (only = 0), cursor TEXT NOT NULL) STRICT;
",
    "
    CREATE TABLE api_keys (
        id TEXT NOT NULL PRIMARY KEY,
        digest BLOB NOT NULL CHECK (length(digest) = 32),
        tenant TEXT NOT NULL,
        name TEXT NOT NULL,
        roles TEXT NOT NULL,
        made INTEGER NOT NULL,
        expires INTEGER,
        revoked INTEGER,
        used INTEGER
    ) STRICT, WITHOUT ROWID;
",
    // All tokens of an issuer can be taken back; each row knows who made it, and at which count of changes it became what it
    // is, so that whoever knows the state of a count reads what is new. What is gone is remembered for a while for the same.
    "
    CREATE TABLE revocations_3 (
        kind TEXT NOT NULL CHECK (kind IN ('issuer', 'session', 'subject', 'tenant', 'token')),
        issuer TEXT NOT NULL CHECK ((issuer = '') = (kind = 'tenant')),
        name TEXT NOT NULL,
        before INTEGER,
        until INTEGER,
        made INTEGER NOT NULL,
        author TEXT,
        at INTEGER NOT NULL,
        PRIMARY KEY (kind, issuer, name)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO revocations_3
        SELECT kind, issuer, name, before, until, made, NULL, (SELECT count FROM changes) FROM revocations;
    DROP TABLE revocations;
    ALTER TABLE revocations_3 RENAME TO revocations;
    CREATE INDEX revocations_at ON revocations (at);
    CREATE INDEX revocations_until ON revocations (until) WHERE until IS NOT NULL;
    CREATE INDEX revocations_of_issuer ON revocations (issuer) WHERE author = 'issuer';
    CREATE TABLE removals (
        kind TEXT NOT NULL,
        issuer TEXT NOT NULL,
        name TEXT NOT NULL,
        before INTEGER,
        made INTEGER,
        at INTEGER NOT NULL,
        PRIMARY KEY (kind, issuer, name)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX removals_at ON removals (at);
    ALTER TABLE revocation_events ADD COLUMN author TEXT;
    ALTER TABLE outbox ADD COLUMN author TEXT;
    ALTER TABLE outbox ADD COLUMN again INTEGER NOT NULL DEFAULT 0;
",
    "
    CREATE TABLE api_key_events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        turn TEXT NOT NULL CHECK (turn IN ('created', 'revoked', 'rotated')),
        key TEXT NOT NULL,
        replaces TEXT,
        who TEXT NOT NULL,
        done INTEGER NOT NULL
    ) STRICT;
",
    "
    CREATE TABLE audit_uses (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        what TEXT NOT NULL CHECK (what IN ('read', 'reported')),
        tenant TEXT,
        filter TEXT NOT NULL,
        found INTEGER,
        who TEXT NOT NULL,
        done INTEGER NOT NULL
    ) STRICT;
",
    // `pace` is what a key used between the last two times that it was kept. `torn` says that a run has kept something and has
    // not ended.
    "
    CREATE TABLE quotas (
        quota TEXT NOT NULL,
        period TEXT NOT NULL,
        key INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        count INTEGER NOT NULL,
        pace INTEGER NOT NULL,
        PRIMARY KEY (quota, period, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX quotas_ends ON quotas (ends);
    CREATE TABLE quota_state (
        only INTEGER PRIMARY KEY CHECK (only = 0),
        seed BLOB NOT NULL CHECK (length(seed) = 16),
        torn INTEGER NOT NULL CHECK (torn IN (0, 1))
    ) STRICT;
",
];

impl Store {
    /// Opens the store in this folder, and makes both if they are not there.
    ///
    /// # Errors
    /// It cannot be read, or not be written, or is of a later version.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = Self::path(folder);
        let fail = |error| StoreError::File(path.clone(), error);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fail)?;
        // SQLite gives its other files the rights of this one.
        OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(fail)?;
        Self::connect(path)
    }

    /// Opens a store that a gateway has made. A command must not make one: it would be that of another user, and the
    /// gateway could not use it.
    ///
    /// # Errors
    /// The same, or there is none.
    pub fn open_existing(folder: &Path) -> Result<Self, StoreError> {
        let path = Self::path(folder);
        match path.try_exists() {
            Ok(true) => Self::connect(path),
            Ok(false) => Err(StoreError::Missing(path)),
            Err(error) => Err(StoreError::File(path, error)),
        }
    }

    fn path(folder: &Path) -> PathBuf {
        folder.join("cloister.db")
    }

    fn connect(path: PathBuf) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).and_then(|connection| {
            connection.busy_timeout(PATIENCE)?;
            // Readers and a writer do not wait for each other, and a commit is on disk before it is acknowledged.
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update(None, "trusted_schema", false)?;
            Ok(connection)
        });
        match connection {
            Ok(connection) => {
                let store = Self { connection: Mutex::new(connection), path };
                store.migrate()?;
                Ok(store)
            }
            Err(error) => Err(StoreError::Database(path, error)),
        }
    }

    fn migrate(&self) -> Result<(), StoreError> {
        let format = self.transaction(|transaction| {
            let format: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let Ok(taken) = usize::try_from(format) else { return Ok(format) };
            for step in STEPS.iter().skip(taken) {
                transaction.execute_batch(step)?;
            }
            if taken < STEPS.len() {
                transaction.pragma_update(None, "user_version", STEPS.len().cast_signed())?;
            }
            Ok(format)
        })?;
        match usize::try_from(format) {
            Ok(taken) if taken <= STEPS.len() => Ok(()),
            Ok(_) | Err(_) => Err(StoreError::Newer(self.path.clone(), format)),
        }
    }

    /// A number that is another one after each change, whoever made it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn version(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT count FROM changes")?;
            statement.query_row([], |row| row.get(0)).map(i64::cast_unsigned)
        })
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        read(&connection).map_err(|error| StoreError::Database(self.path.clone(), error))
    }

    /// Changes something, whole or not at all, and has everybody learn that there was a change.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.transaction(|transaction| {
            let changed = change(transaction)?;
            transaction.execute("UPDATE changes SET count = count + 1", [])?;
            Ok(changed)
        })
    }

    /// Changes something whole or not at all.
    pub(crate) fn transaction<T>(
        &self,
        run: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let done = connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|transaction| {
            let done = run(&transaction)?;
            transaction.commit()?;
            Ok(done)
        });
        done.map_err(|error| StoreError::Database(self.path.clone(), error))
    }

    pub(crate) fn damaged(&self, column: &'static str, found: impl ToString) -> StoreError {
        StoreError::Damaged(self.path.clone(), column, found.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_it_writes_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let _store = Store::open(&folder.path().join("state")).unwrap();
        let mut seen = 0;
        for file in std::fs::read_dir(folder.path().join("state")).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{mode:o}");
            seen += 1;
        }
        assert_eq!(seen, 3, "the database and what SQLite keeps beside it");
        assert_eq!(std::fs::metadata(folder.path().join("state")).unwrap().permissions().mode() & 0o077, 0);
    }

    #[test]
    fn a_command_makes_no_store() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Store::open_existing(folder.path()), Err(StoreError::Missing(_))));
        drop(Store::open(folder.path()).unwrap());
        drop(Store::open_existing(folder.path()).unwrap());
    }

    #[test]
    fn what_an_earlier_version_kept_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = Store::path(folder.path());
        let connection = Connection::open(&path).unwrap();
        STEPS[..2].iter().for_each(|step| connection.execute_batch(step).unwrap());
        let rows = "INSERT INTO revocations VALUES ('token', 'main', 't1', NULL, 500, 100), ('tenant', '', 'acme', 7, NULL, 100);
                    INSERT INTO outbox (turn, kind, issuer, name, made) VALUES ('revoked', 'token', 'main', 't1', 100);
                    UPDATE changes SET count = 2; PRAGMA user_version = 2";
        connection.execute_batch(rows).unwrap();
        drop(connection);
        let store = Store::open_existing(folder.path()).unwrap();
        let kept = store.revocations(100).unwrap();
        assert_eq!(kept.iter().map(|it| (it.until, it.author)).collect::<Vec<_>>(), [(None, None), (Some(500), None)]);
        assert_eq!(store.news(None, store.version().unwrap()).unwrap().revoked.len(), 2);
        assert_eq!(store.outbox(10).unwrap().len(), 1);
    }

    #[test]
    fn a_file_that_is_no_store_or_one_of_a_later_version_is_an_error_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = Store::path(folder.path());
        std::fs::write(&path, "this is no database, and long enough to be taken for one".repeat(100)).unwrap();
        assert!(matches!(Store::open(folder.path()), Err(StoreError::Database(..))));
        assert!(std::fs::read(&path).unwrap().starts_with(b"this is no database"));
        std::fs::remove_file(&path).unwrap();

        let store = Store::open(folder.path()).unwrap();
        store.read(|connection| connection.pragma_update(None, "user_version", 1_000)).unwrap();
        drop(store);
        let error = Store::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("of format 1000, and this program knows"), "{error}");
    }
}
