use std::collections::BTreeMap;

use terms::Step;

use crate::json::{Bounds, InvalidJson, Json, parse_object};
use crate::{ClaimPlace, TokenError};

/// The claims of a token as they were written. Nothing of them is believed before the signature has been verified.
#[derive(Debug)]
pub(crate) struct Claims(BTreeMap<String, Json>);

const BOUNDS: Bounds = Bounds { depth: 16, values: 4_096 };

/// The last second of the year 9999, where RFC 3339 ends: a date beyond it is a mistake or an attempt.
const LAST_SECOND: f64 = 253_402_300_799.0;

impl Claims {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, TokenError> {
        parse_object(bytes, BOUNDS).map(Self).map_err(|invalid| match invalid {
            InvalidJson::Deep => TokenError::Claims("they are nested too deeply"),
            InvalidJson::Duplicate => TokenError::Claims("a name stands twice"),
            InvalidJson::Many => TokenError::Claims("there are too many values"),
            InvalidJson::Syntax => TokenError::Malformed("the claims are not a json object"),
        })
    }

    /// How many there are, not counting what is inside of them.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Looked at before the signature, and for nothing but to find the issuer's rules and keys.
    pub(crate) fn issuer(&self) -> Result<&str, TokenError> {
        self.0.get("iss").and_then(Json::as_text).ok_or(TokenError::Claims("`iss` is missing or not a text"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// `true` or `false`, and nothing that others may take for it.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.0.get(name)? {
            Json::Bool(flag) => Some(*flag),
            Json::Null | Json::Number(_) | Json::Text(_) | Json::List(_) | Json::Object(_) => None,
        }
    }

    /// A text of at most this many bytes, or nothing; anything else is an error.
    pub(crate) fn text(&self, name: &str, longest: usize, error: &'static str) -> Result<Option<&str>, TokenError> {
        self.0.get(name).map(|value| text(value, longest, error)).transpose()
    }

    /// The one text of at most this many bytes at a place, or nothing; anything else is an error.
    pub(crate) fn text_at(
        &self,
        place: &ClaimPlace,
        longest: usize,
        error: &'static str,
    ) -> Result<Option<&str>, TokenError> {
        match *self.at(place) {
            [] => Ok(None),
            [value] => text(value, longest, error).map(Some),
            [..] => Err(TokenError::Claims(error)),
        }
    }

    /// The texts of a list, or the one that stands alone; nothing if the claim is not there.
    pub(crate) fn texts(&self, name: &str, error: &'static str) -> Result<Option<Vec<&str>>, TokenError> {
        self.0.get(name).map(|value| texts(value, error)).transpose()
    }

    /// The words at a place: those of a text that has spaces between them, or of a list that has one in each element. An
    /// element may have spaces: then it is one word, and no name.
    pub(crate) fn words_at(&self, place: &ClaimPlace, error: &'static str) -> Result<Vec<&str>, TokenError> {
        let mut words = Vec::new();
        for value in self.at(place) {
            if let Some(text) = value.as_text() {
                words.extend(text.split(' ').filter(|word| !word.is_empty()));
            } else {
                words.extend(texts(value, error)?);
            }
        }
        Ok(words)
    }

    /// What the token is bound to (`cnf`, RFC 7800 §3.1), if it is bound: an object with at least one member.
    pub(crate) fn confirmation(&self) -> Result<Option<&BTreeMap<String, Json>>, TokenError> {
        let Some(value) = self.0.get("cnf") else { return Ok(None) };
        let members = value.as_object().filter(|members| !members.is_empty());
        members.map(Some).ok_or(TokenError::Confirmation("`cnf` is not an object that names something"))
    }

    /// What security events it tells of, each with what is said of it (RFC 8417 §2.2); nothing, if it is no such token.
    pub(crate) fn events(&self) -> Result<Option<&BTreeMap<String, Json>>, TokenError> {
        match self.0.get("events") {
            None => Ok(None),
            Some(Json::Object(events)) => Ok(Some(events)),
            Some(_) => Err(TokenError::Claims("`events` is not an object")),
        }
    }

    /// What stands in a claim, as it was written.
    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name)
    }

    /// Checks for what an access token has besides the claims of every token (RFC 9068 §2.2).
    pub(crate) fn has_those_of_an_access_token(&self) -> Result<(), TokenError> {
        let missing = TokenError::Claims("`client_id`, `iat` or `jti` is missing, which RFC 9068 demands");
        let there = |name: &str| self.0.get(name).and_then(Json::as_text).is_some_and(|text| !text.is_empty());
        (there("client_id") && there("jti") && self.0.contains_key("iat")).then_some(()).ok_or(missing)
    }

    /// The names at a place, each with the words behind it if it is one of an object.
    pub(crate) fn belongings_at(
        &self,
        place: &ClaimPlace,
        error: &'static str,
    ) -> Result<Vec<NameAndWords<'_>>, TokenError> {
        let mut all = Vec::new();
        for value in self.at(place) {
            match value.as_object() {
                Some(members) => {
                    for (name, roles) in members {
                        let roles = match roles.as_text() {
                            Some(text) => text.split(' ').filter(|word| !word.is_empty()).collect(),
                            None => texts(roles, error)?,
                        };
                        all.push((name.as_str(), Some(roles)));
                    }
                }
                None => all.extend(texts(value, error)?.into_iter().map(|name| (name, None))),
            }
        }
        Ok(all)
    }

    /// What stands at a place.
    pub(crate) fn at(&self, place: &ClaimPlace) -> Vec<&Json> {
        let pointer = match place {
            ClaimPlace::Claim(name) => return self.0.get(&**name).into_iter().collect(),
            ClaimPlace::Inside(pointer) => pointer,
        };
        let Some((Step::Key(claim), rest)) = pointer.steps().split_first() else { return Vec::new() };
        let mut values: Vec<&Json> = self.0.get(&**claim).into_iter().collect();
        for step in rest {
            values = values.into_iter().flat_map(|value| further(value, step)).collect();
        }
        values
    }

    /// A `NumericDate` (RFC 7519 §2): seconds, perhaps with a fraction.
    pub(crate) fn date(&self, name: &str, error: &'static str) -> Result<Option<NumericDate>, TokenError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::Number(seconds)) if (0.0..=LAST_SECOND).contains(seconds) => Ok(Some(NumericDate(*seconds))),
            Some(_) => Err(TokenError::Claims(error)),
        }
    }
}

