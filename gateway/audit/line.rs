use std::time::SystemTime;

use terms::hex;
use time::OffsetDateTime;

/// The JSON text of one record while it is being written. Pure ASCII, whatever goes in. It is reused, so that writing a
/// record allocates nothing.
///
/// A record is written by hand, not through serde: its bytes are the leaf that will be hashed, so their order and
/// spelling must never depend on a library.
#[derive(Debug)]
pub(crate) struct Line(Vec<u8>);

impl Line {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(4096))
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) const fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    pub(crate) fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A lead such as `,"key":"`, then a value whose type allows nothing that JSON would escape, then the quote.
    pub(crate) fn word(&mut self, lead: &'static str, value: &str) {
        self.raw(lead);
        self.raw(value);
        self.0.push(b'"');
    }

    /// As [`Line::word`] for text that someone else chose: escaped, and cut so that it takes at most `most` characters.
    pub(crate) fn text(&mut self, lead: &'static str, value: &str, most: usize) {
        if value.len() <= most && value.bytes().all(is_plain) {
            self.word(lead, value);
        } else {
            self.raw(lead);
            self.escaped(value, most);
            self.0.push(b'"');
        }
    }

    /// A lead such as `,"key":`, then the number.
    pub(crate) fn number(&mut self, lead: &'static str, value: u64) {
        self.raw(lead);
        self.decimal(value);
    }

    /// As [`Line::word`] with the given number of hexadecimal digits.
    pub(crate) fn hex(&mut self, lead: &'static str, value: u128, digits: usize) {
        self.raw(lead);
        self.hex_digits(value, digits);
        self.0.push(b'"');
    }

    /// As [`Line::word`] with a time: `2026-01-31T12:00:00.000Z` (RFC 3339, UTC, milliseconds).
    pub(crate) fn time(&mut self, lead: &'static str, value: SystemTime) {
        self.raw(lead);
        self.instant(value);
        self.0.push(b'"');
    }

    fn escaped(&mut self, value: &str, most: usize) {
        let mut left = most;
        let mut units = [0; 2];
        for character in value.chars() {
            let plain = u8::try_from(character).ok().filter(|byte| is_plain(*byte));
            let cost = plain.map_or_else(|| 6 * character.len_utf16(), |_| 1);
            if cost > left {
                return;
            }
            left -= cost;
            match plain {
                Some(byte) => self.0.push(byte),
                None => {
                    for unit in character.encode_utf16(&mut units) {
                        self.raw("\\u");
                        self.hex_digits(u128::from(*unit), 4);
                    }
                }
            }
        }
    }

    pub(crate) fn hex_digits(&mut self, value: u128, digits: usize) {
        let text = hex(value);
        let (_, last) = text.split_at(text.len().saturating_sub(digits));
        self.0.extend_from_slice(last);
    }

    pub(crate) fn decimal(&mut self, value: u64) {
        let start = self.0.len();
        let mut left = value;
        loop {
            self.0.push(b'0' + u8::try_from(left % 10).unwrap_or(0));
            left /= 10;
            if left == 0 {
                break;
            }
        }
        if let Some(digits) = self.0.get_mut(start..) {
            digits.reverse();
        }
    }

    /// Two digits and what comes after them.
    fn two(&mut self, value: u8, after: u8) {
        self.0.extend_from_slice(&[b'0' + value / 10 % 10, b'0' + value % 10, after]);
    }

    pub(crate) fn instant(&mut self, at: SystemTime) {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at = i64::try_from(since.as_secs())
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (year, milliseconds) = (at.year().rem_euclid(10_000), since.subsec_millis());
        let [century, year] = [year / 100, year % 100].map(|half| u8::try_from(half).unwrap_or(0));
        self.0.extend_from_slice(&[b'0' + century / 10, b'0' + century % 10]);
        self.two(year, b'-');
        self.two(u8::from(at.month()), b'-');
        self.two(at.day(), b'T');
        self.two(at.hour(), b':');
        self.two(at.minute(), b':');
        self.two(at.second(), b'.');
        let [tens, ones] = [milliseconds / 10, milliseconds % 10].map(|part| u8::try_from(part).unwrap_or(0));
        self.two(tens, b'0' + ones);
        self.0.push(b'Z');
    }
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn text(value: &str, most: usize) -> String {
        let mut line = Line::new();
        line.raw("{\"v\":1");
        line.text(",\"t\":\"", value, most);
        line.raw("}");
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    proptest! {
        #[test]
        fn any_text_survives_the_way_through_json(value in any::<String>()) {
            let parsed: serde_json::Value = serde_json::from_str(&text(&value, usize::MAX)).unwrap();
            prop_assert_eq!(parsed["t"].as_str().unwrap(), value);
        }

        #[test]
        fn cut_text_is_a_prefix_within_its_bound_and_ascii(value in any::<String>(), most in 0_usize..40) {
            let json = text(&value, most);
            let frame = r#"{"v":1,"t":""}"#.len();
            prop_assert!(json.is_ascii() && json.len() <= frame + most);
            let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert!(value.starts_with(parsed["t"].as_str().unwrap()));
        }

        #[test]
        fn times_read_back_as_rfc_3339(milliseconds in 0_u64..253_402_300_800_000) {
            let at = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
            let mut line = Line::new();
            line.instant(at);
            let text = std::str::from_utf8(line.as_bytes()).unwrap();
            let format = &time::format_description::well_known::Rfc3339;
            prop_assert_eq!(SystemTime::from(OffsetDateTime::parse(text, format).unwrap()), at);
        }

        #[test]
        fn numbers_are_written_as_everybody_writes_them(value in any::<u64>(), wide in any::<u128>()) {
            let mut line = Line::new();
            line.decimal(value);
            line.hex_digits(wide, 32);
            prop_assert_eq!(line.as_bytes().to_vec(), format!("{value}{wide:032x}").into_bytes());
        }
    }
}
