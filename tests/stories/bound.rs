//! A token that is bound to its user is of no use to a thief.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use token::forge::Issuer;

use crate::harness::{Gateway, POLICIES, Setup, TestAuthority, TlsIdentity, claims, now, private};

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
        (json!({ "x5t#S256": thumbprint, "jkt": thumbprint }), "auth.proof.scheme"), // the certificate alone is not enough
        (json!({ "jkt": thumbprint }), "auth.proof.scheme"),
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

/// Routes for whatever tokens say, for those bound to a key, and for those with a nonce besides.
const PROVEN: &str = r#"
tenants: { acme: { status: active } }
roles: { viewer: { allow: ["order:read"] } }
routes:
  - id: orders
    match: { host: "{tenant}.example.test", path: "/orders/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { "*": "order:read" }
  - id: bound
    match: { host: "{tenant}.example.test", path: "/bound/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host], bound_to: [dpop] }
    allow: { "*": "order:read" }
  - id: fresh
    match: { host: "{tenant}.example.test", path: "/fresh/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host], bound_to: [dpop], dpop_nonce: true }
    allow: { "*": "order:read" }
"#;

/// What a proof says about a GET of this path with this token.
fn proof(token: &str, path: &str) -> Value {
    let ath = URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()));
    let jti = format!("{:x}", fastrand::u128(..));
    json!({ "jti": jti, "htm": "GET", "htu": format!("http://{ACME}{path}"), "iat": now(), "ath": ath })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_bound_to_a_key_is_good_with_a_new_proof_each_time() {
    let gateway = Gateway::test().policies(PROVEN).start().await;
    let client = Issuer::es256("client");
    let token = bound(&gateway, &json!({ "jkt": client.thumbprint() }));
    let (dpop, bearer) = (format!("DPoP {token}"), format!("Bearer {token}"));
    let ask = async |authorization: &str, path: &str, proofs: &[String]| {
        let mut request = gateway.request("GET", "acme", path).header("authorization", authorization);
        for proof in proofs {
            request = request.header("dpop", proof);
        }
        let answer = gateway.send(request).await;
        let reason = gateway.reason(&answer);
        (answer, reason)
    };
    let good = client.proof(&proof(&token, "/bound/1"));
    let (answer, _) = ask(&dpop, "/bound/1?q=1", std::slice::from_ref(&good)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(gateway.backend.last().field("dpop"), None, "a proof is for us alone, as the token is");
    assert_eq!(gateway.backend.last().field("authorization"), None);
    let algs = "algs=\"ES256 ES384 EdDSA\"";
    let fresh = |path: &str| client.proof(&proof(&token, path));
    for (what, authorization, path, proofs, status, reason, error) in [
        ("the same proof", &dpop, "/bound/1", vec![good.clone()], 401, "auth.proof.replayed", "invalid_dpop_proof"),
        ("the same proof elsewhere", &dpop, "/bound/2", vec![good], 401, "auth.proof.target", "invalid_dpop_proof"),
        ("no proof", &dpop, "/bound/1", vec![], 401, "auth.proof.missing", "invalid_dpop_proof"),
        ("no proof on any route", &dpop, "/orders/1", vec![], 401, "auth.proof.missing", "invalid_dpop_proof"),
        ("as a bearer", &bearer, "/bound/1", vec![fresh("/bound/1")], 401, "auth.proof.scheme", "invalid_token"),
        ("as a bearer, without", &bearer, "/orders/1", vec![], 401, "auth.proof.scheme", "invalid_token"),
        ("garbage", &dpop, "/bound/1", vec!["garbage".into()], 401, "auth.proof.malformed", "invalid_dpop_proof"),
        (
            "another scheme",
            &dpop,
            "/bound/1",
            vec![client.proof(&{
                let mut it = proof(&token, "/bound/1");
                it["htu"] = json!(format!("https://{ACME}/bound/1"));
                it
            })],
            401,
            "auth.proof.target",
            "invalid_dpop_proof",
        ),
    ] {
        let (answer, said) = ask(authorization, path, &proofs).await;
        assert_eq!((answer.status, said.as_str()), (status, reason), "{what}");
        assert_eq!(
            answer.field("www-authenticate"),
            Some(format!("DPoP error=\"{error}\", {algs}").as_str()),
            "{what}"
        );
    }
    let two = [fresh("/bound/1"), fresh("/bound/1")];
    let (answer, said) = ask(&dpop, "/bound/1", &two).await;
    assert_eq!((answer.status, said.as_str()), (400, "request.malformed.duplicate_field"));
    // Tokens that are bound to nothing.
    let loose = gateway.token("acme", "ada", &["viewer"]);
    let (answer, said) = ask(&format!("DPoP {loose}"), "/orders/1", &[client.proof(&proof(&loose, "/orders/1"))]).await;
    assert_eq!((answer.status, said.as_str()), (401, "auth.proof.scheme"));
    let (answer, said) = ask(&format!("Bearer {loose}"), "/bound/1", &[]).await;
    assert_eq!((answer.status, said.as_str()), (401, "auth.invalid.unbound"));
    let (answer, _) = ask(&format!("Bearer {loose}"), "/orders/1", &["whatever".into()]).await;
    assert_eq!(answer.status, 200, "nobody looks at what nobody asked for");
    assert_eq!(gateway.backend.last().field("dpop"), None);
    let answer = gateway.send(gateway.request("GET", "acme", "/bound/1")).await;
    assert_eq!(answer.field("www-authenticate"), Some(format!("DPoP {algs}").as_str()));
    let answer = gateway.send(gateway.request("GET", "acme", "/orders/1")).await;
    assert_eq!(answer.field("www-authenticate"), Some("Bearer"));
    assert!(gateway.metric("cloister_dpop_proofs") >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_that_is_demanded_comes_with_the_refusal_and_with_each_answer() {
    let gateway = Gateway::test().policies(PROVEN).start().await;
    let client = Issuer::es256("client");
    let token = bound(&gateway, &json!({ "jkt": client.thumbprint() }));
    let ask = async |nonce: Option<&str>| {
        let mut claims = proof(&token, "/fresh/1");
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        let request = gateway.request("GET", "acme", "/fresh/1").header("authorization", format!("DPoP {token}"));
        gateway.send(request.header("dpop", client.proof(&claims))).await
    };
    let answer = ask(None).await;
    assert_eq!((answer.status, gateway.reason(&answer).as_str()), (401, "auth.proof.nonce"));
    let challenge = answer.field("www-authenticate").unwrap();
    assert!(challenge.starts_with("DPoP error=\"use_dpop_nonce\", algs="), "{challenge}");
    let nonce = answer.field("dpop-nonce").unwrap().to_owned();
    let answer = ask(Some(&nonce)).await;
    assert_eq!(answer.status, 200);
    assert!(answer.field("dpop-nonce").is_some(), "the next one");
    assert_eq!(ask(Some("AAAAAAAAAAAAAAAAAAAAAA")).await.status, 401);
    let answer = gateway.send(gateway.request("GET", "acme", "/fresh/1")).await;
    assert!(answer.field("dpop-nonce").is_some(), "one round trip less");
}

/// Gateways that share a secret take each other's nonces. Under the next one, those of the one before stay good.
#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_nonces_changes_and_no_proof_that_is_under_way_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("nonce");
    private(&secret, &"1".repeat(32));
    let settings = format!("dpop: {{ nonce_secret: \"${{file:{}}}\" }}\n", secret.display());
    let start = async || Gateway::test().policies(PROVEN).more(&settings).start().await;
    let gateway = start().await;
    let client = Issuer::es256("client");
    let ask = async |gateway: &Gateway, nonce: &str| {
        let token = bound(gateway, &json!({ "jkt": client.thumbprint() }));
        let mut claims = proof(&token, "/fresh/1");
        claims["nonce"] = json!(nonce);
        let request = gateway.request("GET", "acme", "/fresh/1").header("authorization", format!("DPoP {token}"));
        gateway.send(request.header("dpop", client.proof(&claims))).await
    };
    let given = |answer: crate::harness::Answer| answer.field("dpop-nonce").unwrap().to_owned();
    let first = given(ask(&gateway, "none of ours").await);
    private(&secret, &"2".repeat(32));
    gateway.eventually("it is taken over", || gateway.metric("cloister_secret_reload_total") == 1.0);
    let answer = ask(&gateway, &first).await;
    assert_eq!(answer.status, 200, "a nonce of the secret before");
    let second = given(answer);
    let other = start().await;
    assert_eq!(ask(&other, &second).await.status, 200, "one that knows the new secret alone");
    assert_eq!(ask(&other, &first).await.status, 401, "and not the one before");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_more_proofs_can_be_remembered_requests_wait_for_better_times() {
    let gateway =
        Gateway::test().policies(PROVEN).more("dpop: { remembered: 3, remembered_per_key: 2 }\n").start().await;
    let clients = [Issuer::es256("one"), Issuer::es256("other")];
    let ask = async |client: &Issuer| {
        let token = bound(&gateway, &json!({ "jkt": client.thumbprint() }));
        let request = gateway.request("GET", "acme", "/orders/1").header("authorization", format!("DPoP {token}"));
        let answer = gateway.send(request.header("dpop", client.proof(&proof(&token, "/orders/1")))).await;
        (answer.status, gateway.reason(&answer))
    };
    assert_eq!(ask(&clients[0]).await.0, 200);
    assert_eq!(ask(&clients[0]).await.0, 200);
    assert_eq!(ask(&clients[0]).await, (429, "auth.proof.too_many".into()));
    assert_eq!(ask(&clients[1]).await.0, 200);
    assert_eq!(
        ask(&clients[1]).await,
        (503, "auth.proof.full".into()),
        "an outage of ours, not a fault of the client's"
    );
    assert!(gateway.metric("cloister_fail_closed_total") >= 1.0);
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200, "the others do not notice");
}
