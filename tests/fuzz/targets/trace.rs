//! Values of `traceparent`, one a line: what goes to the backend is well formed, and keeps the trace of the client or has
//! one of ours.

#![no_main]
#![allow(
    dead_code,
    unused_imports,
    reason = "the part is taken in by its source: with pingora, the build would take minutes"
)]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

#[path = "../../../gateway/proxy"]
mod proxy {
    pub(crate) mod trace;
}

use proxy::trace::Trace;

fuzz_target!(|bytes: &[u8]| {
    let mut fields = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        fields.append("traceparent", value);
    }
    let trace = Trace::of(&fields, (7, 9));
    let sent = trace.to_field();
    assert_eq!(sent.len(), 55);
    assert!(sent.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-')));
    assert!(trace.id == 7 || (fields.len() == 1 && trace.id != 0));
    let again = HeaderMap::from_iter([("traceparent".parse().unwrap(), HeaderValue::from_bytes(&sent).unwrap())]);
    let again: HeaderMap = again;
    assert_eq!(Trace::of(&again, (8, 9)).id, trace.id);
});
