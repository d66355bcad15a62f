use std::time::SystemTime;

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

    /// `,"key":"value"` for a value whose type allows nothing that JSON would escape.
    pub(crate) fn word(&mut self, key: &'static str, value: &str) {
        self.key(key);
        self.0.push(b'"');
        self.raw(value);
        self.0.push(b'"');
    }

    /// `,"key":"value"` for text that someone else chose: escaped, and cut so that it takes at most `most` characters.
    pub(crate) fn text(&mut self, key: &'static str, value: &str, most: usize) {
        self.key(key);
        self.0.push(b'"');
        if value.len() <= most && value.bytes().all(is_plain) {
            self.raw(value);
        } else {
            self.escaped(value, most);
        }
        self.0.push(b'"');
    }

    /// `,"key":value`.
    pub(crate) fn number(&mut self, key: &'static str, value: u64) {
        self.key(key);
        self.decimal(value);
    }

    /// `,"key":"hex"` with the given number of digits.
    pub(crate) fn hex(&mut self, key: &'static str, value: u128, digits: u32) {
        self.key(key);
        self.0.push(b'"');
        self.hex_digits(value, digits);
        self.0.push(b'"');
    }

    /// `,"key":"2026-01-31T12:00:00.000Z"` (RFC 3339, UTC, milliseconds).
    pub(crate) fn time(&mut self, key: &'static str, value: SystemTime) {
        self.key(key);
        self.0.push(b'"');
        self.instant(value);
        self.0.push(b'"');
    }

    fn key(&mut self, key: &'static str) {
        self.raw(",\"");
        self.raw(key);
        self.raw("\":");
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

    pub(crate) fn hex_digits(&mut self, value: u128, digits: u32) {
        for digit in (0..digits).rev() {
            let nibble = u8::try_from((value >> (4 * digit)) & 15).unwrap_or(0);
            self.0.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
        }
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

    fn padded(&mut self, value: u32, digits: u32) {
        for digit in (0..digits).rev() {
            self.0.push(b'0' + u8::try_from(value / 10_u32.pow(digit) % 10).unwrap_or(0));
        }
    }

    pub(crate) fn instant(&mut self, at: SystemTime) {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at = i64::try_from(since.as_secs())
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        self.padded(u32::try_from(at.year()).unwrap_or(0), 4);
        self.0.push(b'-');
        self.padded(u32::from(u8::from(at.month())), 2);
        self.0.push(b'-');
        self.padded(u32::from(at.day()), 2);
        self.0.push(b'T');
        self.padded(u32::from(at.hour()), 2);
        self.0.push(b':');
        self.padded(u32::from(at.minute()), 2);
        self.0.push(b':');
        self.padded(u32::from(at.second()), 2);
        self.0.push(b'.');
        self.padded(since.subsec_millis(), 3);
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
        line.text("t", value, most);
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
