use std::collections::BTreeMap;

use super::*;
use crate::{BodyDigest, CallersToken, Signer, Telling};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// Writes the vectors anew: `cargo test -p assertion -- --ignored`. The keys stay the same once they are there.
#[test]
#[ignore = "writes files; run it when a claim or a rule is added"]
fn the_vectors_are_written() {
    for (name, used) in [
        ("assertion.jwks", &[Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256][..]),
        ("signature.jwks", &[Algorithm::EdDsa, Algorithm::Es256]),
    ] {
        let lifetime = Lifetime::try_from(Duration::from_secs(60)).unwrap();
        let schedule = Schedule::new(Duration::from_secs(86_400), Duration::from_secs(300), lifetime).unwrap();
        if !folder().join(name).exists() {
            let made = tempfile::tempdir().unwrap();
            let path = made.path().join(name);
            Keys::open(Source::File(path.clone()), used, schedule, clock()).unwrap();
            fs::copy(path, folder().join(name)).unwrap();
        }
    }
    let text = serde_json::to_string_pretty(&Writer::default().file()).unwrap() + "\n";
    fs::write(folder().join("requests.json"), text).unwrap();
}

fn encode(octets: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(octets)
}

struct Writer {
    minter: Minter,
    cases: Vec<Value>,
    nonce: u128,
}

impl Default for Writer {
    fn default() -> Self {
        Self { minter: vector_minter(), cases: Vec::new(), nonce: 0xabc }
    }
}

fn all_settings() -> BTreeMap<&'static str, Settings> {
    let of = |algorithm: &str, binding: &str, signature: Option<&str>, digest| Settings {
        algorithm: algorithm.into(),
        binding: binding.into(),
        signature: signature.map(Into::into),
        digest,
    };
    BTreeMap::from([
        ("per_request", of("ES256", "per_request", None, false)),
        ("per_request_rs256", of("RS256", "per_request", None, false)),
        ("per_request_eddsa", of("EdDSA", "per_request", None, false)),
        ("reuse", of("ES256", "reuse", Some("hmac-sha256"), false)),
        ("reuse_body", of("ES256", "reuse", Some("hmac-sha256"), true)),
        ("reuse_ecdsa", of("ES256", "reuse", Some("ecdsa-p256-sha256"), false)),
        ("reuse_ed25519", of("ES256", "reuse", Some("ed25519"), false)),
    ])
}

fn replace(request: &mut Request, name: &str, value: &str) {
    remove(request, name);
    request.headers.push((name.into(), value.into()));
}

fn remove(request: &mut Request, name: &str) {
    request.headers.retain(|(field, _)| field != name);
}

impl Writer {
    /// A request as the gateway sends it.
    fn good(&mut self, settings: &str) -> Request {
        self.request(settings, &Person::ada(), "GET", "/orders/7?full=1", "")
    }

    fn request(&mut self, settings: &str, person: &Person, method: &str, target: &str, body: &str) -> Request {
        self.nonce += 1;
        let Settings { algorithm, binding, signature, digest: with_body } = all_settings()[settings].clone();
        let algorithm = match algorithm.as_str() {
            "RS256" => Algorithm::Rs256,
            "EdDSA" => Algorithm::EdDsa,
            _ => Algorithm::Es256,
        };
        let signer = signature.map(|signature| match signature.as_str() {
            "ecdsa-p256-sha256" => Signer::pair(Algorithm::Es256).unwrap(),
            "ed25519" => Signer::pair(Algorithm::EdDsa).unwrap(),
            _ => SignatureKey::new("orders", &Secret::new(SECRET.to_vec())).unwrap().into(),
        });
        let binding = if binding == "reuse" { Binding::Reuse } else { Binding::PerRequest };
        let backend = Backend::new("orders".parse().unwrap(), binding, algorithm, signer).unwrap();
        let telling = Telling::new([(http::HeaderName::from_static("x-email"), 0)]).unwrap();
        let backend = backend.told(telling, CallersToken::Kept);
        let claimed = [Claimed::Text("ada@example.com".into())];
        let identity = Identity { claimed: &claimed, ..person.identity() };
        let mut sum = BodyDigest::begin([]).unwrap();
        sum.update(body.as_bytes());
        let sum = sum.finish().unwrap();
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let authority = "orders.internal:9001";
        let id = RequestId::from(self.nonce);
        let forwarded = Forwarded { id, method, authority, path, query, digest: with_body.then_some(&sum) };
        let mut injected = self.minter.inject(&identity, &forwarded, &backend).unwrap();
        let told = injected.take_told().into_iter().map(|(name, value)| (name.to_string(), value));
        let fields = injected.into_fields().map(|(name, value)| (name.to_string(), value));
        let text = |(name, value): (String, http::HeaderValue)| (name, value.to_str().unwrap().to_owned());
        let mut headers: Vec<_> = told.chain(fields).map(text).collect();
        headers.push(("accept".into(), "*/*".into()));
        if with_body {
            headers.push(("content-digest".into(), sum.as_str().into()));
        }
        Request {
            method: method.into(),
            authority: authority.into(),
            target: target.into(),
            headers,
            body: body.into(),
        }
    }

