use std::fmt;
use std::str::FromStr;

/// Who acts, as records say it: `s_` and 96 random bits in base64url. Nothing leads from it to the person but the row of the
/// subject vault, and nothing at all once that is gone.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Surrogate([u8; 18]);

/// Why a text is not a surrogate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a surrogate is `s_` and 16 of letters, digits, `-` and `_`")]
pub struct InvalidSurrogate;

/// The alphabet of base64url (RFC 4648 §5).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Surrogate {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("s_")
    }

    /// The text as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 18] {
        &self.0
    }
}

/// Of random bits: whoever makes one has them.
impl From<[u8; 12]> for Surrogate {
    fn from(random: [u8; 12]) -> Self {
        let mut text = *b"s_0000000000000000";
        let (three, _) = random.as_chunks::<3>();
        let (_, rest) = text.split_at_mut(2);
        let (four, _) = rest.as_chunks_mut::<4>();
        for (to, [a, b, c]) in four.iter_mut().zip(three) {
            let bits = u32::from_be_bytes([0, *a, *b, *c]);
            for (letter, shift) in to.iter_mut().zip([18, 12, 6, 0]) {
                let index = usize::try_from((bits >> shift) & 63).unwrap_or(0);
                *letter = ALPHABET.get(index).copied().unwrap_or(b'A');
            }
        }
        Self(text)
    }
}

impl FromStr for Surrogate {
    type Err = InvalidSurrogate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes: [u8; 18] = text.as_bytes().try_into().map_err(|_| InvalidSurrogate)?;
        let rest = bytes.strip_prefix(b"s_").ok_or(InvalidSurrogate)?;
        if rest.iter().all(|byte| ALPHABET.contains(byte)) { Ok(Self(bytes)) } else { Err(InvalidSurrogate) }
    }
}

impl fmt::Display for Surrogate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surrogate_reads_back_and_nothing_else_is_one() {
        // python3: base64.urlsafe_b64encode(bytes(range(248, 256)) + bytes(range(4)))
        let surrogate = Surrogate::from([248, 249, 250, 251, 252, 253, 254, 255, 0, 1, 2, 3]);
        assert_eq!(surrogate.as_str(), "s_-Pn6-_z9_v8AAQID");
        assert_eq!(surrogate.to_string().parse(), Ok(surrogate));
        for text in ["", "s_", "x_-Pn6-_z9_v8AAQID", "s_-Pn6-_z9_v8AAQI", "s_-Pn6-_z9_v8AAQIDD", "s_+Pn6-_z9_v8AAQID"] {
            assert_eq!(text.parse::<Surrogate>(), Err(InvalidSurrogate), "{text}");
        }
    }
}
