//! No header that only Cloister may write reaches a backend from a client.

use serde_json::Value;

use crate::harness::Gateway;

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_tenant_header_never_reaches_the_backend() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let forged = gateway
        .request("GET", "acme", "/orders/1")
        .bearer_auth(token)
        .header("X-Tenant-Id", "globex")
        .header("x-TENANT-id", "initech")
        .header("X-User-Id", "root")
        .header("X-Roles", "admin")
        .header("X-Cloister-Assertion", "e30.e30.e30")
        .header("X-Cloister-Anything", "forged")
        .header("Signature", "sig=:AA==:")
        .header("X-Forwarded-For", "203.0.113.9")
        .header("X-Forwarded-Prefix", "/admin")
        .header("True-Client-IP", "203.0.113.9");

    let answer = gateway.send(forged).await;

    assert_eq!(answer.status, 200);
    let seen = gateway.backend.last();
    assert_eq!(seen.field("x-tenant-id"), Some("acme"));
    assert_eq!(seen.field("x-user-id"), Some("ada"));
    assert_eq!(seen.field("x-roles"), Some("viewer"));
    assert_eq!(seen.field("x-cloister-anything"), None);
    assert_eq!(seen.field("signature"), None);
    assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-prefix"), None);
    assert_eq!(seen.field("true-client-ip"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_underscore_does_not_make_another_header_of_it() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let answer = gateway
        .send(gateway.request("GET", "acme", "/orders/1").bearer_auth(token).header("X_Tenant_Id", "globex"))
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(gateway.reason(&answer), "request.malformed.field");
    assert!(gateway.backend.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_makes_another_method_or_path_of_what_was_judged() {
    let gateway = Gateway::test().start().await;
    for (name, value) in
        [("x-http-method-override", "DELETE"), ("x-original-url", "/admin"), ("x-rewrite-url", "/admin")]
    {
        let token = gateway.token("acme", "ada", &["viewer"]);
        let answer =
            gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(token).header(name, value)).await;
        assert_eq!(answer.status, 400, "{name}");
        assert_eq!(gateway.reason(&answer), "request.malformed.field");
    }
    assert!(gateway.backend.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_header_cannot_nominate_our_headers_away() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let request = gateway
        .request("GET", "acme", "/orders/1")
        .bearer_auth(token)
        .header("connection", "X-Tenant-Id, X-Cloister-Assertion");
    let answer = gateway.send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(gateway.backend.last().field("x-tenant-id"), Some("acme"));
    assert!(gateway.backend.last().field("x-cloister-assertion").is_some());
    assert!(gateway.backend.last().fields.get("connection").is_none_or(|value| value == "keep-alive"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_token_stays_with_the_gateway() {
    let gateway = Gateway::test().start().await;
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    assert_eq!(gateway.backend.last().field("authorization"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_route_gives_no_identity_and_takes_none_from_the_client() {
    let gateway = Gateway::test().start().await;
    let request =
        gateway.request("GET", "acme", "/public/page").header("X-Tenant-Id", "acme").header("X-User-Id", "root");
    assert_eq!(gateway.send(request).await.status, 200);
    let seen = gateway.backend.last();
    for name in ["x-tenant-id", "x-user-id", "x-roles", "x-cloister-assertion"] {
        assert_eq!(seen.field(name), None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_can_prove_who_asked_with_the_published_keys() {
    let gateway = Gateway::test().start().await;
    assert_eq!(gateway.get("acme", "/orders/1?page=2").await.status, 200);
    let seen = gateway.backend.last();
    let (status, jwks) = gateway.admin("/.well-known/cloister/jwks.json");
    assert_eq!(status, 200);
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&jwks).unwrap();
    let assertion = seen.field("x-cloister-assertion").unwrap();
    let header = jsonwebtoken::decode_header(assertion).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    validation.set_audience(&["backend"]);
    validation.set_issuer(&["https://gateway.example.test"]);

    let claims = jsonwebtoken::decode::<Value>(assertion, &key, &validation).unwrap().claims;

    assert_eq!(claims["tenant"], "acme");
    assert_eq!(claims["sub"], "ada");
    assert_eq!(claims["roles"][0], "viewer");
    assert_eq!(claims["htm"], "GET");
    assert!(claims["htu"].as_str().unwrap().ends_with("/orders/1"), "{}", claims["htu"]);
    assert!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap() <= 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_cloister_may_say_does_not_come_back_from_a_backend() {
    let gateway = Gateway::test().start().await;
    let answer = gateway.get("acme", "/orders/1").await;
    assert_eq!(answer.field("server"), None);
    assert_eq!(answer.field("x-cloister-forged"), None);
    assert_eq!(answer.request_id().len(), 32);
}
