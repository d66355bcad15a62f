use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;

/// What a route asks for: `resource:verb`, for example `invoice:read`. Both halves are lower-case letters, digits,
/// `_` and `-`, and start with a letter.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct Permission(Arc<str>);

/// What a role gives or takes: a [`Permission`], or one with a `*` in place of a half (`invoice:*`, `*:read`, `*:*`).
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct Grant(Arc<str>);

/// Why a text is not a permission.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidPermission {
    /// No colon, or more than one.
    #[error("a permission is written `resource:verb`")]
    Shape,
    /// A half with other characters than it may have.
    #[error(
        "both halves of a permission start with a lower-case letter and have only lower-case letters, digits, `_` and `-`"
    )]
    Word,
    /// A `*` where only a whole permission makes sense.
    #[error("a route asks for one permission; `*` stands only in a role")]
    Wildcard,
}

fn halves(text: &str) -> Result<(&str, &str), InvalidPermission> {
    text.split_once(':').filter(|(_, verb)| !verb.contains(':')).ok_or(InvalidPermission::Shape)
}

fn is_word(half: &str) -> bool {
    half.starts_with(|first: char| first.is_ascii_lowercase())
        && half.len() <= 64
        && half.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
}

impl Permission {
    /// The permission as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Grant {
    /// The grant as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this grant speaks about everything that the other one speaks about.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        let (Ok((resource, verb)), Ok((other_resource, other_verb))) = (halves(&self.0), halves(&other.0)) else {
            return false; // INVARIANT: both parsed when they were made
        };
        [(resource, other_resource), (verb, other_verb)].iter().all(|(wide, narrow)| *wide == "*" || wide == narrow)
    }

    /// Whether this grant speaks about that permission.
    #[must_use]
    pub fn covers(&self, permission: &Permission) -> bool {
        let (Ok((resource, verb)), Ok((asked_resource, asked_verb))) = (halves(&self.0), halves(&permission.0)) else {
            return false; // INVARIANT: both parsed when they were made
        };
        [(resource, asked_resource), (verb, asked_verb)].iter().all(|(given, asked)| *given == "*" || given == asked)
    }
}

impl FromStr for Permission {
    type Err = InvalidPermission;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match halves(text)? {
            (resource, verb) if resource == "*" || verb == "*" => Err(InvalidPermission::Wildcard),
            (resource, verb) if is_word(resource) && is_word(verb) => Ok(Self(text.into())),
            _ => Err(InvalidPermission::Word),
        }
    }
}

impl FromStr for Grant {
    type Err = InvalidPermission;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (resource, verb) = halves(text)?;
        match [resource, verb].iter().all(|half| *half == "*" || is_word(half)) {
            true => Ok(Self(text.into())),
            false => Err(InvalidPermission::Word),
        }
    }
}

impl TryFrom<String> for Permission {
    type Error = InvalidPermission;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for Grant {
    type Error = InvalidPermission;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_what_it_names_and_a_star_covers_a_whole_half() {
        for (grant, asked, covered) in [
            ("invoice:read", "invoice:read", true),
            ("invoice:read", "invoice:write", false),
            ("invoice:*", "invoice:write", true),
            ("*:read", "order:read", true),
            ("*:read", "order:write", false),
            ("*:*", "order:write", true),
        ] {
            let (grant, asked) = (grant.parse::<Grant>().unwrap(), asked.parse::<Permission>().unwrap());
            assert_eq!(grant.covers(&asked), covered, "{grant} {asked}");
        }
    }

    #[test]
    fn a_grant_holds_another_if_it_covers_all_that_the_other_covers() {
        for (wide, narrow, held) in [
            ("invoice:*", "invoice:read", true),
            ("invoice:*", "invoice:*", true),
            ("*:*", "*:read", true),
            ("invoice:*", "*:read", false),
            ("invoice:read", "invoice:*", false),
            ("*:read", "invoice:*", false),
            ("invoice:read", "order:read", false),
        ] {
            let (wide, narrow) = (wide.parse::<Grant>().unwrap(), narrow.parse::<Grant>().unwrap());
            assert_eq!(wide.holds(&narrow), held, "{wide} {narrow}");
        }
    }

    #[test]
    fn a_permission_is_one_resource_and_one_verb() {
        for (text, expected) in [
            ("invoice", InvalidPermission::Shape),
            ("a:b:c", InvalidPermission::Shape),
            ("invoice:*", InvalidPermission::Wildcard),
            ("Invoice:read", InvalidPermission::Word),
            (":read", InvalidPermission::Word),
            ("invoice:", InvalidPermission::Word),
        ] {
            assert_eq!(text.parse::<Permission>(), Err(expected), "{text}");
        }
    }
}
