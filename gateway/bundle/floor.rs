use std::fmt;
use std::str::FromStr;

use crate::{Sum, Verified};

/// The last version that was in force: what is older is not taken, and no other files under the same number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Floor {
    version: u64,
    digest: Sum,
}

/// Why a bundle is not taken that somebody has signed for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotNewer {
    /// There was a newer one.
    #[error("version {version} is older than version {last}, which was in force")]
    Older {
        /// This one.
        version: u64,
        /// The last one.
        last: u64,
    },
    /// The same number was other files.
    #[error("version {0} was in force with other files: a version is given once")]
    Other(u64),
}

/// A text that is no [`Floor`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it does not say a version and a digest")]
pub struct UnreadableFloor;

impl Floor {
    /// Whether this one may follow.
    ///
    /// # Errors
    /// It may not.
    pub fn admits(&self, next: &Verified) -> Result<(), NotNewer> {
        if next.version < self.version {
            return Err(NotNewer::Older { version: next.version, last: self.version });
        }
        if next.version == self.version && next.digest != self.digest {
            return Err(NotNewer::Other(next.version));
        }
        Ok(())
    }
}

impl From<&Verified> for Floor {
    fn from(verified: &Verified) -> Self {
        Self { version: verified.version, digest: verified.digest }
    }
}

/// As it is kept: `12 <hex>`, with a line end.
impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.version, self.digest)
    }
}

impl FromStr for Floor {
    type Err = UnreadableFloor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.strip_suffix('\n').and_then(|line| line.split_once(' '));
        let floor = parts
            .and_then(|(version, digest)| Some(Self { version: version.parse().ok()?, digest: digest.parse().ok()? }));
        floor.ok_or(UnreadableFloor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_only_rise_and_each_is_one_set_of_files() {
        let verified = |version, digest: u8| Verified { version, digest: Sum::of(&[digest]), by: Vec::new() };
        let floor = Floor::from(&verified(7, 1));
        assert_eq!(floor.to_string().parse(), Ok(floor));
        for (next, expected) in [
            (verified(7, 1), Ok(())),
            (verified(8, 2), Ok(())),
            (verified(8, 1), Ok(())),
            (verified(6, 2), Err(NotNewer::Older { version: 6, last: 7 })),
            (verified(7, 2), Err(NotNewer::Other(7))),
        ] {
            assert_eq!(floor.admits(&next), expected, "{next:?}");
        }
        for text in ["", "7", "7 00\n", "x 11\n", &floor.to_string().replace('\n', "")] {
            assert_eq!(text.parse::<Floor>(), Err(UnreadableFloor), "{text}");
        }
    }
}
