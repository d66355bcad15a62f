//! Opaque tokens, about which their issuer is asked.

use serde_json::json;

use crate::harness::{Gateway, Idp, Mood, POLICIES, claims};

const SECRET: &str = "correct-horse-battery";

async fn start(idp: &Idp) -> Gateway {
    let policies = POLICIES.replace("issuers: [main]", "issuers: [main, opaque]");
    let issuer = format!(
        r#"  opaque:
    issuer: "https://opaque.example/"
    audiences: [saas-api]
    introspection: {{ url: "{}", client_id: gateway, client_secret: "${{env:IDP_SECRET}}", remember: 1s, timeout: 1s }}
"#,
        idp.url("/introspect")
    );
    Gateway::test().policies(&policies).issuer(&issuer).environment("IDP_SECRET", SECRET).start().await
}

fn granted(tenant: &str, user: &str) -> serde_json::Value {
    let mut claims = claims(tenant, user, &["viewer"]);
    claims["iss"] = json!("https://opaque.example/");
    claims["iat"] = json!(crate::harness::now() - 100);
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_token_opens_what_its_issuer_says_and_nothing_else() {
    let idp = Idp::start("{}", Mood::Well).await;
    let gateway = start(&idp).await;
    idp.grant("acme-token", &granted("acme", "ada"));
    let ask = async |tenant: &str, token: &str| {
        let answer = gateway.send(gateway.request("GET", tenant, "/orders/1").bearer_auth(token)).await;
        (answer.status, gateway.reason(&answer))
    };
    assert_eq!(ask("acme", "acme-token").await, (200, "allowed".into()));
    assert_eq!(gateway.backend.last().field("x-user-id"), Some("ada"));
    assert_eq!(ask("globex", "acme-token").await, (403, "tenant.mismatch".into()));
    assert_eq!(ask("acme", "made-up").await, (401, "auth.invalid.inactive".into()));
    assert_eq!(ask("acme", "a.b.c").await, (401, "auth.invalid.inactive".into()));
    let asked = idp.asked().len();
    for _ in 0..20 {
        assert_eq!(ask("acme", "made-up").await, (401, "auth.invalid.inactive".into()));
    }
    assert_eq!(idp.asked().len(), asked, "the answer is believed for a while");
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200, "jwts of the other issuer are what they were");
    let token = gateway.token("acme", "ada", &["viewer"]);
    assert!(idp.asked().iter().all(|request| !request.contains(&token)), "nor is one shown to this one");
    assert!(idp.asked()[0].contains("authorization: Basic "), "{:?}", idp.asked());

    idp.take_back("acme-token");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while ask("acme", "acme-token").await.0 == 200 {
        assert!(std::time::Instant::now() < deadline, "it is good for ever");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(ask("acme", "acme-token").await, (401, "auth.invalid.inactive".into()));
    let (_, metrics) = gateway.admin("/metrics");
    assert!(metrics.contains("cloister_introspections_total{issuer=\"opaque\",outcome=\"remembered\"} "), "{metrics}");
    assert!(!metrics.contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_token_is_taken_back_as_any_other() {
    let idp = Idp::start("{}", Mood::Well).await;
    let gateway = start(&idp).await;
    for (token, change) in [("by-jti", ("jti", "t1")), ("by-sid", ("sid", "s1")), ("neither", ("jti", "t2"))] {
        let mut claims = granted("acme", "ada");
        claims[change.0] = json!(change.1);
        idp.grant(token, &claims);
    }
    idp.grant("by-user", &granted("acme", "eve"));
    let ask = async |token: &str| gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(token)).await;
    let all = ["by-jti", "by-sid", "by-user", "neither"];
    for token in all {
        assert_eq!(ask(token).await.status, 200, "{token}");
    }
    let revoked = r#"
revoked:
  - { issuer: opaque, jti: t1 }
  - { issuer: opaque, sid: s1 }
  - { issuer: opaque, user: eve }
"#;
    let policies = POLICIES.replace("issuers: [main]", "issuers: [main, opaque]");
    gateway.reload(&format!("{policies}{revoked}"));
    for token in all {
        let answer = ask(token).await;
        let expected = if token == "neither" { (200, "allowed") } else { (401, "auth.invalid.revoked") };
        assert_eq!((answer.status, gateway.reason(&answer).as_str()), expected, "{token}");
    }
}
