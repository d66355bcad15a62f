-- Lets PostgreSQL (11 or later; no extension, so managed ones too) verify for itself which tenant a request is of, in policies of
-- row-level security: SQL that an attacker smuggles into a query can say any tenant, and none that Cloister has not signed.
--
-- An upstream with `assertion: { database: … }` gets the field X-Cloister-Db-Context with each request of a caller:
--
--   v1.<key>.<tenant>.<subject, base64url>.<issued>.<expires>.<request>.<hmac-sha256 over all before, hex>
--
-- The application hands it on at the beginning of each transaction, as a parameter (a text in the statement could be read by
-- others in pg_stat_activity), and for this transaction alone (connections are shared):
--
--   BEGIN; SELECT set_config('cloister.context', $1, true); …; COMMIT;
--
-- Run this file as a superuser or as the owner of the database: psql -v ON_ERROR_STOP=1 -f cloister.sql. Then, as the same:
--
--   SELECT cloister.add_key('orders', pg_read_file('/run/secrets/orders.db'), now(), now() + interval '90 days');
--   GRANT USAGE ON SCHEMA cloister TO app;
--   GRANT EXECUTE ON FUNCTION cloister.tenant(), cloister.subject() TO app;
--
--   ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
--   ALTER TABLE orders FORCE ROW LEVEL SECURITY; -- or its owner sees everything
--   CREATE POLICY anything ON orders TO app USING (true) WITH CHECK (true); -- your own rules, if you have any
--   CREATE POLICY own_tenant ON orders AS RESTRICTIVE
--       USING (tenant_id = (SELECT cloister.tenant())) WITH CHECK (tenant_id = (SELECT cloister.tenant()));
--
-- `app` owns no table and has no BYPASSRLS. `(SELECT …)` has the token verified once for each statement and not for each row.
-- A key is replaced by adding the next one, giving it to Cloister, and deleting the old one a minute later.

BEGIN;

CREATE SCHEMA IF NOT EXISTS cloister;
REVOKE ALL ON SCHEMA cloister FROM PUBLIC;

-- What HMAC-SHA-256 (RFC 2104) makes of each key before it sees a message.
CREATE TABLE IF NOT EXISTS cloister.key (
    id text PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    inner_key bytea NOT NULL CHECK (length(inner_key) = 64),
    outer_key bytea NOT NULL CHECK (length(outer_key) = 64),
    not_before timestamptz NOT NULL,
    not_after timestamptz NOT NULL
);
REVOKE ALL ON cloister.key FROM PUBLIC;

-- Takes a key as Cloister has it: the text, without the line end.
CREATE OR REPLACE FUNCTION cloister.add_key(id text, secret text, not_before timestamptz, not_after timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key bytea := convert_to(rtrim(secret, E'\r\n'), 'UTF8');
    inner_key bytea := decode(repeat('36', 64), 'hex');
    outer_key bytea := decode(repeat('5c', 64), 'hex');
BEGIN
    IF length(key) < 32 THEN
        RAISE EXCEPTION 'a key has at least 32 bytes';
    END IF;
    IF length(key) > 64 THEN
        key := sha256(key);
    END IF;
    FOR i IN 0 .. length(key) - 1 LOOP
        inner_key := set_byte(inner_key, i, get_byte(key, i) # 54);
        outer_key := set_byte(outer_key, i, get_byte(key, i) # 92);
    END LOOP;
    INSERT INTO cloister.key VALUES (id, inner_key, outer_key, not_before, not_after);
END $$;
REVOKE ALL ON FUNCTION cloister.add_key(text, text, timestamptz, timestamptz) FROM PUBLIC;

-- The parts of the context of this transaction, once it is verified; nothing, where there is none. STABLE and never IMMUTABLE:
-- a plan that is kept must not keep the tenant.
CREATE OR REPLACE FUNCTION cloister.verified() RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    token text := current_setting('cloister.context', true);
    parts text[];
    key record;
    given bytea;
    mac bytea;
    now_at bigint := floor(extract(epoch FROM clock_timestamp()));
BEGIN
    IF token IS NULL OR token = '' THEN -- after a transaction that had one it is empty, and not NULL
        RETURN NULL;
    END IF;
    parts := regexp_match(token,
        '^v1\.([A-Za-z0-9_-]{1,64})\.([a-z][a-z0-9-]{0,62})\.([A-Za-z0-9_-]+)\.([0-9]{1,12})\.([0-9]{1,12})\.([0-9a-f]{32})\.([0-9a-f]{64})$');
    IF parts IS NULL OR length(token) > 1024 THEN
        RAISE EXCEPTION 'the context is malformed' USING ERRCODE = '28000';
    END IF;
    SELECT k.inner_key, k.outer_key INTO key FROM cloister.key k
        WHERE k.id = parts[1] AND clock_timestamp() BETWEEN k.not_before AND k.not_after;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the key of the context is not known' USING ERRCODE = '28000';
    END IF;
    given := decode(parts[7], 'hex');
    mac := sha256(key.outer_key || sha256(key.inner_key || convert_to(left(token, -65), 'UTF8')));
    -- Compared under the key once more, so that the time that it takes tells nothing.
    IF sha256(key.outer_key || mac) <> sha256(key.outer_key || given) THEN
        RAISE EXCEPTION 'the context was not signed by this key' USING ERRCODE = '28000';
    END IF;
    IF parts[5]::bigint <= now_at OR parts[4]::bigint > now_at + 30 OR parts[5]::bigint > parts[4]::bigint + 60 THEN
        RAISE EXCEPTION 'the context is not good at this time' USING ERRCODE = '28000';
    END IF;
    RETURN parts;
END $$;
REVOKE ALL ON FUNCTION cloister.verified() FROM PUBLIC;

-- The tenant of the request; NULL, which equals nothing, where there is none.
CREATE OR REPLACE FUNCTION cloister.tenant() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (cloister.verified())[2];
END $$;
REVOKE ALL ON FUNCTION cloister.tenant() FROM PUBLIC;

-- The subject of the caller's token, unique within its issuer.
CREATE OR REPLACE FUNCTION cloister.subject() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    text64 text := translate((cloister.verified())[3], '-_', '+/');
BEGIN
    RETURN convert_from(decode(rpad(text64, (length(text64) + 3) / 4 * 4, '='), 'base64'), 'UTF8');
END $$;
REVOKE ALL ON FUNCTION cloister.subject() FROM PUBLIC;

COMMIT;
