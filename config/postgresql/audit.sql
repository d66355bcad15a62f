-- A table for the records of Cloister's audit log to which only can be added (`audit.sinks`, `postgresql`).
-- PostgreSQL 14 or later. Run it as whoever shall own the table, who is nobody that the gateway connects as:
--
--   psql -v ON_ERROR_STOP=1 -f audit.sql
--
-- It can be run again. Afterwards give the writer a password (`\password cloister_audit_writer`), and make your own roles members
-- of cloister_audit_reader (one tenant's records) or cloister_audit_auditor (all of them).

BEGIN;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cloister_audit_writer') THEN
        CREATE ROLE cloister_audit_writer LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cloister_audit_reader') THEN
        CREATE ROLE cloister_audit_reader NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cloister_audit_auditor') THEN
        CREATE ROLE cloister_audit_auditor NOLOGIN;
    END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS cloister_audit;
REVOKE ALL ON SCHEMA cloister_audit FROM PUBLIC;

-- `record` is of the type json and not jsonb: it keeps the exact bytes, so that
-- sha256('\x00' || convert_to(record::text, 'UTF8')) = leaf for records that are not rendered otherwise.
CREATE TABLE IF NOT EXISTS cloister_audit.records (
    log uuid NOT NULL,
    index bigint NOT NULL CHECK (index >= 0),
    time timestamptz NOT NULL,
    leaf bytea NOT NULL CHECK (octet_length(leaf) = 32),
    tenant text,
    event text NOT NULL,
    record json NOT NULL,
    received timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (log, index, time)
) PARTITION BY RANGE (time);

CREATE INDEX IF NOT EXISTS records_of_tenant ON cloister_audit.records (tenant, time);

-- Whoever has more rights than they should is stopped here. The owner could take the trigger away; that the log itself proves.
CREATE OR REPLACE FUNCTION cloister_audit.refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only added to' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE OR REPLACE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON cloister_audit.records
    FOR EACH STATEMENT EXECUTE FUNCTION cloister_audit.refuse();

-- Makes the partition of a month. The writer may call it, and has no other way to make anything.
CREATE OR REPLACE FUNCTION cloister_audit.prepare(at timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' AS $$
DECLARE
    first timestamptz := date_trunc('month', at);
    name text := 'records_' || to_char(at, 'YYYY_MM');
BEGIN
    IF at < now() - interval '50 years' OR at > now() + interval '1 year' THEN
        RAISE EXCEPTION 'no record is of the time %', at USING ERRCODE = 'datetime_field_overflow';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('cloister_audit.prepare'));
    IF to_regclass('cloister_audit.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE cloister_audit.%I PARTITION OF cloister_audit.records FOR VALUES FROM (%L) TO (%L)',
        name, first, first + interval '1 month');
    EXECUTE format('CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON cloister_audit.%I
        FOR EACH STATEMENT EXECUTE FUNCTION cloister_audit.refuse()', name);
    EXECUTE format('ALTER TABLE cloister_audit.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE cloister_audit.%I FORCE ROW LEVEL SECURITY', name);
END $$;
REVOKE ALL ON FUNCTION cloister_audit.prepare(timestamptz) FROM PUBLIC;

ALTER TABLE cloister_audit.records ENABLE ROW LEVEL SECURITY;
ALTER TABLE cloister_audit.records FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS added ON cloister_audit.records;
CREATE POLICY added ON cloister_audit.records FOR INSERT TO cloister_audit_writer WITH CHECK (true);
DROP POLICY IF EXISTS of_one_tenant ON cloister_audit.records;
CREATE POLICY of_one_tenant ON cloister_audit.records FOR SELECT TO cloister_audit_reader
    USING (tenant = (SELECT current_setting('cloister.tenant', true)));
DROP POLICY IF EXISTS of_all ON cloister_audit.records;
CREATE POLICY of_all ON cloister_audit.records FOR SELECT TO cloister_audit_auditor USING (true);

GRANT USAGE ON SCHEMA cloister_audit TO cloister_audit_writer, cloister_audit_reader, cloister_audit_auditor;
GRANT INSERT (log, index, time, leaf, tenant, event, record) ON cloister_audit.records TO cloister_audit_writer;
GRANT EXECUTE ON FUNCTION cloister_audit.prepare(timestamptz) TO cloister_audit_writer;
GRANT SELECT ON cloister_audit.records TO cloister_audit_reader, cloister_audit_auditor;

COMMIT;
