use std::time::{Duration, Instant};

use crate::harness::Postgres;

use super::{SECOND, ask, setup, within_a_second};

/// How long one request waits for the database, and what a busy machine adds.
const BOUND: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_lets_nobody_in_and_comes_back_by_itself() {
    let mut postgres = Postgres::start().holding_members();
    postgres.sql("INSERT INTO user_tenants VALUES ('ada', 'acme', 'viewer')");
    let gateway = setup(&postgres.settings("")).start().await;
    assert_eq!(ask(&gateway, "GET", "acme", "ada").await.status, 200);

    postgres.end();
    let since = Instant::now();
    while ask(&gateway, "GET", "acme", "ada").await.status == 200 {
        assert!(since.elapsed() < SECOND * 2, "what is remembered counts for a second once nothing is heard");
    }
    let asked = Instant::now();
    let answer = ask(&gateway, "GET", "acme", "ada").await;
    assert!(asked.elapsed() < SECOND, "nobody waits for what is not there");
    assert_eq!((answer.status, gateway.reason(&answer).as_str()), (503, "tenant.unavailable"));
    assert_eq!(
        ask(&gateway, "GET", "initech", "ada").await.status,
        403,
        "what needs no database is answered without it"
    );
    gateway.eventually("it says that it is not ready", || {
        let (status, said) = gateway.admin("/readyz");
        status == 503 && said.contains("the directory cannot be asked")
    });

    postgres.start_again();
    gateway.eventually("it is ready again", || gateway.admin("/readyz").0 == 200);
    assert_eq!(ask(&gateway, "GET", "acme", "ada").await.status, 200);
    postgres.sql("DELETE FROM user_tenants");
    within_a_second(&gateway, Instant::now(), "acme", "ada", 403).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_costs_each_a_moment_and_then_nobody() {
    let postgres = Postgres::start().holding_members();
    postgres.sql("INSERT INTO user_tenants VALUES ('ada', 'acme', 'viewer')");
    let gateway = setup(&postgres.settings("")).start().await;
    assert_eq!(ask(&gateway, "GET", "acme", "ada").await.status, 200);

    postgres.stand_still();
    let since = Instant::now();
    let users: Vec<_> = (0..50).map(|n| format!("user-{n}")).collect();
    let answers = futures::future::join_all(users.iter().map(|user| ask(&gateway, "GET", "acme", user))).await;
    assert!(answers.iter().all(|answer| answer.status == 503));
    assert!(since.elapsed() < BOUND, "{:?}", since.elapsed());
    gateway.eventually("nobody waits any more, and little is believed", || {
        gateway.metric("cloister_directory_connections") == 0.0 && gateway.metric("cloister_directory_hears") == 0.0
    });
    let since = Instant::now();
    while ask(&gateway, "GET", "acme", "ada").await.status == 200 {
        assert!(since.elapsed() < SECOND * 2, "what is remembered counts for a second once nothing is heard");
    }
    let asked = Instant::now();
    assert_eq!(ask(&gateway, "GET", "acme", "ada").await.status, 503, "also of whom it was remembered");
    assert!(asked.elapsed() < SECOND);

    postgres.go_on();
    gateway.eventually("it is ready again", || gateway.admin("/readyz").0 == 200);
    assert_eq!(ask(&gateway, "GET", "acme", "ada").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_nobody_listens_is_in_force_within_a_second_all_the_same() {
    let postgres = Postgres::start().holding_members();
    postgres.sql("INSERT INTO user_tenants VALUES ('ada', 'acme', 'viewer')");
    let gateway = setup(&postgres.settings("connections: 2")).start().await;
    assert_eq!(ask(&gateway, "GET", "acme", "ada").await.status, 200);
    for round in 0..5 {
        // All in one transaction: it does not listen when the change is told, and does so again at once.
        postgres.sql(
            "BEGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cloister';
             DELETE FROM user_tenants WHERE user_id = 'ada'; COMMIT;",
        );
        let since = Instant::now();
        while ask(&gateway, "GET", "acme", "ada").await.status == 200 {
            assert!(since.elapsed() < SECOND, "round {round}: ada is still let in");
        }
        while ask(&gateway, "GET", "acme", "ada").await.status != 403 {
            assert!(since.elapsed() < SECOND * 5, "round {round}: it does not come back");
        }
        postgres.sql("INSERT INTO user_tenants VALUES ('ada', 'acme', 'viewer')");
        let since = Instant::now();
        while ask(&gateway, "GET", "acme", "ada").await.status != 200 {
            assert!(since.elapsed() < SECOND * 5, "round {round}: ada does not come back");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_the_same_at_once_make_one_question() {
    let postgres = Postgres::start().holding_members();
    postgres.sql("INSERT INTO user_tenants VALUES ('ada', 'acme', 'viewer')");
    // Each takes a while, so that the others come meanwhile.
    let query = "SELECT role FROM user_tenants, pg_sleep(0.2) WHERE tenant_id = $1 AND user_id = $2";
    let gateway = setup(&postgres.settings(&format!("memberships: {{ query: \"{query}\" }}"))).start().await;
    let of = |gateway: &crate::harness::Gateway, outcome: &str| {
        let (_, metrics) = gateway.admin("/metrics");
        let wanted = format!("cloister_directory_questions_total{{outcome=\"{outcome}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&wanted)?.parse::<f64>().ok()).unwrap()
    };
    let answers = futures::future::join_all((0..40).map(|_| ask(&gateway, "GET", "acme", "ada"))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(of(&gateway, "member"), 1.0);

    // A change that is told while a question is under way is asked about again, and what comes back late is not kept.
    for round in 0..3 {
        postgres.sql("DELETE FROM user_tenants; INSERT INTO user_tenants VALUES ('ada', 'acme', 'viewer')");
        let (old, ()) = tokio::join!(ask(&gateway, "GET", "acme", "ada"), async {
            postgres.sql("DELETE FROM user_tenants");
        });
        assert!([200, 403].contains(&old.status), "round {round}");
        within_a_second(&gateway, Instant::now(), "acme", "ada", 403).await;
        assert_eq!(ask(&gateway, "GET", "acme", "ada").await.status, 403, "round {round}");
    }
}
