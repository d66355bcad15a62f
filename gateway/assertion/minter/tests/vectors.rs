//! The vectors that verifiers on the backends' side are tested with. `tests/vectors/README.md` has the rules, and here they are
//! followed once more, with libraries that are not ours.
#![expect(clippy::string_slice, reason = "the texts are our own, and in ASCII")]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::*;

mod write;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors")
}

fn source(name: &str) -> Source {
    let place = folder().join(name);
    let path = place.clone();
    Source::Given { place, fetch: Box::new(move || Ok(Secret::new(fs::read(&path).unwrap()))) }
}

fn keys(name: &str, used: &[Algorithm]) -> Arc<Keys> {
    let lifetime = Lifetime::try_from(Duration::from_secs(60)).unwrap();
    let schedule = Schedule::new(Duration::from_secs(86_400), Duration::from_secs(300), lifetime).unwrap();
    Arc::new(Keys::open(source(name), used, schedule, clock()).unwrap())
}

/// The minter of the vectors.
fn vector_minter() -> Minter {
    let lifetime = Lifetime::try_from(Duration::from_secs(60)).unwrap();
    let assertions = keys("assertion.jwks", &[Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256]);
    let minter = Minter::new("https://gateway.example.com".parse().unwrap(), lifetime, assertions, clock());
    minter.signing_requests_with(Some(keys("signature.jwks", &[Algorithm::EdDsa, Algorithm::Es256])))
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Settings {
    algorithm: String,
    binding: String,
    signature: Option<String>,
    digest: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Request {
    method: String,
    authority: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn one(&self, name: &str) -> Result<&str, &'static str> {
        match *self.all(name) {
            [value] => Ok(value),
            [..] => Err("not once"),
        }
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| &**value).collect()
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
    #[serde(default)]
    fields: std::collections::BTreeMap<String, String>,
}

struct Oracle<'a> {
    file: &'a Value,
    settings: Settings,
    nonces: HashSet<String>,
}

