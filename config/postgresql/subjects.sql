-- The subject vault of Cloister's audit log, for gateways that share one (`audit.privacy.postgresql` in cloister.yaml): under which
-- name the log speaks of a person, and the key of what is personal there. PostgreSQL 14 or later. Run it as whoever shall own the
-- tables, who is nobody that a gateway connects as:
--
--   psql -v ON_ERROR_STOP=1 -f subjects.sql
--
-- It can be run again, and is to be run again where a gateway says so. Afterwards give the role `cloister_subjects` a password
-- (`\password cloister_subjects`), and the gateways the same one.
--
-- What lies here is sealed, wrapped or hashed with keys that come of the root in cloister.yaml, which never comes here: whoever
-- reads the tables learns how many persons each tenant has and since when, what was erased, and which name in the log belongs to
-- which row; and no name of a person, and no key. Keep the root where the backups of this database are not.
--
-- There is no row-level security, since it would separate nobody: a gateway serves every tenant. Rights are what separates: the
-- gateways own nothing, make nothing, cannot change a person's row but only add and delete it, and cannot empty a table at once.
--
-- What erasing means here. The row is deleted in a transaction, and no gateway has its key a second later. PostgreSQL itself
-- overwrites nothing: the wrapped key stays in the pages until they are written anew, in the log of writes until that is recycled,
-- in archives of it, and in backups. So vacuum runs here as soon as a row is dead (below); `VACUUM FULL cloister_subjects.subjects`
-- in a quiet hour writes the table anew; and backups and archives must expire by when an erasure must be complete. Until then an
-- erased key can be had by whoever has a copy of its row, one of its tenant's key, and the root. `cloister privacy rotate-root` gives
-- each tenant another key under another root: once the old root is destroyed, all copies from before it are worth nothing.
--
-- Gateways need connections of their own to the primary (a pooler that shares them among transactions does not keep what a
-- session has set). Where a standby takes over, `synchronous_standby_names` must make it a synchronous one: a standby that lacks
-- the last writes does not know persons whom the log speaks of already, and may have some who were erased.

BEGIN;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cloister_subjects') THEN
        CREATE ROLE cloister_subjects LOGIN CONNECTION LIMIT 200;
    END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS cloister_subjects;
REVOKE ALL ON SCHEMA cloister_subjects FROM PUBLIC;

-- Which vault this is, what was sealed with its root, and how often something was destroyed in it. Each gateway remembers the
-- last outside of the database, so that one which was set back is found. Whatever destroys or forbids to locks this row first.
CREATE TABLE IF NOT EXISTS cloister_subjects.vault (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    id bytea NOT NULL CHECK (octet_length(id) = 16),
    mark bytea NOT NULL,
    destroyed bigint NOT NULL CHECK (destroyed >= 0)
);

CREATE TABLE IF NOT EXISTS cloister_subjects.tenants (
    name text PRIMARY KEY,
    id bytea NOT NULL CHECK (octet_length(id) = 16),
    key bytea NOT NULL
) WITH (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE IF NOT EXISTS cloister_subjects.subjects (
    print bytea PRIMARY KEY CHECK (octet_length(print) = 32),
    tenant text NOT NULL,
    tenant_key bytea NOT NULL,
    surrogate text NOT NULL UNIQUE,
    key_id text NOT NULL,
    key bytea NOT NULL,
    identity bytea NOT NULL,
    made bigint NOT NULL
) WITH (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0);
CREATE INDEX IF NOT EXISTS subjects_of_tenant ON cloister_subjects.subjects (tenant);

CREATE TABLE IF NOT EXISTS cloister_subjects.holds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    print bytea,
    surrogate text,
    reason text NOT NULL,
    who text NOT NULL,
    made bigint NOT NULL,
    identity bytea
);

-- What was done with persons. It stays until it is in the log of each gateway: records of a person may be in all of them.
CREATE TABLE IF NOT EXISTS cloister_subjects.events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    tenant text NOT NULL,
    surrogate text,
    key_id text,
    count bigint,
    hold bigint,
    sha256 text,
    reason text NOT NULL,
    reference text,
    who text NOT NULL,
    done bigint NOT NULL
);

-- The logs, by their ids, and up to which event each has them. When a gateway is gone for good, delete the row of its log; until
-- then events wait for it (`cloister_subjects_waiting` counts them).
CREATE TABLE IF NOT EXISTS cloister_subjects.logs (
    id text PRIMARY KEY,
    at bigint NOT NULL
);

-- What a gateway compares with what it knows.
CREATE OR REPLACE FUNCTION cloister_subjects.format() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
REVOKE ALL ON FUNCTION cloister_subjects.format() FROM PUBLIC;

GRANT USAGE ON SCHEMA cloister_subjects TO cloister_subjects;
GRANT EXECUTE ON FUNCTION cloister_subjects.format() TO cloister_subjects;
GRANT SELECT, INSERT, UPDATE (mark, destroyed) ON cloister_subjects.vault TO cloister_subjects;
GRANT SELECT, INSERT, DELETE, UPDATE (id, key) ON cloister_subjects.tenants TO cloister_subjects;
GRANT SELECT, INSERT, DELETE ON cloister_subjects.subjects TO cloister_subjects;
GRANT SELECT, INSERT, DELETE, UPDATE (print, identity) ON cloister_subjects.holds TO cloister_subjects;
GRANT SELECT, INSERT, DELETE ON cloister_subjects.events TO cloister_subjects;
GRANT SELECT, INSERT, UPDATE (at) ON cloister_subjects.logs TO cloister_subjects;

-- PostgreSQL 17 and later: the command that erases has the table vacuumed at once. Before, autovacuum comes within a minute.
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 170000 THEN
        EXECUTE 'GRANT MAINTAIN ON cloister_subjects.subjects, cloister_subjects.tenants TO cloister_subjects';
    END IF;
END $$;

COMMIT;
