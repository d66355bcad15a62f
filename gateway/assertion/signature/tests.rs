use proptest::prelude::*;
use terms::RequestId;

use super::*;

/// An implementation of its own: builds the base as one text from components by name, as RFC 9421 §2.5 describes it.
fn base(components: &[(&str, &str)], parameters: &str) -> String {
    let mut lines: Vec<String> = components.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    lines.push(format!("\"@signature-params\": {parameters}"));
    lines.join("\n")
}

fn mac(secret: &[u8], text: &str) -> String {
    BASE64_STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes()))
}

#[test]
fn the_oracle_agrees_with_the_example_of_the_standard() {
    // RFC 9421, appendix B.2.5, with the shared secret of B.1.5.
    let secret = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    let components = [
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("@authority", "example.com"),
        ("content-type", "application/json"),
    ];
    let parameters = r#"("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#;
    let secret = BASE64_STANDARD.decode(secret).unwrap();
    assert_eq!(mac(&secret, &base(&components, parameters)), "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=");
}

fn named(id: &str, secret: &[u8]) -> SignatureKey {
    SignatureKey::new(id, &Secret::new(secret.to_vec())).unwrap()
}

fn key() -> Signer {
    named("orders", b"0123456789abcdef0123456789abcdef").into()
}

fn request() -> Forwarded<'static> {
    Forwarded {
        id: RequestId::from(0x5eed),
        method: "GET",
        authority: "orders.internal:9001",
        path: "/orders/a%20b",
        query: Some("x=1&y=%3F"),
        digest: None,
    }
}

proptest! {
    #[test]
    fn every_signature_is_the_one_that_the_standard_describes(
        method in "(GET|POST|DELETE)",
        authority in "[a-z0-9.-]{1,20}(:[0-9]{1,4})?",
        path in "/[!-\"$->@-~]{0,40}",
        query in prop::option::of("[!-~]{0,40}"),
        assertion in "[A-Za-z0-9_-]{1,40}\\.[A-Za-z0-9_-]{1,80}\\.[A-Za-z0-9_-]{86}",
        id in any::<u128>(),
        now in 0_u64..4_000_000_000,
    ) {
        let id = RequestId::from(id);
        let request = Forwarded { id, method: &method, authority: &authority, path: &path, query: query.as_deref(), digest: None };
        let signed = key().sign(&request, assertion.as_bytes(), None, now).unwrap();
        let parameters = format!(
            "(\"@method\" \"@authority\" \"@path\" \"@query\" \"x-cloister-assertion\");created={now};expires={};nonce=\"{id}\";keyid=\"orders\";tag=\"cloister-v1\"",
            now + 60,
        );
        prop_assert_eq!(signed.input.to_str().unwrap(), format!("cloister={parameters}"));
        let query = query.map_or_else(|| "?".to_owned(), |query| format!("?{query}"));
        let text = base(
            &[
                ("@method", method.as_str()),
                ("@authority", &authority),
                ("@path", &path),
                ("@query", &query),
                ("x-cloister-assertion", &assertion),
            ],
            &parameters,
        );
        let expected = mac(b"0123456789abcdef0123456789abcdef", &text);
        prop_assert_eq!(signed.signature.to_str().unwrap(), format!("cloister=:{expected}:"));
    }
}

#[test]
fn a_request_that_could_be_read_in_two_ways_is_not_signed() {
    assert!(key().sign(&request(), b"a", None, 1).is_ok());
    for (request, why) in [
        (Forwarded { path: "/a\n\"@query\": ?admin", ..request() }, "line end in the path"),
        (Forwarded { query: Some("a\r\nb"), ..request() }, "line end in the query"),
        (Forwarded { method: "GET\n", ..request() }, "line end in the method"),
        (Forwarded { authority: "a\nb", ..request() }, "line end in the host"),
        (Forwarded { authority: "Orders.Internal", ..request() }, "host that is not lower case"),
        (Forwarded { authority: "", ..request() }, "no host"),
        (Forwarded { path: "", ..request() }, "no path"),
        (Forwarded { path: "*", ..request() }, "no absolute path"),
        (Forwarded { path: "/a?b", ..request() }, "query in the path"),
        (Forwarded { path: "/ä", ..request() }, "beyond ascii"),
    ] {
        assert_eq!(key().sign(&request, b"a", None, 1).unwrap_err(), MintError::Unsignable, "{why}");
    }
}

#[test]
fn a_key_has_a_name_and_enough_bytes() {
    let secret = |length| Secret::new(vec![b'k'; length]);
    assert_eq!(SignatureKey::new("orders", &secret(31)).unwrap_err(), InvalidSignatureKey::Short);
    for id in ["", "a\"b", "a b", "ä"] {
        assert_eq!(SignatureKey::new(id, &secret(32)).unwrap_err(), InvalidSignatureKey::Id, "{id:?}");
    }
    assert!(!format!("{:?}", SignatureKey::new("orders", &secret(32)).unwrap()).contains("kkk"));
}

