//! Heads that are small on the wire and large where they are unpacked (RFC 7541), or large in both places.

use super::super::http2::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, block, frame};
use super::{ALLOWED, Away, ENHANCE_YOUR_CALM, Heads, PROTOCOL_ERROR, Row, Serves, UNPARSED, each, once};

pub(super) fn table(heads: &Heads) -> Vec<Row> {
    let get = &heads.get[..];
    let row = |name, sent, end, most| Row { name, sent, end, most, says: Some(UNPARSED) };
    let good = |name, sent, most| Row { name, sent, end: Serves, most, says: Some(ALLOWED) };
    let head = |rest: &[u8]| once(whole(1, &[get, rest].concat()));
    let long = kept("x-bomb", 4000);
    let fields =
        |count: u32| block(&(0..count).map(|n| (format!("x-{n}").into_bytes(), b"a".to_vec())).collect::<Vec<_>>());
    let calm = Away(ENHANCE_YOUR_CALM);
    let trailers = [heads.post(1), frame(DATA, 0, 1, b"abc"), whole(1, &[&long[..], &LATEST.repeat(12_000)].concat())];
    vec![
        row("one field twelve thousand times", head(&[&long[..], &LATEST.repeat(12_000)].concat()), calm, 0),
        row("one field in pieces without end", head(&[&long[..], &LATEST.repeat(200_000)].concat()), calm, 0),
        row("crumbs of a cookie", head(&[&kept("cookie", 3)[..], &LATEST.repeat(15_000)].concat()), calm, 0),
        good("a field that is sent once and used by many", shared(heads, &long), 50),
        row("trailers that grow", once(trailers.concat()), calm, 1),
        Row {
            says: Some("request.malformed.head_too_large"),
            ..row("many small fields", head(&fields(150)), Serves, 0)
        },
        row("very many small fields", head(&fields(10_000)), Serves, 0),
        row("a huge field", head(&field("x-bomb", 100_000)), Serves, 0),
        row("a field beyond all bounds", head(&field("x-bomb", 1_000_000)), calm, 0),
        good("a table that is emptied again and again", once(whole(1, &[&[0x20; 15_000], get].concat())), 1),
        row(
            "a table that is larger than there is",
            once(whole(1, &[&[0x3f, 0xe1, 0xff, 0x3], get].concat())),
            Away(PROTOCOL_ERROR),
            0,
        ),
        row("a number that never ends", head(&[0xff; 10]), Away(PROTOCOL_ERROR), 0),
        row("a field that nobody has sent", head(&[0xff, 0]), Away(PROTOCOL_ERROR), 0),
        row("no field at all", head(&[0x80]), Away(PROTOCOL_ERROR), 0),
    ]
}

/// The field that was kept last (RFC 7541 §6.1).
const LATEST: [u8; 1] = [0x80 | 62];

/// A field that is kept in the table.
fn kept(name: &str, length: usize) -> Vec<u8> {
    let mut kept = field(name, length);
    kept[0] = 0x40;
    kept
}

fn field(name: &str, length: usize) -> Vec<u8> {
    block(&[(name.as_bytes().to_vec(), vec![b'a'; length])])
}

/// A head, in as many pieces as it takes.
fn whole(stream: u32, block: &[u8]) -> Vec<u8> {
    let mut pieces: Vec<_> = block.chunks(16_384).map(|piece| frame(CONTINUATION, 0, stream, piece)).collect();
    (pieces[0][3], pieces[0][4]) = (HEADERS, END_STREAM);
    pieces.last_mut().unwrap()[4] |= END_HEADERS;
    pieces.concat()
}

/// Each head of many is as large as it may be, and takes a dozen bytes.
fn shared(heads: &Heads, long: &[u8]) -> (Vec<super::Step>, u32) {
    each(50, |stream| {
        let more = if stream == 1 { long } else { &LATEST.repeat(7) };
        whole(stream, &[&heads.get, more].concat())
    })
}
