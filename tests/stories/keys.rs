//! Keys take turns, and no backend ever refuses a request for it.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::any;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::harness::{Gateway, run};

/// A backend that keeps the published keys for as long as it may, never a moment less, and asks for no key that it does not
/// know: the strictest that there is.
#[derive(Default)]
struct Strict {
    admin: Mutex<Option<String>>,
    kept: tokio::sync::Mutex<Option<(JwkSet, Instant)>>,
    fetched: AtomicUsize,
    accepted: AtomicUsize,
    refused: Mutex<Vec<String>>,
    seen: Mutex<std::collections::BTreeSet<String>>,
}

impl Strict {
    async fn start() -> (Arc<Self>, std::net::SocketAddr, JoinSet<()>) {
        let strict = Arc::new(Self::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(any(answer)).with_state(Arc::clone(&strict));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        (strict, address, tasks)
    }

    async fn verify(&self, assertion: &str) -> Result<String, String> {
        let kid = jsonwebtoken::decode_header(assertion).map_err(|error| error.to_string())?.kid.ok_or("no kid")?;
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_none_or(|(_, until)| *until <= Instant::now()) {
            let url = self.admin.lock().unwrap().clone().unwrap();
            let answer = reqwest::get(url).await.map_err(|error| error.to_string())?;
            let control = answer.headers()["cache-control"].to_str().unwrap().to_owned();
            let seconds = control.strip_prefix("public, max-age=").ok_or(control.clone())?.parse().unwrap();
            let until = Instant::now() + Duration::from_secs(seconds);
            *kept = Some((answer.json().await.map_err(|error| error.to_string())?, until));
            self.fetched.fetch_add(1, Ordering::Relaxed);
        }
        let (set, _) = kept.as_ref().unwrap();
        let key = set.find(&kid).ok_or_else(|| format!("{kid} is not known"))?;
        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_audience(&["backend"]);
        rules.leeway = 0;
        let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
        jsonwebtoken::decode::<Value>(assertion, &key, &rules).map_err(|error| error.to_string())?;
        Ok(kid)
    }
}

async fn answer(State(strict): State<Arc<Strict>>, fields: HeaderMap) -> StatusCode {
    let assertion = fields.get("x-cloister-assertion").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match strict.verify(assertion).await {
        Ok(kid) => {
            strict.accepted.fetch_add(1, Ordering::Relaxed);
            strict.seen.lock().unwrap().insert(kid);
            StatusCode::OK
        }
        Err(why) => {
            strict.refused.lock().unwrap().push(why);
            StatusCode::FORBIDDEN
        }
    }
}

fn keys(gateway: &Gateway, arguments: &[&str]) -> (i32, String, String) {
    let config = gateway.folder.path().join("cloister.yaml");
    run(&[&["keys"], arguments, &["--config", config.to_str().unwrap()]].concat(), Path::new("."))
}

mod slow {
    use super::*;

