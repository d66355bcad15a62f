use serde_json::{Value, json};

use super::*;
use crate::compact::Compact;
use crate::forge::{self, Issuer};
use crate::header::{ACCESS_TOKENS, Header};

fn read(keys: &[Value]) -> Result<Reading, InvalidKeySet> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), &none())
}

fn none() -> KeySet {
    KeySet::none("main".parse().unwrap(), Duration::from_secs(60))
}

fn with(key: &Issuer, name: &str, value: Value) -> Value {
    let mut jwk = key.jwk().clone();
    jwk[name] = value;
    jwk
}

/// Everything up to the claims.
fn verify(set: &KeySet, token: &str) -> Result<(), TokenError> {
    let parts = Compact::parse(token)?;
    let header = Header::parse(&parts.header, ACCESS_TOKENS)?;
    let known = set.choose(header.algorithm, header.kid.as_deref())?;
    known.key.verify(parts.signed, parts.signature, header.algorithm)
}

#[test]
fn keys_of_other_kinds_and_purposes_are_passed_over_and_broken_ones_are_named() {
    let (good, p384, rsa) = (Issuer::es256("good"), Issuer::es384("p384"), Issuer::rs256("rsa"));
    for (what, jwk, kept, named) in [
        ("a symmetric key", json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "oct" }), 1, ""),
        ("an unknown kind", json!({ "kty": "PQ", "kid": "pq" }), 1, ""),
        ("no kind", json!({}), 1, ""),
        ("an unknown curve", json!({ "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA" }), 1, ""),
        ("for encryption", with(&p384, "use", json!("enc")), 1, ""),
        ("for an algorithm that is none of ours", with(&p384, "alg", json!("ECDH-ES")), 1, ""),
        ("for other operations", with(&p384, "key_ops", json!(["deriveKey"])), 1, ""),
        ("for verifying", with(&p384, "key_ops", json!(["verify"])), 2, ""),
        ("for an algorithm of another kind", with(&p384, "alg", json!("ES256")), 1, "`alg`, `use` or `key_ops`"),
        ("a use of the wrong type", with(&p384, "use", json!(["sig"])), 1, "`alg`, `use` or `key_ops`"),
        ("with its private part", with(&p384, "d", json!("AA")), 1, "private"),
        ("a kid of the wrong type", with(&p384, "kid", json!(7)), 1, "`kid`"),
        ("an empty kid", with(&p384, "kid", json!("")), 1, "`kid`"),
        ("a coordinate with padding", with(&p384, "x", json!("AA==")), 1, "base64url"),
        ("a coordinate cut short", with(&p384, "x", json!("AAAA")), 1, "not a public key"),
        ("a point that is not on the curve", with(&p384, "x", p384.jwk()["y"].clone()), 1, "not a public key"),
        ("the curve of another", with(&p384, "crv", json!("P-256")), 1, "`alg`, `use` or `key_ops`"),
        ("an exponent of one", with(&rsa, "e", json!("AQ")), 1, "rsa needs"),
        ("an even exponent", with(&rsa, "e", json!("AQAA")), 1, "rsa needs"),
        ("an exponent of 65 bits", with(&rsa, "e", json!("AQAAAAAAAAAB")), 1, "rsa needs"),
        ("a modulus of 16 bits", with(&rsa, "n", json!("__8")), 1, "rsa needs"),
        ("no modulus", with(&rsa, "n", Value::Null), 1, "missing"),
    ] {
        let reading = read(&[good.jwk().clone(), jwk]).unwrap();
        assert_eq!(reading.set.len(), kept, "{what}");
        let refused = reading.refused.join(", ");
        assert_eq!(refused.is_empty(), named.is_empty(), "{what}: {refused}");
        assert!(refused.contains(named), "{what}: {refused}");
    }
}

