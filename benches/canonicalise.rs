//! Budget: reading a head is a small part of what pingora needs to parse it, and costs no allocation.

use std::hint::black_box;

use canonical::check_wire;
use criterion::Criterion;
use http::HeaderMap;

use crate::allocations;
use crate::world::{TARGET, head, read};

pub(crate) fn bench(criterion: &mut Criterion) {
    let fields = head("acme", &"x".repeat(800));
    let wire = wire(&fields);
    let (count, _) = allocations::during(|| read(&fields));
    assert_eq!(count, 0, "a head in canonical form costs no allocation");
    criterion.bench_function("canonicalise", |bencher| {
        bencher.iter(|| {
            check_wire(black_box(&wire), black_box(&fields)).expect("a clean head");
            black_box(read(black_box(&fields)));
        });
    });
}

/// The head as it came over the wire.
fn wire(fields: &HeaderMap) -> Vec<u8> {
    let mut wire = [b"GET ", TARGET, b" HTTP/1.1\r\n"].concat();
    for (name, value) in fields {
        wire.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    wire.extend(b"\r\n");
    wire
}
