use super::{BOUNDS, Sample};
use crate::Scheme::{Http, Https};

#[test]
fn a_url_is_that_of_a_request_however_it_is_spelled_and_no_other_is() {
    for (host, target, scheme, url, expected) in [
        ("acme.example", "/a/b?c=d", Https, "https://acme.example/a/b", true),
        ("acme.example", "/a/b", Https, "https://acme.example/a/b?x=y#z", true),
        ("acme.example", "/a/b", Https, "HTTPS://ACME.Example:443/a/b", true),
        ("acme.example:443", "/a/b", Https, "https://acme.example/a/b", true),
        ("acme.example:8443", "/a", Https, "https://acme.example:8443/a", true),
        ("acme.example", "/", Http, "http://acme.example", true),
        ("acme.example", "/", Http, "http://acme.example:80?x", true),
        ("acme.example", "/%7euser/%2D", Https, "https://acme.example/~user/-", true),
        ("acme.example", "/~user/-", Https, "https://acme.example/%7Euser/%2d", true),
        ("acme.example", "/caf%c3%a9", Https, "https://acme.example/caf%C3%A9", true),
        ("[::1]:8443", "/a", Https, "https://[0:0:0:0:0:0:0:1]:8443/a", true),
        ("acme.example", "/a", Https, "http://acme.example/a", false),
        ("acme.example", "/a", Http, "https://acme.example/a", false),
        ("acme.example", "/a", Https, "wss://acme.example/a", false),
        ("acme.example", "/a", Https, "https://acme.example:8443/a", false),
        ("acme.example:8443", "/a", Https, "https://acme.example/a", false),
        ("acme.example", "/a", Https, "https://globex.example/a", false),
        ("acme.example", "/a", Https, "https://acme.example/a/", false),
        ("acme.example", "/a", Https, "https://acme.example/A", false),
        ("acme.example", "/a", Https, "https://acme.example/b/../a", false), // nobody here reads that as `/a`
        ("acme.example", "/a", Https, "https://acme.example//a", false),
        ("acme.example", "/a", Https, "https://acme.example/%61%2F", false),
        ("acme.example", "/a%40b", Https, "https://acme.example/a@b", false), // RFC 3986 §2.2 keeps them apart
        ("acme.example", "/a", Https, "https://u@acme.example/a", false),
        ("acme.example", "/a", Https, "https://acme.example@evil.example/a", false),
        ("acme.example", "/a", Https, "https://acme.example./a", false),
        ("acme.example", "/a", Https, "https:/acme.example/a", false),
        ("acme.example", "/a", Https, "//acme.example/a", false),
        ("acme.example", "/a", Https, "/a", false),
        ("acme.example", "/a", Https, "https://", false),
        ("acme.example", "/a", Https, "", false),
    ] {
        let first = Sample::get(target).without_host().with("host", host);
        let second = Sample::get2(target).authority(host);
        for sample in [first, second] {
            let request = sample.parse_within(&BOUNDS).unwrap();
            assert_eq!(request.is_at(url, scheme), expected, "{host}{target} {url}");
        }
    }
}
