//! Tokens that somebody takes back while the gateway runs, or before it does.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{ADMIN_TOKEN, Gateway, Redis, claims, now, private, run};

/// Runs `cloister revocations …` beside the gateway, as an operator does.
fn revocations(gateway: &Gateway, command: &str, arguments: &[&str]) -> (i32, String, String) {
    let folder = gateway.folder.path();
    let (config, policies) = (folder.join("cloister.yaml"), folder.join("policies"));
    let mut all = vec!["revocations", command, "--config", config.to_str().unwrap()];
    if command != "list" {
        all.extend(["--policies", policies.to_str().unwrap()]);
    }
    all.extend(arguments);
    run(&all, folder)
}

async fn status(gateway: &Gateway, token: &str) -> u16 {
    gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(token)).await.status
}

/// How long it takes from now on until this token is refused.
async fn until_refused(gateway: &Gateway, token: &str) -> Duration {
    let began = Instant::now();
    while status(gateway, token).await != 401 {
        assert!(began.elapsed() < Duration::from_secs(10), "it is still good");
    }
    began.elapsed()
}

async fn ask(gateway: &Gateway, method: &str, body: Value) -> (u16, String) {
    let request =
        reqwest::Client::new().request(method.parse().unwrap(), format!("http://{}/revocations", gateway.admin));
    let answer = request.bearer_auth(ADMIN_TOKEN).body(body.to_string()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_command_takes_back_is_refused_within_a_second_and_after_every_restart() {
    let mut gateway = Gateway::test().start().await;
    let (ada, bob) = (gateway.token("acme", "ada", &["viewer"]), gateway.token("acme", "bob", &["viewer"]));
    for token in [&ada, &bob] {
        assert_eq!(status(&gateway, token).await, 200);
    }
    let (code, out, err) = revocations(&gateway, "add", &["--issuer", "main", "--user", "ada"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.starts_with("Taken back: all tokens of user `ada` of issuer `main`, whenever they are issued."),
        "{out}"
    );
    let took = until_refused(&gateway, &ada).await;
    println!("refused after {took:?}");
    assert_eq!(status(&gateway, &bob).await, 200, "nobody else's");

    gateway.process().signal("KILL");
    gateway.process().wait();
    // Also while no gateway runs.
    assert_eq!(revocations(&gateway, "add", &["--tenant", "acme", "--before", "now"]).0, 0);
    gateway.start_again();
    for token in [&ada, &bob] {
        assert_eq!(status(&gateway, token).await, 401, "from the first request on");
    }
    assert_eq!(gateway.metric("cloister_revocations"), 2.0);
    let later = {
        let mut claims = claims("acme", "bob", &["viewer"]);
        claims["iat"] = (now() + 2).into();
        gateway.issuer.sign(&claims)
    };
    assert_eq!(status(&gateway, &later).await, 200, "what is issued later is good");

    let (code, out, _) = revocations(&gateway, "list", &[]);
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((code, lines[0].join(" ")), (0, "what issuer which issued before until made by".into()));
    assert_eq!((lines.len(), &lines[1][..5]), (3, ["user", "main", "ada", "-", "-"].as_slice()));
    assert_eq!(lines[2][..3], ["tenant", "-", "acme"]);

    let (code, out, _) = revocations(&gateway, "remove", &["--tenant", "acme", "--before", "now"]);
    assert_eq!(code, 0, "{out}");
    gateway.eventually("it is good again", || gateway.metric("cloister_revocations") == 1.0);
    assert_eq!(status(&gateway, &bob).await, 200);
    assert_eq!(revocations(&gateway, "remove", &["--issuer", "main", "--jti", "t9"]).0, 1, "it was not taken back");

    gateway.eventually("all of it is on record", || {
        let records = gateway.records(&["--all"]);
        let of = |record: &Value| Some((record["kind"].as_str()?.to_owned(), record["of"].as_str()?.to_owned()));
        let kinds: Vec<_> = records.all().iter().filter_map(of).collect();
        let expected = [("tokens.revoked", "subject"), ("tokens.revoked", "tenant"), ("tokens.restored", "tenant")];
        let by_command = |record: &Value| record["by"] == "command" && record["uid"].is_u64();
        assert!(records.all().iter().filter(|record| record["of"].is_string()).all(by_command), "and who it was");
        kinds == expected.map(|(kind, of)| (kind.to_owned(), of.to_owned()))
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_has_the_gateway_take_back_is_refused_when_the_answer_is_there() {
    let gateway = Gateway::test().start().await;
    let token = |change: &[(&str, &str)]| {
        let mut claims = claims("acme", "ada", &["viewer"]);
        for (name, value) in change {
            claims[*name] = (*value).into();
        }
        gateway.issuer.sign(&claims)
    };
    let (one, session, other) =
        (token(&[("jti", "t1")]), token(&[("jti", "t2"), ("sid", "s1")]), token(&[("jti", "t3")]));
    for token in [&one, &session, &other] {
        assert_eq!(status(&gateway, token).await, 200);
    }
    let until = "2999-01-01T00:00:00Z";
    assert_eq!(
        ask(&gateway, "POST", json!({ "issuer": "main", "jti": "t1", "until": until })).await,
        (204, String::new())
    );
    assert_eq!(ask(&gateway, "POST", json!({ "issuer": "main", "sid": "s1" })).await, (204, String::new()));
    for (token, expected) in [(&one, 401), (&session, 401), (&other, 200)] {
        assert_eq!(status(&gateway, token).await, expected);
    }
    let listed: Value = serde_json::from_str(&ask(&gateway, "GET", Value::Null).await.1).unwrap();
    let expected = json!([{ "issuer": "main", "sid": "s1" }, { "issuer": "main", "jti": "t1", "until": until }]);
    let same = |a: &Value, b: &Value| a.as_array().unwrap().iter().all(|it| b.as_array().unwrap().contains(it));
    assert!(same(&listed, &expected) && same(&expected, &listed), "{listed}");
    assert_eq!(ask(&gateway, "DELETE", json!({ "issuer": "main", "jti": "t1" })).await.0, 204);
    assert_eq!(status(&gateway, &one).await, 200);

    for (body, said) in [
        (json!({ "issuer": "mian", "jti": "t1" }), "the issuer `mian` is not known: did you mean `main`?"),
        (json!({ "tenant": "acme" }), "give `before`, or suspend the tenant in its policy"),
        (json!({ "issuer": "main", "jit": "t1" }), "unknown field `jit`"),
        (json!("everybody"), "invalid type"),
    ] {
        let (status, text) = ask(&gateway, "POST", body).await;
        assert!(status == 400 && text.contains(said), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_known_is_an_error_and_takes_nothing_back() {
    let gateway = Gateway::test().start().await;
    for (arguments, said) in [
        (
            ["--issuer", "mian", "--user", "ada"].as_slice(),
            "error: the issuer `mian` is not known: did you mean `main`?",
        ),
        (&["--tenant", "acne", "--before", "now"], "error: the tenant `acne` is not known: did you mean `acme`?"),
        (&["--user", "ada"], "error: `issuer` goes with `jti`, `sid` or `user`, and not with `tenant`"),
        (&[], "error: name one of `jti`, `sid`, `user` and `tenant`, or an `issuer` with `before`"),
    ] {
        let (code, _, err) = revocations(&gateway, "add", arguments);
        assert_eq!((code, err.trim()), (2, said));
    }
    assert_eq!(revocations(&gateway, "list", &["--format", "json"]).1.trim(), "[]");
}

/// A row that Cloister would not write, by a program that is not ours.
fn damage(gateway: &Gateway) {
    let script = "import sqlite3, sys; store = sqlite3.connect(sys.argv[1]); store.execute(\"INSERT INTO revocations \
                  SELECT 'tenant', '', 'No Tenant', 5, NULL, 1, NULL, count + 1 FROM changes\"); store.execute('UPDATE changes SET count = \
                  count + 1'); store.commit()";
    let store = gateway.folder.path().join("state/cloister.db");
    let python = std::process::Command::new("python3").args(["-c", script]).arg(store).status();
    assert!(python.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_read_takes_the_gateway_out_of_traffic_and_lets_none_start() {
    let mut gateway = Gateway::test().start().await;
    assert_eq!(revocations(&gateway, "add", &["--issuer", "main", "--user", "ada"]).0, 0);
    let ada = gateway.token("acme", "ada", &["viewer"]);
    until_refused(&gateway, &ada).await;
    damage(&gateway);
    gateway.eventually("it says so", || gateway.admin("/readyz").0 == 503);
    assert!(gateway.admin("/readyz").1.contains("tokens may be good that were taken back"));
    assert!(gateway.metric("cloister_store_failures_total") >= 1.0);
    assert_eq!(status(&gateway, &ada).await, 401, "what was in force stays");

    gateway.process().signal("KILL");
    gateway.process().wait();
    gateway.start_again_by(std::process::Command::new("env"));
    assert_eq!(gateway.process().wait().code(), Some(2));
    let said = gateway.process().said();
    assert!(said.contains("cloister.db` holds in `name` what cannot be read: No Tenant"), "{said}");
    let (code, _, err) = revocations(&gateway, "list", &[]);
    assert!(code == 2 && err.contains("holds in `name` what cannot be read"), "{err}");
    let store = gateway.folder.path().join("state/cloister.db");
    std::fs::write(&store, "no database ".repeat(1_000)).unwrap();
    gateway.start_again_by(std::process::Command::new("env"));
    assert_eq!(gateway.process().wait().code(), Some(2));
    for file in ["cloister.db", "cloister.db-wal", "cloister.db-shm"] {
        drop(std::fs::remove_file(gateway.folder.path().join("state").join(file)));
    }
    gateway.start_again();
}

/// Two gateways in front of the same world, which share Redis.
async fn pair(redis: &Redis) -> (Gateway, Gateway) {
    pair_with(&redis.settings()).await
}

async fn pair_with(settings: &str) -> (Gateway, Gateway) {
    let first = Gateway::test().settings(settings).start().await;
    let second = Gateway::test().settings(settings).start().await;
    std::fs::write(second.folder.path().join("jwks.json"), first.issuer.jwks()).unwrap();
    let token = first.token("acme", "zoe", &["viewer"]);
    let began = Instant::now();
    while status(&second, &token).await != 200 {
        assert!(began.elapsed() < Duration::from_secs(10), "it does not take the first one's tokens");
    }
    (first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_gateway_takes_back_no_other_lets_in_a_second_later() {
    let redis = Redis::start();
    let (first, second) = pair(&redis).await;
    let (mut slowest_here, mut slowest_there) = (Duration::ZERO, Duration::ZERO);
    for user in 0..10 {
        let user = format!("user-{user}");
        let token = first.token("acme", &user, &["viewer"]);
        for gateway in [&first, &second] {
            assert_eq!(status(gateway, &token).await, 200);
        }
        let began = Instant::now();
        assert_eq!(ask(&first, "POST", json!({ "issuer": "main", "user": user })).await.0, 204);
        until_refused(&first, &token).await;
        slowest_here = slowest_here.max(began.elapsed());
        until_refused(&second, &token).await;
        slowest_there = slowest_there.max(began.elapsed());
    }
    println!("refused at the slowest after {slowest_here:?} here, after {slowest_there:?} there");
    second.eventually("it is on record there, too", || {
        let records = second.records(&["--all"]);
        records.all().iter().filter(|record| record["kind"] == "tokens.revoked").count() == 10
    });
    assert_eq!(ask(&second, "DELETE", json!({ "issuer": "main", "user": "user-0" })).await.0, 204);
    first.eventually("it is good again", || first.metric("cloister_revocations") == 9.0);
}

/// The password is replaced as its operator would: both are good for a while, then the old one is none, and who came in by it
/// is put out.
#[tokio::test(flavor = "multi_thread")]
async fn the_password_of_redis_changes_and_the_gateways_go_on_to_hear_each_other() {
    let redis = Redis::start();
    let said = redis.say(None, &["ACL", "SETUSER", "default", "resetpass", ">first-password"]);
    assert_eq!(said, "+OK\r\n");
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    private(&password, "first-password");
    let settings = redis.settings_with(&format!(", password: \"${{file:{}}}\"", password.display()));
    let (first, second) = pair_with(&settings).await;
    let hears = async |user: &str| {
        let token = first.token("acme", user, &["viewer"]);
        assert_eq!(status(&second, &token).await, 200);
        assert_eq!(ask(&first, "POST", json!({ "issuer": "main", "user": user })).await.0, 204);
        until_refused(&second, &token).await
    };
    hears("ada").await;
    let said = redis.say(Some("first-password"), &["ACL", "SETUSER", "default", ">second-password"]);
    assert_eq!(said, "+OK\r\n");
    private(&password, "second-password");
    for gateway in [&first, &second] {
        gateway.eventually("it is taken over", || gateway.metric("cloister_secret_reload_total") == 1.0);
    }
    let said = redis.say(Some("second-password"), &["ACL", "SETUSER", "default", "<first-password"]);
    assert_eq!(said, "+OK\r\n");
    redis.say(Some("second-password"), &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    for user in ["bob", "cyn", "dan"] {
        hears(user).await;
    }
    for gateway in [&first, &second] {
        gateway.eventually("all is well", || !gateway.admin("/readyz").1.contains("Redis"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_gateway_does_what_it_is_told_and_catches_up_later() {
    let mut redis = Redis::start();
    let (first, second) = pair(&redis).await;
    redis.end();
    let token = first.token("acme", "ada", &["viewer"]);
    assert_eq!(ask(&first, "POST", json!({ "issuer": "main", "user": "ada" })).await.0, 204);
    assert_eq!(status(&first, &token).await, 401);
    assert_eq!(status(&second, &token).await, 200, "nobody has told it");
    first.eventually("it says so, and serves on", || {
        let (status, text) = first.admin("/readyz");
        status == 200 && text.contains("what other gateways take back is not known here")
    });
    redis.start_again();
    until_refused(&second, &token).await;
    first.eventually("it hears again", || !first.admin("/readyz").1.contains("Redis"));
}

/// A gateway that takes notices of its issuer.
async fn hearing() -> Gateway {
    hearing_at_most(10_000).await
}

async fn hearing_at_most(most: u32) -> Gateway {
    let issuer = format!("    notices: {{ audiences: [client-1], max_revocations: {most} }}\n    max_lifetime: 2h\n");
    Gateway::test().issuer(&issuer).start().await
}

const FORM: &str = "application/x-www-form-urlencoded";

/// A form that says that a session is over.
fn logout(gateway: &Gateway, audience: &str, sid: &str) -> String {
    let token = gateway.issuer.sign_as(
        "logout+jwt",
        &json!({
            "iss": "https://idp.example.test/", "aud": audience, "iat": now(), "exp": now() + 120, "jti": "n1",
            "sid": sid, "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        }),
    );
    format!("logout_token={token}")
}

/// What came of what the issuer has said.
fn counted(gateway: &Gateway, outcome: &str) -> u32 {
    let name = format!(r#"cloister_notices_total{{issuer="main",outcome="{outcome}"}} "#);
    let (_, text) = gateway.admin("/metrics");
    text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

async fn say(gateway: &Gateway, path: &str, media: &str, body: String) -> (u16, String) {
    let request = reqwest::Client::new().post(format!("http://{}/notices/{path}", gateway.admin));
    let answer = request.header("content-type", media).body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_logs_out_at_the_issuer_is_out_when_the_issuer_has_its_answer() {
    let gateway = hearing().await;
    let session = |sid: &str| {
        let mut claims = claims("acme", "ada", &["viewer"]);
        (claims["sid"], claims["iat"]) = (sid.into(), now().into());
        gateway.issuer.sign(&claims)
    };
    let (one, other) = (session("s1"), session("s2"));
    assert_eq!((status(&gateway, &one).await, status(&gateway, &other).await), (200, 200));
    let refused = say(&gateway, "logout", FORM, logout(&gateway, "client-2", "s1")).await;
    assert_eq!(refused.0, 400, "{}", refused.1);
    assert_eq!(status(&gateway, &one).await, 200);
    let heard = say(&gateway, "logout", FORM, logout(&gateway, "client-1", "s1")).await;
    assert_eq!(heard, (200, String::new()));
    assert_eq!((status(&gateway, &one).await, status(&gateway, &other).await), (401, 200));
    assert_eq!(gateway.metric("cloister_revocations"), 1.0);
    gateway.eventually("it is on record who did it", || {
        let records = gateway.records(&["--all"]);
        records.all().iter().any(|record| record["of"] == "session" && record["by"] == "issuer")
    });
    assert_eq!((counted(&gateway, "taken"), counted(&gateway, "audience"), counted(&gateway, "key")), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_takes_back_more_than_it_may_takes_back_all_that_it_has_issued() {
    let gateway = hearing_at_most(2).await;
    let token = |issued: u64| {
        let mut claims = claims("acme", "zoe", &["viewer"]);
        claims["iat"] = issued.into();
        gateway.issuer.sign(&claims)
    };
    let earlier = token(now());
    for sid in ["s1", "s2", "s1"] {
        assert_eq!(say(&gateway, "logout", FORM, logout(&gateway, "client-1", sid)).await.0, 200);
    }
    assert_eq!(status(&gateway, &earlier).await, 200);
    assert_eq!(say(&gateway, "logout", FORM, logout(&gateway, "client-1", "s3")).await.0, 200);
    assert_eq!(status(&gateway, &earlier).await, 401, "nothing that was taken back is lost");
    assert_eq!(status(&gateway, &token(now() + 2)).await, 200, "what it issues from now on is good");
    assert_eq!(gateway.metric("cloister_revocations"), 3.0);
    assert_eq!((counted(&gateway, "taken"), counted(&gateway, "coarse")), (3, 1));
    let (code, out, _) = revocations(&gateway, "list", &[]);
    assert!(code == 0 && out.lines().any(|line| line.starts_with("issuer") && line.ends_with("issuer")), "{out}");
    assert_eq!(ask(&gateway, "DELETE", json!({ "issuer": "main", "before": "now" })).await.0, 204);
    assert_eq!(status(&gateway, &earlier).await, 200, "an operator can say that it was a mistake");
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_account_is_disabled_at_the_issuer_is_out_with_every_token() {
    let gateway = hearing().await;
    let token = |user: &str| {
        let mut claims = claims("acme", user, &["viewer"]);
        claims["iat"] = now().into();
        gateway.issuer.sign(&claims)
    };
    let (ada, bob) = (token("ada"), token("bob"));
    assert_eq!((status(&gateway, &ada).await, status(&gateway, &bob).await), (200, 200));
    const DISABLED: &str = "https://schemas.openid.net/secevent/risc/event-type/account-disabled";
    let event = |by: &token::forge::Issuer| {
        by.sign_as(
            "secevent+jwt",
            &json!({
                "iss": "https://idp.example.test/", "aud": "client-1", "iat": now(), "jti": "n1",
                "sub_id": { "format": "iss_sub", "iss": "https://idp.example.test/", "sub": "ada" },
                "events": { DISABLED: { "reason": "hijacking" } },
            }),
        )
    };
    const EVENT: &str = "application/secevent+jwt";
    let forged = say(&gateway, "events", EVENT, event(&token::forge::Issuer::es256("key-1"))).await;
    assert!(forged.0 == 400 && forged.1.contains("invalid_key"), "{forged:?}");
    assert_eq!(status(&gateway, &ada).await, 200);
    assert_eq!(say(&gateway, "events", EVENT, event(&gateway.issuer)).await.0, 202);
    assert_eq!((status(&gateway, &ada).await, status(&gateway, &bob).await), (401, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_whose_notices_nobody_wants_is_not_heard() {
    let gateway = Gateway::test().start().await;
    assert_eq!(say(&gateway, "logout", "application/x-www-form-urlencoded", "logout_token=a.b.c".into()).await.0, 404);
}
