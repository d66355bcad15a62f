use super::*;

/// Writes the vectors anew: `cargo test -p assertion -- --ignored`. The key stays the same once it is there.
#[test]
#[ignore = "writes files; run it when a claim is added"]
fn the_vectors_are_written() {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap() + "\n";
    fs::write(folder().join("assertions.json"), pretty(&assertions())).unwrap();
    fs::write(folder().join("signatures.json"), pretty(&signatures())).unwrap();
}

fn encode(octets: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(octets)
}

fn set_or_remove(json: &mut Value, name: &str, value: &Value) {
    if value.is_null() {
        json.as_object_mut().unwrap().remove(name);
    } else {
        json[name] = value.clone();
    }
}

fn signed(ring: &crate::Keyring, header: &Value, claims: &str) -> String {
    let input = format!("{}.{}", encode(header.to_string()), encode(claims));
    let signature = ring.active(crate::Algorithm::Es256).unwrap().sign(input.as_bytes()).unwrap();
    format!("{input}.{}", encode(signature.octets()))
}

fn minted(identity: &Identity<'_>, binding: Binding) -> String {
    let injected = minter_of(source(), &clock()).inject(identity, &request(0xabc), &backend(binding)).unwrap();
    injected.assertion.to_str().unwrap().to_owned()
}

