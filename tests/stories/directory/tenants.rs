use std::time::Instant;

use futures::StreamExt as _;

use crate::harness::{Answer, Gateway, Play, Postgres, Recorder, Setup, run};

use super::{SECOND, setup};

/// Nothing but what is in the database, and one that is in both.
const POLICY: &str = r#"
tenants: { both: { status: active, plan: gold } }
roles:
  viewer: { allow: ["order:read"] }
routes:
  - id: orders
    match: { host: "{tenant}.example.test", path: "/orders/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read" }
tests:
  - as: { tenant: both, roles: [viewer] }
    do: GET http://both.example.test/orders/1
    expect: allow
"#;

const TENANTS: &str = "tenants: { refresh: 60s }";

fn world(settings: &str) -> Setup {
    setup(settings).members("claims").policies(POLICY)
}

async fn ask(gateway: &Gateway, tenant: &str) -> (u16, String) {
    let answer: Answer = gateway.get(tenant, "/orders/1").await;
    (answer.status, gateway.reason(&answer))
}

/// What somebody of this tenant is told, within a second.
async fn within_a_second(gateway: &Gateway, tenant: &str, reason: &str) {
    let since = Instant::now();
    loop {
        let answer = gateway.get(tenant, "/orders/1").await;
        let so_late = since.elapsed();
        let told = gateway.reason(&answer);
        if told == reason {
            return;
        }
        assert!(so_late < SECOND, "{tenant}: {reason}, and not {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn which_tenants_there_are_is_what_the_database_says_within_a_second() {
    let postgres = Postgres::start().holding_members();
    postgres.sql("INSERT INTO tenants (id, status) VALUES ('acme', 'active'), ('gone', 'closed')");
    let mut gateway = world(&postgres.settings(TENANTS)).start().await;
    for (tenant, expected) in [
        ("acme", (200, "allowed")),
        ("gone", (403, "tenant.closed")),
        ("nobody", (403, "tenant.unknown")),
        ("both", (200, "allowed")),
    ] {
        let (status, reason) = ask(&gateway, tenant).await;
        assert_eq!((status, reason.as_str()), expected, "{tenant}");
    }
    let unchecked = "ALTER TABLE tenants DROP CONSTRAINT IF EXISTS tenants_status_check;";
    for (sql, tenant, reason) in [
        ("INSERT INTO tenants (id, status) VALUES ('new', 'active')", "new", "allowed"),
        ("UPDATE tenants SET status = 'suspended' WHERE id = 'new'", "new", "tenant.suspended"),
        ("UPDATE tenants SET clients_deny = '{127.0.0.1}', status = 'active' WHERE id = 'new'", "new", "client.denied"),
        ("UPDATE tenants SET clients_deny = NULL WHERE id = 'new'", "new", "allowed"),
        ("UPDATE tenants SET mfa = 'required' WHERE id = 'new'", "new", "auth.insufficient.mfa"),
        ("DELETE FROM tenants WHERE id = 'new'", "new", "tenant.unknown"),
        ("INSERT INTO tenants (id, status) VALUES ('both', 'suspended')", "both", "tenant.suspended"),
        ("UPDATE tenants SET status = 'active', plan = 'silver' WHERE id = 'both'", "both", "tenant.unavailable"),
        ("DELETE FROM tenants WHERE id = 'both'", "both", "allowed"),
        ("UPDATE tenants SET issuers = '{nobody}' WHERE id = 'acme'", "acme", "tenant.unavailable"),
        ("UPDATE tenants SET issuers = '{main}' WHERE id = 'acme'", "acme", "allowed"),
    ] {
        postgres.sql(&format!("{unchecked} {sql}"));
        within_a_second(&gateway, tenant, reason).await;
    }
    // Policies that are read again keep the tenants of the table.
    gateway.reload(&format!("{POLICY}# changed\n"));
    assert_eq!(ask(&gateway, "acme").await.0, 200);
    let said = gateway.process().said();
    assert!(said.contains("the row of tenant `acme`") && said.contains("issuer `nobody` is not configured"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_suspended_in_the_database_loses_its_open_streams_within_a_second() {
    let postgres = Postgres::start().holding_members();
    postgres.sql("INSERT INTO tenants (id, status) VALUES ('acme', 'active')");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: first\n\n";
    let recorder = Recorder::playing(move |_| vec![Play::Body, Play::bytes(head), Play::Tunnel]).await;
    let gateway = world(&postgres.settings(TENANTS)).upstream(recorder.address).start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let response = gateway.request("GET", "acme", "/orders/events").bearer_auth(token).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut events = response.bytes_stream();
    assert!(events.next().await.is_some_and(|event| event.is_ok()));
    postgres.sql("UPDATE tenants SET status = 'suspended'");
    let since = Instant::now();
    while let Some(Ok(_)) = events.next().await {
        assert!(since.elapsed() < SECOND, "the stream goes on");
    }
    assert!(since.elapsed() < SECOND);
    let ended = gateway.records(&["--reason", "tenant.suspended"]);
    assert_eq!(ended.finals().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_it_serves_the_tenants_that_it_knows_and_at_the_start_none() {
    let mut postgres = Postgres::start().holding_members();
    postgres.sql("INSERT INTO tenants (id, status) VALUES ('acme', 'active')");
    let gateway = world(&postgres.settings(TENANTS)).start().await;
    assert_eq!(ask(&gateway, "acme").await.0, 200);
    postgres.end();
    gateway.eventually("it says that it hears nothing", || gateway.admin("/readyz").1.contains("are not heard"));
    assert_eq!(ask(&gateway, "acme").await.0, 200);

    let late = world(&postgres.settings(TENANTS)).unready().start().await;
    for tenant in ["acme", "nobody", "both"] {
        assert_eq!(ask(&late, tenant).await, (503, "tenant.unavailable".to_owned()), "{tenant}");
    }
    assert_eq!(late.admin("/readyz").0, 503);
    postgres.start_again();
    postgres.sql("UPDATE tenants SET status = 'suspended'");
    late.eventually("it is ready", || late.admin("/readyz").0 == 200);
    for gateway in [&late, &gateway] {
        gateway.eventually("it hears again", || gateway.metric("cloister_directory_hears") == 1.0);
        within_a_second(gateway, "acme", "tenant.suspended").await;
        assert_eq!(ask(gateway, "both").await.0, 200);
    }
}

/// What operators type beside a gateway whose tenants are a table's: they read no table, and take a name for what it is.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_and_tokens_taken_back_for_tenants_that_only_the_database_has() {
    let postgres = Postgres::start().holding_members();
    postgres.sql("INSERT INTO tenants (id, status) VALUES ('acme', 'active'), ('globex', 'active')");
    let policy = POLICY.replace("auth: { issuers: [main],", "auth: { issuers: [main], api_keys: true,");
    let gateway = setup(&postgres.settings(TENANTS)).members("claims").policies(&policy).start().await;
    let folder = gateway.folder.path();
    let (config, policies) = (folder.join("cloister.yaml"), folder.join("policies"));
    let files = ["--config", config.to_str().unwrap(), "--policies", policies.to_str().unwrap()];
    let command = |words: &[&str]| run(&[words, &files[..]].concat(), folder);
    let create = |tenant| {
        let asked = ["api-key", "create", "--tenant", tenant, "--name", "ci", "--roles", "viewer", "--format", "json"];
        command(&asked)
    };
    let (code, out, error) = create("acme");
    assert_eq!(code, 0, "{error}");
    let made: serde_json::Value = serde_json::from_str(&out).unwrap();
    let key = made["key"].as_str().unwrap();
    let by_key = async |host: &str| {
        let answer = gateway.send(gateway.request("GET", host, "/orders/1").header("x-api-key", key)).await;
        (answer.status, gateway.reason(&answer))
    };
    let since = Instant::now();
    while by_key("acme").await.0 != 200 {
        assert!(since.elapsed() < SECOND, "the key is not taken");
    }
    assert_eq!(by_key("globex").await, (403, "tenant.mismatch".to_owned()));
    let (code, _, error) = create("Not A Tenant");
    assert!(code == 2 && error.contains("is not known"), "{error}");

    let tokens = [gateway.token("acme", "ada", &["viewer"]), gateway.token("globex", "ada", &["viewer"])];
    let status = async |place: usize| {
        let host = ["acme", "globex"][place];
        gateway.send(gateway.request("GET", host, "/orders/1").bearer_auth(&tokens[place])).await.status
    };
    assert_eq!((status(0).await, status(1).await), (200, 200));
    let (code, _, error) = command(&["revocations", "add", "--tenant", "acme", "--before", "now"]);
    assert_eq!(code, 0, "{error}");
    let since = Instant::now();
    while status(0).await != 401 {
        assert!(since.elapsed() < SECOND, "it is still good");
    }
    assert_eq!(status(1).await, 200);
    let records = gateway.records(&["--all"]);
    let kinds: Vec<_> = records.all().iter().filter(|record| record["tenant"] == "acme").collect();
    for kind in ["api_key.created", "tokens.revoked"] {
        assert!(kinds.iter().any(|record| record["kind"] == kind), "{kind}");
    }
}

/// A tenant that is not known yet is no bad token: the issuer of its own is an outage, not a lie.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_tenants_are_unread_the_issuers_of_a_pattern_are_an_outage() {
    let mut postgres = Postgres::start().holding_members();
    postgres.sql("INSERT INTO tenants (id, status) VALUES ('acme', 'active')");
    let settings = postgres.settings(TENANTS);
    postgres.end();
    let issuer = r#"  realms:
    issuer: "https://idp.example/realms/{tenant}"
    audiences: [saas-api]
    algorithms: [ES256]
    jwks: { file: "FOLDER/{tenant}.json", refresh: 1s }
"#;
    let policy = POLICY.replace("issuers: [main]", "issuers: [main, realms]");
    let gateway = setup(&settings).members("claims").policies(&policy).issuer(issuer).unready().start().await;
    for tenant in ["acme", "made-up"] {
        std::fs::write(gateway.folder.path().join(format!("{tenant}.json")), gateway.issuer.jwks()).unwrap();
    }
    let ask = async |realm: &str| {
        let mut claims = crate::harness::claims(realm, "ada", &["viewer"]);
        claims["iss"] = serde_json::json!(format!("https://idp.example/realms/{realm}"));
        let token = gateway.issuer.sign(&claims);
        let answer = gateway.send(gateway.request("GET", realm, "/orders/1").bearer_auth(token)).await;
        (answer.status, gateway.reason(&answer))
    };
    for realm in ["acme", "made-up"] {
        assert_eq!(ask(realm).await, (503, "tenant.unavailable".to_owned()), "{realm}");
    }
    postgres.start_again();
    gateway.eventually("it is ready", || gateway.admin("/readyz").0 == 200);
    assert_eq!(ask("acme").await, (200, "allowed".to_owned()));
    assert_eq!(ask("made-up").await, (401, "auth.invalid.issuer".to_owned()));
}

#[test]
fn a_query_for_tenants_that_does_not_fit_ends_the_start() {
    let postgres = Postgres::start().holding_members();
    postgres.sql("CREATE TABLE hidden AS TABLE tenants");
    for (query, told) in [
        ("SELECT id FROM tenants", "no column `status`"),
        ("SELECT id, status, color FROM tenants", "does not exist"),
        ("SELECT id, status, 1 AS plan FROM tenants", "write plan::text AS plan"),
        ("SELECT id, status, plan AS issuers FROM tenants", "write issuers::text[] AS issuers"),
        ("SELECT id, status, plan AS name FROM tenants", "a tenant has no `name`"),
        ("SELECT id, status FROM tenants WHERE id = $1", "takes no parameters"),
        ("SELECT id, status FROM hidden", "may its user read"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = crate::harness::config_text(folder.path());
        let settings = postgres.settings(&format!("tenants: {{ query: \"{query}\" }}"));
        std::fs::write(folder.path().join("cloister.yaml"), config + &settings).unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        std::fs::write(folder.path().join("policies/policy.yaml"), POLICY).unwrap();
        let (code, out, error) = run(&["run", "--config", "cloister.yaml", "--policies", "policies"], folder.path());
        assert!(code == 2 && format!("{out}{error}").contains(told), "{query}: {code} {out}{error}");
    }
}
