-- What Cloister asks a PostgreSQL (12 or later) about: who belongs to which tenant, and which
-- tenants there are (`directory` in cloister.yaml). Tables that
-- you have already can be asked as well, by a `query` of your own; then give them triggers like those below.
--
-- Run this file as the owner of the database; it can be run again:
--
--   psql -v ON_ERROR_STOP=1 -f directory.sql
--
-- Then give the role `cloister` a password (\password cloister), and Cloister the same one.
--
-- Each change is told on the channel `cloister` when its transaction commits, and is in force at every gateway within a second:
--
--   cloister, 'acme user-1'    something about this user in this tenant has changed
--   cloister, 'acme'           something about this tenant has changed
--   cloister, ''               anything may have changed; so does whatever cannot be read
--
-- Before a bulk load, disable the triggers, and say NOTIFY cloister at its end. Cloister needs connections of its own to the
-- primary: a pooler that shares them among transactions (PgBouncer's `transaction` mode) loses notices.

BEGIN;

-- `user_id` is the `sub` of the user's token, letter by letter. `role` is one of those that the policies define.
CREATE TABLE IF NOT EXISTS user_tenants (
    user_id text NOT NULL CHECK (user_id ~ '^[!-~]{1,255}$'),
    tenant_id text NOT NULL CHECK (tenant_id ~ '^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    role text NOT NULL CHECK (role ~ '^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}$'),
    PRIMARY KEY (tenant_id, user_id, role)
);

CREATE OR REPLACE FUNCTION tell_cloister_of_members() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify('cloister', '');
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify('cloister', OLD.tenant_id || ' ' || OLD.user_id);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify('cloister', NEW.tenant_id || ' ' || NEW.user_id);
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS tell_cloister ON user_tenants;
CREATE TRIGGER tell_cloister AFTER INSERT OR UPDATE OR DELETE ON user_tenants
    FOR EACH ROW EXECUTE FUNCTION tell_cloister_of_members();
DROP TRIGGER IF EXISTS tell_cloister_of_all ON user_tenants;
CREATE TRIGGER tell_cloister_of_all AFTER TRUNCATE ON user_tenants
    FOR EACH STATEMENT EXECUTE FUNCTION tell_cloister_of_members();
-- Also for what replication writes.
ALTER TABLE user_tenants ENABLE ALWAYS TRIGGER tell_cloister;
ALTER TABLE user_tenants ENABLE ALWAYS TRIGGER tell_cloister_of_all;

-- Tenants, for `tenants` in cloister.yaml. Each row is checked by the rules of `tenants` in the policy files (policies/README.md);
-- one that cannot be read keeps its tenant out, and no other. NULL says nothing. Of a tenant that stands in the policy files, too, a
-- row says its status and no more, and the stricter of both counts. Close tenants rather than delete them.
CREATE TABLE IF NOT EXISTS tenants (
    id text PRIMARY KEY CHECK (id ~ '^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    status text NOT NULL CHECK (status IN ('active', 'suspended', 'closed')),
    plan text,
    region text,
    time_zone text, -- of its quotas: 'Europe/Berlin'
    issuers text[], -- who may speak for it: names of issuers and authorities in cloister.yaml
    clients_allow text[], -- networks: '{10.0.0.0/8}'
    clients_deny text[],
    retention text, -- a class of `audit.retention.classes`
    session_max text, -- '8h'
    mfa text CHECK (mfa = 'required'), -- or one of both that follow
    mfa_amr text[],
    mfa_acr text[]
);

ALTER TABLE tenants ADD COLUMN IF NOT EXISTS time_zone text; -- for a table of before

CREATE OR REPLACE FUNCTION tell_cloister_of_tenants() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify('cloister', '');
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify('cloister', OLD.id);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify('cloister', NEW.id);
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS tell_cloister ON tenants;
CREATE TRIGGER tell_cloister AFTER INSERT OR UPDATE OR DELETE ON tenants
    FOR EACH ROW EXECUTE FUNCTION tell_cloister_of_tenants();
DROP TRIGGER IF EXISTS tell_cloister_of_all ON tenants;
CREATE TRIGGER tell_cloister_of_all AFTER TRUNCATE ON tenants
    FOR EACH STATEMENT EXECUTE FUNCTION tell_cloister_of_tenants();
ALTER TABLE tenants ENABLE ALWAYS TRIGGER tell_cloister;
ALTER TABLE tenants ENABLE ALWAYS TRIGGER tell_cloister_of_all;

-- Who asks: it reads this, and nothing else that is not everybody's.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cloister') THEN
        CREATE ROLE cloister LOGIN CONNECTION LIMIT 200;
    END IF;
END $$;
GRANT SELECT ON user_tenants, tenants TO cloister;

COMMIT;
