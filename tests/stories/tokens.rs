//! Who gets in with which token.

use std::io::{Read as _, Write as _};

use serde_json::json;
use token::forge::Issuer;

use crate::harness::{Gateway, POLICIES, claims, now, rfc3339};

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_gets_in_and_each_bad_one_is_told_apart_in_the_log_only() {
    let gateway = Gateway::test().start().await;
    let sign = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut claims = claims("acme", "ada", &["viewer"]);
        change(&mut claims);
        gateway.issuer.sign(&claims)
    };
    let good = sign(&|_| {});
    let (head, tail) = good.split_at(good.len() - 20);
    let other = if tail.starts_with('A') { "B" } else { "A" };
    let tampered = format!("{head}{other}{}", tail.split_at(1).1);
    let (short, _) = good.split_at(good.len() - 1); // 85 characters of base64url are no whole number of bytes
    let forger = Issuer::es256("key-1");
    let cases = [
        ("", 401, "auth.missing"),
        (&sign(&|claims| claims["exp"] = json!(now() - 3600)), 401, "auth.invalid.expired"),
        (&sign(&|claims| claims["nbf"] = json!(now() + 3600)), 401, "auth.invalid.not_yet"),
        (&sign(&|claims| claims["aud"] = json!("somebody-else")), 401, "auth.invalid.audience"),
        (&sign(&|claims| claims["iss"] = json!("https://evil.example/")), 401, "auth.invalid.issuer"),
        (&sign(&|claims| drop(claims.as_object_mut().unwrap().remove("exp"))), 401, "auth.invalid.claims"),
        (&forger.sign(&claims("acme", "ada", &["viewer"])), 401, "auth.invalid.signature"),
        (&tampered, 401, "auth.invalid.signature"),
        (short, 401, "auth.invalid.malformed"),
        ("not.a.token", 401, "auth.invalid.malformed"),
    ];
    for (token, status, reason) in cases {
        let request = gateway.request("GET", "acme", "/orders/1");
        let request = if token.is_empty() { request } else { request.bearer_auth(token) };
        let answer = gateway.send(request).await;
        assert_eq!(answer.status, status, "{reason}");
        let challenge = answer.field("www-authenticate").unwrap();
        assert_eq!(challenge, if token.is_empty() { "Bearer" } else { "Bearer error=\"invalid_token\"" });
        assert_eq!(gateway.reason(&answer), reason);
        assert!(!answer.text().contains(reason), "the client does not learn which check stopped it");
    }
    assert!(gateway.backend.seen().is_empty());
    assert_eq!(gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(&good)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_a_bearer_token_is_refused() {
    let gateway = Gateway::test().start().await;
    let answer = gateway.send(gateway.request("GET", "acme", "/orders/1").header("authorization", "Basic YTpi")).await;
    assert_eq!(answer.status, 401);
    assert_eq!(gateway.reason(&answer), "auth.invalid.malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_before_the_first_keys_are_there_waits_for_them_and_is_served() {
    let issuer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("{{ url: \"http://{}/jwks.json\" }}", issuer.local_addr().unwrap());
    let gateway = Gateway::test().jwks(&url).unready().start().await;
    let keys = gateway.issuer.jwks();
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = issuer.accept().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(500)); // as an issuer does that is far away
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", keys.len());
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(keys.as_bytes())).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    });
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    answers.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_without_keys_is_an_outage_and_not_a_bad_token() {
    let gateway = Gateway::test().jwks("{ url: \"http://127.0.0.1:9/jwks.json\" }").unready().start().await;
    let answer = gateway.get("acme", "/orders/1").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.code(), "unavailable");
    assert_eq!(gateway.reason(&answer), "auth.unavailable");
    let (status, checks) = gateway.admin("/readyz");
    assert_eq!(status, 503);
    assert!(checks.contains("issuers"), "{checks}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_the_issuer_rotates_are_taken_over_without_a_restart() {
    let gateway = Gateway::test().start().await;
    let next = Issuer::es256("key-2");
    let token = next.sign(&claims("acme", "ada", &["viewer"]));
    let ask = || gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(&token));
    assert_eq!(ask().await.status, 401);
    std::fs::write(gateway.folder.path().join("jwks.json"), next.jwks()).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while ask().await.status != 200 {
        assert!(std::time::Instant::now() < deadline, "the new key is never taken over");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 401, "the old key is no longer good");
}

/// A token that was verified before is remembered, and refused all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_taken_back_is_refused_also_if_it_was_good_a_moment_ago() {
    let gateway = Gateway::test().start().await;
    let signed = |user: &str, change: fn(&mut serde_json::Value)| {
        let mut claims = claims("acme", user, &["viewer"]);
        claims["iat"] = (now() - 100).into();
        change(&mut claims);
        gateway.issuer.sign(&claims)
    };
    let tokens = [
        ("by its name", signed("ada", |claims| claims["jti"] = "t1".into())),
        ("by its session", signed("ada", |claims| claims["sid"] = "s1".into())),
        ("by its user", signed("eve", |_| {})),
        ("by its user and time", signed("bob", |_| {})),
        ("none of it", signed("ada", |claims| claims["jti"] = "t2".into())),
        ("issued later", signed("bob", |claims| claims["iat"] = now().into())),
    ];
    let ask = async |token: &String| gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(token)).await;
    for (what, token) in &tokens {
        assert_eq!(ask(token).await.status, 200, "{what}");
    }
    let revoked = r#"
revoked:
  - { issuer: main, jti: t1 }
  - { issuer: main, sid: s1 }
  - { issuer: main, user: eve }
  - { issuer: main, user: bob, before: "BEFORE" }
"#;
    let before = rfc3339(now() - 50);
    gateway.reload(&format!("{}{}", POLICIES, revoked.replace("BEFORE", &before)));
    for (what, token) in &tokens {
        let answer = ask(token).await;
        let expected = if what.starts_with("by") { (401, "auth.invalid.revoked") } else { (200, "allowed") };
        assert_eq!((answer.status, gateway.reason(&answer).as_str()), expected, "{what}");
    }
    assert_eq!(ask(&tokens[0].1).await.field("www-authenticate"), Some("Bearer error=\"invalid_token\""));

    let tenant = format!("revoked: [{{ tenant: acme, before: \"{before}\" }}]\n");
    gateway.reload(&format!("{}{tenant}", POLICIES));
    for (what, token) in &tokens {
        let expected = if *what == "issued later" { 200 } else { 401 };
        assert_eq!(ask(token).await.status, expected, "{what}");
    }
    assert_eq!(gateway.get("globex", "/orders/1").await.status, 200, "another tenant's");
}
