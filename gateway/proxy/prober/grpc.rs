//! gRPC's health checking protocol: one call with one message each way. Both messages have one field, so that they are
//! written and read by hand.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderValue, Method, header};
use pingora::protocols::Stream;
use upstream::ProbeError;

use super::http2::{self, Answer, Wanted};

const CALL: &str = "/grpc.health.v1.Health/Check";

/// The number of `SERVING` in `HealthCheckResponse.ServingStatus`.
const SERVING: u64 = 1;

/// Whether a service is served; all of them, if none is named.
pub(super) async fn check(stream: Stream, host: &str, service: &str) -> Result<(), ProbeError> {
    let mut head = http2::request(&stream, Method::POST, host, CALL)?;
    for (name, value) in [(header::CONTENT_TYPE, "application/grpc"), (header::TE, "trailers")] {
        head.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    judge(&http2::ask(stream, head, request(service), Wanted::Whole).await?)
}

fn judge(answer: &Answer) -> Result<(), ProbeError> {
    if answer.status != 200 {
        return Err(ProbeError::Status(answer.status));
    }
    // An answer without a message has its status among the fields of its head.
    let status = answer.trailers.get("grpc-status").or_else(|| answer.fields.get("grpc-status"));
    match status.map(HeaderValue::as_bytes) {
        Some(b"0") => {}
        Some(status) => return Err(ProbeError::NotServing(format!("grpc-status {}", String::from_utf8_lossy(status)))),
        None => return Err(ProbeError::Broke("no grpc-status".into())),
    }
    let status = message(&answer.body).and_then(serving_status);
    match status {
        Some(SERVING) => Ok(()),
        Some(0) => Err(ProbeError::NotServing("UNKNOWN".into())),
        Some(2) => Err(ProbeError::NotServing("NOT_SERVING".into())),
        Some(3) => Err(ProbeError::NotServing("SERVICE_UNKNOWN".into())),
        Some(other) => Err(ProbeError::NotServing(format!("status {other}"))),
        None => Err(ProbeError::Broke("no HealthCheckResponse".into())),
    }
}

/// `HealthCheckRequest { service = 1 }` with its five bytes in front: not compressed, and so long.
fn request(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(1 << 3 | 2);
        put_varint(&mut message, service.len() as u64);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(&message);
    framed.freeze()
}

/// The one message of a body.
fn message(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_first_chunk::<5>()?;
    let [compressed, length @ ..] = *prefix;
    (compressed == 0 && u32::from_be_bytes(length) as usize == message.len()).then_some(message)
}

/// `HealthCheckResponse { status = 1 }`. Fields that are not known are passed over; one that is left out is 0.
fn serving_status(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => status = varint(&mut message)?,
            (_, 0) => drop(varint(&mut message)?),
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn put_varint(bytes: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        bytes.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.put_u8(value as u8);
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn answer(status: u16, head: Option<&str>, trailer: Option<&str>, body: &[u8]) -> Answer {
        let fields = |status: Option<&str>| {
            let field = status.map(|status| ("grpc-status".parse().unwrap(), status.parse().unwrap()));
            HeaderMap::from_iter(field)
        };
        Answer { status, fields: fields(head), body: Bytes::copy_from_slice(body), trailers: fields(trailer) }
    }

    #[test]
    fn the_request_is_what_the_protocol_says() {
        assert_eq!(*request(""), [0; 5]);
        assert_eq!(*request("orders.Orders"), *b"\0\0\0\0\x0f\x0a\x0dorders.Orders");
        let long = "s".repeat(300);
        assert_eq!(request(&long)[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn only_who_says_that_it_serves_and_ends_well_passes() {
        let serving = b"\0\0\0\0\x02\x08\x01";
        for (answer, expected) in [
            (answer(200, None, Some("0"), serving), None),
            (answer(200, None, Some("0"), b"\0\0\0\0\x02\x08\x02"), Some("it does not serve: NOT_SERVING")),
            (answer(200, None, Some("0"), b"\0\0\0\0\x02\x08\x03"), Some("it does not serve: SERVICE_UNKNOWN")),
            (answer(200, None, Some("0"), b"\0\0\0\0\0"), Some("it does not serve: UNKNOWN")),
            (answer(200, None, Some("14"), serving), Some("it does not serve: grpc-status 14")),
            (answer(200, Some("12"), None, b""), Some("it does not serve: grpc-status 12")),
            (answer(503, None, None, b""), Some("status 503")),
        ] {
            assert_eq!(judge(&answer).err().map(|error| error.to_string()).as_deref(), expected);
        }
        for (trailer, body) in [
            (None, &serving[..]),
            (Some("0"), b""),
            (Some("0"), b"\x01\0\0\0\x02\x08\x01"),
            (Some("0"), b"\0\0\0\0\x03\x08\x01"),
            (Some("0"), b"\0\0\0\0\x02\x08\x81"),
        ] {
            assert!(matches!(judge(&answer(200, None, trailer, body)), Err(ProbeError::Broke(_))), "{body:?}");
        }
    }

    #[test]
    fn fields_that_are_not_known_are_passed_over() {
        let message = b"\x12\x03abc\x19\0\0\0\0\0\0\0\0\x25\0\0\0\0\x28\x80\x01\x08\x01";
        assert_eq!(serving_status(message), Some(1));
        for torn in [&b"\x12\x09abc"[..], b"\x19\0", b"\x0b", b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x08"]
        {
            assert_eq!(serving_status(torn), None, "{torn:?}");
        }
        assert_eq!(serving_status(&[0xff; 40]), None);
    }
}
