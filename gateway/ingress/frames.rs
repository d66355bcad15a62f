/// Follows the frames of an HTTP/2 client (RFC 9113 §4.1) and counts the streams that it opens.
///
/// The parser answers malformed requests itself and tells nobody; what was opened and never started is what it refused.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    preface: usize,
    /// Whether the preface was none.
    broken: bool,
    head: [u8; 9],
    head_length: usize,
    /// Bytes of the frame's payload that are still to come.
    payload: usize,
    last_stream: u32,
    block: Block,
    /// Frames that ask for nothing, since they were last asked for.
    chatter: u32,
    /// Bytes that the client was sent, and has not yet moved its windows on for.
    sent: usize,
}

/// A field block: `HEADERS` and the `CONTINUATION`s that follow it (RFC 9113 §4.3).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Block {
    /// There is none that is not whole.
    #[default]
    Whole,
    /// Another frame will go on with it.
    Open,
    /// It is whole with the payload of this frame.
    Last,
}

/// RFC 9113 §3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// A stream that is reset counts for so many frames that ask for nothing: it was a request by then, perhaps with a connection
/// to a backend that ends with it, and is none that counts among those at once (CVE-2023-44487). A thousand may be reset at
/// once, and 250 a second; people who leave pages, and calls that are late, are far from that.
const RESET: u32 = 20;

/// A client may move its windows, that of a stream and that of the connection, for each frame that it is sent, and no frame
/// with something in it is shorter than twice this.
const WINDOW: usize = 8;

/// As many bytes are remembered for it.
const REMEMBERED: usize = 1 << 20;

impl Frames {
    /// Whether the preface has come.
    pub(crate) const fn is_http2(&self) -> bool {
        self.preface == PREFACE.len()
    }

    /// Whether a field block has begun and is not whole.
    pub(crate) const fn is_in_block(&self) -> bool {
        !matches!(self.block, Block::Whole)
    }

    /// How many frames have come, since this was last asked, that neither open a stream nor move it on.
    pub(crate) const fn take_chatter(&mut self) -> u32 {
        std::mem::replace(&mut self.chatter, 0)
    }

