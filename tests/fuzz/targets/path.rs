//! A target: whatever is accepted is matched to the route that plain readers of the forwarded bytes would choose, and no
//! lenient one finds anything else in it.

#![no_main]

use std::sync::LazyLock;

use canonical::{Bounds, CanonicalRequest, Head};
use http::{HeaderMap, HeaderValue, Method, Version};
use libfuzzer_sys::fuzz_target;
use policy::{Known, Policy, Source};

#[path = "../../attacks/reader.rs"]
mod reader;

const BOUNDS: Bounds = Bounds { path_bytes: 2048, query_bytes: 4096, fields: 100, head_bytes: 32 * 1024 };

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let route = |(id, path): &(&str, &str)| {
        format!("  - {{ id: {id}, match: {{ host: \"*\", path: \"{path}\" }}, upstream: backend, auth: none }}\n")
    };
    let text = format!("routes:\n{}", reader::TEMPLATES.iter().map(route).collect::<String>());
    let known = Known {
        issuers: [].into(),
        upstreams: ["backend".parse().unwrap()].into(),
        ..Known::default()
    };
    policy::compile(&[Source { path: "policy.yaml", text: &text }], &known).expect("a policy").policy
});

fuzz_target!(|target: &[u8]| {
    let fields = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("acme.example"))]);
    let head = Head { method: &Method::GET, target, authority: None, version: Version::HTTP_11, fields: &fields };
    let Ok(request) = CanonicalRequest::parse(&head, &BOUNDS) else { return };
    let (path, decoded) = (request.path(), request.decoded_path());

    let matched = POLICY.route(request.host(), &decoded, "GET").expect("`/**` fits everything");
    assert_eq!(matched.route.id.as_str(), reader::route_of(request.target()), "{path}");

    let judged: Vec<_> = request.segments().collect();
    assert_eq!(decoded, format!("/{}", judged.join("/")));
    let lenient = reader::lenient(request.target());
    let strict: Vec<_> = judged.iter().filter(|segment| !segment.trim().is_empty()).map(|segment| &**segment).collect();
    assert_eq!(lenient, format!("/{}", strict.join("/")), "{path}");
});
