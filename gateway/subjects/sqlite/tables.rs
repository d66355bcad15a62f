/// How an empty file becomes a vault.
pub(super) const TABLES: &str = "
    CREATE TABLE vault (
        only INTEGER PRIMARY KEY CHECK (only = 0),
        id BLOB NOT NULL,
        mark BLOB NOT NULL,
        destroyed INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE tenants (name TEXT NOT NULL PRIMARY KEY, id BLOB NOT NULL, key BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE subjects (
        number INTEGER PRIMARY KEY,
        print BLOB NOT NULL UNIQUE,
        tenant TEXT NOT NULL,
        tenant_key BLOB NOT NULL,
        surrogate TEXT NOT NULL,
        key_id TEXT NOT NULL,
        key BLOB NOT NULL,
        identity BLOB NOT NULL,
        made INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX subjects_of_tenant ON subjects (tenant);
    CREATE TABLE holds (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        tenant TEXT NOT NULL,
        print BLOB,
        surrogate TEXT,
        reason TEXT NOT NULL,
        who TEXT NOT NULL,
        made INTEGER NOT NULL,
        identity BLOB
    ) STRICT;
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        tenant TEXT NOT NULL,
        surrogate TEXT,
        key_id TEXT,
        count INTEGER,
        hold INTEGER,
        sha256 TEXT,
        reason TEXT NOT NULL,
        reference TEXT,
        who TEXT NOT NULL,
        done INTEGER NOT NULL
    ) STRICT;
";

/// How one of format 1 becomes one of format 2: a hold also says whom it is about, sealed, so that it outlives the root.
pub(super) const TO_2: &str = "ALTER TABLE holds ADD COLUMN identity BLOB";
