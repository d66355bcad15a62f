//! For requests that nobody has thought of: what the policy matched is what the backend gets, over HTTP/1 and HTTP/2.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::arena::{Arena, Attack, Outcome, Sent};
use super::expect::assert_none;
use super::http2::{DATA, END_HEADERS, END_STREAM, HEADERS, block, frame};
use super::paths::{POLICIES, unlike};
use crate::harness::Gateway;

/// A request that might be good.
#[derive(Clone, Debug)]
struct Sample {
    method: &'static str,
    target: String,
    host: &'static str,
    body: Body,
    fields: Vec<(&'static str, String)>,
}

#[derive(Clone, Debug)]
enum Body {
    None,
    Length(Vec<u8>),
    /// In pieces of such a size, in HTTP/1 as chunks, in HTTP/2 as frames.
    Pieces(Vec<u8>, usize),
}

const SAMPLES: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_matched_is_what_the_backend_gets() {
    views(Arena::open(Gateway::test().policies(POLICIES)).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_matched_is_what_a_backend_of_http_2_gets() {
    views(Arena::open_h2c(Gateway::test().policies(POLICIES)).await).await;
}

async fn views(arena: Arena) {
    let mut runner = TestRunner::default();
    let samples: Vec<Sample> = (0..SAMPLES).map(|_| samples().new_tree(&mut runner).unwrap().current()).collect();
    let mut attacks = Vec::new();
    for sample in &samples {
        attacks.push(Attack { name: format!("{sample:?}"), sent: Sent::Http1(sample.http1()) });
        attacks.push(Attack { name: format!("{sample:?} of HTTP/2"), sent: Sent::Http2(sample.http2()) });
    }
    let outcomes = arena.run(&attacks).await;
    let arrived = outcomes.iter().filter(|outcome| !outcome.arrived.is_empty()).count();
    assert!(arrived > SAMPLES / 5 && arrived < SAMPLES * 2, "{arrived} arrived");
    let samples = samples.iter().flat_map(|sample| [sample, sample]);
    assert_none(
        outcomes
            .iter()
            .zip(samples)
            .filter_map(|(outcome, sample)| unlike(outcome).or_else(|| sample.difference(outcome))),
    );
}

fn samples() -> impl Strategy<Value = Sample> {
    let piece = prop::sample::select(vec![
        "/",
        "/",
        "/",
        "a",
        "b.c",
        "exact",
        "files",
        "raw",
        "@me",
        "admin",
        "%61",
        "%40",
        "%20",
        "~",
        "-",
        "caf%c3%a9",
        "%3F",
        ".",
        "..",
        "%2e",
        "%2f",
        "//",
        ";",
        "%25",
        "%00",
        "\\",
        "%c0%af",
        "?",
        "#",
        "|",
        "%",
        ":",
        "+",
        "&",
        "=",
    ]);
    let rare = prop::collection::vec(piece, 0..7).prop_map(|pieces| format!("/{}", pieces.concat()));
    let plain = prop::collection::vec("[a-zA-Z0-9._~!$&'()*+,=:@-]{1,6}|%[46][1-9a-f]|files|exact|raw|%66iles", 0..5)
        .prop_map(|segments| format!("/{}", segments.join("/")));
    let query = prop::option::of("[a-z0-9=&%?/.:]{0,12}");
    let target = (prop_oneof![1 => rare, 2 => plain], query)
        .prop_map(|(path, query)| query.map_or(path.clone(), |query| format!("{path}?{query}")));
    let host = prop::sample::select(vec![
        "acme.example.test",
        "acme.example.test",
        "ACME.Example.test",
        "acme.example.test:8080",
        "10.0.0.1",
        "[::1]:81",
        "a_b.test",
        "acme.example.test.",
        "a,b",
        "",
    ]);
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    let body = prop_oneof![
        2 => Just(Body::None),
        1 => bytes().prop_map(Body::Length),
        1 => (bytes(), 1_usize..100).prop_map(|(bytes, size)| Body::Pieces(bytes, size)),
    ];
    let field = (
        prop::sample::select(vec![
            "x-own",
            "accept",
            "cookie",
            "x-tenant-id",
            "x-cloister-x",
            "user-agent",
            "te",
            "referer",
        ]),
        "[ -~]{0,20}",
    );
    let method = prop::sample::select(vec!["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"]);
    (method, target, host, body, prop::collection::vec(field, 0..4)).prop_map(|(method, target, host, body, fields)| {
        let fields = fields.into_iter().map(|(name, value)| (name, value.trim().to_string())).collect();
        Sample { method, target, host, body, fields }
    })
}

impl Sample {
    fn http1(&self) -> Vec<u8> {
        let Self { method, target, host, body, fields } = self;
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match body {
            Body::None => format!("{head}\r\n").into_bytes(),
            Body::Length(bytes) => {
                [format!("{head}Content-Length: {}\r\n\r\n", bytes.len()).as_bytes(), bytes].concat()
            }
            Body::Pieces(bytes, size) => {
                let mut request = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
                for piece in bytes.chunks(*size) {
                    request.extend([format!("{:X}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
                }
                request.extend(b"0\r\n\r\n");
                request
            }
        }
    }

    fn http2(&self) -> Vec<u8> {
        let Self { method, target, host, body, fields } = self;
        let pseudo = [(":method", *method), (":scheme", "https"), (":path", target), (":authority", host)];
        let fields = pseudo.into_iter().chain(fields.iter().map(|(name, value)| (*name, value.as_str())));
        let mut fields: Vec<_> =
            fields.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
        if let Body::Length(bytes) = body {
            fields.push((b"content-length".to_vec(), bytes.len().to_string().into_bytes()));
        }
        let (bytes, size) = match body {
            Body::None => return frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields)),
            Body::Length(bytes) => (bytes, bytes.len().max(1)),
            Body::Pieces(bytes, size) => (bytes, *size),
        };
        let mut frames = frame(HEADERS, END_HEADERS, 1, &block(&fields));
        frames.extend(bytes.chunks(size).flat_map(|piece| frame(DATA, 0, 1, piece)));
        frames.extend(frame(DATA, END_STREAM, 1, &[]));
        frames
    }

    /// What of this is not as it was sent, if it arrived.
    fn difference(&self, outcome: &Outcome) -> Option<String> {
        let request = outcome.arrived.first()?;
        let body = match &self.body {
            Body::None => &[][..],
            Body::Length(bytes) | Body::Pieces(bytes, _) => bytes,
        };
        let host = Some(self.host.to_ascii_lowercase());
        let same = outcome.arrived.len() == 1
            && request.method == self.method
            && request.whole
            && request.body == body
            && request.field("host") == host
            && request.field("x-forwarded-host") == host
            && request.field("x-tenant-id").is_none();
        (!same).then(|| format!("{}: this arrived: {:?}", outcome.name, outcome.arrived))
    }
}
