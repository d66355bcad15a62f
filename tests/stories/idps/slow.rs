use std::time::{Duration, Instant};

use serde_json::json;
use token::forge::Issuer;

use crate::harness::{Answer, Gateway, Idp, Mood, POLICIES, claims};

/// One way of doing badly, and what its users get: before any key was ever had, while keys are known, when they have
/// grown too old, and for a token about which it is asked.
type Row = (Mood, u16, u16, u16, u16);

const TABLE: &[Row] = &[
    // mood            no keys  known  stale  asked
    (Mood::Well, 200, 200, 200, 200),
    (Mood::Slow, 200, 200, 200, 200),
    (Mood::Dead, 503, 200, 503, 503),
    (Mood::Broken, 503, 200, 503, 503),
    (Mood::Elsewhere, 503, 200, 503, 503),
    (Mood::Garbage, 503, 200, 503, 503),
    (Mood::Huge, 503, 200, 503, 503),
    (Mood::Mute, 503, 200, 503, 503),
];

const MAX_STALE: Duration = Duration::from_secs(4);

/// All of them are issuers of one gateway, side by side: none is in another's way.
#[tokio::test(flavor = "multi_thread")]
async fn the_users_of_an_identity_provider_that_does_badly_get_what_the_table_says_and_all_others_what_they_always_get()
{
    let key = Issuer::es256("key-1");
    let mut idps = Vec::new();
    for (mood, ..) in TABLE {
        idps.push((format!("{mood:?}").to_lowercase(), Idp::start(&key.jwks(), *mood).await));
    }
    let gateway = start(&idps).await;
    let token = |name: &str, user: usize| {
        let mut claims = claims("acme", &format!("user-{user}"), &["viewer"]);
        claims["iss"] = json!(format!("https://{name}.example/"));
        key.sign(&claims)
    };
    let ask = async |path: String, token: &str| {
        let started = Instant::now();
        let answer = gateway.send(gateway.request("GET", "acme", &path).bearer_auth(token)).await;
        assert!(started.elapsed() < Duration::from_secs(4), "{path}: nobody waits for long");
        answer
    };
    let expect = |what: &str, answer: &Answer, status: u16| {
        let reason = if status == 200 { "allowed" } else { "auth.unavailable" };
        assert_eq!((answer.status, gateway.reason(answer).as_str()), (status, reason), "{what}");
    };
    for ((name, idp), (mood, none, _, _, asked)) in idps.iter().zip(TABLE) {
        if *none == 200 {
            gateway.eventually("its keys were read", || {
                gateway.admin("/readyz").1.contains(&format!("{name}-keys")).eq(&false)
            });
        }
        expect(&format!("{mood:?}, no keys"), &ask(format!("/jwt/{name}"), &token(name, 1)).await, *none);
        idp.grant(name, &granted(name));
        expect(&format!("{mood:?}, asked"), &ask(format!("/opaque/{name}"), name).await, *asked);
    }

    idps.iter().for_each(|(_, idp)| idp.is(Mood::Well));
    for (name, _) in &idps {
        let deadline = Instant::now() + Duration::from_secs(45);
        while ask(format!("/jwt/{name}"), &token(name, 2)).await.status != 200 {
            assert!(Instant::now() < deadline, "{name} is well again, and nobody sees it");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    idps.iter().zip(TABLE).for_each(|((_, idp), (mood, ..))| idp.is(*mood));
    let since = Instant::now();
    for ((name, _), (mood, _, known, ..)) in idps.iter().zip(TABLE) {
        expect(&format!("{mood:?}, seen before"), &ask(format!("/jwt/{name}"), &token(name, 2)).await, *known);
        expect(&format!("{mood:?}, keys known"), &ask(format!("/jwt/{name}"), &token(name, 3)).await, *known);
    }
    assert!(since.elapsed() < MAX_STALE / 2, "this was to be quick: {:?}", since.elapsed());

    tokio::time::sleep_until((since + MAX_STALE + Duration::from_secs(2)).into()).await;
    for ((name, _), (mood, _, _, stale, _)) in idps.iter().zip(TABLE) {
        expect(
            &format!("{mood:?}, seen before, keys too old"),
            &ask(format!("/jwt/{name}"), &token(name, 2)).await,
            *stale,
        );
        expect(&format!("{mood:?}, keys too old"), &ask(format!("/jwt/{name}"), &token(name, 4)).await, *stale);
    }
    let (status, ready) = gateway.admin("/readyz");
    assert!(status == 200 && ready.contains("mute-keys"), "some do badly, the gateway does not: {ready}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_provider_that_rotates_its_keys_costs_no_user_a_refusal() {
    let idp = Idp::start(&Issuer::es256("key-0").jwks(), Mood::Well).await;
    let gateway = Gateway::test().jwks(&format!("{{ url: \"{}\" }}", idp.url("/jwks.json"))).start().await;
    for round in 0..3 {
        let next = Issuer::es256(&format!("key-{}", round + 1));
        idp.publish(&next.jwks());
        let tokens: Vec<_> =
            (0..20).map(|user| next.sign(&claims("acme", &format!("user-{user}"), &["viewer"]))).collect();
        let ask = |token| gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(token));
        let answers = futures::future::join_all(tokens.iter().map(ask)).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "round {round}");
        tokio::time::sleep(Duration::from_secs(12)).await; // an issuer is asked out of turn once in ten seconds
    }
}

fn granted(name: &str) -> serde_json::Value {
    let mut claims = claims("acme", "ada", &["viewer"]);
    claims["iss"] = json!(format!("https://{name}-opaque.example/"));
    claims
}

/// A gateway with two issuers at each of these: one whose keys are fetched, one that is asked.
async fn start(idps: &[(String, Idp)]) -> Gateway {
    let (mut issuers, mut routes) = (String::new(), String::new());
    for (name, idp) in idps {
        issuers.push_str(&format!(
            r#"  {name}-keys:
    issuer: "https://{name}.example/"
    audiences: [saas-api]
    algorithms: [ES256]
    jwks: {{ url: "{}", refresh: 1s, max_stale: {}s }}
  {name}-asked:
    issuer: "https://{name}-opaque.example/"
    audiences: [saas-api]
    introspection: {{ url: "{}", client_id: gateway, client_secret: "${{env:IDP_SECRET}}", timeout: 1500ms }}
"#,
            idp.url("/jwks.json"),
            MAX_STALE.as_secs(),
            idp.url("/introspect"),
        ));
        for (kind, issuer) in [("jwt", "keys"), ("opaque", "asked")] {
            routes.push_str(&format!(
                r#"  - id: {kind}-{name}
    match: {{ host: "*", path: "/{kind}/{name}" }}
    upstream: backend
    auth: {{ issuers: [{name}-{issuer}], tenant_from: [token] }}
    allow: {{ GET: "order:read" }}
"#
            ));
        }
    }
    let policies = format!("{POLICIES}{routes}");
    Gateway::test().policies(&policies).issuer(&issuers).environment("IDP_SECRET", "s3cret").start().await
}
