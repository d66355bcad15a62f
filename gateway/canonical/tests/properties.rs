use http::{HeaderName, HeaderValue, Method, Version};
use proptest::prelude::*;

use super::{BOUNDS, Sample};
use crate::path;

/// Bytes as an attacker would choose them: mostly those that mean something in a path.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        4 => prop::sample::select(vec![
            "/", "//", ".", "..", "%2e", "%2E", "%2f", "%5c", "%00", "%25", "%252e", "%", ";", "\\", "?", "#", "@", "%40",
            "%c3%a9", "%C3%A9", "%c0%ae", "%61", "~", "%7e", "a", "B", " ", "\t", "\r\n", "http://", "acme.example", ":",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..3),
    ];
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

/// Targets that are mostly accepted.
fn friendly() -> impl Strategy<Value = String> {
    let segment = prop::collection::vec(
        prop::sample::select(vec![
            "a", "Z", "9", "-", "_", "~", ".", "x", "%41", "%7E", "%20", "%40", "@", "+", "%c3%a9", "%3F",
        ]),
        0..6,
    );
    let path = prop::collection::vec(segment.prop_map(|pieces| pieces.concat()), 0..5);
    (path, prop::option::of("[a-z=&%/?]{0,8}")).prop_map(|(segments, query)| {
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("/{}{query}", segments.join("/"))
    })
}

/// A reader of RFC 3986 and nothing else: split first, decode afterwards.
fn naive_segments(target: &str) -> Vec<String> {
    let path = target.split('?').next().unwrap();
    path.strip_prefix('/').unwrap().split('/').map(naive_decode).collect()
}

fn naive_decode(segment: &str) -> String {
    let (mut octets, mut bytes) = (Vec::new(), segment.bytes());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            octets.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            octets.push(byte);
        }
    }
    String::from_utf8(octets).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn what_was_accepted_reads_back_the_same(target in prop_oneof![friendly().prop_map(String::into_bytes), hostile()]) {
        let sample = Sample::get(target);
        if let Ok(request) = sample.parse() {
            let again = Sample::get(request.target());
            let again = again.parse().expect("what is sent is canonical");
            prop_assert!(!again.is_rewritten());
            prop_assert_eq!(again.target(), request.target());
            prop_assert_eq!(again.path(), request.path());
            prop_assert_eq!(again.query(), request.query());
        }
    }

    #[test]
    fn what_is_judged_is_what_a_plain_reader_of_what_is_sent_sees(
        target in prop_oneof![friendly().prop_map(String::into_bytes), hostile()]
    ) {
        let sample = Sample::get(target);
        if let Ok(request) = sample.parse() {
            let judged: Vec<_> = request.segments().map(std::borrow::Cow::into_owned).collect();
            prop_assert_eq!(&judged, &naive_segments(request.target()));
            let (last, before) = judged.split_last().unwrap();
            prop_assert!(before.iter().all(|segment| !segment.is_empty()));
            prop_assert!(judged.iter().all(|segment| segment != "." && segment != ".."));
            prop_assert!(judged.iter().all(|segment| !segment.contains(['/', '\\', ';', '%', '\0'])));
            prop_assert!(!last.contains(char::is_control));
        }
    }

    #[test]
    fn decoding_once_or_twice_makes_no_difference(target in friendly()) {
        let sample = Sample::get(target);
        if let Ok(request) = sample.parse() {
            for segment in request.segments() {
                prop_assert_eq!(naive_decode(&segment), segment);
            }
        }
    }

    #[test]
    fn nothing_makes_it_panic(
        target in hostile(),
        method in "[A-Za-z]{1,8}",
        authority in prop::option::of(".{0,20}"),
        version in prop::sample::select(vec![Version::HTTP_09, Version::HTTP_10, Version::HTTP_11, Version::HTTP_2]),
        fields in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "host", "connection", "upgrade", "content-length", "transfer-encoding", "expect", "cookie",
                    "authorization", "content-type", "x_y", "sec-websocket-key", "sec-websocket-version",
                ]),
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..20),
                    prop::sample::select(vec!["acme.example", "[::1]:80", "chunked", "5", "upgrade, x", "websocket", "13"])
                        .prop_map(|value| value.as_bytes().to_vec()),
                ],
            ),
            0..8,
        ),
    ) {
        let mut sample = Sample { method: Method::from_bytes(method.as_bytes()).unwrap(), authority, version, ..Sample::get(target) };
        for (name, value) in fields {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                sample.fields.append(HeaderName::from_static(name), value);
            }
        }
        if let Ok(request) = sample.parse_within(&BOUNDS) {
            let _ = (request.segments().count(), request.credential(), request.joined_cookie(), request.nominated().count());
        }
    }

    #[test]
    fn of_arbitrary_bytes_only_visible_ascii_after_a_slash_is_a_path(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let accepted = path::check(&bytes).is_ok();
        prop_assert!(!accepted || (bytes.starts_with(b"/") && bytes.iter().all(u8::is_ascii_graphic)));
    }
}
