//! The opening of a web socket (RFC 6455). The client's side of it was judged with the request; this is the backend's.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{Error, ErrorType, HttpPeer, Result};
use terms::Reason;

/// Lets a web socket be silent for as long as it lasts. Its opening has the time of every answer's head (`deadline.rs`).
pub(crate) const fn opening(peer: &mut HttpPeer) {
    peer.options.read_timeout = None;
}

/// Whether the backend has answered this very opening. What only says `101` has not read it, such as a cache or a server
/// that echoes: what would flow then is not what the client takes it for.
pub(crate) fn check(request: &RequestHeader, response: &ResponseHeader) -> Result<()> {
    let key = only(&request.headers, &header::SEC_WEBSOCKET_KEY);
    let accept = only(&response.headers, &header::SEC_WEBSOCKET_ACCEPT);
    let upgrade = only(&response.headers, &header::UPGRADE);
    let opened = upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
        && key.zip(accept).is_some_and(|(key, accept)| expected(key).as_bytes() == accept);
    if opened {
        return Ok(());
    }
    Error::e_explain(ErrorType::InvalidHTTPHeader, "the backend has not opened this web socket")
        .map_err(|error| error.into_up())
}

/// `Sec-WebSocket-Accept` for this key (RFC 6455 §4.2.2). SHA-1 keeps nothing secret here.
fn expected(key: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(context.finish())
}

fn only<'h>(fields: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = fields.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first.as_bytes())
}

/// Follows what one side of a web socket sends, to know where one frame ends and the next begins.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// The head of a frame, as far as it is there.
    head: [u8; 14],
    have: usize,
    /// Bytes that are still to come of the frame whose head is there.
    left: u64,
    /// Whether this side has said that it closes.
    closed: bool,
}

impl Frames {
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.left > 0 {
                let part = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= part as u64;
                bytes = bytes.get(part..).unwrap_or_default();
                continue;
            }
            if let Some(place) = self.head.get_mut(self.have) {
                *place = *first;
                self.have += 1;
            }
            bytes = rest;
            if let Some(length) = self.length() {
                (self.left, self.have) = (length, 0);
                self.closed |= self.head[0] & 0x0f == 8;
            }
        }
    }

    /// How long the content of the frame is, once its head is whole (RFC 6455 §5.2).
    fn length(&self) -> Option<u64> {
        let [_, second, a, b, c, d, e, f, g, h, ..] = self.head;
        let (length, extended) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([a, b])), 2),
            127 => (u64::from_be_bytes([a, b, c, d, e, f, g, h]), 8),
            short => (u64::from(short), 0),
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        (self.have >= 2 && self.have == 2 + extended + mask).then_some(length)
    }

    /// How the client is told that this socket is closed by us (RFC 6455 §7.4.1), where that can be said: between two
    /// frames, once.
    pub(crate) fn close(&self, why: Reason) -> Option<&'static [u8]> {
        const GOING_AWAY: &[u8] = &[0x88, 2, 0x03, 0xe9];
        const POLICY_VIOLATION: &[u8] = &[0x88, 2, 0x03, 0xf0];
        let word = if why == Reason::GatewayStopping { GOING_AWAY } else { POLICY_VIOLATION };
        (self.left == 0 && self.have == 0 && !self.closed).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_this_opening_opens_it() {
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let accept = ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); // RFC 6455 §1.3
        let upgrade = ("upgrade", "WebSocket");
        let other = ("sec-websocket-accept", "dGhlIHNhbXBsZSBub25jZQ==");
        for (fields, good) in [
            (vec![upgrade, accept], true),
            (vec![accept], false),
            (vec![upgrade], false),
            (vec![upgrade, other], false),
            (vec![upgrade, accept, accept], false),
            (vec![upgrade, accept, other], false),
            (vec![("upgrade", "h2c"), accept], false),
            (vec![("upgrade", "websocket, h2c"), accept], false),
        ] {
            let mut request = RequestHeader::build("GET", b"/", None).unwrap();
            request.append_header(key.0, key.1).unwrap();
            let mut response = ResponseHeader::build(101, None).unwrap();
            for (name, value) in &fields {
                response.append_header(*name, *value).unwrap();
            }
            assert_eq!(check(&request, &response).is_ok(), good, "{fields:?}");
            assert!(check(&RequestHeader::build("GET", b"/", None).unwrap(), &response).is_err());
        }
    }

    #[test]
    fn a_close_stands_between_two_frames_and_nowhere_else() {
        let frame = |first: u8, mask: bool, length: usize| {
            let bit = if mask { 0x80 } else { 0 };
            let mut frame = match length {
                0..126 => vec![first, bit | length as u8],
                126..65536 => [&[first, bit | 126][..], &(length as u16).to_be_bytes()].concat(),
                _ => [&[first, bit | 127][..], &(length as u64).to_be_bytes()].concat(),
            };
            frame.extend(std::iter::repeat_n(0xff, length + if mask { 4 } else { 0 }));
            frame
        };
        for mask in [false, true] {
            for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
                let both = [frame(0x82, mask, length), frame(0x01, mask, 3)].concat();
                let ends = [both.len() - frame(0x01, mask, 3).len(), both.len()];
                for step in [1, 2, 3, 7, 1000, both.len()] {
                    let (mut frames, mut at) = (Frames::default(), 0);
                    for part in both.chunks(step) {
                        frames.follow(part);
                        at += part.len();
                        assert_eq!(frames.close(Reason::StreamExpired).is_some(), ends.contains(&at), "{length} {at}");
                    }
                }
            }
        }
        let mut frames = Frames::default();
        assert_eq!(frames.close(Reason::GatewayStopping), Some(&[0x88, 2, 0x03, 0xe9][..]));
        frames.follow(&frame(0x88, false, 2));
        assert_eq!(frames.close(Reason::StreamExpired), None, "the backend has said it");
    }
}
