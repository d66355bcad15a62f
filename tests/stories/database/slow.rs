//! Told to a real PostgreSQL, which `tests/run` installs. One that is missing is a failure: it would have told us something.

use std::path::Path;

use super::{KEY, context, gateway};
use crate::harness::Postgres;

/// What psql prints, within a transaction that has this context.
fn within(postgres: &Postgres, context: &str, sql: &str) -> Result<String, String> {
    let begin = "BEGIN; SELECT set_config('cloister.context', :'context', true) \\gset";
    postgres.run("app", &format!("{begin}\n{sql}\nCOMMIT;"), &[("context", context)])
}

fn sql(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

const TABLE: &str = "
CREATE ROLE app LOGIN;
CREATE TABLE orders (tenant_id text NOT NULL, id int, PRIMARY KEY (tenant_id, id));
INSERT INTO orders VALUES ('acme', 1), ('acme', 2), ('globex', 3);
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app;
GRANT USAGE ON SCHEMA cloister TO app;
GRANT EXECUTE ON FUNCTION cloister.tenant(), cloister.subject() TO app;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders FORCE ROW LEVEL SECURITY;
CREATE POLICY anything ON orders TO app USING (true) WITH CHECK (true);
CREATE POLICY own_tenant ON orders AS RESTRICTIVE
    USING (tenant_id = (SELECT cloister.tenant())) WITH CHECK (tenant_id = (SELECT cloister.tenant()));
SELECT cloister.add_key('db-1', :'key', now(), now() + interval '1 hour');
SELECT cloister.add_key('db-old', :'key', now() - interval '2 hours', now() - interval '1 hour');
";

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_shows_each_request_the_rows_of_its_tenant_and_no_injected_sql_another() {
    let postgres = Postgres::start();
    for _ in 0..2 {
        postgres.run("postgres", &sql("config/postgresql/cloister.sql"), &[]).unwrap(); // it can be run again
    }
    postgres.run("postgres", TABLE, &[("key", KEY)]).unwrap();
    let gateway = gateway().await;
    let acme = context(&gateway, "acme", "auth0|ada?>").await;
    let globex = context(&gateway, "globex", "bob").await;

    let ids = "SELECT string_agg(id::text, ',' ORDER BY id) FROM orders;";
    assert_eq!(within(&postgres, &acme, ids).unwrap(), "1,2");
    assert_eq!(within(&postgres, &globex, ids).unwrap(), "3");
    assert_eq!(within(&postgres, &acme, "SELECT cloister.tenant(), cloister.subject();").unwrap(), "acme|auth0|ada?>");
    assert_eq!(postgres.run("app", ids, &[]).unwrap(), "", "no context, no rows");
    let after = format!("BEGIN; SELECT set_config('cloister.context', :'context', true) \\gset\nCOMMIT;\n{ids}");
    assert_eq!(postgres.run("app", &after, &[("context", &acme)]).unwrap(), "", "it ends with its transaction");

    // A plan that is kept does not keep the tenant.
    let set = |which: &str| {
        format!("BEGIN; SELECT set_config('cloister.context', :'{which}', true) \\gset\nEXECUTE ids; COMMIT;")
    };
    let plans =
        format!("SET plan_cache_mode = force_generic_plan; PREPARE ids AS {ids}\n{}\n{}", set("acme"), set("globex"));
    assert_eq!(postgres.run("app", &plans, &[("acme", &acme), ("globex", &globex)]).unwrap(), "1,2\n3");

    let insert = "INSERT INTO orders VALUES ('globex', 9);";
    assert!(within(&postgres, &acme, insert).unwrap_err().contains("42501"), "a row of another tenant");
    for refused in [
        "SELECT * FROM cloister.key;",
        "SELECT cloister.verified();",
        "SELECT cloister.add_key('x', repeat('k', 32), now(), now());",
    ] {
        assert!(within(&postgres, &acme, refused).unwrap_err().contains("42501"), "{refused}");
    }

    let parts: Vec<_> = acme.split('.').collect();
    let with = |place: usize, text: &str| {
        let mut parts = parts.clone();
        parts[place] = text;
        parts.join(".")
    };
    let signed = |body: &str| {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, KEY.as_bytes());
        let mac = aws_lc_rs::hmac::sign(&key, body.as_bytes());
        format!("{body}.{}", mac.as_ref().iter().map(|octet| format!("{octet:02x}")).collect::<String>())
    };
    let now = crate::harness::now();
    let at = |issued: u64, expires: u64| signed(&format!("v1.db-1.acme.YWRh.{issued}.{expires}.{}", parts[6]));
    assert_eq!(within(&postgres, &at(now, now + 60), ids).unwrap(), "1,2", "the signer of this table is right");
    for (forged, why) in [
        (with(2, "globex"), "another tenant"),
        (with(3, "cm9vdA"), "another subject"),
        (with(5, &(now + 3_600).to_string()), "another end"),
        (with(7, &"0".repeat(64)), "a MAC of zeros"),
        (with(7, ""), "no MAC"),
        (with(1, "db-2"), "a key that is not there"),
        (with(0, "v2"), "another version"),
        (signed(&format!("v1.db-old.acme.YWRh.{now}.{}.{}", now + 60, parts[6])), "a key that was replaced"),
        (at(now - 61, now - 1), "it ran out"),
        (at(now + 120, now + 180), "from the future"),
        (at(now, now + 3_600), "good for too long"),
        (acme.to_uppercase(), "another spelling"),
        (format!("{acme}.x"), "a part too many"),
        (format!("{acme}\n"), "something behind it"),
        ("acme".into(), "not a context"),
        (format!("{globex}{acme}"), "two of them"),
    ] {
        let error = within(&postgres, &forged, ids).unwrap_err();
        assert!(error.contains("28000"), "{why}: {error}");
    }
}
