//! Keys that anybody could sign with: an issuer that publishes one is not believed when one is used.

use super::*;

/// A key of 1024 bits, and a token that is well signed with it.
const SHORT: &str = "yjxUkK6HRJ4cxdNKO72mQkTp69xmxO6lfs00ap_7llQ9LlkvsBR-7rkTomqI8VV2mm3D7PNuEPKTXDD2_YnkPkD14ur1xqsSm8_s9XA7\
                     Mjzulo-9UYvvShLsNQ4gEhI-uUfyeETULMqMHY814fdPR0cGzFvqwPlDS9Nle6Ed9U0";
const SIGNED: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IndlYWsifQ.eyJpc3MiOiJodHRwczovL21haW4uZXhhbXBsZS8iLCJhdWQiOiJhcGkiLCJz\
                      dWIiOiJ1c2VyLTEiLCJleHAiOjE3MDAwMDA2MDB9.TefN1hubYjnVUQayjGP9Rw4Nn7-HW1MXxNQCKOhFso3qrkZab6WhZnAbmJnu\
                      JgqRJqaQ7TBi8KSDRcujyzhoyLWhhH71gbEJzrX_i2m1LEmKUsQIJhYx9p4abL7SEXnSe7s0W0McdX-xdNgvjuuynXU4En5wpzt8\
                      hcjDOYKCduU";

#[tokio::test]
async fn no_token_gets_in_by_weak_rsa() {
    let header = r#"{"alg":"RS256","kid":"weak"}"#;
    let signed = format!("{}.{}", encode(header), encode(claims().to_string()));
    let ours = RSA.jwk()["n"].as_str().unwrap();
    for (what, n, e, token, problem) in [
        ("a short key", SHORT, "AQAB", SIGNED.to_owned(), "2048 to 8192 bits"),
        (
            "with the exponent 1, under which each padded digest signs itself",
            ours,
            "AQ",
            unsigned(&signed),
            "odd exponent",
        ),
        ("with an exponent of 0", ours, "AA", unsigned(&signed), "odd exponent"),
        ("made by a chip with CVE-2017-15361", &encode(power(128)), "AQAB", RSA.sign(&claims()), "CVE-2017-15361"),
        (
            "with an even modulus",
            &encode([&[0x80][..], &[0; 255]].concat()),
            "AQAB",
            RSA.sign(&claims()),
            "2048 to 8192",
        ),
    ] {
        let setup = Setup::new();
        let weak = json!({ "kty": "RSA", "kid": "weak", "n": n, "e": e });
        setup.publish(&json!({ "keys": [setup.main.jwk(), weak] }).to_string());
        setup.verifier.prefetch().await;
        let state = setup.verifier.issuers().remove(0);
        assert!(state.last_error.as_ref().unwrap().contains(problem), "{what}: {state:?}");
        assert_eq!(setup.reason(&token).await, Some(Reason::AuthInvalidKey), "{what}");
        assert_eq!(setup.reason(&setup.main.sign(&claims())).await, None, "beside {what}");
    }
}

#[tokio::test]
async fn no_token_gets_in_by_a_key_on_the_wrong_curve() {
    let (p256, p384, ed) = (Forge::es256("weak"), Forge::es384("weak"), Forge::eddsa("weak"));
    let with = |key: &Forge, changes: &[(&str, Value)]| {
        let mut jwk = key.jwk().clone();
        jwk.as_object_mut().unwrap().remove("alg");
        jwk.as_object_mut().unwrap().extend(changes.iter().map(|(name, value)| ((*name).into(), value.clone())));
        jwk
    };
    let zero = json!(encode([0; 32]));
    for (what, jwk, signer, alg, expected) in [
        ("es256 with p-384", with(&p384, &[]), &p384, "ES256", Reason::AuthInvalidAlgorithm),
        ("es384 with p-256", with(&p256, &[]), &p256, "ES384", Reason::AuthInvalidAlgorithm),
        ("eddsa with p-256", with(&p256, &[]), &p256, "EdDSA", Reason::AuthInvalidAlgorithm),
        ("es256 with ed25519", with(&ed, &[]), &ed, "ES256", Reason::AuthInvalidAlgorithm),
        ("p-384 that says p-256", with(&p384, &[("crv", json!("P-256"))]), &p384, "ES256", Reason::AuthInvalidKey),
        ("p-256 that says p-384", with(&p256, &[("crv", json!("P-384"))]), &p256, "ES384", Reason::AuthInvalidKey),
        (
            "p-256 that says secp256k1",
            with(&p256, &[("crv", json!("secp256k1"))]),
            &p256,
            "ES256",
            Reason::AuthInvalidKey,
        ),
        ("p-521", with(&p256, &[("crv", json!("P-521"))]), &p256, "ES256", Reason::AuthInvalidKey),
        (
            "the point at the origin",
            with(&p256, &[("x", zero.clone()), ("y", zero.clone())]),
            &p256,
            "ES256",
            Reason::AuthInvalidKey,
        ),
        (
            "a point off the curve",
            with(&p256, &[("y", p256.jwk()["x"].clone())]),
            &p256,
            "ES256",
            Reason::AuthInvalidKey,
        ),
        ("x25519, which cannot sign", with(&ed, &[("crv", json!("X25519"))]), &ed, "EdDSA", Reason::AuthInvalidKey),
        ("ed448", with(&ed, &[("crv", json!("Ed448"))]), &ed, "EdDSA", Reason::AuthInvalidKey),
    ] {
        let setup = Setup::with(|settings| settings.algorithms = Algorithm::ALL.to_vec());
        setup.publish(&json!({ "keys": [setup.main.jwk(), jwk] }).to_string());
        setup.verifier.prefetch().await;
        let header = json!({ "alg": alg, "kid": "weak" }).to_string();
        let token = signer.sign_raw(header.as_bytes(), claims().to_string().as_bytes());
        assert_eq!(setup.reason(&token).await, Some(expected), "{what}");
    }
}

/// What a signature under an RSA key with the exponent 1 is: the padded digest (RFC 8017 §9.2), which takes no key.
fn unsigned(signed: &str) -> String {
    let digest = digest(&SHA256, signed.as_bytes());
    let kind =
        [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0, 0x04, 0x20];
    let padding = vec![0xff; 256 - 3 - kind.len() - 32];
    let padded = [&[0, 1][..], &padding, &[0], &kind, digest.as_ref()].concat();
    format!("{signed}.{}", encode(padded))
}

/// A power of 65537, big-endian.
fn power(exponent: usize) -> Vec<u8> {
    let mut number = vec![1_u8]; // little-endian
    for _ in 0..exponent {
        let mut carry = 0_u64;
        let mut next: Vec<u8> = number
            .iter()
            .map(|digit| {
                carry += u64::from(*digit) * 65_537;
                let low = carry.to_le_bytes()[0];
                carry >>= 8;
                low
            })
            .collect();
        while carry > 0 {
            next.push(carry.to_le_bytes()[0]);
            carry >>= 8;
        }
        number = next;
    }
    number.reverse();
    number
}
