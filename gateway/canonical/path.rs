use std::borrow::Cow;

use crate::Malformed;

/// Whether a path may be forwarded as it was spelled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Spelling {
    Canonical,
    Rewrite,
}

/// Walks over a path that starts with a slash. It may have RFC 3986's `pchar` but for `;`, which some backends read as
/// the start of parameters and others as a character like any other.
pub(crate) fn check(path: &[u8]) -> Result<Spelling, Malformed> {
    let mut rest = path.strip_prefix(b"/").ok_or(Malformed::PathForm)?;
    let mut spelling = Spelling::Canonical;
    let mut segment = Segment::default();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'/' => {
                segment.end()?;
                segment = Segment::default();
            }
            b'%' => {
                let (escaped, tail) = Escaped::read(rest)?;
                rest = tail;
                if escaped.respelled {
                    spelling = Spelling::Rewrite;
                }
                segment.add(escaped.character);
            }
            byte => {
                check_raw(*byte)?;
                segment.add(char::from(*byte));
            }
        }
    }
    segment.end_of_path()?;
    Ok(spelling)
}

/// Spells a path that [`check`] has passed: escapes of unreserved characters undone, hexadecimal digits in upper case.
pub(crate) fn rewrite(path: &str, into: &mut String) {
    let mut parts = path.split('%');
    into.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        match u8::from_str_radix(digits, 16) {
            Ok(value) if is_unreserved(value) => into.push(char::from(value)),
            _ => {
                into.push('%');
                into.push_str(&digits.to_ascii_uppercase());
            }
        }
        into.push_str(rest);
    }
}

/// The segments of a path, decoded, the way a backend reads them. The slash at the end makes an empty one.
#[derive(Clone, Debug)]
pub struct Segments<'p>(std::str::Split<'p, char>);

impl<'p> Segments<'p> {
    pub(crate) fn of(path: &'p str) -> Self {
        let mut segments = path.split('/');
        segments.next(); // before the first slash
        Self(segments)
    }
}

impl<'p> Iterator for Segments<'p> {
    type Item = Cow<'p, str>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(decode)
    }
}

/// Allocates only where something is escaped.
pub(crate) fn decode(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, rest) {
            (b'%', [high, low, tail @ ..]) => {
                bytes.push(digit(*high).unwrap_or_default() << 4 | digit(*low).unwrap_or_default());
                rest = tail;
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    // INVARIANT: `check` has seen that this is UTF-8; a replacement character would match nothing by accident.
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// What of one segment matters: is it empty, is it all dots? Windows takes spaces off a name, and
/// other readers whatever Unicode calls white, so that `.. ` is `..` there.
#[derive(Default)]
struct Segment {
    length: usize,
    dots: usize,
    spaces: usize,
}

impl Segment {
    fn add(&mut self, character: char) {
        self.length += 1;
        self.dots += usize::from(character == '.');
        self.spaces += usize::from(character.is_whitespace());
    }

    const fn end(&self) -> Result<(), Malformed> {
        if self.length == 0 {
            return Err(Malformed::PathEmptySegment);
        }
        self.end_of_path()
    }

    /// The last one may be empty: that is the slash at the end.
    const fn end_of_path(&self) -> Result<(), Malformed> {
        match (self.length.saturating_sub(self.spaces), self.dots) {
            (1, 1) | (2, 2) => Err(Malformed::PathDotSegment),
            _ => Ok(()),
        }
    }
}

/// One character that came as one escape, or as the two to four that UTF-8 takes.
struct Escaped {
    character: char,
    /// Whether the canonical spelling is another one.
    respelled: bool,
}

impl Escaped {
    /// Reads what follows a percent sign.
    fn read(after: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (first, mut lower, mut rest) = octet(after)?;
        let length = match first {
            b'/' => return Err(Malformed::PathEncodedSlash),
            b'\\' => return Err(Malformed::PathBackslash),
            b'%' => return Err(Malformed::PathDoubleEncoding),
            b';' => return Err(Malformed::PathParameters),
            0..=0x7f => 1,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return Err(Malformed::PathUtf8),
        };
        let mut octets = [first, 0, 0, 0];
        for slot in octets.iter_mut().take(length).skip(1) {
            let [b'%', after @ ..] = rest else {
                return Err(Malformed::PathUtf8);
            };
            let (next, is_lower, tail) = octet(after)?;
            (*slot, lower, rest) = (next, lower | is_lower, tail);
        }
        let character = octets
            .get(..length)
            .and_then(|octets| std::str::from_utf8(octets).ok())
            .and_then(|text| text.chars().next())
            .ok_or(Malformed::PathUtf8)?;
        if character.is_control() {
            return Err(Malformed::PathControl);
        }
        let respelled = lower || is_unreserved(first);
        Ok((Self { character, respelled }, rest))
    }
}

/// Two hexadecimal digits: the octet, whether one of them is in lower case, and what follows.
fn octet(after: &[u8]) -> Result<(u8, bool, &[u8]), Malformed> {
    let [high, low, rest @ ..] = after else {
        return Err(Malformed::PathEncoding);
    };
    let (Some(upper_half), Some(lower_half)) = (digit(*high), digit(*low)) else {
        return Err(Malformed::PathEncoding);
    };
    let lower = high.is_ascii_lowercase() || low.is_ascii_lowercase();
    Ok((upper_half << 4 | lower_half, lower, rest))
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// RFC 3986 §2.3: these mean the same with and without an escape.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn check_raw(byte: u8) -> Result<(), Malformed> {
    match byte {
        _ if is_unreserved(byte) => Ok(()),
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' => Ok(()),
        b';' => Err(Malformed::PathParameters),
        b'\\' => Err(Malformed::PathBackslash),
        0..=0x1f | 0x7f => Err(Malformed::PathControl),
        _ => Err(Malformed::PathEncoding),
    }
}
