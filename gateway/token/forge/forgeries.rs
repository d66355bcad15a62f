//! Tokens that must not get in: each way of forging, for each algorithm.

use std::iter;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};
use terms::Reason;

use super::{Issuer, encode};
use crate::Algorithm;

/// One token that must not get in.
#[derive(Clone, Debug)]
pub struct Forgery {
    /// What it belongs to, of what RFC 8725 and its successors warn of.
    pub line: &'static str,
    /// How it was made.
    pub manner: &'static str,
    /// What it comes to be refused for.
    pub reason: Reason,
    /// Whether it looks like a good one until its signature is verified.
    pub looks_good: bool,
    /// The token.
    pub token: String,
}

/// What a forger has to work with.
#[derive(Clone, Copy, Debug)]
pub struct Workshop<'w> {
    /// Whose tokens are forged. The issuer publishes no other key.
    pub victim: &'w Issuer,
    /// Whoever can make a key of the same kind, and name it like that of the victim.
    pub stranger: &'w Issuer,
    /// Good claims of the victim, with `iss`, `aud`, `sub` and `exp`.
    pub claims: &'w Value,
    /// Now, in seconds since the Unix epoch.
    pub now: u64,
}

/// A manner, what it is part of, what it is refused for, and the token.
type Row = (&'static str, &'static str, Reason, String);

/// These look like good ones until the signature is verified.
const LOOK_GOOD: &[&str] = &[
    "signed by a stranger",
    "signed by a stranger, with a type",
    "other claims under the signature",
    "another header under the signature",
    "another subject, and signed by a stranger",
    "the last bit of the signature flipped",
    "a bit in the middle of the signature flipped",
    "expired, and signed by a stranger",
];

