use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use terms::ManualClock;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::web::client;

const NOW: u64 = 1_800_000_000;

/// Stands in for a gateway: signs assertions with a library that the demo does not sign with, and publishes the key.
pub(crate) struct Gateway {
    key: EncodingKey,
    jwks: SocketAddr,
    pub(crate) asked: Arc<AtomicUsize>,
    clock: Arc<ManualClock>,
    tasks: JoinSet<()>,
}

pub(crate) fn key() -> EncodingKey {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref())
}

fn header(key: &str, kind: &str) -> Header {
    Header { kid: Some(key.into()), typ: Some(kind.into()), ..Header::new(Algorithm::ES256) }
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        let key = key();
        let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        public.common.key_id = Some("k1".into());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let router = Router::new().route(
            "/keys",
            get(async move || {
                count.fetch_add(1, Ordering::SeqCst);
                Json(json!({ "keys": [public] }))
            }),
        );
        let mut gateway = Self {
            key,
            jwks: SocketAddr::from(([127, 0, 0, 1], 0)),
            asked,
            clock: Arc::new(ManualClock::at(NOW)),
            tasks: JoinSet::new(),
        };
        gateway.jwks = gateway.serve(router).await;
        gateway
    }

    /// Runs a backend until the test ends.
    pub(crate) async fn serve(&mut self, router: Router) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        self.tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    }

    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    pub(crate) fn trust(&self, audience: &'static str) -> Arc<Trust> {
        Arc::new(Trust {
            audience,
            issuer: "http://gateway.test".into(),
            jwks: format!("http://{}/keys", self.jwks),
            http: client().unwrap().build().unwrap(),
            clock: self.clock.clone(),
            keys: Mutex::default(),
        })
    }

    /// What the gateway says of bob's request, changed by `change`.
    pub(crate) fn signed(&self, key: &EncodingKey, method: &str, path: &str, change: &Value) -> String {
        let mut claims = json!({
            "iss": "http://gateway.test", "aud": "orders", "sub": "bob", "tenant": "acme", "roles": ["viewer"],
            "iat": NOW, "exp": NOW + 60, "jti": "1", "htm": method, "htu": path,
        });
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        encode(&header("k1", TYPE), &claims, key).unwrap()
    }

    pub(crate) fn headers(&self, method: &str, path: &str, change: &Value) -> HeaderMap {
        let assertion = self.signed(&self.key, method, path, change);
        carrying(&[(ASSERTION, &assertion), (TENANT, "acme"), (USER, "bob")])
    }
}

