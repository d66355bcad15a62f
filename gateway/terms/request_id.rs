use std::fmt;
use std::str::FromStr;

use crate::hex;

/// One request, ours alone: 128 bits, the upper 48 the milliseconds since the Unix epoch when it arrived, the others
/// random, printed as 32 lower-case hexadecimal digits. Ids of one gateway sort by time of arrival.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(u128);

/// Why a text is not a request's id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a request id is 32 lower-case hexadecimal digits")]
pub struct InvalidRequestId;

impl RequestId {
    /// Puts an id together from the time of arrival and 80 random bits (the upper 48 of `random` are not used).
    #[must_use]
    pub fn new(unix_milliseconds: u64, random: u128) -> Self {
        Self((u128::from(unix_milliseconds) << 80) | (random & ((1 << 80) - 1)))
    }

    /// The id as the number it is.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl From<u128> for RequestId {
    fn from(bits: u128) -> Self {
        Self(bits)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&hex(self.0)).unwrap_or_default())
    }
}

impl FromStr for RequestId {
    type Err = InvalidRequestId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits =
            text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        digits.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(Self).ok_or(InvalidRequestId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_print_back_the_same() {
        let (first, second) = (RequestId::new(1_000, u128::MAX), RequestId::new(1_001, 0));
        assert!(first < second);
        assert_eq!(first.to_string().parse(), Ok(first));
        assert_eq!("+0000000000000000000000000000001".parse::<RequestId>(), Err(InvalidRequestId));
    }
}