    fn case(&mut self, name: &str, verdict: &str, settings: &str, why: &str, requests: &[Request]) {
        self.cases.push(json!({
            "name": name, "verdict": verdict, "why": why, "settings": settings, "requests": requests,
        }));
    }

    fn refuse(&mut self, name: &str, settings: &str, why: &str, change: impl FnOnce(&mut Request)) {
        let mut request = self.good(settings);
        change(&mut request);
        self.case(name, "refuse", settings, why, &[request]);
    }

    /// With another assertion than the gateway made, but signed with its key.
    fn forged(&mut self, name: &str, why: &str, header: &dyn Fn(&mut Value), claims: &dyn Fn(&mut Value)) {
        let request = self.good("per_request");
        let token = request.one("x-cloister-assertion").unwrap();
        let part = |i| serde_json::from_slice::<Value>(&decode(token.split('.').nth(i).unwrap())).unwrap();
        let (mut head, mut payload) = (part(0), part(1));
        header(&mut head);
        claims(&mut payload);
        let token = self.signed(&head.to_string(), &payload.to_string());
        self.refuse(name, "per_request", why, |request| replace(request, "x-cloister-assertion", &token));
    }

    fn signed(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", encode(header), encode(payload));
        let ring = self.minter.keys.glance();
        let signature = ring.active(Algorithm::Es256).unwrap().sign(input.as_bytes()).unwrap();
        format!("{input}.{}", encode(signature.octets()))
    }

