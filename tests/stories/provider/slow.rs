use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Gateway, Provider};

const POLICY: &str = r#"
tenants: { acme: { status: active }, globex: { status: active } }
roles: { viewer: { allow: ["order:read"] } }
routes:
  - id: orders
    match: { host: "{tenant}.example.test", path: "/orders/**" }
    upstream: backend
    auth: { issuers: [provider], tenant_from: [token, host] }
    allow: { GET: "order:read" }
"#;

/// Its keys are where its discovery document says, and it is asked about what is no JWT.
async fn start(provider: &Provider) -> Gateway {
    start_as(provider, r#"client_id: gateway, client_secret: "${env:PROVIDER_SECRET}""#).await
}

async fn start_as(provider: &Provider, client: &str) -> Gateway {
    let issuer = format!(
        r#"  provider:
    issuer: "{issuer}"
    audiences: [saas-api]
    algorithms: [ES256]
    profile: at+jwt
    jwks: {{ discovery: oidc }}
    introspection: {{ url: "{issuer}/token/introspection", {client}, remember: 1s }}
"#,
        issuer = provider.issuer
    );
    Gateway::test()
        .policies(POLICY)
        .issuer(&issuer)
        .environment("PROVIDER_SECRET", "gateway-secret")
        .environment("SSL_CERT_FILE", &provider.authority().display().to_string())
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn its_access_tokens_get_in_as_jwts_and_as_opaque_ones_until_they_are_taken_back() {
    let provider = Provider::start();
    let gateway = start(&provider).await;
    let ask = async |tenant: &str, token: &str| {
        let answer = gateway.send(gateway.request("GET", tenant, "/orders/1").bearer_auth(token)).await;
        (answer.status, gateway.reason(&answer))
    };
    for kind in ["jwt", "opaque"] {
        let token = provider.token("acme", kind).await;
        assert_eq!(token.split('.').count(), if kind == "jwt" { 3 } else { 1 });
        assert_eq!(ask("acme", &token).await, (200, "allowed".into()), "{kind}");
        assert_eq!(gateway.backend.last().field("x-user-id"), Some("acme"), "{kind}");
        assert_eq!(ask("globex", &token).await, (403, "tenant.mismatch".into()), "{kind}");
    }
    let opaque = provider.token("globex", "opaque").await;
    assert_eq!(ask("globex", &opaque).await, (200, "allowed".into()));
    provider.revoke("globex", &opaque).await;
    let since = Instant::now();
    while ask("globex", &opaque).await.0 == 200 {
        assert!(since.elapsed() < Duration::from_secs(5), "what was taken back is good for ever");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ask("globex", &opaque).await, (401, "auth.invalid.inactive".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_by_a_gateway_that_signs_in_place_of_showing_a_secret() {
    let provider = Provider::start();
    let elsewhere = format!(", audience: \"{}/token\"", provider.issuer);
    for (algorithm, audience) in [("ES256", ""), ("ES256", &elsewhere), ("RS256", ""), ("EdDSA", "")] {
        let key = provider.client_key(algorithm);
        let client = format!(
            r#"client_id: {algorithm}-gateway, authentication: private_key_jwt, client_key_id: gateway-1, client_key: "${{file:{}}}"{audience}"#,
            key.display()
        );
        let gateway = start_as(&provider, &client).await;
        for tenant in ["acme", "globex"] {
            let token = provider.token(tenant, "opaque").await;
            let answer = gateway.send(gateway.request("GET", tenant, "/orders/1").bearer_auth(token)).await;
            assert_eq!((answer.status, gateway.reason(&answer).as_str()), (200, "allowed"), "{algorithm}{audience}");
        }
        let (_, metrics) = gateway.admin("/metrics");
        assert!(
            metrics.contains("cloister_introspections_total{issuer=\"provider\",outcome=\"active\"} 2"),
            "{metrics}"
        );
    }
}

/// The new key signs at once, which no provider should do, and no user is to feel.
#[tokio::test(flavor = "multi_thread")]
async fn its_keys_are_rotated_under_load_and_no_request_is_refused() {
    let provider = Provider::start();
    let gateway = start(&provider).await;
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let client = async |tenant: &'static str| {
        while !stop.load(Ordering::SeqCst) {
            let token = provider.token(tenant, "jwt").await;
            for _ in 0..5 {
                let answer = gateway.send(gateway.request("GET", tenant, "/orders/1").bearer_auth(&token)).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                answered.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    let clients = futures::future::join_all(["acme", "globex", "acme", "globex"].map(client));
    let rotation = async {
        for _ in 0..3 {
            let before = answered.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(11)).await; // an issuer is asked out of turn once in ten seconds
            assert!(answered.load(Ordering::SeqCst) > before + 20, "it goes on");
            provider.rotate().await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        stop.store(true, Ordering::SeqCst);
    };
    tokio::join!(clients, rotation);
}