    async fn no_request_is_refused_while_keys_take_turns(binding: &str) {
        let (strict, address, _serving) = Strict::start().await;
        let gateway = Gateway::test()
            .upstream(address)
            .environment("BACKEND_KEY", "a key of its own, fedcba9876543210")
            .defence(&format!("assertion: {{ {binding} }}"))
            .assertion("lifetime: 2s, keys: { rotate_after: 4s, max_age: 1s }")
            .start()
            .await;
        *strict.admin.lock().unwrap() = Some(format!("http://{}/.well-known/cloister/jwks.json", gateway.admin));
        let end = Instant::now() + Duration::from_secs(60);
        let (gateway, strict) = (&gateway, &*strict);
        let load = (0..4).map(|user| async move {
            let token = gateway.token("acme", &format!("user-{user}"), &["viewer"]);
            while gateway.metric("cloister_signing_key_rotations_total") < 4.0 && Instant::now() < end {
                for _ in 0..20 {
                    let answer = gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(&token)).await;
                    assert_eq!(answer.status, 200, "{:?}", strict.refused.lock().unwrap());
                }
            }
        });
        let load: Vec<_> = load.collect();
        futures::future::join_all(load).await;
        assert_eq!(*strict.refused.lock().unwrap(), Vec::<String>::new());
        let (signed, fetched) = (strict.seen.lock().unwrap().len(), strict.fetched.load(Ordering::Relaxed));
        assert!(signed >= 4 && fetched >= 4, "{signed} keys, fetched {fetched} times");
        assert!(strict.accepted.load(Ordering::Relaxed) > 500);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_request_of_its_own_assertion_is_refused() {
        no_request_is_refused_while_keys_take_turns("binding: per_request").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_request_of_a_reused_assertion_is_refused() {
        no_request_is_refused_while_keys_take_turns("binding: reuse, key: \"${env:BACKEND_KEY}\"").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_operator_turns_keys_by_hand_as_soon_as_backends_can_know_the_next() {
        let gateway = Gateway::test().assertion("keys: { rotate_after: 1h, max_age: 2s }").start().await;
        let (code, _, said) = keys(&gateway, &["rotate"]);
        assert_eq!((code, said.contains("try again in")), (1, true), "{said}");
        let listed = || {
            let (code, said, _) = keys(&gateway, &["list", "--format", "json"]);
            assert_eq!(code, 0);
            serde_json::from_str::<Value>(&said).unwrap()["keys"].clone()
        };
        let next = listed()[1]["kid"].clone();
        gateway.eventually("the next key is ready", || keys(&gateway, &["rotate"]).0 == 0);
        assert_eq!(listed()[0]["kid"], next);
        gateway.eventually("it signs", || gateway.metric("cloister_signing_key_rotations_total") == 1.0);
        assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
        let seen = gateway.backend.last();
        let header = jsonwebtoken::decode_header(seen.field("x-cloister-assertion").unwrap()).unwrap();
        assert_eq!(header.kid.as_deref(), next.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_leaked_is_withdrawn_within_seconds() {
    let gateway = Gateway::test().start().await;
    let published = || gateway.admin("/.well-known/cloister/jwks.json").1;
    let (_, said, _) = keys(&gateway, &["list"]);
    let leaked = said.split(' ').next().unwrap();
    assert!(published().contains(leaked) && said.contains("active") && said.contains("next"), "{said}");
    let (code, _, said) = keys(&gateway, &["rotate", "--withdraw"]);
    assert_eq!(code, 0, "{said}");
    gateway.eventually("it is not published any more", || !published().contains(leaked));
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    let seen = gateway.backend.last();
    let header = jsonwebtoken::decode_header(seen.field("x-cloister-assertion").unwrap()).unwrap();
    assert_ne!(header.kid.as_deref(), Some(leaked));
    let all = gateway.records(&["--all"]);
    assert!(all.all().iter().any(|record| record["kind"] == "keys.changed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_read_any_more_are_told_of_and_the_last_good_ones_sign_on() {
    let gateway = Gateway::test().start().await;
    let file = gateway.folder.path().join("state/assertion.jwks");
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, "{").unwrap();
    gateway.eventually("it is told", || gateway.metric("cloister_signing_keys_faulty") == 1.0);
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    std::fs::write(&file, good).unwrap();
    gateway.eventually("it is over", || gateway.metric("cloister_signing_keys_faulty") == 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_backend_has_signatures_that_it_can_verify_with_what_is_published() {
    for (assertion, jwt, signature) in [
        ("eddsa", Algorithm::EdDSA, "ecdsa-p256-sha256"),
        ("rs256", Algorithm::RS256, "ed25519"),
        ("es256", Algorithm::ES256, "ed25519"),
    ] {
        let settings = format!("assertion: {{ algorithm: {assertion}, binding: reuse, signature: {signature} }}");
        let gateway = Gateway::test().defence(&settings).start().await;
        assert_eq!(gateway.get("acme", "/orders/1?page=2").await.status, 200);
        let seen = gateway.backend.last();
        let published = |path: &str| serde_json::from_str::<JwkSet>(&gateway.admin(path).1).unwrap();
        let (assertions, signatures) =
            (published("/.well-known/cloister/jwks.json"), published("/.well-known/cloister/signature-keys.json"));

        let token = seen.field("x-cloister-assertion").unwrap();
        let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
        let mut rules = Validation::new(jwt);
        rules.set_audience(&["backend"]);
        let key = DecodingKey::from_jwk(assertions.find(&kid).unwrap()).unwrap();
        jsonwebtoken::decode::<Value>(token, &key, &rules).unwrap();
        assert!(signatures.find(&kid).is_none(), "no key serves two purposes");

        let input = seen.field("signature-input").unwrap().strip_prefix("cloister=").unwrap();
        let kid = input.split("keyid=\"").nth(1).unwrap().split('"').next().unwrap();
        let base = format!(
            "\"@method\": GET\n\"@authority\": {}\n\"@path\": /orders/1\n\"@query\": ?page=2\n\
             \"x-cloister-assertion\": {token}\n\"@signature-params\": {input}",
            seen.field("host").unwrap()
        );
        let octets = seen.field("signature").unwrap().strip_prefix("cloister=:").unwrap().strip_suffix(':').unwrap();
        let url = octets.trim_end_matches('=').replace('+', "-").replace('/', "_");
        let verifies = if signature == "ed25519" { Algorithm::EdDSA } else { Algorithm::ES256 };
        let key = DecodingKey::from_jwk(signatures.find(kid).unwrap()).unwrap();
        assert!(jsonwebtoken::crypto::verify(&url, base.as_bytes(), &key, verifies).unwrap(), "{signature}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_without_a_key_of_its_own_has_one_that_comes_of_the_root() {
    let gateway = Gateway::test()
        .environment("ROOT", "a root of its own, fedcba9876543210")
        .assertion("root: \"${env:ROOT}\"")
        .defence("assertion: { binding: reuse, signature: hmac-sha256 }")
        .start()
        .await;
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    let seen = gateway.backend.last();
    let input = seen.field("signature-input").unwrap().strip_prefix("cloister=").unwrap();
    assert!(input.contains(";keyid=\"backend\";"), "{input}");
    let base = format!(
        "\"@method\": GET\n\"@authority\": {}\n\"@path\": /orders/1\n\"@query\": ?\n\
         \"x-cloister-assertion\": {}\n\"@signature-params\": {input}",
        seen.field("host").unwrap(),
        seen.field("x-cloister-assertion").unwrap()
    );
    let config = gateway.folder.path().join("cloister.yaml");
    let derive = std::process::Command::new(env!("CARGO_BIN_EXE_cloister"))
        .args(["keys", "derive", "backend", "--config", config.to_str().unwrap()])
        .env("ROOT", "a root of its own, fedcba9876543210")
        .output()
        .unwrap();
    let key = String::from_utf8(derive.stdout).unwrap();
    assert_eq!(key.trim().len(), 64, "{}", String::from_utf8_lossy(&derive.stderr));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.trim().as_bytes());
    let octets = seen.field("signature").unwrap().strip_prefix("cloister=:").unwrap().strip_suffix(':').unwrap();
    let octets = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, octets).unwrap();
    assert!(aws_lc_rs::hmac::verify(&key, base.as_bytes(), &octets).is_ok());
}
