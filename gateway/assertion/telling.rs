use http::{HeaderName, HeaderValue};
use terms::{Claimed, same_field};

use crate::identity::Identity;
use crate::minter::MintError;

/// Which claims one backend is told in fields of their own: the name of each field, and which of
/// [`Identity::claimed`](crate::Identity::claimed) it says.
#[derive(Clone, Debug, Default)]
pub struct Telling(Box<[(HeaderName, usize)]>);

/// Why fields cannot be told.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidTelling {
    /// Two names that are one for backends which make variables of fields.
    #[error("`{0}` and `{1}` are one field for a backend that reads only letters and digits of a name")]
    Alias(HeaderName, HeaderName),
}

impl Telling {
    /// Tells these fields.
    ///
    /// # Errors
    /// A backend could take one for another.
    pub fn new(fields: impl IntoIterator<Item = (HeaderName, usize)>) -> Result<Self, InvalidTelling> {
        let fields: Box<[_]> = fields.into_iter().collect();
        for (i, (one, _)) in fields.iter().enumerate() {
            if let Some((other, _)) =
                fields.iter().skip(i + 1).find(|(other, _)| same_field(one.as_str(), other.as_str()))
            {
                return Err(InvalidTelling::Alias(one.clone(), other.clone()));
            }
        }
        Ok(Self(fields))
    }

    /// Whether a field of a request says what only we say, in whatever spelling: letters of any case, and any signs between
    /// them.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        self.0.iter().any(|(ours, _)| same_field(ours.as_str(), name))
    }

    /// The fields for one caller. A claim that is not there has none.
    pub(crate) fn fields(&self, identity: &Identity<'_>) -> Result<Vec<(HeaderName, HeaderValue)>, MintError> {
        let told = self.0.iter().filter_map(|(name, place)| match identity.claimed.get(*place) {
            None | Some(Claimed::Absent) => None,
            Some(Claimed::Text(text)) => {
                Some(HeaderValue::from_str(text).map(|value| (name.clone(), value)).map_err(|_| MintError::Claim))
            }
            Some(Claimed::Texts(_) | Claimed::Unfit) => Some(Err(MintError::Claim)), // FAIL CLOSED: and not told without it
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_covered_in_every_spelling_and_no_other_is() {
        let telling = Telling::new([(HeaderName::from_static("x-email"), 0)]).unwrap();
        for name in ["x-email", "X-Email", "X_EMAIL", "x.email", "xemail", "-x-e-mail-"] {
            assert!(telling.covers(name), "{name}");
        }
        for name in ["x-emails", "x-mail", "email", "", "x-email-2"] {
            assert!(!telling.covers(name), "{name}");
        }
        let two = [("x-email", 0), ("x-e-mail", 1)].map(|(name, place)| (HeaderName::from_static(name), place));
        assert!(matches!(Telling::new(two), Err(InvalidTelling::Alias(..))));
    }
}
