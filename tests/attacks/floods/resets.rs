//! Streams that are opened to be reset: each costs the client some bytes, and whoever serves it a request.

use super::super::http2::{DATA, END_HEADERS, END_STREAM, HEADERS, PRIORITY, RST_STREAM, Step, WINDOW_UPDATE, frame};
use super::{
    ALLOWED, Away, ENHANCE_YOUR_CALM, Ended, FLOW_CONTROL_ERROR, Heads, PROTOCOL_ERROR, Row, UNPARSED, each, once,
};

const PADDED: u8 = 0x8;
const HAS_PRIORITY: u8 = 0x20;

/// As many streams may be open at once, so as many requests get to the backend before the first is answered.
const AT_ONCE: usize = 100;

pub(super) fn table(heads: &Heads) -> Vec<Row> {
    let (get, post, sized) = (|stream| heads.get(stream), |stream| heads.post(stream), |stream| heads.sized(stream));
    let reset = |stream| frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    let window = |stream, by: u32| frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
    let data = |flags, stream| frame(DATA, flags, stream, b"abc");
    let many = |name, first: &dyn Fn(u32) -> Vec<u8>, then: &dyn Fn(u32) -> Vec<u8>, code| {
        let sent = each(1000, |stream| [first(stream), then(stream)].concat());
        Row { name, sent, end: Away(code), most: AT_ONCE, says: Some(UNPARSED) }
    };
    let calm = ENHANCE_YOUR_CALM;
    let weighted = |stream| {
        let block = [&priority(stream)[..], &heads.get].concat();
        frame(HEADERS, END_HEADERS | END_STREAM | HAS_PRIORITY, stream, &block)
    };
    let nothing = |_| Vec::new();
    vec![
        // by the client
        many("streams reset at once", &get, &reset, calm),
        many("uploads reset at once", &post, &|stream| [data(0, stream), reset(stream)].concat(), calm),
        Row {
            name: "streams reset once they run",
            sent: in_step(get, reset),
            end: Ended,
            most: 1000,
            says: Some(ALLOWED),
        },
        Row {
            name: "uploads reset once they run",
            sent: in_step(post, reset),
            end: Ended,
            most: 1000,
            says: Some(ALLOWED),
        },
        // by the gateway, which is made to do it
        many("windows moved on by nothing", &post, &|stream| window(stream, 0), PROTOCOL_ERROR),
        many("windows that flow over", &post, &|stream| window(stream, 0x7fff_ffff), calm),
        many("bodies behind their end", &get, &|stream| data(END_STREAM, stream), PROTOCOL_ERROR),
        many("trailers behind the end", &get, &get, PROTOCOL_ERROR),
        many("streams that depend on themselves", &get, &|stream| frame(PRIORITY, 0, stream, &priority(stream)), calm),
        many("heads that depend on themselves", &weighted, &nothing, calm),
        many("lengths that are too long", &sized, &|stream| data(END_STREAM, stream), calm),
        many("lengths that are too short", &sized, &|stream| data(0, stream).repeat(2), calm),
        many(
            "padding that is longer than its frame",
            &post,
            &|stream| frame(DATA, PADDED, stream, b"\xff"),
            PROTOCOL_ERROR,
        ),
        many("more streams than there may be", &post, &nothing, calm),
        Row {
            name: "more of a body than the window takes",
            sent: once([post(1), frame(DATA, 0, 1, &[0; 16_384]).repeat(80)].concat()),
            end: Away(FLOW_CONTROL_ERROR),
            most: 1,
            says: Some(UNPARSED),
        },
    ]
}

/// Opens a few streams, waits until they have been read, and ends each of them, many times so that it does not take long; and
/// all of that again and again. What is reset before it runs is bounded by another means, and which comes first is chance.
fn in_step(open: impl Fn(u32) -> Vec<u8>, end: impl Fn(u32) -> Vec<u8>) -> (Vec<Step>, u32) {
    let (times, streams) = (125, 8);
    let mut steps = Vec::new();
    for time in 0..times {
        let numbers = || (time * streams..(time + 1) * streams).map(|number| 2 * number + 1);
        steps.extend([Step::Frames(numbers().flat_map(&open).collect()), Step::Heard]);
        steps.extend([Step::Frames(numbers().flat_map(|stream| end(stream).repeat(20)).collect()), Step::Heard]);
    }
    (steps, 2 * times * streams + 1)
}

/// Of a stream on itself (RFC 7540 §5.3.1).
fn priority(stream: u32) -> [u8; 5] {
    let [a, b, c, d] = stream.to_be_bytes();
    [a, b, c, d, 1]
}
