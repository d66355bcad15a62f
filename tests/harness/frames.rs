//! Frames of HTTP/2 as they are (RFC 9113 §4), each field spelled out (RFC 7541 §6.2.2).

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const PRIORITY: u8 = 2;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 0x1;
pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as literals without indexing, never compressed.
pub fn block(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(text.len(), &mut block);
            block.extend_from_slice(text);
        }
    }
    block
}

/// RFC 7541 §5.1, with a prefix of seven bits.
fn integer(number: usize, into: &mut Vec<u8>) {
    let Some(mut rest) = number.checked_sub(127) else {
        return into.push(u8::try_from(number).unwrap());
    };
    into.push(127);
    while rest >= 128 {
        into.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    into.push(u8::try_from(rest).unwrap());
}

/// The frames that are whole: kind, flags, stream.
pub fn split(mut bytes: &[u8]) -> impl Iterator<Item = (u8, u8, u32)> {
    std::iter::from_fn(move || {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3, rest @ ..] = bytes else { return None };
        bytes = rest.get(u32::from_be_bytes([0, *l0, *l1, *l2]) as usize..)?;
        Some((*kind, *flags, u32::from_be_bytes([*s0, *s1, *s2, *s3])))
    })
}