/// A checkout does not keep the mode that a keyring must have.
fn private_copy() -> (tempfile::TempDir, PathBuf) {
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("key.json");
    let content = fs::read(folder().join("key.json")).unwrap();
    assert!(secrets::create_private(&path, &Secret::new(content)).unwrap());
    (copy, path)
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

fn assertions() -> Value {
    let ring = crate::Keys::read(&private_copy().1).unwrap();
    let kid = ring.active(crate::Algorithm::Es256).unwrap().kid();
    let set: Value = serde_json::from_str(ring.jwks()).unwrap();
    let header = json!({ "alg": "ES256", "typ": "cloister+jwt", "kid": kid });
    let claims = json!({
        "iss": "https://gateway.example.com", "aud": "orders", "sub": "ada", "idp": "main", "tenant": "acme",
        "roles": ["billing_reader", "support"], "iat": NOW, "exp": NOW + 60,
        "jti": "00000000000000000000000000000abc", "htm": "GET", "htu": "/orders/7",
    });
    let mut cases = Vec::new();
    let mut case = |name: &str, verdict: &str, binding: &str, assertion: &str, why: &str| {
        cases.push(json!({
            "name": name, "verdict": verdict, "why": why, "binding": binding,
            "method": "GET", "path": "/orders/7", "assertion": assertion,
        }));
    };

    let ada = Person::ada();
    let odd = Person { subject: r#"auth0|"o'neil\"<&>"#.parse().unwrap(), roles: Vec::new(), ..Person::ada() };
    let amr: [Box<str>; 2] = ["pwd".into(), "otp".into()];
    let strong =
        Identity { acr: Some("urn:mace:incommon:iap:silver"), amr: &amr, auth_time: Some(NOW - 9), ..ada.identity() };
    let good = minted(&ada.identity(), Binding::PerRequest);
    case("plain", "accept", "per_request", &good, "as the gateway mints it for each request");
    let reused = minted(&ada.identity(), Binding::InsecureReuse);
    case("reused", "accept", "reuse", &reused, "no htm and htu: the signature says which request");
    let text = minted(&odd.identity(), Binding::PerRequest);
    case("odd-subject", "accept", "per_request", &text, "a subject that JSON escapes, and no role");
    let text = minted(&strong, Binding::PerRequest);
    case("strong", "accept", "per_request", &text, "with acr, amr and auth_time");

    // Claims that are set to something else, or taken away with null, and then signed properly.
    for (name, verdict, changes, why) in [
        ("ahead", "accept", json!({ "iat": NOW + 4, "exp": NOW + 64 }), "the gateway's clock is 4 s ahead"),
        ("just-expired", "accept", json!({ "iat": NOW - 64, "exp": NOW - 4 }), "within the 5 s that clocks may differ"),
        ("more-claims", "accept", json!({ "new": { "claim": [1] } }), "unknown claims are ignored"),
        ("expired", "refuse", json!({ "iat": NOW - 65, "exp": NOW - 5 }), "5 s too late"),
        ("from-the-future", "refuse", json!({ "iat": NOW + 6, "exp": NOW + 66 }), "issued in 6 s"),
        ("long-lived", "refuse", json!({ "exp": NOW + 61 }), "no assertion lives longer than 60 s"),
        ("no-exp", "refuse", json!({ "exp": null }), "exp is required"),
        ("exp-text", "refuse", json!({ "exp": "1790000060" }), "exp is a number"),
        ("no-iat", "refuse", json!({ "iat": null }), "iat is required"),
        ("other-audience", "refuse", json!({ "aud": "billing" }), "made out to another backend"),
        ("audience-prefix", "refuse", json!({ "aud": "orders2" }), "compared as a whole"),
        ("audience-list", "refuse", json!({ "aud": ["orders", "billing"] }), "made out to one backend, as a string"),
        ("no-audience", "refuse", json!({ "aud": null }), "aud is required"),
        ("other-issuer", "refuse", json!({ "iss": "https://gateway.example.com.evil.test" }), "compared as a whole"),
        ("issuer-slash", "refuse", json!({ "iss": "https://gateway.example.com/" }), "compared byte for byte"),
        ("no-tenant", "refuse", json!({ "tenant": null }), "tenant is required"),
        ("tenant-list", "refuse", json!({ "tenant": ["acme", "globex"] }), "tenant is a string"),
        ("no-subject", "refuse", json!({ "sub": null }), "sub is required"),
        ("roles-text", "refuse", json!({ "roles": "admin" }), "roles is a list"),
        ("other-method", "refuse", json!({ "htm": "DELETE" }), "made for another method"),
        ("other-path", "refuse", json!({ "htu": "/orders/8" }), "made for another path"),
        ("unbound", "refuse", json!({ "htm": null, "htu": null }), "this backend wants each request bound"),
    ] {
        let mut claims = claims.clone();
        for (name, value) in changes.as_object().unwrap() {
            set_or_remove(&mut claims, name, value);
        }
        case(name, verdict, "per_request", &signed(&ring, &header, &claims.to_string()), why);
    }
    // The same for the header.
    for (name, changes, why) in [
        ("typ-jwt", json!({ "typ": "JWT" }), "only typ cloister+jwt is an assertion"),
        ("no-typ", json!({ "typ": null }), "typ is required"),
        ("unknown-kid", json!({ "kid": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }), "no such key is published"),
        ("no-kid", json!({ "kid": null }), "kid is required"),
        ("crit", json!({ "crit": ["exp"], "exp": 1 }), "nothing critical is understood"),
        ("alg-es384", json!({ "alg": "ES384" }), "the algorithm is ES256 whatever the header says"),
    ] {
        let mut header = header.clone();
        for (name, value) in changes.as_object().unwrap() {
            set_or_remove(&mut header, name, value);
        }
        case(name, "refuse", "per_request", &signed(&ring, &header, &claims.to_string()), why);
    }

    let (input, signature) = good.rsplit_once('.').unwrap();
    let (head, payload) = input.split_once('.').unwrap();
    let none = encode(json!({ "alg": "none", "typ": "cloister+jwt", "kid": kid }).to_string());
    case("alg-none", "refuse", "per_request", &format!("{none}.{payload}."), "unsigned");
    let shared = encode(json!({ "alg": "HS256", "typ": "cloister+jwt", "kid": kid }).to_string());
    let public = BASE64_URL_SAFE_NO_PAD.decode(set["keys"][0]["x"].as_str().unwrap()).unwrap();
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), format!("{shared}.{payload}").as_bytes());
    case(
        "alg-hs256",
        "refuse",
        "per_request",
        &format!("{shared}.{payload}.{}", encode(mac)),
        "signed with what is public",
    );
    let stranger = signed(&minter(&clock()).keys.glance(), &header, &claims.to_string());
    case("stranger", "refuse", "per_request", &stranger, "another key under the name of ours");
    let other = encode(claims.to_string().replace("acme", "globex"));
    case(
        "altered",
        "refuse",
        "per_request",
        &format!("{head}.{other}.{signature}"),
        "another tenant under the signature",
    );
    let mut octets = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    octets[40] ^= 1;
    case("flipped", "refuse", "per_request", &format!("{input}.{}", encode(&octets)), "one bit of the signature");
    case("truncated", "refuse", "per_request", &format!("{input}.{}", encode(&octets[..63])), "63 bytes");
    case("zero", "refuse", "per_request", &format!("{input}.{}", encode([0; 64])), "r and s are zero");
    let der = der(&BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap());
    case(
        "der",
        "refuse",
        "per_request",
        &format!("{input}.{}", encode(der)),
        "ASN.1 instead of r and s (RFC 7518 §3.4)",
    );
    case("padded", "refuse", "per_request", &format!("{input}.{signature}=="), "base64url has no padding here");
    case("unsigned", "refuse", "per_request", &format!("{input}."), "an empty signature");
    case("two-parts", "refuse", "per_request", input, "no signature");
    case("four-parts", "refuse", "per_request", &format!("{good}.{signature}"), "one part too many");
    case("empty", "refuse", "per_request", "", "nothing");
    json!({
        "about": "Assertions as in README.md beside this file, to be judged at the time `now`.",
        "now": NOW, "issuer": "https://gateway.example.com", "audience": "orders", "jwks": set, "cases": cases,
    })
}

