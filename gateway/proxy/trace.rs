use http::HeaderMap;
use terms::hex;

/// Where this request stands in a distributed trace (W3C Trace Context, `traceparent` version 00).
///
/// The trace id of the client is kept if it is well formed, else made; the span is always ours, so that a client can
/// join its own spans to ours and cannot pretend to be one of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Trace {
    pub(crate) id: u128,
    span: u64,
    sampled: bool,
}

impl Trace {
    /// Keeps the trace that the client is in, or starts one from random bits.
    pub(crate) fn of(fields: &HeaderMap, random: (u128, u64)) -> Self {
        let mut given = fields.get_all("traceparent").iter();
        let parent = match (given.next(), given.next()) {
            (Some(only), None) => only.to_str().ok().and_then(parent),
            _ => None,
        };
        let (id, sampled) = parent.unwrap_or((random.0.max(1), false));
        Self { id, span: random.1.max(1), sampled }
    }

    /// The value of `traceparent` for the backend.
    pub(crate) fn to_field(self) -> Vec<u8> {
        let (trace, span) = (hex(self.id), hex(self.span.into()));
        let (_, span) = span.split_at(16);
        let flags = if self.sampled { b"-01" } else { b"-00" };
        [b"00-", trace.as_slice(), b"-", span, flags].concat()
    }
}

/// Trace id and sampled flag of a `traceparent`. Later versions may be longer; the first four parts mean the same (§3.2).
fn parent(text: &str) -> Option<(u128, bool)> {
    let hex = |part: &str, digits: usize| {
        (part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))).then_some(())
    };
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    hex(version, 2).and(hex(trace, 32)).and(hex(span, 16)).and(hex(flags, 2))?;
    if version == "ff" || (version == "00" && parts.next().is_some()) || span.bytes().all(|byte| byte == b'0') {
        return None;
    }
    let id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
    Some((id, u8::from_str_radix(flags, 16).ok()? & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_formed_trace_is_kept_and_anything_else_starts_a_new_one() {
        let id = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
        for (given, kept) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra", false),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
            ("nonsense", false),
        ] {
            let fields = HeaderMap::from_iter([(http::HeaderName::from_static("traceparent"), given.parse().unwrap())]);
            let trace = Trace::of(&fields, (7, 9));
            assert_eq!(trace.id, if kept { id } else { 7 }, "{given}");
            let (id, flags) = if kept { (id, "01") } else { (7, "00") };
            let expected = format!("00-{id:032x}-0000000000000009-{flags}");
            assert_eq!(String::from_utf8(trace.to_field()).unwrap(), expected, "the span is ours");
        }
    }
}
