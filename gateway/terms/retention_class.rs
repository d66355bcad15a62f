use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How long records are kept: a place in the settings, which has a log of its own.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct RetentionClass(u16);

impl RetentionClass {
    /// That of whoever is in no other.
    pub const DEFAULT: Self = Self(0);

    /// The class at this place of the settings, where the default one is not counted.
    #[must_use]
    pub const fn other(place: u16) -> Option<Self> {
        match place.checked_add(1) {
            Some(class) => Some(Self(class)),
            None => None,
        }
    }

    /// Its place among the others; `None`: it is the default one.
    #[must_use]
    pub fn beyond_default(self) -> Option<usize> {
        self.0.checked_sub(1).map(usize::from)
    }
}

/// What a retention class is called: a lower-case letter, then lower-case letters, digits and hyphens, at most 32, no hyphen at
/// the end: it stands in the name of the log and of its folder.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String")]
pub struct ClassName(Arc<str>);

/// Why a text is not the name of a retention class.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a retention class is called by a lower-case letter, then lower-case letters, digits and hyphens, at most {} in all, and no \
     hyphen at the end",
    ClassName::MAX
)]
pub struct InvalidClassName;

impl ClassName {
    /// The longest name, in bytes.
    pub const MAX: usize = 32;

    /// The class of whoever is in no other.
    pub const DEFAULT: &str = "default";

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClassName {
    type Err = InvalidClassName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let label = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        let bytes = text.as_bytes();
        let fits = bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.len() <= Self::MAX
            && bytes.iter().all(label)
            && bytes.last() != Some(&b'-');
        if fits { Ok(Self(text.into())) } else { Err(InvalidClassName) }
    }
}

impl TryFrom<String> for ClassName {
    type Error = InvalidClassName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl std::borrow::Borrow<str> for ClassName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_a_name_that_can_stand_in_a_folder_and_in_the_name_of_a_log() {
        for name in ["r400d", "r6y", "a", "pci-dss", "default"] {
            assert_eq!(name.parse::<ClassName>().unwrap().to_string(), name);
        }
        let long = "a".repeat(33);
        for name in ["", "-a", "a-", "R6y", "6y", "a/b", "..", "a.b", "a b", "a+b", "ä", &long] {
            assert_eq!(name.parse::<ClassName>(), Err(InvalidClassName), "{name}");
        }
    }

    #[test]
    fn the_default_class_is_the_one_that_nobody_has_to_name() {
        assert_eq!(RetentionClass::default(), RetentionClass::DEFAULT);
        assert_eq!(RetentionClass::DEFAULT.beyond_default(), None);
        assert_eq!(RetentionClass::other(0).and_then(RetentionClass::beyond_default), Some(0));
        assert_eq!(RetentionClass::other(u16::MAX), None);
    }
}
