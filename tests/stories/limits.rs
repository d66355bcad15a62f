//! What a tenant may spend, and what a refusal costs.

use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::harness::{Gateway, POLICIES};

#[tokio::test(flavor = "multi_thread")]
async fn the_request_after_the_burst_is_told_when_to_come_again() {
    let gateway = Gateway::test().start().await;
    for left in (0..3).rev() {
        let answer = gateway.get("acme", "/limited").await;
        assert_eq!(answer.status, 200);
        assert!(answer.field("ratelimit").unwrap().contains(&format!("r={left}")), "{:?}", answer.field("ratelimit"));
        assert!(answer.field("ratelimit-policy").unwrap().contains("\"strict\""));
    }
    let answer = gateway.get("acme", "/limited").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.code(), "quota_exceeded");
    assert!(answer.field("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(gateway.reason(&answer), "limit.rate");
    assert_eq!(gateway.backend.seen().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_users_limit_is_not_anothers() {
    let gateway = Gateway::test().start().await;
    for user in ["ada", "bob"] {
        for tenant in ["acme", "globex"] {
            for _ in 0..3 {
                let token = gateway.token(tenant, user, &["viewer"]);
                let answer = gateway.send(gateway.request("GET", tenant, "/limited").bearer_auth(token)).await;
                assert_eq!(answer.status, 200, "{user} of {tenant}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_policies_does_not_give_back_what_was_spent() {
    let gateway = Gateway::test().start().await;
    for _ in 0..3 {
        assert_eq!(gateway.get("acme", "/limited").await.status, 200);
    }
    gateway.reload(&format!("{}\n# changed\n", crate::harness::POLICIES));
    assert_eq!(gateway.get("acme", "/limited").await.status, 429);
}

/// The small world, in which orders have these limits.
fn world(limits: &str, route: &str, more: &str) -> String {
    let text = POLICIES.replacen("limits:\n", &format!("limits:\n{limits}"), 1);
    format!("{}{more}", text.replacen("    limits: [generous]\n", &format!("    {route}\n"), 1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_so_many_requests_in_flight_and_each_that_ends_makes_room() {
    let limits = "  flights: { concurrency: 3, key: [tenant] }\n";
    let gateway = Gateway::test().policies(&world(limits, "limits: [flights]", "")).start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let hang = || gateway.request("GET", "acme", "/orders/hangs").bearer_auth(&token).send();
    let hanging: Vec<_> = (0..3).map(|_| spawn(hang())).collect();
    gateway.eventually("three are in flight", || gateway.metric("cloister_requests_in_progress") == 3.0);
    let refused = gateway.get("acme", "/orders/1").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "quota_exceeded"));
    assert_eq!(refused.field("retry-after"), Some("1"));
    assert_eq!(refused.field("ratelimit-policy"), Some(r#""flights";q=3;qu="concurrent-requests""#));
    assert_eq!(refused.field("ratelimit"), Some(r#""flights";r=0;t=1"#));
    let problem: serde_json::Value = serde_json::from_str(&refused.text()).unwrap();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["violated-policies"], serde_json::json!(["flights"]));
    let id = refused.request_id();
    let records = gateway.records(&["--id", &id]);
    assert_eq!(
        (&records.of(&id)["reason"], &records.of(&id)["limit"]),
        (&"limit.concurrency".into(), &"flights".into())
    );
    assert_eq!(gateway.get("globex", "/orders/1").await.status, 200, "another tenant has its own places");
    for hanging in hanging {
        hanging.abort(); // the client is gone
    }
    gateway.eventually("they are over", || gateway.metric("cloister_requests_in_progress") == 0.0);
    for _ in 0..10 {
        assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    }
    assert_eq!(gateway.metric("cloister_limit_refused_total"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_takes_its_place_until_it_is_closed_and_a_failing_backend_gives_it_back() {
    let limits = "  flights: { concurrency: 1, key: [tenant] }\n";
    let policies = world(limits, "limits: [flights]", "");
    let policies = policies.replacen("    upgrade: websocket\n", "    upgrade: websocket\n    limits: [flights]\n", 1);
    let gateway = Gateway::test().policies(&policies).start().await;
    for _ in 0..3 {
        assert_eq!(gateway.get("acme", "/orders/1?status=500").await.status, 500);
    }
    let socket = socket(&gateway, "acme").await;
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 429);
    drop(socket);
    gateway.eventually("the socket is closed", || gateway.metric("cloister_requests_in_progress") == 0.0);
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_gives_its_tenants_their_numbers_and_a_reload_others_without_giving_back_what_was_spent() {
    let limits = "  hourly: { rate: 1/h, burst: 2, key: [tenant] }\n";
    let with = |gold: u32| {
        let plans = format!("plans: {{ gold: {{ hourly: {{ rate: 1/h, burst: {gold} }} }}, silver: {{}} }}\n");
        let text = world(limits, "limits: [hourly]", &plans);
        text.replacen("acme: { status: active }", "acme: { status: active, plan: gold }", 1)
    };
    let gateway = Gateway::test().policies(&with(4)).start().await;
    let passing = async |tenant: &str| {
        let mut passed = 0;
        while gateway.get(tenant, "/orders/1").await.status == 200 {
            passed += 1;
        }
        passed
    };
    assert_eq!(passing("acme").await, 4);
    assert_eq!(passing("globex").await, 2);
    gateway.reload(&with(7));
    assert_eq!(passing("acme").await, 3, "three more than before");
    assert_eq!(passing("globex").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_only_looks_lets_all_through_and_says_so_on_record() {
    let limits = "  tight: { rate: 1/h, burst: 1, key: [tenant], mode: shadow }\n";
    let gateway = Gateway::test().policies(&world(limits, "limits: [tight]", "")).start().await;
    for (n, expected) in [serde_json::Value::Null, "tight".into(), "tight".into()].into_iter().enumerate() {
        let answer = gateway.get("acme", "/orders/1").await;
        assert_eq!((answer.status, answer.field("ratelimit-policy")), (200, None), "{n}");
        let id = answer.request_id();
        let records = gateway.records(&["--id", &id]);
        assert_eq!((&records.of(&id)["limit"], &records.of(&id)["decision"]), (&expected, &"allow".into()), "{n}");
    }
    assert_eq!(gateway.metric("cloister_limit_would_refuse_total"), 2.0);
    assert_eq!(gateway.metric("cloister_limit_refused_total"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_spent_its_bytes_waits_until_they_are_back() {
    let limits = "  volume: { bytes: 64KiB/h, key: [tenant] }\n";
    let gateway = Gateway::test().policies(&world(limits, "limits: [volume]", "")).start().await;
    let send = async |bytes: usize| {
        let token = gateway.token("acme", "ada", &["clerk"]);
        gateway.send(gateway.request("PUT", "acme", "/orders/1").bearer_auth(token).body(vec![b'x'; bytes])).await
    };
    assert_eq!(send(20 << 10).await.status, 200); // and back again: 40 KiB
    let second = send(20 << 10).await;
    assert_eq!(second.status, 200, "it is not known before how much it will be");
    assert_eq!(second.field("ratelimit-policy"), Some(r#""volume";q=65536;qu="content-bytes";w=3600"#));
    let refused = send(1).await;
    assert_eq!((refused.status, gateway.reason(&refused).as_str()), (429, "limit.bytes"));
    let wait: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((800..=900).contains(&wait), "16 KiB too much, at 64 KiB an hour: {wait}");
    assert_eq!(gateway.get("globex", "/orders/1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_so_many_wrong_passwords_an_address_is_locked_out() {
    let limits = "  login: { failures: 3, of: [401, 403], within: 10m, lock: 15m, key: [client_ip] }\n";
    let more = "  - id: login\n    match: { host: \"*\", path: \"/login\", methods: [GET] }\n    upstream: backend\n    auth: none\n    limits: [login]\n";
    let gateway = Gateway::test().policies(&world(limits, "limits: [generous]", more)).start().await;
    for status in [401, 200, 403, 500] {
        assert_eq!(gateway.get("acme", &format!("/login?status={status}")).await.status, status);
    }
    let third = gateway.get("acme", "/login?status=401").await;
    assert_eq!((third.status, third.field("ratelimit-policy")), (401, None), "nobody is told how many are left");
    let refused = gateway.get("acme", "/login?status=200").await;
    assert_eq!((refused.status, gateway.reason(&refused).as_str()), (429, "limit.lockout"));
    let problem: serde_json::Value = serde_json::from_str(&refused.text()).unwrap();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#abnormal-usage-detected");
    let wait: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((890..=900).contains(&wait), "{wait}");
    assert_eq!(gateway.backend.seen().len(), 5, "the backend hears nothing of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_locked_out_from_wherever_its_password_is_guessed() {
    let limits = "  account: { failures: 2, within: 10m, lock: 15m, key: [\"path:account\"] }\n";
    let more = "  - id: login\n    match: { host: \"*\", path: \"/login/{account}\" }\n    upstream: backend\n    auth: none\n    limits: [account]\n";
    let proxy = "{ trusted_proxies: [\"127.0.0.1\"] }";
    let gateway = Gateway::test().policies(&world(limits, "limits: [generous]", more)).clients(proxy).start().await;
    let guess = async |account: &str, status: u16, from: &str| {
        let path = format!("/login/{account}?status={status}");
        gateway.send(gateway.request("POST", "acme", &path).header("x-forwarded-for", from)).await
    };
    assert_eq!(guess("ada", 401, "192.0.2.1").await.status, 401);
    assert_eq!(guess("ADA", 401, "192.0.2.2").await.status, 401);
    let refused = guess("%61da", 200, "192.0.2.3").await;
    assert_eq!((refused.status, gateway.reason(&refused).as_str()), (429, "limit.lockout"));
    assert_eq!(guess("bob", 401, "192.0.2.1").await.status, 401, "nobody else is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_can_belong_to_a_claim_to_a_role_and_to_an_issuer() {
    let limits = "  org: { rate: 1/h, burst: 2, key: [\"claim:org\"] }\n  role: { rate: 1/h, burst: 4, key: [tenant, role, issuer] }\n";
    let setup = Gateway::test().policies(&world(limits, "limits: [org, role]\n    cost: 2", ""));
    let gateway = setup.settings("claims: { org: \"/organisation/id\" }\n").start().await;
    let ask = async |org: Option<serde_json::Value>, role: &str| {
        let mut claims = crate::harness::claims("acme", "ada", &[role]);
        if let Some(org) = org {
            claims["organisation"] = serde_json::json!({ "id": org });
        }
        claims["jti"] = format!("{claims}").into();
        let token = gateway.issuer.sign(&claims);
        let method = if role == "clerk" { "PUT" } else { "GET" }; // each is granted by its own role
        gateway.send(gateway.request(method, "acme", "/orders/1").bearer_auth(token)).await.status
    };
    assert_eq!(ask(Some("a".into()), "viewer").await, 200);
    assert_eq!(ask(Some("a".into()), "clerk").await, 429, "one organisation, whatever the role");
    assert_eq!(ask(Some("b".into()), "viewer").await, 200);
    assert_eq!(ask(Some("c".into()), "viewer").await, 429, "viewers have used up theirs");
    assert_eq!(ask(None, "clerk").await, 200, "who has none shares");
    assert_eq!(ask(Some(7.into()), "clerk").await, 429, "and so does who has one that is no text");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_comes_too_often_is_refused_before_its_token_is_looked_at() {
    let limits = "  per_address: { rate: 1/h, burst: 4, key: [client_ip] }\n";
    let gateway =
        Gateway::test().policies(&world(limits, "limits: [generous]", "arrival: [per_address]\n")).start().await;
    let junk = async || gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth("junk")).await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let good = async |path: &str| gateway.send(gateway.request("GET", "acme", path).bearer_auth(&token)).await;
    assert_eq!(junk().await.status, 401);
    assert_eq!(good("/orders/1").await.status, 200);
    assert_eq!(good("/nowhere").await.status, 404, "what has no route counts, too");
    assert_eq!(junk().await.status, 401);
    for answer in [junk().await, good("/orders/1").await, good("/nowhere").await] {
        assert_eq!((answer.status, gateway.reason(&answer).as_str()), (429, "limit.rate"));
        let records = gateway.records(&["--id", &answer.request_id()]);
        let record = records.of(&answer.request_id());
        assert_eq!((&record["limit"], &record["tenant"]), (&"per_address".into(), &serde_json::Value::Null));
    }
    assert_eq!(gateway.backend.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_restart_nor_a_kill_gives_back_what_was_used_of_a_quota() {
    let limits = "  daily: { quota: 10, per: day, key: [tenant, user] }\n";
    let text = world(limits, "limits: [daily]", "");
    let text = text.replacen("acme: { status: active }", "acme: { status: active, time_zone: Asia/Kolkata }", 1);
    let mut gateway = Gateway::test().policies(&text).start().await;
    let ask = async |gateway: &Gateway, user: &str| {
        let token = gateway.token("acme", user, &["viewer"]);
        gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(token)).await
    };
    for left in (5..10).rev() {
        let answer = ask(&gateway, "ada").await;
        assert_eq!(answer.status, 200);
        assert!(answer.field("ratelimit").unwrap().starts_with(&format!("\"daily\";r={left};t=")));
    }
    gateway.process().signal("TERM");
    gateway.process().wait();
    gateway.start_again();
    for left in (2..5).rev() {
        let answer = ask(&gateway, "ada").await;
        assert!(answer.field("ratelimit").unwrap().starts_with(&format!("\"daily\";r={left};t=")), "to the last one");
    }
    gateway.eventually("the log tells of it", || gateway.said().contains("a quota is nearly used up, or is"));
    assert_eq!(gateway.metric("cloister_quota_near_total"), 1.0);
    assert_eq!(ask(&gateway, "bob").await.status, 200);
    let store = store::Store::open_existing(&gateway.folder.path().join("state")).unwrap();
    let charged = || {
        let mut counts: Vec<u32> = store.quotas(0).unwrap().0.iter().map(|kept| kept.count).collect();
        counts.sort_unstable();
        counts
    };
    gateway.eventually("all of it is kept", || matches!(*charged(), [2, 9..=11]));
    let of_ada = charged()[1]; // eight, and once more what was used just before they were kept
    gateway.process().signal("KILL");
    gateway.process().wait();
    gateway.start_again();
    let answer = ask(&gateway, "ada").await;
    match of_ada {
        9 => assert!(answer.field("ratelimit").unwrap().starts_with("\"daily\";r=0"), "{answer:?}"),
        _ => assert_eq!((answer.status, gateway.reason(&answer).as_str()), (429, "limit.quota")),
    }
    let bob = ask(&gateway, "bob").await;
    assert!(bob.field("ratelimit").unwrap().starts_with("\"daily\";r=7"), "one, and once more what it was: {bob:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_know_no_better_are_told_in_older_fields_too() {
    let gateway = Gateway::test().settings("response: { rate_limit_fields: older }\n").start().await;
    let told = |answer: &crate::harness::Answer| {
        ["limit", "remaining", "reset"]
            .map(|name| answer.field(&format!("x-ratelimit-{name}")).unwrap().parse::<u32>().unwrap())
    };
    for left in (0..3).rev() {
        let [limit, remaining, reset] = told(&gateway.get("acme", "/limited").await);
        assert_eq!((limit, remaining), (1, left));
        assert!(reset <= 3_600 * (3 - left));
    }
    let refused = gateway.get("acme", "/limited").await;
    assert_eq!((refused.status, told(&refused)[1]), (429, 0));
    let plain = Gateway::test().start().await;
    assert_eq!(plain.get("acme", "/limited").await.field("x-ratelimit-limit"), None);
}

#[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::spawn(task)
}

pub(super) async fn socket(gateway: &Gateway, tenant: &str) -> impl Sized + use<> {
    let mut request = format!("ws://{}/socket", gateway.address).into_client_request().unwrap();
    let token = gateway.token(tenant, "ada", &["viewer"]);
    request.headers_mut().insert("host", format!("{tenant}.example.test").parse().unwrap());
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    tokio_tungstenite::connect_async(request).await.unwrap()
}
