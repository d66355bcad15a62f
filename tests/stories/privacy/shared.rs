//! Gateways that share a subject vault, in a real PostgreSQL.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::{ask, command, privacy};
use crate::harness::{Gateway, Postgres, run};

const SECOND: Duration = Duration::from_secs(1);

async fn start(postgres: &Postgres, more: &str) -> Gateway {
    Gateway::test().audit_settings(&postgres.subjects(more)).start().await
}

async fn sub(gateway: &Gateway, user: &str) -> String {
    ask(gateway, user, "/orders/1").await["sub"].as_str().unwrap().to_owned()
}

async fn status(gateway: &Gateway, user: &str) -> u16 {
    let token = gateway.token("acme", user, &["viewer"]);
    gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(token)).await.status
}

/// How many records of a kind a gateway has.
fn count(gateway: &Gateway, kind: &str) -> usize {
    gateway.records(&["--kind", kind]).all().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_one_name_at_all_gateways_and_is_erased_from_them_together() {
    let postgres = Postgres::start().holding_subjects();
    let (one, two) = (start(&postgres, "").await, start(&postgres, "").await);
    // Both meet the same people at the same time, who are new to them.
    let users: Vec<_> = (0..24).map(|number| format!("user-{number}")).collect();
    let (first, second) = tokio::join!(
        join_all(users.iter().map(|user| status(&one, user))),
        join_all(users.iter().rev().map(|user| status(&two, user))),
    );
    assert!(first.iter().chain(&second).all(|status| *status == 200), "{first:?} {second:?}");
    let mut names = HashSet::new();
    for user in &users {
        let name = sub(&one, user).await;
        assert_eq!(name, sub(&two, user).await, "{user}");
        names.insert(name);
    }
    assert_eq!(names.len(), users.len());

    let before = sub(&one, "user-0").await;
    let (code, said, error) = privacy(&one, &["erase"], "user-0", &["--reason", "article 17", "--request-ref", "T-42"]);
    assert_eq!(code, 0, "{error}");
    assert!(said.contains("PostgreSQL still has the wrapped key"), "{said}");
    let since = Instant::now();
    for gateway in [&two, &one] {
        while sub(gateway, "user-0").await == before {
            assert!(since.elapsed() < SECOND, "a gateway still knows the person");
        }
    }
    assert_eq!(sub(&one, "user-0").await, sub(&two, "user-0").await);
    for gateway in [&one, &two] {
        // The records of a person may be in each log, and so each says what became of it.
        gateway.eventually("it is on record", || count(gateway, "subject.erased") == 1);
        assert_eq!(gateway.records(&["--kind", "subject.erased"]).all()[0]["sub"], before.as_str());
    }
    one.eventually("nothing waits", || postgres.sql("SELECT count(*) FROM cloister_subjects.events") == "0");

    // A hold that was made at one is in force at the other, and a tenant leaves them together.
    let (code, _, error) = privacy(&two, &["hold", "add"], "user-1", &["--reason", "case 7"]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(privacy(&one, &["erase"], "user-1", &["--reason", "article 17"]).0, 4);
    let off_board = ["privacy", "off-board", "--tenant", "acme", "--reason", "left"];
    assert_eq!(command(&one, &off_board).0, 4);
    assert_eq!(command(&one, &["privacy", "hold", "remove", "1", "--reason", "closed"]).0, 0);
    let kept = sub(&two, "user-1").await;
    let archive = two.folder.path().join("user-1.tar").display().to_string();
    let (code, said, error) = privacy(&two, &["export"], "user-1", &["--reason", "article 15", "--out", &archive]);
    assert!(code == 0 && said.contains(&kept), "{said}{error}");
    assert_eq!(command(&one, &off_board).0, 0);
    let since = Instant::now();
    while sub(&two, "user-1").await == kept {
        assert!(since.elapsed() < SECOND, "the other gateway still knows the tenant's persons");
    }
    for (kind, expected) in [
        ("hold.added", 1),
        ("subject.erase_refused", 1),
        ("tenant.off_board_refused", 1),
        ("hold.removed", 1),
        ("subject.exported", 1),
        ("tenant.off_boarded", 1),
    ] {
        for gateway in [&one, &two] {
            gateway.eventually(kind, || count(gateway, kind) == expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_killed_or_stands_still_lets_no_member_in_whom_it_could_not_name() {
    let mut postgres = Postgres::start().holding_subjects();
    let gateway = start(&postgres, "").await;
    assert_eq!(status(&gateway, "ada").await, 200);
    for round in 0..2 {
        let ended = Arc::new(AtomicBool::new(false));
        let load = async {
            let mut users = 0_usize;
            while !ended.load(Ordering::Relaxed) {
                let new: Vec<_> = (users..users + 8).map(|number| format!("user-{round}-{number}")).collect();
                users += 8;
                let all = new.iter().map(String::as_str).chain(["ada"]).map(|user| status(&gateway, user));
                let all = join_all(all).await;
                assert!(all.iter().all(|status| [200, 503].contains(status)), "{all:?}");
            }
            users
        };
        let trouble = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            if round == 0 {
                postgres.kill()
            } else {
                postgres.stand_still()
            }
            let since = Instant::now();
            while status(&gateway, "ada").await == 200 {
                assert!(since.elapsed() < SECOND * 3, "whoever is remembered is believed for a second");
            }
            assert_eq!(gateway.send(gateway.request("GET", "acme", "/public/1")).await.status, 200);
            let new: Vec<_> = (0..50).map(|number| format!("nobody-{number}")).collect();
            let asked = Instant::now();
            let all = join_all(new.iter().map(|user| status(&gateway, user))).await;
            assert!(all.iter().all(|status| *status == 503), "{all:?}");
            assert!(asked.elapsed() < SECOND, "nobody waits for what does not answer");
            gateway.eventually("it says so", || gateway.admin("/readyz").0 == 503);
            assert!(gateway.metric("cloister_subjects_up") == 0.0);
            if round == 0 {
                postgres.start_again()
            } else {
                postgres.go_on()
            }
            gateway.eventually("it is ready again", || gateway.admin("/readyz").0 == 200);
            ended.store(true, Ordering::Relaxed);
        };
        let (users, ()) = tokio::join!(load, trouble);
        let records = gateway.records(&["--tenant", "acme"]);
        let known = postgres.sql("SELECT surrogate FROM cloister_subjects.subjects");
        let known: HashSet<_> = known.lines().collect();
        let named: HashSet<_> = records.finals().iter().filter_map(|record| record["sub"].as_str()).collect();
        assert!(users > 0 && named.len() > 1 && named.is_subset(&known), "the log names whom the vault does not know");
        for record in records.finals() {
            let unnamed = record["sub"].is_null() && record["pii"].is_null();
            assert_eq!(unnamed, record["reason"] == "audit.unavailable", "{record}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_set_back_or_empty_is_found_out_while_gateways_run_and_at_their_start() {
    let postgres = Postgres::start().holding_subjects();
    let (mut one, two) = (start(&postgres, "").await, start(&postgres, "").await);
    let (ada, bob) = (sub(&one, "ada").await, sub(&one, "bob").await);
    postgres.sql(
        "CREATE SCHEMA backup; CREATE TABLE backup.vault AS TABLE cloister_subjects.vault;
         CREATE TABLE backup.tenants AS TABLE cloister_subjects.tenants;
         CREATE TABLE backup.subjects AS TABLE cloister_subjects.subjects;",
    );
    assert_eq!(privacy(&one, &["erase"], "ada", &["--reason", "article 17"]).0, 0);
    for gateway in [&one, &two] {
        gateway.eventually("it is on record", || count(gateway, "subject.erased") == 1);
    }
    let restore = "BEGIN; DELETE FROM cloister_subjects.vault; DELETE FROM cloister_subjects.tenants;
         DELETE FROM cloister_subjects.subjects; INSERT INTO cloister_subjects.vault TABLE backup.vault;
         INSERT INTO cloister_subjects.tenants TABLE backup.tenants;
         INSERT INTO cloister_subjects.subjects TABLE backup.subjects; COMMIT;";
    postgres.sql(restore);
    for gateway in [&one, &two] {
        gateway.eventually("nobody is served from it", || gateway.admin("/readyz").0 == 503);
        assert_eq!(status(gateway, "bob").await, 503);
    }
    let stop = |gateway: &mut Gateway| {
        gateway.process().signal("TERM");
        assert!(gateway.process().wait().success());
    };
    let refused = |gateway: &Gateway| {
        let folder = gateway.folder.path().display().to_string();
        let (config, policies) = (format!("{folder}/cloister.yaml"), format!("{folder}/policies"));
        let (code, _, said) = run(&["run", "--config", &config, "--policies", &policies], gateway.folder.path());
        assert_eq!(code, 2, "{said}");
        said
    };
    stop(&mut one);
    assert!(refused(&one).contains("was set back"));
    assert_eq!(privacy(&one, &["hash"], "ada", &[]).0, 2, "nor does a command believe it");
    let (code, said, error) = command(&one, &["privacy", "mend"]);
    assert!(code == 0 && said.contains("Erased again: 1 person"), "{said}{error}");
    one.start_again();
    two.eventually("it goes on by itself", || two.admin("/readyz").0 == 200);
    assert_ne!(sub(&two, "ada").await, ada);
    assert_eq!(sub(&one, "ada").await, sub(&two, "ada").await);
    assert_eq!(sub(&one, "bob").await, bob);

    postgres.sql("TRUNCATE cloister_subjects.vault, cloister_subjects.tenants, cloister_subjects.subjects");
    two.eventually("an empty one is not taken for a new one", || two.admin("/readyz").0 == 503);
    assert_eq!(status(&two, "bob").await, 503);
    assert_eq!(postgres.sql("SELECT count(*) FROM cloister_subjects.vault"), "0", "nothing was made in it");
    stop(&mut one);
    assert!(refused(&one).contains("is gone"));
    postgres.sql(restore);
    postgres.sql("UPDATE cloister_subjects.vault SET destroyed = 9");
    one.start_again();
    two.eventually("it is there again", || two.admin("/readyz").0 == 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_before_its_vault_and_with_no_tables_but_its_own() {
    let mut postgres = Postgres::start();
    let setup = |postgres: &Postgres| Gateway::test().audit_settings(&postgres.subjects("connect: 500ms"));
    let postgres_is_away = {
        postgres.end();
        setup(&postgres).unready().start().await
    };
    let gateway = postgres_is_away;
    assert_eq!((status(&gateway, "ada").await, gateway.admin("/readyz").0), (503, 503));
    assert_eq!(gateway.send(gateway.request("GET", "acme", "/public/1")).await.status, 200);
    postgres.start_again();
    assert_eq!(status(&gateway, "ada").await, 503, "there are no tables");
    let postgres = postgres.holding_subjects();
    gateway.eventually("it is ready", || gateway.admin("/readyz").0 == 200);
    assert_eq!(status(&gateway, "ada").await, 200);

    let refused = |gateway: &Gateway| {
        let folder = gateway.folder.path().display().to_string();
        let (code, _, said) = privacy(gateway, &["hash"], "ada", &[]);
        assert_eq!(code, 2, "{said}{folder}");
        said
    };
    let format = |number: u32| {
        postgres.sql(&format!(
            "CREATE OR REPLACE FUNCTION cloister_subjects.format() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT {number}'"
        ))
    };
    format(0);
    assert!(refused(&gateway).contains("config/postgresql/subjects.sql"));
    format(99);
    assert!(refused(&gateway).contains("of format 99"));
    format(1);
    postgres.sql("REVOKE USAGE ON SCHEMA cloister_subjects FROM cloister_subjects");
    assert!(refused(&gateway).contains("SQLSTATE 42501"));
    postgres.sql("GRANT USAGE ON SCHEMA cloister_subjects TO cloister_subjects");
    gateway.eventually("it is ready again", || gateway.admin("/readyz").0 == 200);

    for (forbidden, sql) in [
        ("change a person", "UPDATE cloister_subjects.subjects SET key = ''"),
        ("change a person's name", "UPDATE cloister_subjects.subjects SET surrogate = 's_0000000000000000'"),
        ("empty a table", "TRUNCATE cloister_subjects.subjects"),
        ("take the vault away", "DELETE FROM cloister_subjects.vault"),
        ("make it another vault", "UPDATE cloister_subjects.vault SET id = '\\x00000000000000000000000000000000'"),
        ("change a hold", "UPDATE cloister_subjects.holds SET tenant = 'other'"),
        ("change what is to be on record", "UPDATE cloister_subjects.events SET kind = 'other'"),
        ("make a table", "CREATE TABLE cloister_subjects.another (id int)"),
        ("drop one", "DROP TABLE cloister_subjects.subjects"),
    ] {
        let refused = postgres.run("cloister_subjects", sql, &[]).expect_err(forbidden);
        assert!(refused.contains("42501") || refused.contains("0LP01"), "{forbidden}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_with_both_roots_go_on_when_one_takes_the_place_of_the_other() {
    let postgres = Postgres::start().holding_subjects();
    let next = postgres.password_file().with_file_name("next-root");
    crate::harness::private(&next, "another root of a vault that gateways have in common");
    let both = postgres.subjects("").replacen(
        "privacy: { ",
        &format!("privacy: {{ next_root: \"${{file:{}}}\", ", next.display()),
        1,
    );
    let (one, two) =
        (Gateway::test().audit_settings(&both).start().await, Gateway::test().audit_settings(&both).start().await);
    let ada = sub(&one, "ada").await;
    assert_eq!(privacy(&two, &["hold", "add"], "later", &["--reason", "case 7"]).0, 0);
    let before = postgres.sql("SELECT string_agg(encode(print, 'hex'), '') FROM cloister_subjects.subjects");
    let (code, said, error) = command(&two, &["privacy", "rotate-root", "--reason", "every year"]);
    assert!(code == 0 && said.contains("audit.privacy.next_root"), "{said}{error}");
    assert_ne!(before, postgres.sql("SELECT string_agg(encode(print, 'hex'), '') FROM cloister_subjects.subjects"));
    for gateway in [&one, &two] {
        assert_eq!(sub(gateway, "ada").await, ada);
        gateway.eventually("it is on record", || count(gateway, "vault.root_rotated") == 1);
    }
    assert_eq!(sub(&one, "bob").await, sub(&two, "bob").await);
    assert_eq!(privacy(&one, &["erase"], "later", &["--reason", "article 17"]).0, 4, "a hold outlives the root");
    let (code, _, error) = privacy(&one, &["erase"], "ada", &["--reason", "article 17"]);
    assert_eq!(code, 0, "{error}");
    let since = Instant::now();
    while sub(&two, "ada").await == ada {
        assert!(since.elapsed() < SECOND, "the other gateway still knows the person");
    }
}