impl Oracle<'_> {
    fn verify(&mut self, request: &Request) -> Result<(), &'static str> {
        let path = request.target.split('?').next().unwrap();
        let token = request.one("x-cloister-assertion")?;
        let told = self.assertion(token)?;
        let bound = (told.htm.as_deref(), told.htu.as_deref());
        let expected =
            if self.settings.binding == "reuse" { (None, None) } else { (Some(&*request.method), Some(path)) };
        if bound != expected {
            return Err("another request");
        }
        let roles = told.roles.join(",");
        let mut fields = told.fields.clone();
        fields.extend([("x-tenant-id".to_owned(), told.tenant.clone()), ("x-user-id".to_owned(), told.sub.clone())]);
        if roles.is_empty() && !request.all("x-roles").is_empty() {
            return Err("roles of nobody");
        }
        if !roles.is_empty() {
            fields.insert("x-roles".to_owned(), roles);
        }
        if fields.iter().any(|(name, value)| request.all(name) != [value.as_str()]) {
            return Err("a field that says another thing");
        }
        match &self.settings.signature {
            Some(algorithm) => self.signature(&algorithm.clone(), request, token, path),
            None => Ok(()),
        }
    }

    fn assertion(&self, token: &str) -> Result<Told, &'static str> {
        let header = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).map_err(|_| "not base64url")?;
        let header: Value = serde_json::from_slice(&header).map_err(|_| "no header")?;
        if header["alg"] != *self.settings.algorithm || header["typ"] != "cloister+jwt" || !header["crit"].is_null() {
            return Err("header");
        }
        let set: JwkSet = serde_json::from_value(self.file["jwks"].clone()).unwrap();
        let jwk = set.find(header["kid"].as_str().unwrap_or_default()).ok_or("unknown key")?;
        let mut rules = Validation::new(self.settings.algorithm.parse().unwrap());
        rules.set_audience(&["orders"]);
        rules.set_issuer(&["https://gateway.example.com"]);
        rules.validate_exp = false; // these vectors have a time of their own
        rules.required_spec_claims = HashSet::new(); // that they are there is asked by `Told`
        let key = DecodingKey::from_jwk(jwk).map_err(|_| "key")?;
        let told =
            jsonwebtoken::decode::<Told>(token, &key, &rules).map_err(|_| "signature, iss, aud or claims")?.claims;
        let long = told.exp <= told.iat || told.exp - told.iat > 60;
        if told.iat > NOW + 5 || told.exp + 5 <= NOW || long { Err("time") } else { Ok(told) }
    }

    /// The profile is fixed, so the field is taken apart by its text.
    fn signature(&mut self, algorithm: &str, request: &Request, token: &str, path: &str) -> Result<(), &'static str> {
        let parameters = request.one("signature-input")?.strip_prefix("cloister=").ok_or("label")?;
        let mut parts = parameters.split(';');
        let covered = r#"("@method" "@authority" "@path" "@query" "x-cloister-assertion""#;
        let body = match parts.next().and_then(|list| list.strip_prefix(covered)) {
            Some(")") if !self.settings.digest => None,
            Some(" \"content-digest\")") => Some(request.one("content-digest")?),
            Some(_) | None => return Err("components"),
        };
        let mut parameter = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
        let number = |text: Option<&str>| text.and_then(|n| n.parse::<u64>().ok()).ok_or("number");
        let (created, expires) = (number(parameter("created"))?, number(parameter("expires"))?);
        let nonce = parameter("nonce").filter(|nonce| nonce.len() == 34).ok_or("nonce")?;
        let keyid = parameter("keyid").ok_or("keyid")?.trim_matches('"');
        if parameter("tag") != Some("\"cloister-v1\"") || parts.next().is_some() {
            return Err("tag");
        }
        if created > NOW + 30 || created + 30 < NOW || expires <= NOW || expires > created + 60 {
            return Err("time");
        }
        let sum = format!("sha-256=:{}:", BASE64_STANDARD.encode(digest(&SHA256, request.body.as_bytes())));
        if body.is_some_and(|body| body != sum) {
            return Err("another body");
        }
        let octets = request.one("signature")?.strip_prefix("cloister=:").and_then(|mac| mac.strip_suffix(':'));
        let octets = BASE64_STANDARD.decode(octets.ok_or("label")?).map_err(|_| "base64")?;
        let query = request.target.find('?').map_or("?", |at| &request.target[at..]);
        let mut base = format!(
            "\"@method\": {}\n\"@authority\": {}\n\"@path\": {path}\n\"@query\": {query}\n\"x-cloister-assertion\": {token}\n",
            request.method,
            request.authority.to_ascii_lowercase(),
        );
        if let Some(body) = body {
            base.push_str(&format!("\"content-digest\": {body}\n"));
        }
        base.push_str(&format!("\"@signature-params\": {parameters}"));
        if algorithm == "hmac-sha256" {
            let secret = self.file["secrets"][keyid].as_str().ok_or("unknown key")?;
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            hmac::verify(&key, base.as_bytes(), &octets).map_err(|_| "mac")?;
        } else {
            let set: JwkSet = serde_json::from_value(self.file["signature_jwks"].clone()).unwrap();
            let verifies = if algorithm == "ed25519" { "EdDSA" } else { "ES256" }.parse().unwrap();
            let jwk = set.find(keyid).ok_or("unknown key")?;
            let key = DecodingKey::from_jwk(jwk).map_err(|_| "key")?;
            let text = BASE64_URL_SAFE_NO_PAD.encode(octets);
            let good = jsonwebtoken::crypto::verify(&text, base.as_bytes(), &key, verifies);
            good.ok().filter(|good| *good).ok_or("signature")?;
        }
        self.nonces.insert(nonce.to_owned()).then_some(()).ok_or("seen before")
    }
}

#[test]
fn a_verifier_that_follows_the_rules_agrees_with_every_vector() {
    let file: Value = serde_json::from_slice(&fs::read(folder().join("requests.json")).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    let count = |verdict: &str| cases.iter().filter(|case| case["verdict"] == verdict).count();
    assert!(count("accept") >= 12 && count("refuse") >= 90, "{} {}", count("accept"), count("refuse"));
    for case in cases {
        let settings = serde_json::from_value(file["settings"][case["settings"].as_str().unwrap()].clone()).unwrap();
        let mut oracle = Oracle { file: &file, settings, nonces: HashSet::new() };
        let requests: Vec<Request> = serde_json::from_value(case["requests"].clone()).unwrap();
        let (last, before) = requests.split_last().unwrap();
        for request in before {
            assert_eq!(oracle.verify(request), Ok(()), "{}", case["name"]);
        }
        let verified = oracle.verify(last);
        assert_eq!(verified.is_ok(), case["verdict"] == "accept", "{}: {verified:?}", case["name"]);
    }
}

#[test]
fn the_published_keys_are_those_of_the_vectors() {
    let file: Value = serde_json::from_slice(&fs::read(folder().join("requests.json")).unwrap()).unwrap();
    let published = |keys: &Keys| serde_json::from_str::<Value>(keys.glance().jwks()).unwrap();
    let minter = vector_minter();
    assert_eq!(file["jwks"], published(&minter.keys));
    assert_eq!(file["signature_jwks"], published(minter.signature_keys.as_deref().unwrap()));
}
