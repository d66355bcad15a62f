use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};

use crate::json::Json;

/// The SHA-256 thumbprint of a public key (RFC 7638): over the members that make up the key, in order, without a space. A
/// key that cannot be read has none.
pub(crate) fn of(jwk: &BTreeMap<String, Json>) -> Option<[u8; 32]> {
    let text = |name: &str| jwk.get(name).and_then(Json::as_text);
    let members: &[&str] = match text("kty")? {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "RSA" => &["e", "kty", "n"],
        _ => return None,
    };
    let mut input = String::with_capacity(512);
    for (index, name) in members.iter().enumerate() {
        let value = text(name)?;
        // INVARIANT: `Key::read` has found these to be base64url or a word that it knows. Asked again, since no escape is
        // written here.
        if !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return None;
        }
        let before = if index == 0 { "{\"" } else { ",\"" };
        for part in [before, name, "\":\"", value, "\""] {
            input.push_str(part);
        }
    }
    input.push('}');
    digest(&SHA256, input.as_bytes()).as_ref().try_into().ok()
}

/// That of a key that `forge` has made.
#[cfg(any(test, feature = "test"))]
#[expect(clippy::expect_used, reason = "for tests: a key without a thumbprint should end them")]
pub(crate) fn of_forged(jwk: &serde_json::Value) -> [u8; 32] {
    use crate::json::{Bounds, parse_object};
    let bounds = Bounds { depth: 4, values: 64 };
    of(&parse_object(jwk.to_string().as_bytes(), bounds).expect("a key")).expect("a thumbprint")
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    /// RFC 7638 §3.1, RFC 8037 Appendix A.3.
    #[test]
    fn thumbprints_are_those_of_the_standards() {
        let rsa = json!({
            "kty": "RSA", "alg": "RS256", "kid": "2011-04-29", "e": "AQAB",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi\
                  FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb\
                  9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls\
                  1jF44-csFCur-kEgU8awapJzKnqDKgw",
        });
        let ed25519 = json!({ "crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        for (jwk, expected) in [
            (rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            (ed25519, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        ] {
            assert_eq!(URL_SAFE_NO_PAD.encode(of_forged(&jwk)), expected);
        }
    }
}
