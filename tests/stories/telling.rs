//! Backends are told claims in fields of their own, as they are or not at all.

use serde_json::{Value, json};

use crate::harness::{Gateway, Setup, claims};

fn world() -> Setup {
    Gateway::test().defence(
        "assertion: { fields: { X-Email: email, X-Groups: { claim: /realm/groups, as: list, join: \"; \" }, \
         X-Level: { claim: level, as: number }, X-Name: { claim: name, as: json } } }",
    )
}

/// A request with a token that has these claims besides.
fn request(gateway: &Gateway, path: &str, more: &Value) -> reqwest::RequestBuilder {
    let mut all = claims("acme", "ada", &["viewer"]);
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    gateway.request("GET", "acme", path).bearer_auth(gateway.issuer.sign(&all))
}

const NAMES: [&str; 4] = ["x-email", "x-groups", "x-level", "x-name"];

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_is_told_each_claim_in_its_form_and_can_verify_it() {
    let gateway = world().start().await;
    let more = json!({ "email": "ada@example.com", "realm": { "groups": ["a b", "c"] }, "level": 7, "name": "Zoë" });
    assert_eq!(gateway.send(request(&gateway, "/orders/1", &more)).await.status, 200);
    let seen = gateway.backend.last();
    let told = NAMES.map(|name| seen.field(name).unwrap().to_owned());
    assert_eq!(told, ["ada@example.com", "a b; c", "7", "\"Zo\\u00eb\""]);
    let payload = seen.field("x-cloister-assertion").unwrap().split('.').nth(1).unwrap();
    let payload = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, payload).unwrap();
    let assertion: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(NAMES.map(|name| assertion["fields"][name].as_str().unwrap().to_owned()), told);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_says_what_only_a_token_may_say() {
    let gateway = world().start().await;
    let spellings = ["X-Email", "x-EMAIL", "xemail", "X--Email", "X-E-Mail"];
    for (path, more) in [
        ("/orders/1", json!({})),
        ("/orders/1", json!({ "email": null })),
        ("/orders/1", json!({ "email": "ada@example.com" })),
        ("/public/page", json!({})),
    ] {
        for spelling in spellings {
            let forged = request(&gateway, path, &more).header(spelling, "forged").header("x-level", "99");
            assert_eq!(gateway.send(forged).await.status, 200, "{path} {spelling}");
            let seen = gateway.backend.last();
            assert!(!seen.fields.values().any(|value| value == "forged" || value == "99"), "{path} {spelling}");
            let told = if path == "/orders/1" { more["email"].as_str() } else { None };
            assert_eq!(seen.field("x-email"), told, "{path} {spelling}");
        }
    }
    for ambiguous in ["X_Email", "X.Email"] {
        let forged = request(&gateway, "/orders/1", &json!({})).header(ambiguous, "forged");
        assert_eq!(gateway.send(forged).await.status, 400, "{ambiguous}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_no_field_can_hold_has_the_request_refused_and_that_is_on_record() {
    let gateway = world().start().await;
    let unfit = [
        json!({ "email": "a\r\nX-Roles: admin" }),
        json!({ "email": "a\u{0}" }),
        json!({ "email": "Zoë@example.com" }),
        json!({ "email": ["a"] }),
        json!({ "realm": { "groups": ["a; admin"] } }),
        json!({ "level": "7" }),
        json!({ "name": "n".repeat(3_000) }),
    ];
    for more in &unfit {
        let answer = gateway.send(request(&gateway, "/orders/1", more)).await;
        assert_eq!((answer.status, gateway.reason(&answer).as_str()), (401, "auth.invalid.claims"), "{more}");
    }
    assert!(gateway.backend.seen().is_empty());
    assert_eq!(gateway.metric("cloister_fail_closed_total"), unfit.len() as f64);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_token_reaches_a_backend_that_is_to_have_it_and_no_other() {
    for (setting, forwarded) in [("forward_token: true", true), ("forward_token: false", false)] {
        let gateway = Gateway::test().defence(&format!("assertion: {{ {setting} }}")).start().await;
        let token = gateway.token("acme", "ada", &["viewer"]);
        let answer = gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(&token)).await;
        assert_eq!(answer.status, 200);
        let expected = forwarded.then(|| format!("Bearer {token}"));
        assert_eq!(gateway.backend.last().field("authorization"), expected.as_deref());
        assert!(gateway.backend.last().field("x-cloister-assertion").is_some());
    }
}
