//! The vectors that verifiers on the backends' side are tested with. `vectors/README.md` has the rules.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::*;

mod write;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn read(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder().join(name)).unwrap()).unwrap()
}

/// The key of the vectors.
fn source() -> Source {
    let fetch = || Ok(Secret::new(fs::read(folder().join("key.json")).unwrap()));
    Source::Given { place: folder().join("key.json"), fetch: Box::new(fetch) }
}

#[test]
fn a_verifier_that_follows_the_rules_agrees_with_every_assertion_vector() {
    let file = read("assertions.json");
    let set: JwkSet = serde_json::from_value(file["jwks"].clone()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.iter().filter(|case| case["verdict"] == "accept").count() >= 6);
    assert!(cases.iter().filter(|case| case["verdict"] == "refuse").count() >= 25);
    for case in cases {
        let text = |name: &str| case[name].as_str().unwrap();
        let accepted = accept(text("assertion"), &set, text("binding"), text("method"), text("path"));
        assert_eq!(accepted.is_ok(), case["verdict"] == "accept", "{}: {accepted:?}", case["name"]);
    }
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "that they are there and of this type is what is asked")]
struct Told {
    iss: String,
    aud: String,
    sub: String,
    idp: String,
    tenant: String,
    roles: Vec<String>,
    iat: u64,
    exp: u64,
    jti: String,
    htm: Option<String>,
    htu: Option<String>,
}

/// The rules of `vectors/README.md`, with a library that is not ours for the signature.
fn accept(token: &str, set: &JwkSet, binding: &str, method: &str, path: &str) -> Result<(), &'static str> {
    let header = token.split('.').next().unwrap_or_default();
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).map_err(|_| "not base64url")?;
    let header: Value = serde_json::from_slice(&header).map_err(|_| "no header")?;
    if header["alg"] != "ES256" || header["typ"] != "cloister+jwt" || !header["crit"].is_null() {
        return Err("header");
    }
    let jwk = set.find(header["kid"].as_str().unwrap_or_default()).ok_or("unknown key")?;
    let mut rules = Validation::new(jsonwebtoken::Algorithm::ES256);
    rules.set_audience(&["orders"]);
    rules.set_issuer(&["https://gateway.example.com"]);
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    rules.validate_exp = false; // these vectors have a time of their own
    let key = DecodingKey::from_jwk(jwk).unwrap();
    let told = jsonwebtoken::decode::<Told>(token, &key, &rules).map_err(|_| "signature, iss, aud or claims")?.claims;
    if told.iat > NOW + 5 || told.exp + 5 <= NOW || told.exp.saturating_sub(told.iat) > 60 {
        return Err("time");
    }
    let bound = (told.htm.as_deref(), told.htu.as_deref()) == (Some(method), Some(path));
    if binding == "per_request" && !bound {
        return Err("another request");
    }
    Ok(())
}

#[test]
fn the_gateway_mints_what_the_accepted_vectors_show() {
    let minter = minter_of(source(), &clock());
    let file = read("assertions.json");
    assert_eq!(file["jwks"], serde_json::from_str::<Value>(minter.keys.glance().jwks()).unwrap());
    for (name, binding) in [("plain", Binding::PerRequest), ("reused", Binding::InsecureReuse)] {
        let cases = file["cases"].as_array().unwrap();
        let case = cases.iter().find(|case| case["name"] == name).unwrap();
        let shown = case["assertion"].as_str().unwrap().rsplit_once('.').unwrap().0;
        let injected = minter.inject(&Person::ada().identity(), &request(0xabc), &backend(binding)).unwrap();
        let minted = injected.assertion.to_str().unwrap().rsplit_once('.').unwrap().0;
        assert_eq!(minted, shown, "{name}: all but the signature, which is never the same twice");
    }
}

#[test]
fn a_verifier_that_follows_the_rules_agrees_with_every_signature_vector() {
    let file = read("signatures.json");
    assert_eq!(file["key"].as_str().unwrap().as_bytes(), SECRET);
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.iter().filter(|case| case["verdict"] == "refuse").count() >= 12);
    for case in cases {
        let accepted = bound(case);
        assert_eq!(accepted.is_ok(), case["verdict"] == "accept", "{}: {accepted:?}", case["name"]);
    }
}

/// The rules for signatures: the profile is fixed, so the field is taken apart by its text.
fn bound(case: &Value) -> Result<(), &'static str> {
    let text = |name: &str| case[name].as_str().unwrap_or_default();
    let parameters = text("signature_input").strip_prefix("cloister=").ok_or("label")?;
    let mut parts = parameters.split(';');
    if parts.next() != Some(r#"("@method" "@authority" "@path" "@query" "x-cloister-assertion")"#) {
        return Err("components");
    }
    let mut parameter = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
    let created: u64 = parameter("created").and_then(|n| n.parse().ok()).ok_or("created")?;
    let expires: u64 = parameter("expires").and_then(|n| n.parse().ok()).ok_or("expires")?;
    parameter("nonce").ok_or("nonce")?;
    if parameter("keyid") != Some("\"orders\"") || parameter("tag") != Some("\"cloister-v1\"") {
        return Err("keyid or tag");
    }
    if created > NOW + 30 || created + 30 < NOW || expires <= NOW {
        return Err("time");
    }
    let mac = text("signature").strip_prefix("cloister=:").and_then(|mac| mac.strip_suffix(':')).ok_or("signature")?;
    let mac = BASE64_STANDARD.decode(mac).map_err(|_| "base64")?;
    let query = case["query"].as_str().map_or_else(|| "?".to_owned(), |query| format!("?{query}"));
    let base = format!(
        "\"@method\": {}\n\"@authority\": {}\n\"@path\": {}\n\"@query\": {query}\n\"x-cloister-assertion\": {}\n\"@signature-params\": {parameters}",
        text("method"),
        text("authority"),
        text("path"),
        text("assertion"),
    );
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), base.as_bytes(), &mac).map_err(|_| "mac")
}