#[test]
fn a_document_that_is_no_set_or_has_no_key_for_us_is_refused() {
    let key = Issuer::eddsa("a");
    let deep = format!(r#"{{"keys":{}{}}}"#, "[".repeat(20), "]".repeat(20));
    let many = json!({ "keys": vec![json!({}); 101] }).to_string();
    let twice = format!(r#"{{"keys":[],"keys":[{}]}}"#, key.jwk());
    for text in ["", "[]", "{}", "<html>", r#"{"keys":{}}"#, r#"{"keys":[]}"#, r#"{"keys":[1]}"#, &deep, &many, &twice]
    {
        assert!(KeySet::parse(text.as_bytes(), &none()).is_err(), "{text}");
    }
    let error = read(&[with(&key, "x", json!("AA"))]).unwrap_err().to_string();
    assert_eq!(error, "there is no key in it that can be used: key 0: this is not a public key of its kind");
}

#[test]
fn keys_that_share_a_kid_are_all_refused() {
    let (one, two, three) = (Issuer::es256("same"), Issuer::eddsa("same"), Issuer::es256("other"));
    let reading = read(&[one.jwk().clone(), two.jwk().clone(), three.jwk().clone()]).unwrap();
    assert_eq!(reading.refused, ["2 keys share the kid `same`"]);
    assert!(verify(&reading.set, &three.sign(&json!({}))).is_ok());
    assert!(matches!(verify(&reading.set, &one.sign(&json!({}))), Err(TokenError::Key(_))));
}

#[test]
fn a_key_keeps_its_standing_only_while_it_is_published_unchanged() {
    let (one, two) = (Issuer::es256("one"), Issuer::es256("two"));
    let read = |keys: &[&Issuer], previous: &KeySet| {
        KeySet::parse(forge::jwks(keys.iter().copied()).as_bytes(), previous).unwrap().set
    };
    let first = read(&[&one], &none());
    let standing = &first.published[0].standing;
    let both = read(&[&two, &one], &first);
    assert!(both.holds(standing) && !both.equals(&first));
    assert!(read(&[&one, &two], &both).equals(&both));
    let without = read(&[&two], &both);
    assert!(!without.holds(standing));
    assert!(!read(&[&one], &without).holds(standing), "one that comes back is a new one");
    assert!(!read(&[&Issuer::es256("one")], &first).holds(standing), "another key under the same name is a new one");
}

/// Vectors that others made stand beside the repository, not in it; where they do not, this says so.
fn vectors(file: &str) -> Option<Vec<Value>> {
    let path = format!("{}/../../../shared/vectors/wycheproof/{file}", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("not run: {path} is not there");
        return None;
    };
    let document: Value = serde_json::from_str(&text).unwrap();
    Some(document["testGroups"].as_array().unwrap().clone())
}

/// The public half of a JWK, as an issuer publishes it.
fn public(jwk: &Value) -> Value {
    let mut jwk = jwk.clone();
    for part in ["d", "p", "q", "dp", "dq", "qi"] {
        jwk.as_object_mut().unwrap().remove(part);
    }
    jwk
}

fn verdict(keys: &[Value], test: &Value) -> (bool, String) {
    let token = test["jws"].as_str().map_or_else(|| test["jws"].to_string(), str::to_owned);
    let good = read(keys).is_ok_and(|reading| verify(&reading.set, &token).is_ok());
    (good, format!("{} {}", test["tcId"], test["comment"]))
}

/// We are stricter than the vectors: symmetric keys are not for issuers, P-521 is not among our algorithms, and a key
/// published for one algorithm verifies no other (RFC 7520 §4.2 signs with PS384, and the vectors' key says PS256).
fn key_is_for(jwk: &Value, test: &Value) -> bool {
    let token = test["jws"].as_str().unwrap_or_default();
    let parts = Compact::parse(token).map(|parts| parts.header);
    let header = parts.and_then(|header| Header::parse(&header, ACCESS_TOKENS));
    header.is_ok_and(|header| jwk["alg"] == header.algorithm.as_str())
}

#[test]
fn signatures_are_judged_as_wycheproof_says() {
    let Some(groups) = vectors("json_web_signature_test.json") else {
        return;
    };
    let (mut accepted, mut refused) = (0, 0);
    for group in groups {
        let jwk = public(group.get("public").unwrap_or(&group["private"]));
        for test in group["tests"].as_array().unwrap() {
            let (good, name) = verdict(std::slice::from_ref(&jwk), test);
            let expected = test["result"] == "valid" && key_is_for(&jwk, test);
            assert_eq!(good, expected, "{name}");
            if good {
                accepted += 1;
            } else {
                refused += 1;
            }
        }
    }
    assert_eq!((accepted, refused), (32, 369));
}

#[test]
fn key_sets_are_judged_as_wycheproof_says() {
    let Some(groups) = vectors("json_web_key_test.json") else {
        return;
    };
    for group in groups {
        let document = group.get("public").unwrap_or(&group["private"]);
        let keys: Vec<_> = document["keys"].as_array().unwrap().iter().map(public).collect();
        let ours = keys.iter().all(|key| key["kty"] != "oct");
        for test in group["tests"].as_array().unwrap() {
            let (good, name) = verdict(&keys, test);
            assert_eq!(good, ours && test["result"] == "valid", "{name}");
        }
    }
}