#[test]
fn a_name_may_say_which_key_it_is() {
    let of = |id, octet| named(id, &[octet; 32]).fixed;
    // printf '%032d' 0 | tr 0 '\1' | sha256sum
    assert_eq!(of("orders-{sha256}", 1), parameters("orders-72cd6e84"));
    assert_eq!(of("{sha256}.{sha256}", 1), parameters("72cd6e84.72cd6e84"));
    assert_ne!(of("orders-{sha256}", 1), of("orders-{sha256}", 2));
    assert_eq!(of("orders", 1), of("orders", 2));
    let whole = format!("{}-{{sha256}}", "o".repeat(55));
    assert!(SignatureKey::new(&whole, &Secret::new(vec![1; 32])).is_ok(), "64 when it is filled in");
    assert!(SignatureKey::new("{sha255}", &Secret::new(vec![1; 32])).is_err());
}

#[test]
fn the_next_key_signs_from_its_time_on_and_has_a_name_of_its_own() {
    let (old, new) = (named("orders-1", &[1; 32]), named("orders-2", &[2; 32]));
    let signer = Signer::shared(old, Some((1_000, new.into()))).unwrap();
    for (now, id) in [(1, "orders-1"), (999, "orders-1"), (1_000, "orders-2"), (2_000, "orders-2")] {
        let signed = signer.sign(&request(), b"a.b.c", None, now).unwrap();
        assert!(signed.input.to_str().unwrap().contains(&format!(";keyid=\"{id}\";")), "{now}");
    }
    let same = Signer::shared(named("orders", &[1; 32]), Some((1_000, named("orders", &[2; 32]).into())));
    assert_eq!(same.unwrap_err(), InvalidSigner::Named);
}

/// Signatures of pairs verify with what is published, with a library that is not ours.
#[test]
fn a_signature_of_a_pair_verifies_with_the_published_key_that_it_names() {
    use jsonwebtoken::jwk::JwkSet;
    let lifetime = crate::Lifetime::try_from(std::time::Duration::from_secs(60)).unwrap();
    let (day, minutes) = (std::time::Duration::from_secs(86_400), std::time::Duration::from_secs(300));
    let schedule = crate::Schedule::new(day, minutes, lifetime).unwrap();
    let used = [Algorithm::EdDsa, Algorithm::Es256];
    let clock = std::sync::Arc::new(terms::ManualClock::at(1));
    let keys = Keys::open(crate::Source::Memory, &used, schedule, clock).unwrap();
    let set: JwkSet = serde_json::from_str(keys.glance().jwks()).unwrap();
    for (algorithm, verifies) in
        [(Algorithm::EdDsa, jsonwebtoken::Algorithm::EdDSA), (Algorithm::Es256, jsonwebtoken::Algorithm::ES256)]
    {
        let signer = Signer::pair(algorithm).unwrap();
        let signed = signer.sign(&request(), b"a.b.c", Some(&keys), 7).unwrap();
        let parameters = signed.input.to_str().unwrap().strip_prefix("cloister=").unwrap().to_owned();
        let kid = parameters.split("keyid=\"").nth(1).unwrap().split('"').next().unwrap();
        let text = base(
            &[
                ("@method", "GET"),
                ("@authority", "orders.internal:9001"),
                ("@path", "/orders/a%20b"),
                ("@query", "?x=1&y=%3F"),
                ("x-cloister-assertion", "a.b.c"),
            ],
            &parameters,
        );
        let octets = signed.signature.to_str().unwrap().strip_prefix("cloister=:").unwrap().strip_suffix(':').unwrap();
        let octets = BASE64_STANDARD.decode(octets).unwrap();
        let mut url = String::new();
        crate::claims::push_base64url(&mut url, &octets);
        let key = jsonwebtoken::DecodingKey::from_jwk(set.find(kid).unwrap()).unwrap();
        assert!(jsonwebtoken::crypto::verify(&url, text.as_bytes(), &key, verifies).unwrap(), "{algorithm}");
        assert!(!jsonwebtoken::crypto::verify(&url, b"another", &key, verifies).unwrap(), "{algorithm}");
        assert_eq!(signer.sign(&request(), b"a", None, 7).unwrap_err(), MintError::Sign);
    }
    assert_eq!(Signer::pair(Algorithm::Rs256).unwrap_err(), InvalidSigner::Algorithm);
}

#[test]
fn a_body_is_covered_by_its_digest() {
    let digest = crate::BodyDigest::begin([]).unwrap().finish().unwrap();
    let request = Forwarded { digest: Some(&digest), ..request() };
    let signed = key().sign(&request, b"a.b.c", None, 7).unwrap();
    let parameters = signed.input.to_str().unwrap().strip_prefix("cloister=").unwrap().to_owned();
    assert!(parameters.starts_with(COVERED_WITH_BODY));
    let components = [
        ("@method", "GET"),
        ("@authority", "orders.internal:9001"),
        ("@path", "/orders/a%20b"),
        ("@query", "?x=1&y=%3F"),
        ("x-cloister-assertion", "a.b.c"),
        ("content-digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"),
    ];
    let expected = mac(b"0123456789abcdef0123456789abcdef", &base(&components, &parameters));
    assert_eq!(signed.signature.to_str().unwrap(), format!("cloister=:{expected}:"));
}
