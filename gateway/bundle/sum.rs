use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};

/// A SHA-256, written as `sha256sum` does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sum([u8; 32]);

/// A text that is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a SHA-256 is 64 hexadecimal digits in lower case")]
pub struct InvalidSum;

impl Sum {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut sum = [0; 32];
        sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(sum)
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Sum {
    type Err = InvalidSum;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut sum = Self([0; 32]);
        for (at, byte) in sum.0.iter_mut().enumerate() {
            let pair = text.get(at * 2..at * 2 + 2).ok_or(InvalidSum)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidSum)?;
        }
        if sum.to_string() == text { Ok(sum) } else { Err(InvalidSum) } // one spelling, and no sign
    }
}