/// A name, and the words behind it if it is one of an object.
pub(crate) type NameAndWords<'c> = (&'c str, Option<Vec<&'c str>>);

fn text<'c>(value: &'c Json, longest: usize, error: &'static str) -> Result<&'c str, TokenError> {
    value.as_text().filter(|text| text.len() <= longest).ok_or(TokenError::Claims(error))
}

fn texts<'c>(value: &'c Json, error: &'static str) -> Result<Vec<&'c str>, TokenError> {
    let error = TokenError::Claims(error);
    match value {
        Json::Text(text) => Ok(vec![text]),
        Json::List(list) => list.iter().map(|item| item.as_text().ok_or(error)).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => Err(error),
    }
}

/// What one step leads to.
fn further<'c>(value: &'c Json, step: &Step) -> Vec<&'c Json> {
    match (value, step) {
        (Json::Object(members), Step::Key(name)) => members.get(&**name).into_iter().collect(),
        (Json::List(list), Step::Each) => list.iter().collect(),
        (Json::List(list), Step::Key(_)) => step.index().and_then(|index| list.get(index)).into_iter().collect(),
        (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_), _) | (Json::Object(_), Step::Each) => Vec::new(),
    }
}

/// Between 1970 and 9999.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumericDate(f64);

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "only made between 0 and the last second of 9999"
)]
impl NumericDate {
    /// The whole second that begins before.
    pub(crate) const fn floor(self) -> u64 {
        self.0 as u64
    }

    /// The whole second at or after.
    pub(crate) fn ceil(self) -> u64 {
        self.0.ceil() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_number_between_1970_and_9999() {
        for (text, expected) in [
            ("0", Ok((0, 0))),
            ("1700000000", Ok((1_700_000_000, 1_700_000_000))),
            ("1700000000.0", Ok((1_700_000_000, 1_700_000_000))),
            ("1700000000.25", Ok((1_700_000_000, 1_700_000_001))),
            ("1.7e9", Ok((1_700_000_000, 1_700_000_000))),
            ("253402300799", Ok((253_402_300_799, 253_402_300_799))),
            ("253402300800", Err(())),
            ("18446744073709551615", Err(())),
            ("1e300", Err(())),
            ("-1", Err(())),
            ("-0.5", Err(())),
            ("\"1700000000\"", Err(())),
            ("null", Err(())),
            ("[1700000000]", Err(())),
            ("true", Err(())),
        ] {
            let claims = Claims::parse(format!(r#"{{"exp":{text}}}"#).as_bytes()).unwrap();
            let date = claims.date("exp", "").map(|date| date.map(|date| (date.floor(), date.ceil())).unwrap());
            assert_eq!(date.map_err(|_| ()), expected, "{text}");
        }
    }
}