    /// So many bytes were sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes).min(REMEMBERED);
    }

    /// Reads on, and says how many streams were opened by these bytes.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> u64 {
        let mut opened = 0;
        while let [byte, rest @ ..] = bytes {
            if !self.is_http2() {
                self.broken |= PREFACE.get(self.preface) != Some(byte);
                if self.broken {
                    return opened; // the parser will say so
                }
                self.preface += 1;
                bytes = rest;
            } else if self.payload > 0 {
                let skipped = self.payload.min(bytes.len());
                self.payload -= skipped;
                self.end_block();
                bytes = bytes.get(skipped..).unwrap_or_default();
            } else {
                if let Some(slot) = self.head.get_mut(self.head_length) {
                    *slot = *byte;
                }
                self.head_length += 1;
                bytes = rest;
                if self.head_length == self.head.len() {
                    opened += u64::from(self.end_of_head());
                }
            }
        }
        opened
    }

    /// Whether this frame opens a stream. A client's next stream has a larger number than all before (RFC 9113 §5.1.1);
    /// `HEADERS` on an old one are trailers.
    fn end_of_head(&mut self) -> bool {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = self.head;
        self.head_length = 0;
        self.payload = usize::try_from(u32::from_be_bytes([0, l0, l1, l2])).unwrap_or(usize::MAX);
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        self.chatter += self.chatter_of(kind, flags);
        if matches!(kind, HEADERS | CONTINUATION) {
            self.block = if flags & END_HEADERS == 0 { Block::Open } else { Block::Last };
            self.end_block();
        }
        let opens = kind == HEADERS && stream > self.last_stream;
        if opens {
            self.last_stream = stream;
        }
        opens
    }

    /// For how many frames that ask for nothing this one counts. An update of a window is none as long as there was something
    /// to move it on for: the more is downloaded, the more of them there are.
    fn chatter_of(&mut self, kind: u8, flags: u8) -> u32 {
        match kind {
            DATA => u32::from(self.payload == 0 && flags & END_STREAM == 0),
            HEADERS => 0,
            RST_STREAM => RESET,
            WINDOW_UPDATE => {
                let left = self.sent.checked_sub(WINDOW);
                self.sent = left.unwrap_or(self.sent);
                u32::from(left.is_none())
            }
            CONTINUATION => u32::from(self.payload == 0),
            _ => 1,
        }
    }

    fn end_block(&mut self) {
        if self.block == Block::Last && self.payload == 0 {
            self.block = Block::Whole;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0], &stream.to_be_bytes(), payload].concat()
    }

    fn conversation() -> Vec<u8> {
        [
            PREFACE.to_vec(),
            frame(4, 0, &[0; 18]),
            frame(HEADERS, 1, b"12345"),
            frame(0, 1, &[HEADERS; 300]),
            frame(HEADERS, 1, b"trailers"),
            frame(6, 0, &[0; 8]),
            frame(HEADERS, 3, b""),
            frame(9, 3, b"continued"),
            frame(HEADERS, 9, b"x"),
        ]
        .concat()
    }

    #[test]
    fn streams_are_counted_however_the_bytes_come() {
        for size in [1, 2, 3, 7, 9, 10, 64, 10_000] {
            let mut frames = Frames::default();
            let opened: u64 = conversation().chunks(size).map(|chunk| frames.read(chunk)).sum();
            assert_eq!((opened, frames.is_http2()), (3, true), "in pieces of {size}");
        }
    }

    #[test]
    fn a_field_block_is_whole_with_the_last_byte_of_its_last_frame() {
        let flagged = |kind, flags, payload: &[u8]| {
            let mut bytes = frame(kind, 1, payload);
            bytes[4] = flags;
            bytes
        };
        let ended = 0x4;
        for (parts, wholes) in [
            (vec![flagged(HEADERS, ended, b"abc")], vec![true]),
            (vec![flagged(HEADERS, ended, b"")], vec![true]),
            (vec![flagged(HEADERS, 0, b"abc"), flagged(CONTINUATION, 0, b"d"), flagged(CONTINUATION, ended, b"ef")], {
                vec![false, false, true]
            }),
            (vec![flagged(HEADERS, 0, b""), flagged(CONTINUATION, ended, b"")], vec![false, true]),
            (vec![frame(DATA, 1, b"abc")], vec![true]),
        ] {
            let mut frames = Frames::default();
            frames.read(PREFACE);
            for (part, whole) in parts.iter().zip(wholes) {
                for (at, byte) in part.iter().enumerate() {
                    frames.read(&[*byte]);
                    let last = at + 1 == part.len();
                    assert!(!last || frames.is_in_block() != whole, "{part:?}");
                    assert!(last || at < 8 || part[3] == DATA || frames.is_in_block(), "{part:?} at {at}");
                }
            }
        }
    }

    #[test]
    fn frames_that_ask_for_nothing_are_chatter() {
        let mut frames = Frames::default();
        frames.read(&conversation());
        assert_eq!((frames.take_chatter(), frames.take_chatter()), (2, 0), "the settings and the ping");
        for (kind, payload, chatter) in [
            (DATA, &b""[..], 1),
            (DATA, b"x", 0),
            (2, b"12345", 1),
            (3, b"1234", 20),
            (8, b"1234", 1),
            (9, b"", 1),
            (0x42, b"", 1),
        ] {
            frames.read(&frame(kind, 1, payload));
            assert_eq!(frames.take_chatter(), chatter, "{kind}");
        }
    }

    #[test]
    fn windows_may_be_moved_on_for_what_was_sent() {
        let mut frames = Frames::default();
        frames.read(PREFACE);
        for (sent, updates, chatter) in [(0, 2, 2), (16, 3, 1), (1 << 30, 131_072, 0), (0, 1, 1), (usize::MAX, 1, 0)] {
            frames.sent(sent);
            for _ in 0..updates {
                frames.read(&frame(WINDOW_UPDATE, 0, &[0, 0, 0, 1]));
            }
            assert_eq!(frames.take_chatter(), chatter, "{updates} for {sent}");
        }
    }

    #[test]
    fn what_is_not_http_2_opens_nothing() {
        let mut frames = Frames::default();
        assert_eq!(frames.read(b"GET / HTTP/1.1\r\n\r\n"), 0);
        assert_eq!(frames.read(&conversation()), 0, "nor does what follows");
        assert!(!frames.is_http2());
    }
}
