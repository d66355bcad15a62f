//! Frames that ask for nothing (CVE-2019-9512 to -9518), more than anybody needs.

use super::super::http2::{
    ACK, CONTINUATION, DATA, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame,
};
use super::{Away, Cut, ENHANCE_YOUR_CALM, FRAME_SIZE_ERROR, Heads, PROTOCOL_ERROR, Row, Serves, once};

/// More than a connection may have, and by far.
const MANY: usize = 100_000;

const PUSH_PROMISE: u8 = 5;
const PADDED: u8 = 0x8;
const UNKNOWN: u8 = 0x42;

pub(super) fn table(heads: &Heads) -> Vec<Row> {
    let row = |name, frames: &[u8], end| {
        let sent = once([&heads.post(1), frames].concat());
        Row { name, sent, end, most: 1, says: None }
    };
    let many = |name, kind, flags, stream, payload: &[u8], end| {
        row(name, &frame(kind, flags, stream, payload).repeat(MANY), end)
    };
    let one =
        |name, kind, flags, stream, payload: &[u8], code| row(name, &frame(kind, flags, stream, payload), Away(code));
    let calm = Away(ENHANCE_YOUR_CALM);
    let windows =
        [frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]), frame(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0, 0])].concat();
    vec![
        many("pings", PING, 0, 0, &[7; 8], Cut),
        many("answers to pings", PING, ACK, 0, &[7; 8], Cut),
        many("settings", SETTINGS, 0, 0, &[], Cut),
        many("settings of tables", SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0], Cut),
        row("windows that open and close", &windows.repeat(MANY), Cut),
        many("priorities", PRIORITY, 0, 1, &[0, 0, 0, 0, 9], Cut),
        many("frames that nobody knows", UNKNOWN, 0, 1, b"x", Cut),
        row("resets of one stream, which count for more", &frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]).repeat(2000), Cut),
        many("windows of a stream", WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1], Cut),
        many("windows of the connection", WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1], Cut),
        many("empty pieces of a body", DATA, 0, 1, &[], calm),
        many("pieces of a body that are padding", DATA, PADDED, 1, &[3, 0, 0, 0], calm),
        many("letters of a body", DATA, 0, 1, b"x", calm),
        // what is one too many already
        row("a goodbye", &frame(GOAWAY, 0, 0, &[0; 8]), Serves),
        one("a ping that is too short", PING, 0, 0, &[7; 7], PROTOCOL_ERROR),
        one("settings of half a value", SETTINGS, 0, 0, &[0; 5], PROTOCOL_ERROR),
        one("a frame that is too long", UNKNOWN, 0, 1, &[0; 16_385], FRAME_SIZE_ERROR),
        one("a reset of a stream that is not there", RST_STREAM, 0, 99, &[0, 0, 0, 8], PROTOCOL_ERROR),
        one("a promise of a client", PUSH_PROMISE, 0x4, 1, &[0, 0, 0, 2], PROTOCOL_ERROR),
        one("a stream of ours", HEADERS, 0x5, 2, &heads.get, PROTOCOL_ERROR),
        one("a piece of no head", CONTINUATION, 0x4, 1, &heads.get, PROTOCOL_ERROR),
    ]
}
