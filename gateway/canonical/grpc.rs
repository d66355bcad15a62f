use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

use crate::Malformed;

/// Whether the client of a head that could not be read speaks gRPC: it is to be told in its own words, too.
#[must_use]
pub fn speaks_grpc(fields: &HeaderMap) -> bool {
    let mut types = fields.get_all(header::CONTENT_TYPE).iter();
    types.next().is_some_and(is_type) && types.next().is_none()
}

/// `application/grpc`, also with the name of an encoding or with parameters, and nothing that only begins like it.
pub(crate) fn is_type(content_type: &HeaderValue) -> bool {
    let bytes = content_type.as_bytes();
    let Some((name, rest)) = bytes.split_at_checked(b"application/grpc".len()) else { return false };
    name.eq_ignore_ascii_case(b"application/grpc") && matches!(rest, [] | [b'+' | b';' | b' ' | b'\t', ..])
}

/// How long a gRPC client waits for its call: one to eight digits and a unit, nothing else (gRPC over HTTP/2, `Timeout`).
pub(crate) fn timeout(text: &str) -> Result<Duration, Malformed> {
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(Malformed::Field)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed::Field);
    }
    let value: u64 = digits.parse().map_err(|_| Malformed::Field)?;
    match unit {
        "H" => Ok(Duration::from_secs(value * 3600)),
        "M" => Ok(Duration::from_secs(value * 60)),
        "S" => Ok(Duration::from_secs(value)),
        "m" => Ok(Duration::from_millis(value)),
        "u" => Ok(Duration::from_micros(value)),
        "n" => Ok(Duration::from_nanos(value)),
        _ => Err(Malformed::Field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_looks_like_grpc_is_not() {
        let fields = |types: &[&'static str]| {
            HeaderMap::from_iter(types.iter().map(|value| (header::CONTENT_TYPE, HeaderValue::from_static(value))))
        };
        for grpc in ["application/grpc", "application/grpc+proto", "Application/GRPC; charset=x", "application/grpc ;x"]
        {
            assert!(speaks_grpc(&fields(&[grpc])), "{grpc}");
        }
        for other in ["application/grpc-web", "application/grpcx", "application/grp", "text/plain", ""] {
            assert!(!speaks_grpc(&fields(&[other])), "{other}");
        }
        assert!(!speaks_grpc(&fields(&[])) && !speaks_grpc(&fields(&["application/grpc", "application/grpc"])));
    }

    #[test]
    fn up_to_eight_digits_and_a_unit_are_a_time_and_nothing_else_is() {
        for (text, time) in [
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
            ("2M", Duration::from_secs(120)),
            ("007S", Duration::from_secs(7)),
            ("250m", Duration::from_millis(250)),
            ("1u", Duration::from_micros(1)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(timeout(text), Ok(time), "{text}");
        }
        for text in
            ["", "S", "1", "100000000S", "-1S", "+1S", "1 S", " 1S", "1S ", "1s", "1.5S", "1mS", "\u{661}S", "1\u{b5}"]
        {
            assert_eq!(timeout(text), Err(Malformed::Field), "{text:?}");
        }
    }
}
