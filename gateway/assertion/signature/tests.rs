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

fn key() -> SignatureKey {
    SignatureKey::new("orders", &Secret::new(b"0123456789abcdef0123456789abcdef".to_vec())).unwrap()
}

fn request() -> Forwarded<'static> {
    Forwarded {
        id: RequestId::from(0x5eed),
        method: "GET",
        authority: "orders.internal:9001",
        path: "/orders/a%20b",
        query: Some("x=1&y=%3F"),
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
        let request = Forwarded { id, method: &method, authority: &authority, path: &path, query: query.as_deref() };
        let signed = key().sign(&request, assertion.as_bytes(), now).unwrap();
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
    assert!(key().sign(&request(), b"a", 1).is_ok());
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
        assert_eq!(key().sign(&request, b"a", 1).unwrap_err(), MintError::Unsignable, "{why}");
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
