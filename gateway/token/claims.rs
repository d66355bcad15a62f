use std::collections::BTreeMap;

use crate::TokenError;
use crate::json::{Bounds, InvalidJson, Json, parse_object};

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

    /// A text of at most this many bytes, or nothing; anything else is an error.
    pub(crate) fn text(&self, name: &str, longest: usize, error: &'static str) -> Result<Option<&str>, TokenError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::Text(text)) if text.len() <= longest => Ok(Some(text)),
            Some(_) => Err(TokenError::Claims(error)),
        }
    }

    /// The texts of a list, or the one that stands alone; nothing if the claim is not there.
    pub(crate) fn texts(&self, name: &str, error: &'static str) -> Result<Option<Vec<&str>>, TokenError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(vec![text])),
            Some(Json::List(list)) => list
                .iter()
                .map(|item| item.as_text().ok_or(TokenError::Claims(error)))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(TokenError::Claims(error)),
        }
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