fn carrying(headers: &[(&'static str, &str)]) -> HeaderMap {
    headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

async fn identify(trust: &Trust, headers: &HeaderMap) -> Result<Identity, Distrust> {
    trust.identify(&Method::GET, "/api/orders", headers).await
}

#[tokio::test]
async fn an_assertion_about_this_request_is_believed() {
    let gateway = Gateway::start().await;
    let headers = gateway.headers("GET", "/api/orders", &json!({}));
    let who = identify(&gateway.trust("orders"), &headers).await.unwrap();
    assert_eq!((who.tenant.as_str(), who.user.as_str(), who.roles), ("acme", "bob", vec!["viewer".to_owned()]));
}

#[tokio::test]
async fn an_assertion_that_is_about_something_else_is_not_believed() {
    let gateway = Gateway::start().await;
    let trust = gateway.trust("orders");
    for (change, expected) in [
        (json!({ "aud": "streams" }), Distrust::Assertion),
        (json!({ "iss": "http://another.test" }), Distrust::Assertion),
        (json!({ "aud": null }), Distrust::Assertion),
        (json!({ "exp": null }), Distrust::Assertion),
        (json!({ "tenant": null }), Distrust::Assertion),
        (json!({ "exp": NOW - 6 }), Distrust::Expired),
        (json!({ "exp": NOW + 3_600 }), Distrust::Expired),
        (json!({ "htm": "DELETE" }), Distrust::Binding),
        (json!({ "htm": null }), Distrust::Binding),
        (json!({ "htu": "/api/exports" }), Distrust::Binding),
        (json!({ "htu": null }), Distrust::Binding),
        (json!({ "tenant": "globex" }), Distrust::Disagreement),
        (json!({ "sub": "ada" }), Distrust::Disagreement),
    ] {
        let headers = gateway.headers("GET", "/api/orders", &change);
        assert_eq!(identify(&trust, &headers).await.unwrap_err(), expected, "{change}");
    }
}

#[tokio::test]
async fn a_forged_or_unsigned_assertion_is_not_believed() {
    let gateway = Gateway::start().await;
    let trust = gateway.trust("orders");
    let sound = gateway.signed(&gateway.key, "GET", "/api/orders", &json!({}));
    let unsigned = format!("{}.", sound.rsplit_once('.').unwrap().0);
    let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(&sound).unwrap();
    let another_kind = encode(&header("k1", "JWT"), &claims, &gateway.key).unwrap();
    for (assertion, why) in [
        (gateway.signed(&key(), "GET", "/api/orders", &json!({})), "signed by somebody else"),
        (unsigned, "signature cut off"),
        (another_kind, "a token of another kind, well signed"),
        ("e30.e30.e30".to_owned(), "nothing inside"),
        (String::new(), "empty"),
    ] {
        let headers = carrying(&[(ASSERTION, &assertion), (TENANT, "acme"), (USER, "bob")]);
        assert_eq!(identify(&trust, &headers).await.unwrap_err(), Distrust::Assertion, "{why}");
    }
}

#[tokio::test]
async fn headers_without_an_assertion_or_that_disagree_with_it_are_not_believed() {
    let gateway = Gateway::start().await;
    let trust = gateway.trust("orders");
    let sound = gateway.signed(&gateway.key, "GET", "/api/orders", &json!({}));
    let sound = sound.as_str();
    for (headers, expected) in [
        (carrying(&[(TENANT, "acme"), (USER, "bob")]), Distrust::Missing),
        (carrying(&[(ASSERTION, sound), (USER, "bob")]), Distrust::Disagreement),
        (carrying(&[(ASSERTION, sound), (TENANT, "globex"), (USER, "bob")]), Distrust::Disagreement),
        (carrying(&[(ASSERTION, sound), (TENANT, "acme"), (USER, "ada")]), Distrust::Disagreement),
        (carrying(&[(ASSERTION, sound), (TENANT, "acme")]), Distrust::Disagreement),
    ] {
        assert_eq!(identify(&trust, &headers).await.unwrap_err(), expected, "{headers:?}");
    }
    let mut twice = carrying(&[(ASSERTION, sound), (TENANT, "acme"), (USER, "bob")]);
    twice.append(TENANT, "globex".parse().unwrap());
    assert_eq!(identify(&trust, &twice).await.unwrap_err(), Distrust::Disagreement);
    let mut twice = carrying(&[(ASSERTION, sound), (TENANT, "acme"), (USER, "bob")]);
    twice.append(ASSERTION, sound.parse().unwrap());
    assert_eq!(identify(&trust, &twice).await.unwrap_err(), Distrust::Missing);
}

#[tokio::test]
async fn the_keys_are_fetched_once_and_an_unknown_key_asks_again_at_most_once_a_second() {
    let gateway = Gateway::start().await;
    let trust = gateway.trust("orders");
    let sound = gateway.headers("GET", "/api/orders", &json!({}));
    for _ in 0..3 {
        identify(&trust, &sound).await.unwrap();
    }
    assert_eq!(gateway.asked.load(Ordering::SeqCst), 1);

    let unknown = encode(&header("k2", TYPE), &json!({}), &gateway.key).unwrap();
    let unknown = carrying(&[(ASSERTION, &unknown)]);
    for _ in 0..3 {
        assert_eq!(identify(&trust, &unknown).await.unwrap_err(), Distrust::Key);
    }
    assert_eq!(gateway.asked.load(Ordering::SeqCst), 1);
    gateway.clock.advance(Duration::from_secs(1));
    assert_eq!(identify(&trust, &unknown).await.unwrap_err(), Distrust::Key);
    assert_eq!(gateway.asked.load(Ordering::SeqCst), 2);
}
