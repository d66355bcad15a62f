use super::*;
use crate::harness::{PASSWORD, Postgres};

const ALL: &str = "SELECT record FROM cloister_audit.records ORDER BY index";

async fn gateway(postgres: &Postgres) -> Gateway {
    let sink = format!("{{ name: table, batch: {{ wait: 10ms }}, {} }}", postgres.sink());
    Gateway::test().environment("DATABASE_PASSWORD", PASSWORD).sink(&sink).start().await
}

fn has_all(postgres: &Postgres, gateway: &Gateway) {
    let is_there = || postgres.run("postgres", ALL, &[]).is_ok_and(|rows| rows.lines().eq(records(gateway)));
    gateway.eventually("the table has every record once", is_there);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_has_every_record_once_though_database_and_gateway_are_killed_and_no_request_waits() {
    let mut postgres = Postgres::start().holding_records();
    let mut gateway = gateway(&postgres).await;
    for round in 0..4 {
        for _ in 0..25 {
            assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
        }
        match round {
            0 => {
                postgres.end();
                assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
                postgres.start_again();
            }
            1 => {
                postgres.stand_still();
                assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
                postgres.go_on();
            }
            _ => {
                gateway.process().signal("KILL");
                gateway.process().wait();
                gateway.start_again();
            }
        }
    }
    has_all(&postgres, &gateway);
    let proven = "SELECT count(*) FILTER (WHERE sha256('\\x00' || convert_to(record::text, 'UTF8')) <> leaf) \
                  FROM cloister_audit.records";
    assert_eq!(postgres.sql(proven), "0");
    // What was delivered once and is delivered again is there once.
    let cursor = std::fs::read_dir(gateway.folder.path().join("state/sinks")).unwrap();
    let cursor = cursor.map(|entry| entry.unwrap().path()).find(|it| it.extension().is_some_and(|it| it == "cursor"));
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    std::fs::remove_file(cursor.unwrap()).unwrap();
    gateway.start_again();
    gateway.eventually("everything was delivered again", || gateway.metric("cloister_audit_sink_lag_records") == 0.0);
    has_all(&postgres, &gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_only_added_to_and_shows_each_tenant_its_own() {
    let postgres = Postgres::start().holding_records();
    let gateway = gateway(&postgres).await;
    gateway.get("acme", "/orders/1").await;
    gateway.get("globex", "/orders/1").await;
    has_all(&postgres, &gateway);
    let table = "cloister_audit.records";
    let part = postgres.sql(
        "SELECT 'cloister_audit.' || relname FROM pg_class WHERE relispartition AND relkind = 'r' AND relname LIKE 'records_%'",
    );
    for target in [table, part.as_str()] {
        for sql in
            [format!("UPDATE {target} SET event = 'x'"), format!("DELETE FROM {target}"), format!("TRUNCATE {target}")]
        {
            for user in ["postgres", "cloister_audit_writer"] {
                let refused = postgres.run(user, &sql, &[]).unwrap_err();
                assert!(refused.contains("42501"), "{user}: {sql}: {refused}");
            }
        }
    }
    for sql in [
        "SELECT 1 FROM cloister_audit.records",
        "CREATE TABLE cloister_audit.mine ()",
        "DROP TABLE cloister_audit.records",
    ] {
        assert!(postgres.run("cloister_audit_writer", sql, &[]).is_err(), "{sql}");
    }
    postgres.sql(
        "CREATE ROLE app LOGIN IN ROLE cloister_audit_reader; CREATE ROLE auditor LOGIN IN ROLE cloister_audit_auditor",
    );
    let tenants = "SELECT string_agg(DISTINCT tenant, ',') FROM cloister_audit.records";
    let of = |setting: &str| postgres.run("app", &format!("{setting}; {tenants}"), &[]).unwrap();
    assert_eq!((of("SET cloister.tenant = 'acme'").as_str(), of("RESET ALL").as_str()), ("acme", ""));
    assert_eq!(postgres.run("auditor", tenants, &[]).unwrap(), "acme,globex");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_prepared_is_told_of_and_gets_everything_once_it_is() {
    let postgres = Postgres::start();
    postgres.sql(&format!("CREATE ROLE cloister_audit_writer LOGIN PASSWORD '{PASSWORD}'"));
    let gateway = gateway(&postgres).await;
    gateway.get("acme", "/orders/1").await;
    let is_denied = "cloister_audit_sink_failing{sink=\"table\",why=\"denied\",class=\"default\"} 1";
    gateway.eventually("it is told", || gateway.admin("/metrics").1.contains(is_denied));
    postgres.make_records();
    has_all(&postgres, &gateway);
    assert!(!gateway.said().contains(PASSWORD));
}
