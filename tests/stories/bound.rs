//! A token that is bound to its user is of no use to a thief.

use serde_json::{Value, json};

use crate::harness::{Gateway, POLICIES, Setup, TestAuthority, TlsIdentity, claims};

const ACME: &str = "acme.example.test";

/// Everybody may show a certificate of friends, who speak for acme.
fn setup(friends: &TestAuthority) -> Setup {
    Gateway::test()
        .tls_with("client_certificates: { mode: optional, authorities: [friends] }")
        .more(&format!("authorities:\n  friends: {{ ca: {}, tenants: [acme] }}\n", friends.file().display()))
}

fn bound(gateway: &Gateway, cnf: &Value) -> String {
    let mut claims = claims("acme", "ada", &["viewer"]);
    if !cnf.is_null() {
        claims["cnf"] = cnf.clone();
    }
    gateway.issuer.sign(&claims)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_bound_to_a_certificate_is_good_on_a_connection_that_has_shown_it_alone() {
    let friends = TestAuthority::new("friends");
    let gateway = setup(&friends).start().await;
    let (address, root) = (gateway.tls_address.unwrap(), gateway.folder.path().join("tls.pem"));
    let (nobody, other) = (TlsIdentity::nobody(&[&root]), friends.client(&root, &[], &["other.test"]));
    let owner = friends.client(&root, &[], &["owner.test"]);
    let thumbprint = friends.thumbprint();
    let token = bound(&gateway, &json!({ "x5t#S256": thumbprint }));
    let fields = format!("Authorization: Bearer {token}\r\n");
    for (who, client, expected) in [
        ("its owner", &owner, 200), // from here on the token is known
        ("somebody with another certificate", &other, 401),
        ("somebody without one", &nobody, 401),
        ("its owner in a session that is resumed", &owner, 200),
    ] {
        let mut client = client.connect(address, ACME).await.unwrap();
        assert_eq!(client.is_resumed(), who.contains("resumed"), "{who}");
        for line in ["GET /orders/1", "HEAD /orders/1"] {
            assert_eq!(client.status(line, ACME, &fields).await, Some(expected), "{who}");
        }
    }
    // Nobody's word counts for the certificate, and without TLS there is none.
    let claimed = [("client-cert", thumbprint.as_str()), ("x-forwarded-client-cert", &thumbprint)];
    for (name, value) in claimed {
        let request = gateway.request("GET", "acme", "/orders/1").bearer_auth(&token).header(name, value);
        let answer = gateway.send(request).await;
        assert_eq!((answer.status, gateway.reason(&answer).as_str()), (401, "auth.invalid.bound"));
        assert_eq!(answer.field("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    }
    // HTTP/2 over the same kind of connection.
    let over_2 = async |client: &TlsIdentity| {
        let stream = client.connect_with(address, ACME, &[b"h2"]).await.unwrap().0;
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
        drop(tokio::spawn(connection));
        let request =
            http::Request::get(format!("https://{ACME}/orders/1")).header("authorization", format!("Bearer {token}"));
        let (response, _) = send.ready().await.unwrap().send_request(request.body(()).unwrap(), true).unwrap();
        response.await.unwrap().status().as_u16()
    };
    assert_eq!((over_2(&owner).await, over_2(&nobody).await), (200, 401));
    let records = gateway.records(&["--reason", "auth.invalid.bound"]);
    assert_eq!(records.finals().len(), 7);
    assert!(records.finals().iter().all(|record| record["sub"].is_string()), "whose token it was is on record");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_nobody_can_show_to_be_theirs_is_refused_whatever_the_settings() {
    let friends = TestAuthority::new("friends");
    let gateway = setup(&friends).start().await;
    let (address, root) = (gateway.tls_address.unwrap(), gateway.folder.path().join("tls.pem"));
    let owner = friends.client(&root, &[], &["owner.test"]);
    let thumbprint = friends.thumbprint();
    for (cnf, reason) in [
        (json!({ "kid": "k" }), "auth.invalid.confirmation"),
        (json!({ "jwk": { "kty": "EC" } }), "auth.invalid.confirmation"),
        (json!({ "x5t#S256": thumbprint, "urn:new": true }), "auth.invalid.confirmation"),
        (json!({ "x5t#S256": "short" }), "auth.invalid.confirmation"),
        (json!({}), "auth.invalid.confirmation"),
        (json!("x5t#S256"), "auth.invalid.confirmation"),
        (json!({ "x5t#S256": thumbprint, "jkt": thumbprint }), "auth.invalid.bound"),
        (json!({ "jkt": thumbprint }), "auth.invalid.bound"),
    ] {
        let fields = format!("Authorization: Bearer {}\r\n", bound(&gateway, &cnf));
        let mut client = owner.connect(address, ACME).await.unwrap();
        let head = client.request("GET /orders/1", ACME, &fields).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 401"), "{cnf}: {head}");
        let id =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("x-request-id: ").map(str::to_owned));
        assert_eq!(gateway.records(&[]).of(&id.unwrap())["reason"], reason, "{cnf}");
    }
    assert!(gateway.backend.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn issuer_and_route_may_each_demand_that_tokens_are_bound() {
    let friends = TestAuthority::new("friends");
    let of_route =
        POLICIES.replacen("tenant_from: [token, host] }", "tenant_from: [token, host], bound_to: [certificate] }", 1);
    for (what, setup) in [
        ("the route", setup(&friends).policies(&of_route)),
        ("the issuer", setup(&friends).issuer("    bound_to: [certificate]\n")),
    ] {
        let gateway = setup.start().await;
        let (address, root) = (gateway.tls_address.unwrap(), gateway.folder.path().join("tls.pem"));
        let owner = friends.client(&root, &[], &["owner.test"]);
        let status = async |cnf: &Value, path: &str| {
            let fields = format!("Authorization: Bearer {}\r\n", bound(&gateway, cnf));
            owner.connect(address, ACME).await.unwrap().status(&format!("GET {path}"), ACME, &fields).await.unwrap()
        };
        let cnf = json!({ "x5t#S256": friends.thumbprint() });
        assert_eq!(status(&cnf, "/orders/1").await, 200, "{what}");
        assert_eq!(status(&Value::Null, "/orders/1").await, 401, "{what}");
        let elsewhere = if what == "the issuer" { 401 } else { 200 };
        assert_eq!(status(&Value::Null, "/limited").await, elsewhere, "{what}");
        let records = gateway.records(&["--reason", "auth.invalid.unbound"]);
        assert_eq!(records.finals().len(), if what == "the issuer" { 2 } else { 1 }, "{what}");
    }
}