fn signatures() -> Value {
    let assertion = minted(&Person::ada().identity(), Binding::InsecureReuse);
    let key = crate::Signer::from(SignatureKey::new("orders", &Secret::new(SECRET.to_vec())).unwrap());
    let bare = Forwarded { query: None, ..request(0xabc) };
    let mut cases = Vec::new();
    let mut case = |name: &str,
                    verdict: &str,
                    why: &str,
                    sign: &dyn Fn() -> (Forwarded<'static>, String, String),
                    changes: Value| {
        let (request, input, signature) = sign();
        let mut case = json!({
            "name": name, "verdict": verdict, "why": why, "method": request.method, "authority": request.authority,
            "path": request.path, "query": request.query, "assertion": assertion, "signature_input": input,
            "signature": signature,
        });
        for (name, value) in changes.as_object().unwrap() {
            case[name] = value.clone();
        }
        cases.push(case);
    };
    let at = |request: Forwarded<'static>, now: u64| {
        let signed = key.sign(&request, assertion.as_bytes(), None, now).unwrap();
        (request, signed.input.to_str().unwrap().to_owned(), signed.signature.to_str().unwrap().to_owned())
    };
    // A field that the gateway never sends, with a MAC that is right for it.
    let forged = |from: &str, to: &str| {
        let (request, input, _) = at(bare, NOW);
        let input = input.replace(from, to);
        let parameters = input.split_once('=').unwrap().1;
        let all = [
            ("@method", request.method),
            ("@authority", request.authority),
            ("@path", request.path),
            ("@query", "?"),
            ("x-cloister-assertion", assertion.as_str()),
        ];
        let list = parameters.split_once(')').unwrap().0;
        let mut covered: Vec<_> = all.into_iter().filter(|(name, _)| list.contains(&format!("\"{name}\""))).collect();
        covered.sort_by_key(|(name, _)| list.find(&format!("\"{name}\"")));
        let mut base: String = covered.iter().map(|(name, value)| format!("\"{name}\": {value}\n")).collect();
        base.push_str(&format!("\"@signature-params\": {parameters}"));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), base.as_bytes());
        let label = input.split_once('=').unwrap().0.to_owned();
        (request, input, format!("{label}=:{}:", BASE64_STANDARD.encode(mac)))
    };

    case("no-query", "accept", "as the gateway signs", &|| at(bare, NOW), json!({}));
    case("query", "accept", "with a query", &|| at(request(0xabc), NOW), json!({}));
    case(
        "empty-query",
        "accept",
        "a `?` and nothing after it",
        &|| at(Forwarded { query: Some(""), ..bare }, NOW),
        json!({}),
    );
    let encoded =
        Forwarded { path: "/orders/a%20b;c", query: Some("q=%3F?&r"), authority: "orders.internal:9001", ..bare };
    case("encoded", "accept", "path and query are not decoded", &|| at(encoded, NOW), json!({}));
    case("late", "accept", "created 30 s ago", &|| at(bare, NOW - 30), json!({}));
    case("other-method", "refuse", "another method", &|| at(bare, NOW), json!({ "method": "DELETE" }));
    case("other-authority", "refuse", "another host", &|| at(bare, NOW), json!({ "authority": "billing.internal" }));
    case("other-path", "refuse", "another path", &|| at(bare, NOW), json!({ "path": "/orders/8" }));
    case("decoded-path", "refuse", "the path was decoded", &|| at(encoded, NOW), json!({ "path": "/orders/a b;c" }));
    case("query-added", "refuse", "a query that was not there", &|| at(bare, NOW), json!({ "query": "admin=1" }));
    case("query-removed", "refuse", "the query is missing", &|| at(request(1), NOW), json!({ "query": null }));
    case("other-assertion", "refuse", "someone else's assertion", &|| at(bare, NOW), json!({ "assertion": "a.b.c" }));
    case("too-late", "refuse", "created 31 s ago", &|| at(bare, NOW - 31), json!({}));
    case("too-early", "refuse", "created in 31 s", &|| at(bare, NOW + 31), json!({}));
    let mac = "cloister=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
    case("zero", "refuse", "a MAC of zeros", &|| at(bare, NOW), json!({ "signature": mac }));
    case("empty", "refuse", "an empty MAC", &|| at(bare, NOW), json!({ "signature": "cloister=::" }));
    case("absent", "refuse", "no signature", &|| at(bare, NOW), json!({ "signature": "", "signature_input": "" }));
    case(
        "expired",
        "refuse",
        "expires now",
        &|| forged(&format!("expires={}", NOW + 60), &format!("expires={NOW}")),
        json!({}),
    );
    case(
        "other-key",
        "refuse",
        "a key that this backend does not have",
        &|| forged("\"orders\"", "\"billing\""),
        json!({}),
    );
    case("other-tag", "refuse", "made for another purpose", &|| forged("cloister-v1", "cloister-v2"), json!({}));
    case("other-label", "refuse", "a label that is not ours", &|| forged("cloister=", "sig1="), json!({}));
    case("less-covered", "refuse", "the query is not covered", &|| forged(" \"@query\"", ""), json!({}));
    case("assertion-not-covered", "refuse", "it says not who", &|| forged(" \"x-cloister-assertion\"", ""), json!({}));
    case(
        "order",
        "refuse",
        "the list is as it is",
        &|| forged("\"@method\" \"@authority\"", "\"@authority\" \"@method\""),
        json!({}),
    );
    json!({
        "about": "Signatures as in README.md beside this file, to be judged at the time `now`. The bytes of `key` are the key.",
        "now": NOW, "key": std::str::from_utf8(SECRET).unwrap(), "keyid": "orders", "cases": cases,
    })
}