impl Workshop<'_> {
    /// Every forgery there is.
    #[must_use]
    pub fn forgeries(&self) -> Vec<Forgery> {
        let rows =
            [self.algorithms(), self.headers(), self.encodings(), self.claims(), self.signatures(), self.edges()];
        let forgery = |(line, manner, reason, token)| Forgery {
            line,
            manner,
            reason,
            looks_good: LOOK_GOOD.contains(&manner),
            token,
        };
        rows.into_iter().flatten().map(forgery).collect()
    }

    fn header(&self) -> Value {
        json!({ "alg": self.victim.algorithm().as_str(), "kid": self.victim.kid() })
    }

    /// A header with something else in it.
    fn header_with(&self, name: &str, value: Value) -> Value {
        changed(&self.header(), name, value)
    }

    /// Well signed, by the victim itself.
    fn signed(&self, header: &Value, claims: &Value) -> String {
        self.victim.sign_raw(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    fn good(&self) -> (String, Vec<u8>) {
        let token = self.signed(&self.header(), self.claims);
        let (signed, signature) = token.rsplit_once('.').unwrap_or_default();
        (signed.into(), URL_SAFE_NO_PAD.decode(signature).unwrap_or_default())
    }

    /// With an algorithm that the key is not for, or none.
    fn algorithms(&self) -> Vec<Row> {
        let reason = Reason::AuthInvalidAlgorithm;
        let body = encode(self.claims.to_string());
        let jwk = self.victim.jwk();
        let mut rows: Vec<Row> = Vec::new();
        for (manner, alg) in [("none", "none"), ("None", "None"), ("NONE", "NONE"), ("nOnE", "nOnE"), ("no name", "")] {
            let header = encode(self.header_with("alg", json!(alg)).to_string());
            rows.push(("none", manner, reason, format!("{header}.{body}.")));
        }
        let (_, signature) = self.good();
        let header = encode(self.header_with("alg", json!("none")).to_string());
        rows.push(("none", "none, with a signature", reason, format!("{header}.{body}.{}", encode(signature))));
        let material = ["n", "x"].iter().find_map(|part| jwk.get(part)?.as_str()).unwrap_or_default();
        let material = URL_SAFE_NO_PAD.decode(material).unwrap_or_default();
        for (manner, alg, secret) in [
            ("the jwk as a secret", jsonwebtoken::Algorithm::HS256, jwk.to_string().into_bytes()),
            ("the key set as a secret", jsonwebtoken::Algorithm::HS256, self.victim.jwks().into_bytes()),
            ("the key as a secret", jsonwebtoken::Algorithm::HS384, material),
            ("an empty secret", jsonwebtoken::Algorithm::HS512, Vec::new()),
        ] {
            let header = encode(self.header_with("alg", json!(format!("{alg:?}"))).to_string());
            let signed = format!("{header}.{body}");
            let mac = jsonwebtoken::crypto::sign(signed.as_bytes(), &EncodingKey::from_secret(&secret), alg);
            rows.push(("alg confusion", manner, reason, format!("{signed}.{}", mac.unwrap_or_default())));
        }
        for other in Algorithm::ALL.iter().filter(|other| **other != self.victim.algorithm()) {
            // The issuer allows one algorithm, so that this is true also of those that fit its key.
            let header = self.header_with("alg", json!(other.as_str()));
            rows.push(("alg confusion", "another algorithm's name", reason, self.signed(&header, self.claims)));
        }
        for name in ["ES256K", "ES512", "Ed448", "RSA1_5", "dir"] {
            let header = self.header_with("alg", json!(name));
            rows.push((
                "alg confusion",
                "an algorithm that is none of ours",
                reason,
                self.signed(&header, self.claims),
            ));
        }
        rows
    }

    /// With a header that brings what must not come with a token. All of them well signed.
    fn headers(&self) -> Vec<Row> {
        let header = Reason::AuthInvalidHeader;
        let evil = || json!("https://evil.example/jwks.json");
        let all: Vec<(&str, &str, Reason, &str, Value)> = vec![
            ("a key of its own", "jwk", header, "jwk", self.stranger.jwk().clone()),
            ("a key of its own", "jku", header, "jku", evil()),
            ("a key of its own", "x5u", header, "x5u", evil()),
            ("a key of its own", "x5c", header, "x5c", json!(["MIIB"])),
            ("b64:false", "b64 without crit", header, "b64", json!(false)),
            ("b64:false", "b64: true", header, "b64", json!(true)),
            ("b64:false", "an empty crit", header, "crit", json!([])),
            ("b64:false", "crit that names exp", header, "crit", json!(["exp"])),
            ("JWE", "enc in the header of a jws", header, "enc", json!("A256GCM")),
            ("huge", "compressed", header, "zip", json!("DEF")),
            ("nested", "cty: JWT around claims", header, "cty", json!("JWT")),
            ("type", "a proof of possession", header, "typ", json!("dpop+jwt")),
            ("type", "a security event", header, "typ", json!("secevent+jwt")),
            ("type", "a logout token", header, "typ", json!("logout+jwt")),
            ("type", "an introspection response", header, "typ", json!("token-introspection+jwt")),
            ("type", "a type that is no text", header, "typ", json!(["JWT"])),
            ("kid", "an unknown kid", Reason::AuthInvalidKey, "kid", json!("another")),
            ("kid", "a kid that is a path", Reason::AuthInvalidKey, "kid", json!("../../../dev/null")),
            ("kid", "a kid that is a query", Reason::AuthInvalidKey, "kid", json!("x' UNION SELECT 'secret")),
            ("kid", "a kid that is no text", header, "kid", json!({ "$ne": null })),
            ("kid", "a huge kid", header, "kid", json!("k".repeat(300))),
        ];
        let signed = |(line, manner, reason, name, value)| {
            (line, manner, reason, self.signed(&self.header_with(name, value), self.claims))
        };
        let mut rows: Vec<Row> = all.into_iter().map(signed).collect();
        let both = changed(&self.header_with("b64", json!(false)), "crit", json!(["b64"]));
        let detached = self.signed(&both, self.claims);
        rows.push(("b64:false", "b64 with crit", header, detached));
        rows.push((
            "b64:false",
            "a payload that is not encoded",
            Reason::AuthInvalidMalformed,
            format!("{}.{}.{}", encode(both.to_string()), self.claims.to_string().replace('.', ""), encode([0; 64])),
        ));
        rows
    }

    /// What is not a compact JWS around claims, or is written in another way than the one.
    fn encodings(&self) -> Vec<Row> {
        let malformed = Reason::AuthInvalidMalformed;
        let good = self.signed(&self.header(), self.claims);
        let (signed, signature) = self.good();
        let (head, body) = signed.split_once('.').unwrap_or_default();
        let inner = json!(good).to_string();
        let jwe = ["eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0", "", "AAAAAAAAAAAAAAAA", "AAAA", "AAAAAAAAAAAAAAAAAAAAAA"];
        let flattened = json!({ "protected": head, "payload": body, "signature": encode(&signature) });
        let general =
            json!({ "payload": body, "signatures": [{ "protected": head, "signature": encode(&signature) }] });
        let header = self.header().to_string();
        let bad_utf8 = [b"{\"x\":\"\xff\xfe\",", self.claims.to_string().split_at(1).1.as_bytes()].concat();
        vec![
            ("JWE", "five parts", malformed, jwe.join(".")),
            ("JWE", "json, flattened", malformed, flattened.to_string()),
            ("JWE", "json, general", malformed, general.to_string()),
            ("nested", "a token around a token", malformed, self.victim.sign_raw(header.as_bytes(), good.as_bytes())),
            ("nested", "a text around a token", malformed, self.victim.sign_raw(header.as_bytes(), inner.as_bytes())),
            ("non-canonical base64", "padding", malformed, format!("{signed}.{}", URL_SAFE.encode(&signature) + "=")),
            ("non-canonical base64", "the other alphabet", malformed, {
                format!("{signed}.{}", STANDARD_NO_PAD.encode(&signature).replace('_', "/") + "+")
            }),
            ("non-canonical base64", "bits behind the end", malformed, format!("{signed}.{}", with_bits(&signature))),
            ("non-canonical base64", "a space within", malformed, format!("{head}.{body} .{}", encode(&signature))),
            ("non-canonical base64", "a line break at the end", malformed, format!("{good}\n")),
            ("non-canonical base64", "a fourth part", malformed, format!("{good}.")),
            ("non-canonical base64", "two parts", malformed, signed.clone()),
            ("bad UTF-8", "in the claims", malformed, self.victim.sign_raw(header.as_bytes(), &bad_utf8)),
            ("bad UTF-8", "in the header", malformed, {
                let header = [b"{\"x\":\"\xc0\xaf\",", header.split_at(1).1.as_bytes()].concat();
                self.victim.sign_raw(&header, self.claims.to_string().as_bytes())
            }),
            ("bad UTF-8", "half a pair of surrogates", malformed, {
                let claims = self.claims.to_string().replacen('{', r#"{"x":"\ud800","#, 1);
                self.victim.sign_raw(header.as_bytes(), claims.as_bytes())
            }),
            ("bad UTF-8", "a mark of byte order", malformed, {
                self.victim.sign_raw(header.as_bytes(), format!("\u{feff}{}", self.claims).as_bytes())
            }),
        ]
    }

    /// Well signed, and not for us, not for now, or of more than one meaning.
    fn claims(&self) -> Vec<Row> {
        let (wrong, now) = (Reason::AuthInvalidClaims, self.now);
        let header = self.header().to_string();
        let text = self.claims.to_string();
        let raw = |claims: &str| self.victim.sign_raw(header.as_bytes(), claims.as_bytes());
        let set = |name: &str, value: Value| self.signed(&self.header(), &changed(self.claims, name, value));
        let without = |name: &str| {
            let mut claims = self.claims.clone();
            claims.as_object_mut().map(|members| members.remove(name));
            self.signed(&self.header(), &claims)
        };
        let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));
        let many = vec![0; 5_000].iter().map(|_| "0").collect::<Vec<_>>().join(",");
        let wide: Vec<_> = (0..100).map(|number| format!("\"c{number}\":0")).collect();
        vec![
            ("duplicate JSON keys", "exp twice", wrong, raw(&text.replacen('{', r#"{"exp":1,"#, 1))),
            ("duplicate JSON keys", "exp twice, escaped", wrong, raw(&text.replacen('{', r#"{"\u0065xp":1,"#, 1))),
            ("duplicate JSON keys", "inside of a claim", wrong, raw(&text.replacen('{', r#"{"x":{"a":1,"a":2},"#, 1))),
            ("duplicate JSON keys", "alg twice", Reason::AuthInvalidHeader, {
                self.victim.sign_raw(header.replacen('{', r#"{"alg":"none","#, 1).as_bytes(), text.as_bytes())
            }),
            ("deep", "four hundred lists", wrong, raw(&text.replacen('{', &format!("{{\"x\":{deep},"), 1))),
            ("deep", "in the header", Reason::AuthInvalidHeader, {
                let deep = header.replacen('{', &format!("{{\"x\":{deep},"), 1);
                self.victim.sign_raw(deep.as_bytes(), text.as_bytes())
            }),
            ("huge", "a long claim", Reason::AuthInvalidTooLarge, set("x", json!("x".repeat(9_000)))),
            (
                "huge",
                "many values",
                Reason::AuthInvalidTooLarge,
                raw(&text.replacen('{', &format!("{{\"x\":[{many}],"), 1)),
            ),
            ("huge", "many claims", wrong, raw(&text.replacen('{', &format!("{{{},", wide.join(",")), 1))),
            ("issuer", "of another issuer", Reason::AuthInvalidIssuer, set("iss", json!("https://evil.example/"))),
            ("issuer", "with another case", Reason::AuthInvalidIssuer, {
                set("iss", json!(self.claims["iss"].as_str().unwrap_or_default().to_uppercase()))
            }),
            ("issuer", "a list of issuers", wrong, set("iss", json!([self.claims["iss"]]))),
            ("issuer", "no issuer", wrong, without("iss")),
            ("audience", "of somebody else", Reason::AuthInvalidAudience, set("aud", json!("somebody-else"))),
            ("audience", "of nobody", Reason::AuthInvalidAudience, set("aud", json!([]))),
            ("audience", "no audience", wrong, without("aud")),
            ("exp", "expired", Reason::AuthInvalidExpired, set("exp", json!(now - 3_600))),
            ("exp", "no end", wrong, without("exp")),
            ("exp", "an end that is a text", wrong, set("exp", json!((now + 600).to_string()))),
            ("exp", "an end beyond all calendars", wrong, set("exp", json!(1e300))),
            ("nbf", "not yet", Reason::AuthInvalidNotYet, set("nbf", json!(now + 3_600))),
            ("nbf", "a beginning that is a text", wrong, set("nbf", json!("soon"))),
            ("iat", "issued tomorrow", Reason::AuthInvalidNotYet, set("iat", json!(now + 86_400))),
            ("iat", "issued at no time", wrong, set("iat", json!(-1))),
            ("skew", "expired just beyond the leeway", Reason::AuthInvalidExpired, set("exp", json!(now - 30))),
            ("skew", "good just beyond the leeway", Reason::AuthInvalidNotYet, set("nbf", json!(now + 31))),
            ("skew", "issued just beyond the leeway", Reason::AuthInvalidNotYet, set("iat", json!(now + 31))),
            ("subject", "no subject", wrong, without("sub")),
            ("subject", "a subject with a line break", wrong, set("sub", json!("a\r\nX-Tenant-Id: globex"))),
        ]
    }

    /// With a signature that is not the victim's, or not of this.
    fn signatures(&self) -> Vec<Row> {
        let (line, reason) = ("signature", Reason::AuthInvalidSignature);
        let (signed, signature) = self.good();
        let (head, body) = signed.split_once('.').unwrap_or_default();
        let under = |header: &str, claims: &str| format!("{header}.{claims}.{}", encode(&signature));
        let with = |signature: Vec<u8>| format!("{signed}.{}", encode(signature));
        let strange = |header: &Value, claims: &Value| {
            self.stranger.sign_raw(header.to_string().as_bytes(), claims.to_string().as_bytes())
        };
        let other = changed(self.claims, "sub", json!("somebody-else"));
        let mut unnamed = self.header();
        unnamed.as_object_mut().map(|members| members.remove("kid"));
        let middle = signature.len() / 2;
        vec![
            (line, "signed by a stranger", reason, strange(&self.header(), self.claims)),
            (line, "signed by a stranger, without a kid", reason, strange(&unnamed, self.claims)),
            (line, "signed by a stranger, with a type", reason, {
                strange(&self.header_with("typ", json!("JWT")), self.claims)
            }),
            (line, "another subject, and signed by a stranger", reason, strange(&self.header(), &other)),
            (line, "expired, and signed by a stranger", reason, {
                strange(&self.header(), &changed(self.claims, "exp", json!(1)))
            }),
            (line, "other claims under the signature", reason, under(head, &encode(other.to_string()))),
            (line, "another header under the signature", reason, {
                under(&encode(self.header_with("typ", json!("at+jwt")).to_string()), body)
            }),
            (line, "the last bit of the signature flipped", reason, with(flipped(&signature, signature.len() - 1, 1))),
            (line, "a bit in the middle of the signature flipped", reason, with(flipped(&signature, middle, 1))),
            (line, "no signature", reason, format!("{signed}.")),
            (line, "half a signature", reason, with(signature.iter().copied().take(middle).collect())),
            (line, "a signature with a byte behind it", reason, with([signature.clone(), vec![0]].concat())),
            (line, "a signature with a byte before it", reason, with([vec![0], signature.clone()].concat())),
            (line, "a signature of ones", reason, with(vec![0xff; signature.len()])),
        ]
    }

    /// What the mathematics of one kind of key would let through if it were done carelessly.
    fn edges(&self) -> Vec<Row> {
        let (signed, signature) = self.good();
        let row = |line, manner, signature: Vec<u8>| {
            (line, manner, Reason::AuthInvalidSignature, format!("{signed}.{}", encode(signature)))
        };
        let (first, second) = signature.split_at(signature.len() / 2);
        match self.victim.algorithm() {
            Algorithm::ES256 | Algorithm::ES384 => {
                let line = "ECDSA r/s edge case";
                let order = order(self.victim.algorithm());
                let (zero, one) = (vec![0; first.len()], number(1, first.len()));
                let pair = |r: &[u8], s: &[u8]| [r, s].concat();
                vec![
                    row(line, "r and s are 0", pair(&zero, &zero)), // CVE-2022-21449
                    row(line, "r is 0", pair(&zero, second)),
                    row(line, "s is 0", pair(first, &zero)),
                    row(line, "r and s are 1", pair(&one, &one)),
                    row(line, "r is the order", pair(&order, second)),
                    row(line, "s is the order", pair(first, &order)),
                    row(line, "r and s are the order", pair(&order, &order)),
                    row(line, "s is the order and 1", pair(first, &plus_one(&order))),
                    row(line, "r and s change places", pair(second, first)),
                    row(line, "r and s in DER", der(first, second)),
                ]
            }
            Algorithm::EdDSA => {
                let line = "EdDSA s edge case";
                let (identity, zero) = ([&[1][..], &[0; 31]].concat(), vec![0; 32]);
                vec![
                    row(line, "s and the order of the group", [first, &plus_order(second)].concat()), // RFC 8032 §5.1.7
                    row(line, "r is the neutral element, s is 0", [identity, zero.clone()].concat()),
                    row(line, "r and s are 0", vec![0; 64]),
                    row(line, "s is 0", [first, &zero].concat()),
                    row(line, "r and s change places", [second, first].concat()),
                ]
            }
            Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512
            | Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512 => {
                let line = "RSA edge case";
                let modulus = self.victim.jwk()["n"].as_str().unwrap_or_default();
                let modulus = URL_SAFE_NO_PAD.decode(modulus).unwrap_or_default();
                vec![
                    row(line, "the signature is 0", vec![0; signature.len()]),
                    row(line, "the signature is 1", number(1, signature.len())),
                    row(line, "the signature is the modulus", modulus.clone()),
                    row(line, "the signature is beyond the modulus", plus_one(&modulus)),
                    row(line, "the signature without its first byte", signature.iter().skip(1).copied().collect()),
                ]
            }
        }
    }
}

fn changed(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    object.as_object_mut().map(|members| members.insert(name.into(), value));
    object
}

fn flipped(bytes: &[u8], at: usize, bit: u8) -> Vec<u8> {
    bytes.iter().enumerate().map(|(index, byte)| if index == at { byte ^ bit } else { *byte }).collect()
}

/// The text of these bytes with bits set that are no part of them: in a character more, if none has room.
fn with_bits(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = encode(bytes);
    if bytes.len().is_multiple_of(3) {
        text.push('B');
        return text;
    }
    let last = text.pop().and_then(|last| ALPHABET.iter().position(|letter| char::from(*letter) == last));
    text.extend(last.and_then(|place| ALPHABET.get(place + 1)).map(|letter| char::from(*letter)));
    text
}

/// A small number in so many bytes, big-endian.
fn number(value: u8, length: usize) -> Vec<u8> {
    iter::repeat_n(0, length.saturating_sub(1)).chain([value]).collect()
}

fn plus_one(number: &[u8]) -> Vec<u8> {
    let mut carry = true;
    let mut sum: Vec<u8> = number
        .iter()
        .rev()
        .map(|byte| {
            let (sum, over) = byte.overflowing_add(u8::from(carry));
            carry = over;
            sum
        })
        .collect();
    sum.reverse();
    sum
}

/// How many points there are (SEC 2 §2.4.2 and §2.5.1).
fn order(algorithm: Algorithm) -> Vec<u8> {
    let tail: &[u8] = match algorithm {
        Algorithm::ES384 => &[
            0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec,
            0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
        ],
        Algorithm::ES256
        | Algorithm::EdDSA
        | Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512
        | Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512 => &[
            0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
            0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
        ],
    };
    let length = if algorithm == Algorithm::ES384 { 48 } else { 32 };
    iter::repeat_n(0xff, length - tail.len()).chain(tail.iter().copied()).collect()
}

/// The number, little-endian, and the order of edwards25519 (RFC 8032 §5.1): the same, to who does not look at its size.
fn plus_order(number: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    let sum = number.iter().zip(ORDER).map(|(byte, order)| {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    });
    sum.collect()
}

/// How X.509 writes the two numbers.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap_or_default();
    let integer = |number: &[u8]| {
        let digits: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = digits.first().filter(|first| **first >= 0x80).map(|_| 0);
        let digits: Vec<u8> = sign.into_iter().chain(digits).collect();
        [vec![2, length(&digits)], digits].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [vec![0x30, length(&body)], body].concat()
}