    /// With other parameters of the signature than the gateway writes, but signed with its key.
    fn resigned(&mut self, name: &str, why: &str, change: impl FnOnce(String) -> String) {
        self.refuse(name, "reuse", why, |request| {
            let input = change(request.one("signature-input").unwrap().to_owned());
            let parameters = input.split_once('=').unwrap().1.to_owned();
            let (path, query) = request.target.split_once('?').unwrap();
            let lines = [
                ("@method", request.method.as_str()),
                ("@authority", &request.authority),
                ("@path", path),
                ("@query", &format!("?{query}")),
                ("x-cloister-assertion", request.one("x-cloister-assertion").unwrap()),
                ("accept", "*/*"),
            ];
            let list = parameters.split(')').next().unwrap();
            let names = list.trim_start_matches('(').split(' ').map(|name| name.trim_matches('"'));
            let mut base = String::new();
            for name in names.filter(|name| !name.is_empty()) {
                let value = lines.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
                base.push_str(&format!("\"{name}\": {value}\n"));
            }
            base.push_str(&format!("\"@signature-params\": {parameters}"));
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), base.as_bytes());
            let label = input.split_once('=').unwrap().0.to_owned();
            replace(request, "signature-input", &input);
            replace(request, "signature", &format!("{label}=:{}:", BASE64_STANDARD.encode(mac)));
        });
    }

    fn file(mut self) -> Value {
        self.good_ones();
        self.bad_headers();
        self.bad_claims();
        self.bad_encodings();
        self.bad_fields();
        self.bad_signatures();
        self.bad_pairs_and_bodies();
        let set = |keys: &Keys| serde_json::from_str::<Value>(keys.glance().jwks()).unwrap();
        json!({
            "about": "Requests as in README.md beside this file, to be judged at the time `now`. The last of `requests` is the one that the verdict is about; those before it are good.",
            "now": NOW, "issuer": "https://gateway.example.com", "audience": "orders",
            "jwks": set(&self.minter.keys), "signature_jwks": set(self.minter.signature_keys.as_deref().unwrap()),
            "secrets": { "orders": std::str::from_utf8(SECRET).unwrap(), "orders-2": "another key of the same backend." },
            "settings": all_settings(), "cases": self.cases,
        })
    }

    fn good_ones(&mut self) {
        for settings in all_settings().into_keys() {
            let request = self.good(settings);
            self.case(&format!("plain-{settings}"), "accept", settings, "as the gateway sends it", &[request]);
        }
        let nobody = Person { roles: Vec::new(), ..Person::ada() };
        let odd = Person { subject: "auth0|\"o'neil\\\"<&>".parse().unwrap(), token: [8; 32], ..Person::ada() };
        for (name, why, person, method, target) in [
            ("no-roles", "who has no role has no field that says so", nobody, "GET", "/orders/7"),
            ("odd-subject", "a subject that JSON escapes", odd, "GET", "/orders/7"),
            ("no-query", "without a query", Person::ada(), "DELETE", "/orders/7"),
            ("empty-query", "with a query of nothing", Person::ada(), "GET", "/orders/7?"),
            ("encoded", "a path and a query that nobody decodes", Person::ada(), "GET", "/orders/a%20b;c?x=%3F&y=a+b"),
            ("two-marks", "a query with a question mark in it", Person::ada(), "GET", "/orders/7?a?b"),
        ] {
            for settings in ["per_request", "reuse"] {
                let request = self.request(settings, &person, method, target, "");
                self.case(&format!("{name}-{settings}"), "accept", settings, why, &[request]);
            }
        }
        let body = self.request("reuse_body", &Person::ada(), "POST", "/orders", "{\"amount\":7}");
        self.case("body", "accept", "reuse_body", "a body that the signature covers", &[body]);
        let mut capital = self.good("reuse");
        capital.authority = "ORDERS.internal:9001".into();
        self.case("capital-authority", "accept", "reuse", "the name of a host has no case", &[capital]);
        let twice = [self.good("reuse"), self.good("reuse")];
        self.case("reused", "accept", "reuse", "the same assertion, another request and another nonce", &twice);
    }

    fn bad_headers(&mut self) {
        let rs256 = self.minter.keys.glance().active(Algorithm::Rs256).unwrap().kid().to_string();
        let stranger = minter(&clock());
        let kid = stranger.keys.glance().active(Algorithm::Es256).unwrap().kid().to_string();
        let same = |_: &mut Value| {};
        self.forged("alg-none", "an algorithm that is none", &|header| header["alg"] = json!("none"), &same);
        self.forged("alg-hs256", "an algorithm with a shared secret", &|header| header["alg"] = json!("HS256"), &same);
        self.forged(
            "alg-rs256",
            "an algorithm that this backend has not",
            &|header| header["alg"] = json!("RS256"),
            &same,
        );
        self.forged("alg-case", "not the name of an algorithm", &|header| header["alg"] = json!("es256"), &same);
        self.forged("alg-list", "not a text", &|header| header["alg"] = json!(["ES256"]), &same);
        self.forged("typ-jwt", "another kind of token", &|header| header["typ"] = json!("JWT"), &same);
        self.forged("typ-missing", "no kind", &|header| drop(header.as_object_mut().unwrap().remove("typ")), &same);
        self.forged("crit", "an extension that nobody knows", &|header| header["crit"] = json!(["b64"]), &same);
        self.forged(
            "kid-missing",
            "no key is named",
            &|header| drop(header.as_object_mut().unwrap().remove("kid")),
            &same,
        );
        self.forged("kid-unknown", "a key that is not published", &|header| header["kid"] = json!(kid), &same);
        self.forged("kid-number", "not a name", &|header| header["kid"] = json!(7), &same);
        self.forged("kid-of-rsa", "a key for another algorithm", &|header| header["kid"] = json!(rs256), &same);
        let mine = stranger.inject(&Person::ada().identity(), &request(1), &backend(Binding::PerRequest)).unwrap();
        let mine = mine.assertion.to_str().unwrap().to_owned();
        self.refuse("stranger", "per_request", "signed with a key that is not published", |request| {
            replace(request, "x-cloister-assertion", &mine);
        });
        for (name, header) in [("header-empty", ""), ("header-list", "[]"), ("header-text", "\"ES256\"")] {
            let token = self.signed(header, "{}");
            self.refuse(name, "per_request", "no header", |request| replace(request, "x-cloister-assertion", &token));
        }
    }

    fn bad_claims(&mut self) {
        let same = |_: &mut Value| {};
        let mut set = |name: &str, why: &str, claim: &str, value: Value| {
            self.forged(name, why, &same, &|claims| {
                if value.is_null() {
                    claims.as_object_mut().unwrap().remove(claim);
                } else {
                    claims[claim] = value.clone();
                }
            });
        };
        set("aud-other", "for another backend", "aud", json!("billing"));
        set("aud-prefix", "for another backend whose name begins like ours", "aud", json!("orders-2"));
        set("aud-missing", "for nobody", "aud", json!(null));
        set("aud-number", "not a name", "aud", json!(7));
        set("iss-other", "another gateway", "iss", json!("https://gateway.example.org"));
        set("iss-slash", "not the same text", "iss", json!("https://gateway.example.com/"));
        set("iss-missing", "from nobody", "iss", json!(null));
        for name in ["sub", "idp", "tenant", "jti", "roles", "iat", "exp"] {
            set(&format!("{name}-missing"), "a claim that is always there is not", name, json!(null));
        }
        for name in ["sub", "idp", "tenant", "jti"] {
            set(&format!("{name}-number"), "a claim of another type", name, json!(7));
        }
        set("roles-text", "a claim of another type", "roles", json!("billing_reader,support"));
        set("roles-number", "a role that is a number", "roles", json!(["billing_reader", 7]));
        set("exp-text", "a claim of another type", "exp", json!((NOW + 60).to_string()));
        set("iat-text", "a claim of another type", "iat", json!(NOW.to_string()));
        set("too-long-a-life", "good for 61 s", "exp", json!(NOW + 61));
        set("no-life", "good for no time", "exp", json!(NOW));
        set("from-the-future", "issued in 6 s", "iat", json!(NOW + 6));
        set("htm-other", "made for another method", "htm", json!("POST"));
        set("htm-case", "not the same method", "htm", json!("get"));
        set("htu-other", "made for another path", "htu", json!("/orders/8"));
        set("htu-query", "a path has no query", "htu", json!("/orders/7?full=1"));
        set("htm-missing", "it does not say for which method", "htm", json!(null));
        set("htu-missing", "it does not say for which path", "htu", json!(null));
        self.forged("expired", "it ran out 5 s ago", &same, &|claims| {
            claims["iat"] = json!(NOW - 65);
            claims["exp"] = json!(NOW - 5);
        });
        self.forged("negative-life", "it ran out before it began", &same, &|claims| {
            claims["exp"] = json!(NOW + 1);
            claims["iat"] = json!(NOW + 2);
        });
        for (name, payload) in [("claims-list", "[]"), ("claims-empty", ""), ("claims-text", "\"ada\"")] {
            let good = self.good("per_request");
            let header = decode(good.one("x-cloister-assertion").unwrap().split('.').next().unwrap());
            let token = self.signed(std::str::from_utf8(&header).unwrap(), payload);
            self.refuse(name, "per_request", "no claims", |request| replace(request, "x-cloister-assertion", &token));
        }
    }

    fn bad_encodings(&mut self) {
        let mut token = |name: &str, why: &str, change: &dyn Fn(&str, &str, &str) -> String| {
            self.refuse(name, "per_request", why, |request| {
                let token = request.one("x-cloister-assertion").unwrap().to_owned();
                let parts: Vec<_> = token.split('.').collect();
                replace(request, "x-cloister-assertion", &change(parts[0], parts[1], parts[2]));
            });
        };
        let other = encode(b"{\"tenant\":\"globex\"}");
        token("altered", "other claims under the signature", &|head, _, signature| {
            format!("{head}.{other}.{signature}")
        });
        token("flipped", "one bit of the signature", &|head, claims, signature| {
            let mut octets = decode(signature);
            octets[40] ^= 1;
            format!("{head}.{claims}.{}", encode(octets))
        });
        token("truncated", "63 bytes", &|head, claims, signature| {
            format!("{head}.{claims}.{}", encode(&decode(signature)[..63]))
        });
        token("zero", "r and s are zero", &|head, claims, _| format!("{head}.{claims}.{}", encode([0; 64])));
        token("der", "ASN.1 in place of r and s (RFC 7518 §3.4)", &|head, claims, signature| {
            format!("{head}.{claims}.{}", encode(der(&decode(signature))))
        });
        token("padded", "base64url has no padding here", &|head, claims, signature| {
            format!("{head}.{claims}.{signature}==")
        });
        token("not-url", "base64 in place of base64url", &|head, claims, signature| {
            format!("{head}.{claims}.{}+", &signature[..85])
        });
        token("not-canonical", "bits that say nothing are not zero", &|head, claims, signature| {
            let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let last = alphabet.find(&signature[85..]).unwrap();
            format!("{head}.{claims}.{}{}", &signature[..85], &alphabet[last + 1..last + 2])
        });
        token("unsigned", "an empty signature", &|head, claims, _| format!("{head}.{claims}."));
        token("two-parts", "no signature", &|head, claims, _| format!("{head}.{claims}"));
        token("four-parts", "one part too many", &|head, claims, signature| {
            format!("{head}.{claims}.{signature}.{signature}")
        });
        token("line-end", "something behind it", &|head, claims, signature| format!("{head}.{claims}.{signature}\n"));
        token("space", "something before it", &|head, claims, signature| format!(" {head}.{claims}.{signature}"));
        token("empty", "nothing", &|_, _, _| String::new());
        token("huge", "more than anybody reads", &|head, claims, signature| {
            format!("{head}.{claims}.{signature}{}", "A".repeat(20_000))
        });
    }

    fn bad_fields(&mut self) {
        for name in ["x-cloister-assertion", "x-tenant-id", "x-user-id", "x-roles", "x-email"] {
            self.refuse(&format!("{name}-missing"), "per_request", "it is always there", |request| {
                remove(request, name)
            });
            self.refuse(&format!("{name}-twice"), "per_request", "it stands there once", |request| {
                let value = request.one(name).unwrap().to_owned();
                request.headers.push((name.to_uppercase(), value));
            });
        }
        for (name, value) in
            [("x-tenant-id", "globex"), ("x-user-id", "root"), ("x-roles", "admin"), ("x-email", "eve@example.com")]
        {
            self.refuse(&format!("{name}-other"), "per_request", "not what was signed", |request| {
                replace(request, name, value)
            });
        }
        let nobody = Person { roles: Vec::new(), ..Person::ada() };
        let mut request = self.request("per_request", &nobody, "GET", "/orders/7", "");
        replace(&mut request, "x-roles", "admin");
        self.case("x-roles-of-nobody", "refuse", "per_request", "roles that were not signed", &[request]);
        self.refuse("another-method", "per_request", "the assertion is for GET", |request| {
            request.method = "DELETE".into()
        });
        self.refuse("another-path", "per_request", "the assertion is for another path", |request| {
            request.target = "/orders/8?full=1".into();
        });
        self.refuse("bound-under-reuse", "reuse", "an assertion for one request is not for others", |request| {
            let other = Self::default().good("per_request");
            replace(request, "x-cloister-assertion", other.one("x-cloister-assertion").unwrap());
        });
    }

    fn bad_signatures(&mut self) {
        for name in ["signature", "signature-input"] {
            self.refuse(&format!("{name}-missing"), "reuse", "it is always there", |request| remove(request, name));
            self.refuse(&format!("{name}-twice"), "reuse", "it stands there once", |request| {
                let value = request.one(name).unwrap().to_owned();
                request.headers.push((name.into(), value));
            });
            self.refuse(&format!("{name}-and-more"), "reuse", "there is one signature", |request| {
                let value = request.one(name).unwrap().to_owned();
                replace(request, name, &format!("{value}, sig2=:AAAA:"));
            });
        }
        for (name, why, method, authority, target) in [
            ("method-changed", "signed for GET", "DELETE", "orders.internal:9001", "/orders/7?full=1"),
            ("path-changed", "signed for another path", "GET", "orders.internal:9001", "/orders/8?full=1"),
            ("path-decoded", "the path is as it is on the wire", "GET", "orders.internal:9001", "/orders/%37?full=1"),
            ("query-changed", "signed for another query", "GET", "orders.internal:9001", "/orders/7?full=2"),
            ("query-removed", "the query is missing", "GET", "orders.internal:9001", "/orders/7"),
            ("query-added", "more of a query", "GET", "orders.internal:9001", "/orders/7?full=1&admin=1"),
            ("authority-changed", "signed for another host", "GET", "billing.internal:9001", "/orders/7?full=1"),
            ("port-changed", "signed for another port", "GET", "orders.internal:9002", "/orders/7?full=1"),
        ] {
            self.refuse(name, "reuse", why, |request| {
                (request.method, request.authority, request.target) = (method.into(), authority.into(), target.into());
            });
        }
        let bob = Person {
            subject: "bob".parse().unwrap(),
            tenant: "globex".parse().unwrap(),
            token: [9; 32],
            ..Person::ada()
        };
        let others = self.request("reuse", &bob, "GET", "/orders/7?full=1", "");
        self.refuse(
            "another-assertion",
            "reuse",
            "another tenant's assertion and fields under this signature",
            |request| {
                for name in ["x-cloister-assertion", "x-tenant-id", "x-user-id"] {
                    replace(request, name, others.one(name).unwrap());
                }
            },
        );
        for (name, why, mac) in [
            ("mac-zero", "a MAC of zeros", format!("cloister=:{}:", BASE64_STANDARD.encode([0; 32]))),
            ("mac-empty", "an empty MAC", "cloister=::".into()),
            ("mac-short", "half of a MAC", format!("cloister=:{}:", BASE64_STANDARD.encode([0; 16]))),
            ("mac-bare", "not a byte sequence", BASE64_STANDARD.encode([0; 32])),
        ] {
            self.refuse(name, "reuse", why, |request| replace(request, "signature", &mac));
        }
        self.refuse("mac-not-canonical", "reuse", "bits that say nothing are not zero", |request| {
            let mac = request.one("signature").unwrap().trim_end_matches("=:").to_owned();
            let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let (rest, last) = mac.split_at(mac.len() - 1);
            let last = alphabet.find(last).unwrap();
            replace(request, "signature", &format!("{rest}{}=:", &alphabet[last + 1..last + 2]));
        });
        let now = NOW.to_string();
        self.resigned("created-long-ago", "created 31 s ago", |input| {
            input
                .replace(&format!("created={now}"), &format!("created={}", NOW - 31))
                .replace(&format!("expires={}", NOW + 60), &format!("expires={}", NOW + 29))
        });
        self.resigned("created-later", "created in 31 s", |input| {
            input.replace(&format!("created={now}"), &format!("created={}", NOW + 31))
        });
        self.resigned("signature-expired", "expires now", |input| {
            input.replace(&format!("expires={}", NOW + 60), &format!("expires={now}"))
        });
        self.resigned("signature-too-long", "good for longer than nonces are remembered", |input| {
            input.replace(&format!("expires={}", NOW + 60), &format!("expires={}", NOW + 61))
        });
        self.resigned("keyid-unknown", "a key that this backend does not have", |input| {
            input.replace("\"orders\"", "\"billing\"")
        });
        self.resigned("keyid-other", "the name of another key", |input| input.replace("\"orders\"", "\"orders-2\""));
        self.resigned("tag-other", "made for another purpose", |input| input.replace("cloister-v1", "cloister-v2"));
        self.resigned("label-other", "a label that is not ours", |input| input.replace("cloister=", "sig1="));
        self.resigned("query-not-covered", "the query is not covered", |input| input.replace(" \"@query\"", ""));
        self.resigned("path-not-covered", "the path is not covered", |input| input.replace(" \"@path\"", ""));
        self.resigned("authority-not-covered", "the host is not covered", |input| input.replace(" \"@authority\"", ""));
        self.resigned("assertion-not-covered", "it does not say who", |input| {
            input.replace(" \"x-cloister-assertion\"", "")
        });
        self.resigned("nothing-covered", "nothing is covered", |input| {
            format!("cloister=(){}", &input[input.find(");").unwrap() + 1..])
        });
        self.resigned("order", "the list is as it is", |input| {
            input.replace("\"@method\" \"@authority\"", "\"@authority\" \"@method\"")
        });
        self.resigned("more-covered", "the list is as it is", |input| {
            input.replace("-assertion\")", "-assertion\" \"accept\")")
        });
        self.resigned("alg-named", "the key decides, and nobody else", |input| input + ";alg=\"hmac-sha256\"");
        self.resigned("no-expires", "it does not say for how long", |input| {
            input.replace(&format!(";expires={}", NOW + 60), "")
        });
        self.resigned("no-nonce", "it could be sent again", |input| {
            let at = input.find(";nonce").unwrap();
            format!("{}{}", &input[..at], &input[at + 42..])
        });
        let request = self.good("reuse");
        self.case("replayed", "refuse", "reuse", "the same request a second time", &[request.clone(), request]);
    }

    fn bad_pairs_and_bodies(&mut self) {
        for settings in ["reuse_ecdsa", "reuse_ed25519"] {
            self.refuse(&format!("flipped-{settings}"), settings, "one bit of the signature", |request| {
                let text = request.one("signature").unwrap();
                let mut octets = BASE64_STANDARD.decode(&text[10..text.len() - 1]).unwrap();
                octets[33] ^= 1;
                replace(request, "signature", &format!("cloister=:{}:", BASE64_STANDARD.encode(octets)));
            });
            self.refuse(&format!("path-changed-{settings}"), settings, "signed for another path", |request| {
                request.target = "/orders/8?full=1".into();
            });
            self.refuse(&format!("hmac-{settings}"), settings, "a MAC in place of a signature", |request| {
                let other = Self::default().good("reuse");
                for name in ["signature", "signature-input"] {
                    replace(request, name, other.one(name).unwrap());
                }
            });
        }
        self.refuse("other-pair", "reuse_ecdsa", "signed with a key for another algorithm", |request| {
            let other = Self::default().good("reuse_ed25519");
            for name in ["signature", "signature-input"] {
                replace(request, name, other.one(name).unwrap());
            }
        });
        let mut body = |name: &str, why: &str, change: &dyn Fn(&mut Request)| {
            let mut request = self.request("reuse_body", &Person::ada(), "POST", "/orders", "{\"amount\":7}");
            change(&mut request);
            self.case(name, "refuse", "reuse_body", why, &[request]);
        };
        body("body-changed", "another body", &|request| request.body = "{\"amount\":70}".into());
        body("body-removed", "no body", &|request| request.body = String::new());
        body("digest-missing", "the digest is missing", &|request| remove(request, "content-digest"));
        body("digest-twice", "it stands there once", &|request| {
            let value = request.one("content-digest").unwrap().to_owned();
            request.headers.push(("Content-Digest".into(), value));
        });
        body("digest-of-another-body", "a digest that was not signed", &|request| {
            request.body = "x".into();
            let sum = BASE64_STANDARD.encode(digest(&SHA256, b"x"));
            replace(request, "content-digest", &format!("sha-256=:{sum}:"));
        });
        let uncovered = self.good("reuse");
        self.case("body-not-covered", "refuse", "reuse_body", "the body is to be covered", &[uncovered]);
    }
}

fn decode(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// `r` and `s` as ASN.1 has them: two whole numbers, with a zero in front where they would look negative.
fn der(signature: &[u8]) -> Vec<u8> {
    let number = |octets: &[u8]| {
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        let octets = [if octets[zeros] > 127 { &[0][..] } else { &[] }, &octets[zeros..]].concat();
        [vec![2, octets.len() as u8], octets].concat()
    };
    let both = [number(&signature[..32]), number(&signature[32..])].concat();
    [vec![0x30, both.len() as u8], both].concat()
}
