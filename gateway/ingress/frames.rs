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
}

/// RFC 9113 §3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;

impl Frames {
    /// Whether the preface has come.
    pub(crate) const fn is_http2(&self) -> bool {
        self.preface == PREFACE.len()
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
        let [l0, l1, l2, kind, _flags, s0, s1, s2, s3] = self.head;
        self.head_length = 0;
        self.payload = usize::try_from(u32::from_be_bytes([0, l0, l1, l2])).unwrap_or(usize::MAX);
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        let opens = kind == HEADERS && stream > self.last_stream;
        if opens {
            self.last_stream = stream;
        }
        opens
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
    fn what_is_not_http_2_opens_nothing() {
        let mut frames = Frames::default();
        assert_eq!(frames.read(b"GET / HTTP/1.1\r\n\r\n"), 0);
        assert_eq!(frames.read(&conversation()), 0, "nor does what follows");
        assert!(!frames.is_http2());
    }
}
