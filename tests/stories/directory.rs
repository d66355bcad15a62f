//! A real PostgreSQL says who belongs where: at once, and nothing that it did not say.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Answer, Gateway, PASSWORD, Postgres, Setup, claims, now, run};

mod slow;
mod tenants;

const POLICY: &str = r#"
tenants:
  acme: { status: active }
  globex: { status: active }
  initech: { status: suspended }
roles:
  viewer: { allow: ["order:read"] }
  clerk: { inherits: [viewer], allow: ["order:write"] }
routes:
  - id: orders
    match: { host: "{tenant}.example.test", path: "/orders/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [host] }
    allow: { GET: "order:read", "*": "order:write" }
tests:
  - as: { user: ada, roles: [viewer] }
    do: GET http://acme.example.test/orders/1
    expect: allow
  - as: { user: eve }
    do: GET http://acme.example.test/orders/1
    expect: { deny: tenant.not_member }
"#;

/// A change that was told is in force within a second.
const SECOND: Duration = Duration::from_secs(1);

fn setup(settings: &str) -> Setup {
    Gateway::test().policies(POLICY).members("directory").settings(settings)
}

/// A token that names no tenant; its roles count for nothing.
fn token(gateway: &Gateway, user: &str) -> String {
    let mut claims = claims("acme", user, &["clerk"]);
    claims.as_object_mut().unwrap().remove("tenant_id");
    claims["jti"] = json!(format!("{user}-{}", now()));
    gateway.issuer.sign(&claims)
}

async fn ask(gateway: &Gateway, method: &str, tenant: &str, user: &str) -> Answer {
    gateway.send(gateway.request(method, tenant, "/orders/1").bearer_auth(token(gateway, user))).await
}

/// Waits until somebody is answered in this way, for no longer than a second since something was done.
async fn within_a_second(gateway: &Gateway, since: Instant, tenant: &str, user: &str, status: u16) {
    while ask(gateway, "GET", tenant, user).await.status != status {
        assert!(since.elapsed() < SECOND, "{user} is not answered with {status} in {tenant}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_belongs_where_and_as_what_is_what_the_database_says_within_a_second() {
    let postgres = Postgres::start().holding_members();
    postgres.sql("INSERT INTO user_tenants VALUES ('ada', 'acme', 'viewer'), ('ada', 'globex', 'clerk')");
    let mut gateway = setup(&postgres.settings("")).start().await;

    // A user of two tenants is in each what the database says, whatever the token claims, and nothing elsewhere.
    for (method, tenant, user, status, reason) in [
        ("GET", "acme", "ada", 200, "allowed"),
        ("PUT", "acme", "ada", 403, "policy.denied"),
        ("PUT", "globex", "ada", 200, "allowed"),
        ("GET", "acme", "bob", 403, "tenant.not_member"),
        ("GET", "initech", "ada", 403, "tenant.suspended"),
        ("GET", "nowhere", "ada", 403, "tenant.unknown"),
        ("GET", "acme", "ada'--", 403, "tenant.not_member"),
        ("GET", "acme", "%", 403, "tenant.not_member"),
    ] {
        let answer = ask(&gateway, method, tenant, user).await;
        assert_eq!((answer.status, gateway.reason(&answer).as_str()), (status, reason), "{method} {tenant} {user}");
    }
    assert_eq!(ask(&gateway, "GET", "acme", "ada").await.status, 200);
    assert_eq!(gateway.backend.last().field("x-roles"), Some("viewer"));

    // Whom it refuses anyway, it asks nobody about; whom it knows, it asks about once.
    let asked = || gateway.metric("cloister_directory_questions_total");
    let (before, remembered) = (asked(), "outcome=\"remembered\"");
    assert_eq!(ask(&gateway, "GET", "initech", "ada").await.status, 403);
    let junk = gateway.request("GET", "acme", "/orders/1").bearer_auth("junk");
    assert_eq!(gateway.send(junk).await.status, 401);
    assert!(asked() == before);
    assert_eq!(ask(&gateway, "GET", "acme", "ada").await.status, 200);
    let metrics = gateway.admin("/metrics").1;
    let line =
        metrics.lines().find(|line| line.contains("cloister_directory_questions_total") && line.contains(remembered));
    assert!(line.is_some_and(|line| !line.ends_with(" 0")), "{line:?}");

    for (sql, tenant, user, status) in [
        ("INSERT INTO user_tenants VALUES ('bob', 'acme', 'viewer')", "acme", "bob", 200),
        ("DELETE FROM user_tenants WHERE user_id = 'bob'", "acme", "bob", 403),
        ("UPDATE user_tenants SET role = 'nothing' WHERE tenant_id = 'acme'", "acme", "ada", 403),
        ("UPDATE user_tenants SET role = 'viewer' WHERE tenant_id = 'acme'", "acme", "ada", 200),
        ("UPDATE user_tenants SET user_id = 'eve' WHERE tenant_id = 'globex'", "globex", "ada", 403),
        ("TRUNCATE user_tenants", "acme", "ada", 403),
        ("INSERT INTO user_tenants VALUES ('ada', 'acme', 'viewer')", "acme", "ada", 200),
        (
            "ALTER TABLE user_tenants DISABLE TRIGGER USER; DELETE FROM user_tenants; NOTIFY cloister, 'acme'",
            "acme",
            "ada",
            403,
        ),
    ] {
        postgres.sql(sql);
        within_a_second(&gateway, Instant::now(), tenant, user, status).await;
    }
    let said = gateway.process().said();
    assert!(!said.contains(PASSWORD) && !said.contains("ada"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_asked_over_tls_and_believed_only_if_its_certificate_is_good() {
    let postgres = Postgres::start().holding_members();
    postgres.sql("INSERT INTO user_tenants VALUES ('ada', 'acme', 'viewer')");
    let gateway = setup(&postgres.settings_over_tls("")).start().await;
    assert_eq!(ask(&gateway, "GET", "acme", "ada").await.status, 200);
    let seen = postgres.sql(
        "SELECT bool_and(ssl) AND count(*) > 1 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'cloister'",
    );
    assert_eq!(seen, "t");

    let other = Postgres::start().holding_members();
    let ca = |postgres: &Postgres| {
        let settings = postgres.settings_over_tls("");
        settings.split("ca: ").nth(1).unwrap().split(',').next().unwrap().to_owned()
    };
    let wrong = postgres.settings_over_tls("").replace(&ca(&postgres), &ca(&other));
    let mut unsure = setup(&wrong).unready().start().await;
    let answer = ask(&unsure, "GET", "acme", "ada").await;
    assert_eq!((answer.status, unsure.reason(&answer).as_str()), (503, "tenant.unavailable"));
    let (status, said) = unsure.admin("/readyz");
    assert!(status == 503 && said.contains("directory"), "{said}");
    assert!(unsure.process().said().contains("certificate"), "{}", unsure.process().said());
}

#[test]
fn a_query_that_does_not_fit_ends_the_start_and_says_what_to_do() {
    let postgres = Postgres::start().holding_members();
    postgres.sql("CREATE TABLE secrets (user_id uuid, tenant_id text, role text, n int); CREATE TABLE mine AS TABLE secrets; GRANT SELECT ON mine TO cloister;");
    for (query, told) in [
        (
            "SELECT role FROM user_tenant WHERE tenant_id = $1 AND user_id = $2",
            "relation \\\"user_tenant\\\" does not exist",
        ),
        ("SELEKT", "syntax error"),
        ("SELECT role FROM user_tenants WHERE tenant_id = $1", "1 parameters"),
        ("SELECT role, user_id FROM user_tenants WHERE tenant_id = $1 AND user_id = $2", "2 columns"),
        ("SELECT n FROM mine WHERE tenant_id = $1 AND user_id = $2::text::uuid", "add ::text"),
        ("SELECT role FROM mine WHERE tenant_id = $1 AND user_id = $2", "write $2::text::uuid"),
        ("SELECT role FROM secrets WHERE tenant_id = $1 AND user_id::text = $2", "may its user read"),
        ("SELECT 'clerk' WHERE $1::text = $1 AND $2::text = $2", "does not look at $1 and $2"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = crate::harness::config_text(folder.path()).replace("members: claims", "members: directory");
        let settings = postgres.settings(&format!("memberships: {{ query: \"{query}\" }}"));
        std::fs::write(folder.path().join("cloister.yaml"), config + &settings).unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        std::fs::write(folder.path().join("policies/policy.yaml"), POLICY).unwrap();
        let (code, out, error) = run(&["run", "--config", "cloister.yaml", "--policies", "policies"], folder.path());
        let said = out + &error;
        assert!(code == 2 && (said.contains(told) || said.contains(&told.replace('\\', ""))), "{query}: {code} {said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
}

#[test]
fn a_directory_that_would_not_be_what_it_says_does_not_load() {
    let database = |more: &str| {
        format!(
            "directory: {{ postgresql: {{ addresses: [\"db.internal:5432\"], database: app, user: cloister, {more} }} }}\n"
        )
    };
    let policy = POLICY.to_owned();
    let with_members = format!("{POLICY}members: {{ acme: {{ ada: [viewer] }} }}\n");
    let several = "  other: { issuer: \"https://other.example.test/\", audiences: [saas-api], algorithms: [ES256], jwks: { file: jwks.json }, members: union }\n";
    for (settings, policy, issuer, members, told) in [
        (database(""), &policy, "", "directory", "ok"),
        (database(""), &policy, "", "claims", "no issuer has its members in the directory"),
        (database(""), &with_members, "", "directory", "members stand in the database"),
        (database(""), &policy, several, "directory", "main and other have their members in the directory"),
        (
            database("memberships: { query: \"SELECT r FROM m WHERE t = $1 AND u = $2 AND i = $3\" }"),
            &policy,
            several,
            "directory",
            "ok",
        ),
        (database("wait: 0s"), &policy, "", "directory", "from 100ms to 10s"),
        (database("connections: 0"), &policy, "", "directory", "from 1 to 64 connections"),
        (database("memberships: { entries: 0 }"), &policy, "", "directory", "nothing could be remembered"),
        (database("password: hunter2"), &policy, "", "directory", "a secret is not written into a file"),
        (database("channel: \"x; DROP\""), &policy, "", "directory", "a channel has"),
        (database("insecure_plaintext: true, ca: x.pem"), &policy, "", "directory", "without TLS"),
        (database("sslmode: disable"), &policy, "", "directory", "sslmode"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = crate::harness::config_text(folder.path())
            .replace("members: claims\n", &format!("members: {members}\n{issuer}"))
            .replace("file: jwks.json", &format!("file: {}/jwks.json", folder.path().display()));
        std::fs::write(folder.path().join("cloister.yaml"), config + &settings).unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        std::fs::write(folder.path().join("policies/policy.yaml"), policy).unwrap();
        let (code, out, error) = run(&["check", "--config", "cloister.yaml", "--policies", "policies"], folder.path());
        assert_eq!(code == 0, told == "ok", "{settings}: {out}{error}");
        assert!(format!("{out}{error}").contains(told), "{settings} {told}: {out}{error}");
        assert!(!format!("{out}{error}").contains("hunter2"), "{out}{error}");
    }
}
